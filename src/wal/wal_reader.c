#include "wal/wal_reader.h"

#include <inttypes.h>

#include "platform/error_detail.h"
#include "platform/memory.h"
#include "util/coding.h"
#include "util/crc32c.h"

#include "base/poison.h"

/* A record larger than this is checked piecemeal before memory is taken for it: its length may be
 * damaged. */
enum { WAL_READER_TRUSTED_BYTES = 4 << 20 };

static status wal_reader_no_memory(const wal_reader *r) {
    return error_status(FIRN_NO_MEMORY, "no memory to read '%s'", r->file->path);
}

static status wal_reader_read_header(wal_reader *r, segment_header *header) {
    uint8_t page[SEGMENT_HEADER_BYTES];
    size_t got;
    status st = STATUS_OK;
    /* Twice, before a whole segment counts as not there because of one bad read. */
    for (int tries = 0; tries < 2; tries++) {
        st = vfs_read(r->file, 0, page, sizeof page, &got);
        if (!status_is_ok(st))
            return st;
        memset(page + got, 0, sizeof page - got);
        st = segment_header_decode(page, header);
        if (status_is_ok(st))
            return st;
    }
    if (status_is(st, FIRN_NOT_SUPPORTED))
        return error_status(FIRN_NOT_SUPPORTED,
                            "'%s' has format %" PRIu32 ", this build reads format %d: it was "
                            "written by a newer version of Firn",
                            r->file->path, decode_fixed32(page + 8), SEGMENT_FORMAT);
    return st;
}

FIRN_INTERNAL status wal_reader_open(wal_reader *r, const firn_vfs *vfs, const char *path,
                                     bool *missing) {
    status st = STATUS_OK;
    wal_reader_close(r);
    *missing = false;
    st = vfs_open(vfs, path, FIRN_VFS_READ, &r->file);
    if (!status_is_ok(st)) {
        *missing = status_is(st, FIRN_NOT_FOUND);
        return st;
    }
    TRY(wal_reader_refresh(r));
    TRY(wal_reader_read_header(r, &r->header));
    return STATUS_OK;
out:
    wal_reader_close(r);
    return st;
}

FIRN_INTERNAL void wal_reader_close(wal_reader *r) {
    (void)vfs_close(r->file); /* nothing was written */
    r->file = NULL;
    r->file_bytes = 0;
    r->window_bytes = 0;
}

FIRN_INTERNAL void wal_reader_deinit(wal_reader *r) {
    wal_reader_close(r);
    memory_free(r->window);
    memory_free(r->chunk);
    *r = (wal_reader){0};
}

FIRN_INTERNAL status wal_reader_is_unchanged(wal_reader *r, bool *unchanged) {
    segment_header now;
    *unchanged = false;
    status st = wal_reader_read_header(r, &now);
    if (!status_is_ok(st))
        return status_is(st, FIRN_NOT_FOUND) ? STATUS_OK : st;
    *unchanged = now.number == r->header.number && now.epoch == r->header.epoch;
    return st;
}

FIRN_INTERNAL status wal_reader_refresh(wal_reader *r) {
    r->window_bytes = 0;
    return vfs_get_size(r->file, &r->file_bytes);
}

/* Loads the window from `offset` on, with at least `need` bytes unless the file is shorter than it
 * said: then file_bytes is corrected. */
static status wal_reader_load(wal_reader *r, uint64_t offset, uint64_t need) {
    size_t capacity = WAL_READER_WINDOW_BYTES;
    DCHECK(offset < r->file_bytes && need <= r->file_bytes - offset);
    if (need > capacity)
        capacity = (size_t)need;
    r->window_bytes = 0;
    if (r->window_capacity < capacity || r->window_capacity > WAL_READER_TRUSTED_BYTES) {
        memory_free(r->window);
        r->window_capacity = 0;
        r->window = memory_new(capacity);
        if (!r->window)
            return wal_reader_no_memory(r);
        r->window_capacity = capacity;
    }
    uint64_t want = r->file_bytes - offset;
    if (want > r->window_capacity)
        want = r->window_capacity;
    size_t got;
    status st = vfs_read(r->file, offset, r->window, (size_t)want, &got);
    if (!status_is_ok(st))
        return st;
    if (got < want)
        r->file_bytes = offset + got;
    r->window_offset = offset;
    r->window_bytes = got;
    return STATUS_OK;
}

