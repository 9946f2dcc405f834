#include "wal/wal_recovery.h"

#include <inttypes.h>

#include "format/expiry.h"
#include "platform/error_detail.h"
#include "util/text.h"
#include "wal/wal_reader.h"

#include "base/poison.h"

enum { WAL_DESCRIBE_TEXT_MAX = 64 };

typedef struct wal_describer {
    wal_reader reader;
    status (*describe_edit)(slice payload, firn_line_callback print, void *context);
    int (*print)(void *context, const char *line);
    void *context;
    buf line;
    bool stopped; /* by the callback */
} wal_describer;

/* Prints the line built so far and begins the next. */
static status wal_describe_end_line(wal_describer *d) {
    buf_append(&d->line, "", 1);
    status st = buf_status(&d->line);
    if (status_is_ok(st) && !d->stopped)
        d->stopped = d->print(d->context, (const char *)d->line.data) != 0;
    buf_clear(&d->line);
    return st;
}

static void wal_describe_hex(buf *line, const uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < count; i++)
        buf_printf(line, "%02x", bytes[i]);
}

static status wal_describe_header(wal_describer *d) {
    status st = STATUS_OK;
    const segment_header *h = &d->reader.header;
    buf_printf(&d->line, "%s segment %" PRIu64 ", format %d, %" PRIu64 " bytes",
               h->kind == SEGMENT_LOG ? "log" : "manifest", h->number, SEGMENT_FORMAT,
               d->reader.file_bytes);
    TRY(wal_describe_end_line(d));
    buf_printf(&d->line, "  epoch %016" PRIx64 "  database ", h->epoch);
    wal_describe_hex(&d->line, h->database, sizeof h->database);
    buf_printf(&d->line, "  boot ");
    wal_describe_hex(&d->line, h->boot_id, sizeof h->boot_id);
    TRY(wal_describe_end_line(d));
    if (h->kind == SEGMENT_MANIFEST)
        goto out;
    buf_printf(&d->line, "  position %" PRIu64 "  next sequence %" PRIu64, h->position,
               h->sequence);
    if (h->predecessor)
        buf_printf(&d->line, "  follows segment %" PRIu64 " cut at offset %" PRIu64, h->predecessor,
                   h->predecessor_cut);
    TRY(wal_describe_end_line(d));
out:
    return st;
}

static const char *wal_describe_kind(op_kind kind) {
    switch (kind) {
    case OP_DELETE:
        return "delete";
    case OP_PUT:
        return "put";
    case OP_PUT_LARGE:
        return "put-large";
    case OP_SINGLE_DELETE:
        return "single-delete";
    case OP_PUT_EXPIRY:
        return "put-expiry";
    case OP_RANGE_DELETE:
        return "range-delete";
    default:
        return "?";
    }
}

static status wal_describe_operations(wal_describer *d, slice ops) {
    status st = STATUS_OK;
    batch_op op;
    while (!d->stopped && ops.size > 0 && batch_op_decode(&ops, &op)) {
        buf_printf(&d->line, "    %s", wal_describe_kind(op.kind));
        if (op.keyspace != 0)
            buf_printf(&d->line, " [keyspace %" PRIu32 "]", op.keyspace);
        buf_printf(&d->line, " \"");
        text_append_escaped(&d->line, op.key.s, WAL_DESCRIBE_TEXT_MAX);
        buf_printf(&d->line, "\"");
        large_ref ref;
        if (op.kind == OP_PUT) {
            buf_printf(&d->line, " = \"");
            text_append_escaped(&d->line, op.value, WAL_DESCRIBE_TEXT_MAX);
            buf_printf(&d->line, "\" (%zu bytes)", op.value.size);
        } else if (op.kind == OP_PUT_LARGE && large_ref_decode(op.value, &ref)) {
            buf_printf(&d->line, " = %" PRIu64 " bytes at offset %" PRIu64, ref.bytes, ref.offset);
        } else if (op.kind == OP_PUT_EXPIRY) {
            slice value = expiry_strip(op.kind, op.value);
            buf_printf(&d->line, " = \"");
            text_append_escaped(&d->line, value, WAL_DESCRIBE_TEXT_MAX);
            buf_printf(&d->line, "\" (%zu bytes)", value.size);
        }
        if (expiry_of_version(op.kind, op.value))
            buf_printf(&d->line, " until %" PRIu64, expiry_of_version(op.kind, op.value));
        TRY(wal_describe_end_line(d));
    }
out:
    return st;
}

static status wal_describe_batch(wal_describer *d, uint64_t offset, const record_head *head,
                                 slice checked) {
    status st = STATUS_OK;
    wal_batch batch;
    bool intact = true;
    uint64_t bad_offset, position = wal_reader_position(&d->reader, offset);
    TRY(wal_reader_batch(&d->reader, offset, head, checked, &batch));
    buf_printf(&d->line,
               "offset %" PRIu64 "  position %" PRIu64 "  %s  sequence %" PRIu64
               "  operations %" PRIu32 "  payload %" PRIu32 " bytes",
               offset, position, head->type == RECORD_BATCH ? "batch" : "large batch",
               batch.first_sequence, batch.count, head->bytes);
    if (head->synced_distance != UINT32_MAX)
        buf_printf(&d->line, "  durable below %" PRId64,
                   (int64_t)position - (int64_t)head->synced_distance * 8);
    TRY(wal_describe_end_line(d));
    TRY(wal_describe_operations(d, batch.ops));
    if (head->type == RECORD_LARGE_BATCH)
        TRY(wal_reader_check_extents(&d->reader, offset, head, batch.ops, &intact, &bad_offset));
    if (!intact)
        st = error_corruption_at(d->reader.file->path, bad_offset, "checksum of a large value");
out:
    return st;
}

static status wal_describe_edit_record(wal_describer *d, uint64_t offset, const record_head *head,
                                       slice checked) {
    status st = STATUS_OK;
    buf_printf(&d->line, "offset %" PRIu64 "  edit %" PRIu32 "  payload %" PRIu32 " bytes", offset,
               head->sequence_delta, head->bytes);
    TRY(wal_describe_end_line(d));
    if (d->describe_edit && !d->stopped)
        TRY(d->describe_edit(checked, d->print, d->context));
out:
    return st;
}

/* Behind the last good record: nothing, a torn tail, or damage. */
static status wal_describe_tail(wal_describer *d, uint64_t offset) {
    status st = STATUS_OK;
    wal_reader *r = &d->reader;
    wal_scan scan = {.synced = wal_reader_position(r, offset), .budget = WAL_SCAN_BUDGET_BYTES};
    TRY(wal_reader_scan(r, offset, &scan));
    buf_printf(&d->line, "offset %" PRIu64 "  end of records", offset);
    if (scan.content_end > offset)
        buf_printf(&d->line, ", %" PRIu64 " bytes behind it do not count",
                   scan.content_end - offset);
    TRY(wal_describe_end_line(d));
    if (scan.proof_offset > 0) {
        st = error_corruption_at(r->file->path, offset, "record is damaged");
        error_detail_append(": the record at offset %" PRIu64 " says that it had been durable",
                            scan.proof_offset);
    }
out:
    return st;
}

static status wal_describe_records(wal_describer *d) {
    status st = STATUS_OK;
    uint64_t offset = SEGMENT_HEADER_BYTES;
    while (!d->stopped) {
        record_head head;
        slice checked;
        record_verdict verdict;
        TRY(wal_reader_judge(&d->reader, offset, &head, &checked, &verdict));
        if (verdict != RECORD_VALID)
            break;
        if (head.type == RECORD_EDIT)
            TRY(wal_describe_edit_record(d, offset, &head, checked));
        else
            TRY(wal_describe_batch(d, offset, &head, checked));
        offset += record_padded_bytes(head.bytes);
    }
    if (!d->stopped)
        TRY(wal_describe_tail(d, offset));
out:
    return st;
}

FIRN_INTERNAL status wal_describe(const firn_vfs *vfs, const char *path,
                                  status (*describe_edit)(slice payload, firn_line_callback print,
                                                          void *context),
                                  int (*print)(void *context, const char *line), void *context) {
    status st = STATUS_OK;
    wal_describer d = {.describe_edit = describe_edit, .print = print, .context = context};
    bool missing;
    st = wal_reader_open(&d.reader, vfs, path, &missing);
    if (status_is(st, FIRN_NOT_FOUND) && !missing)
        st = error_corruption_at(path, 0, "no valid log or manifest header");
    if (!status_is_ok(st))
        goto out;
    TRY(wal_describe_header(&d));
    TRY(wal_describe_records(&d));
out:
    buf_deinit(&d.line);
    wal_reader_deinit(&d.reader);
    return st;
}