/* What is loaded from `offset` on. */
static slice wal_reader_loaded(const wal_reader *r, uint64_t offset) {
    if (offset < r->window_offset || offset - r->window_offset >= r->window_bytes)
        return slice_of(r->window, 0);
    size_t skip = (size_t)(offset - r->window_offset);
    return slice_of(r->window + skip, r->window_bytes - skip);
}

static status wal_reader_need_chunk(wal_reader *r) {
    if (!r->chunk)
        r->chunk = memory_new(EXTENT_CHUNK_BYTES);
    return r->chunk ? STATUS_OK : wal_reader_no_memory(r);
}

/* Whether the checksum of a plausible record matches, without holding it in memory. */
static status wal_reader_checksum_matches(wal_reader *r, uint64_t offset, uint64_t checked_bytes,
                                          bool *matches) {
    status st = STATUS_OK;
    uint64_t at = offset + 4, end = offset + RECORD_HEADER_BYTES + checked_bytes;
    uint32_t crc = crc32c_seed_segment(r->header.epoch, r->header.number, offset);
    uint8_t stored[4];
    size_t got;
    *matches = false;
    TRY(wal_reader_need_chunk(r));
    TRY(vfs_read(r->file, offset, stored, sizeof stored, &got));
    if (got < sizeof stored)
        goto out;
    while (at < end) {
        size_t part = end - at < EXTENT_CHUNK_BYTES ? (size_t)(end - at) : EXTENT_CHUNK_BYTES;
        TRY(vfs_read(r->file, at, r->chunk, part, &got));
        if (got < part)
            goto out;
        crc = crc32c_extend(crc, r->chunk, part);
        at += part;
    }
    *matches = crc == decode_fixed32(stored);
out:
    return st;
}

FIRN_INTERNAL status wal_reader_judge(wal_reader *r, uint64_t offset, record_head *head,
                                      slice *checked, record_verdict *verdict) {
    status st = STATUS_OK;
    bool trusted = false;
    for (;;) {
        uint64_t need;
        *verdict = record_judge(&r->header, offset, wal_reader_loaded(r, offset), r->file_bytes,
                                head, checked, &need);
        if (*verdict != RECORD_CUT_OFF)
            goto out;
        if (need > WAL_READER_TRUSTED_BYTES && !trusted) {
            TRY(wal_reader_checksum_matches(r, offset, need - RECORD_HEADER_BYTES, &trusted));
            if (!trusted) {
                *verdict = RECORD_INVALID;
                goto out;
            }
        }
        TRY(wal_reader_load(r, offset, need));
    }
out:
    return st;
}

FIRN_INTERNAL status wal_reader_batch(wal_reader *r, uint64_t offset, const record_head *head,
                                      slice checked, wal_batch *batch) {
    const char *path = r->file->path;
    uint32_t decoded = 0;
    bool large = head->type == RECORD_LARGE_BATCH;
    memset(batch, 0, sizeof *batch);
    if (head->type != RECORD_BATCH && !large)
        return error_corruption_at(path, offset, "record is not a batch");
    batch->first_sequence = r->header.sequence + head->sequence_delta;
    batch->ops = large ? slice_skip(checked, 4) : checked;
    if (!get_varint32(&batch->ops, &batch->count))
        return error_corruption_at(path, offset, "batch has no operation count");
    if (batch->first_sequence == 0 || batch->first_sequence > SEQNO_MAX - batch->count)
        return error_corruption_at(path, offset, "batch has impossible sequence numbers");
    for (slice rest = batch->ops; rest.size > 0; decoded++) {
        uint8_t kind = rest.data[0];
        batch_op op;
        if (!op_kind_is_supported(kind))
            return error_status(FIRN_NOT_SUPPORTED,
                                "'%s' holds an operation of kind %u, which this build lacks, in "
                                "the record at offset %" PRIu64,
                                path, kind, offset);
        if (!batch_op_decode(&rest, &op) || (op.kind == OP_PUT_LARGE && !large))
            return error_corruption_at(path, offset, "batch holds an invalid operation");
    }
    if (decoded != batch->count)
        return error_corruption_at(path, offset,
                                   "batch does not hold as many operations as it says");
    return STATUS_OK;
}

static status wal_reader_check_extent(wal_reader *r, const large_ref *ref, bool *intact,
                                      uint64_t *bad_offset) {
    status st = STATUS_OK;
    extent_seed seed = {.epoch = r->header.epoch, .number = r->header.number};
    uint64_t crc_at = ref->offset + ref->bytes;
    TRY(wal_reader_need_chunk(r));
    for (uint64_t done = 0; done < ref->bytes; done += EXTENT_CHUNK_BYTES, crc_at += 4) {
        uint64_t left = ref->bytes - done;
        size_t part = left < EXTENT_CHUNK_BYTES ? (size_t)left : EXTENT_CHUNK_BYTES, got, crc_got;
        uint8_t stored[4];
        *bad_offset = ref->offset + done;
        TRY(vfs_read(r->file, *bad_offset, r->chunk, part, &got));
        TRY(vfs_read(r->file, crc_at, stored, sizeof stored, &crc_got));
        *intact = got == part && crc_got == sizeof stored &&
                  extent_chunk_crc(&seed, *bad_offset, slice_of(r->chunk, part)) ==
                      decode_fixed32(stored);
        if (!*intact)
            break;
    }
out:
    return st;
}

FIRN_INTERNAL status wal_reader_check_extents(wal_reader *r, uint64_t offset,
                                              const record_head *head, slice ops, bool *intact,
                                              uint64_t *bad_offset) {
    status st = STATUS_OK;
    uint64_t record_end = offset + RECORD_HEADER_BYTES + head->bytes;
    batch_op op;
    *intact = true;
    *bad_offset = 0;
    while (*intact && ops.size > 0) {
        large_ref ref;
        bool decoded = batch_op_decode(&ops, &op);
        CHECK(decoded); /* wal_reader_batch() has been over them */
        if (op.kind != OP_PUT_LARGE)
            continue;
        if (!large_ref_decode(op.value, &ref) || ref.place != LARGE_IN_LOG ||
            ref.file != r->header.number || ref.bytes == 0 ||
            ref.offset < offset + RECORD_HEADER_BYTES || ref.offset > record_end ||
            extent_disk_bytes(ref.bytes) > record_end - ref.offset) {
            *intact = false;
            *bad_offset = offset;
            break;
        }
        TRY(wal_reader_check_extent(r, &ref, intact, bad_offset));
    }
out:
    return st;
}

/* Whether the record at `offset` is whole and what it says about durability is news. */
static status wal_reader_weigh(wal_reader *r, uint64_t offset, slice data, wal_scan *scan,
                               uint64_t *record_bytes) {
    status st = STATUS_OK;
    record_head head;
    uint64_t checked_bytes, position = wal_reader_position(r, offset), distance;
    bool matches = false;
    *record_bytes = 0;
    if (record_peek(data, r->file_bytes - offset, &head, &checked_bytes) != RECORD_VALID ||
        (head.type == RECORD_EDIT) != (r->header.kind == SEGMENT_MANIFEST) ||
        head.synced_distance == UINT32_MAX)
        return STATUS_OK;
    /* First what costs nothing: almost everything that is no record fails here, and so does every
     * record of an ordinary torn tail. */
    distance = (uint64_t)head.synced_distance * 8;
    if (distance > position || position - distance <= scan->synced || scan->budget < checked_bytes)
        return STATUS_OK;
    scan->budget -= checked_bytes;
    if (data.size >= RECORD_HEADER_BYTES + checked_bytes) {
        uint64_t need;
        slice checked;
        matches = record_judge(&r->header, offset, data, r->file_bytes, &head, &checked, &need) ==
                  RECORD_VALID;
    } else {
        TRY(wal_reader_checksum_matches(r, offset, checked_bytes, &matches));
    }
    if (matches) {
        scan->synced = position - distance;
        scan->proof_offset = offset;
        *record_bytes = record_padded_bytes(head.bytes);
    }
out:
    return st;
}

FIRN_INTERNAL status wal_reader_scan(wal_reader *r, uint64_t from, wal_scan *scan) {
    status st = STATUS_OK;
    uint64_t offset = from, record_bytes;
    DCHECK(from % RECORD_ALIGNMENT == 0);
    scan->content_end = from;
    while (offset < r->file_bytes && r->file_bytes - offset >= RECORD_HEADER_BYTES) {
        uint64_t room = r->file_bytes - offset;
        uint64_t need = room < RECORD_PEEK_BYTES ? room : RECORD_PEEK_BYTES;
        slice data = wal_reader_loaded(r, offset);
        if (data.size < need) {
            TRY(wal_reader_load(r, offset, need));
            continue;
        }
        if (decode_fixed64(data.data) == 0) {
            offset += RECORD_ALIGNMENT;
            continue;
        }
        TRY(wal_reader_weigh(r, offset, data, scan, &record_bytes));
        offset += record_bytes ? record_bytes : RECORD_ALIGNMENT;
        scan->content_end = offset < r->file_bytes ? offset : r->file_bytes;
    }
out:
    return st;
}
