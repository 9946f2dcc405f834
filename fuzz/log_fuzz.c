/* Recovery, description and the walk over segments, on logs made from the input: segments whose
 * headers link as it says, records sealed around payloads it gives (so checksums do not shield what
 * lies behind them), and bytes damaged afterwards where it says. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "platform/vfs.h"
#include "platform/vfs_mem.h"
#include "record/record.h"
#include "wal/wal_recovery.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FUZZ_SEGMENT_BYTES = 4096 * 4, FUZZ_SEGMENTS = 3 };

static uint8_t fuzz_take(slice *in) {
    if (in->size == 0)
        return 0;
    uint8_t byte = in->data[0];
    *in = slice_skip(*in, 1);
    return byte;
}

static void fuzz_records(slice *in, const segment_header *h, uint8_t *file) {
    uint64_t offset = SEGMENT_HEADER_BYTES;
    for (unsigned count = fuzz_take(in) % 8; count > 0; count--) {
        record_head head = {.sequence_delta = fuzz_take(in),
                            .synced_distance = fuzz_take(in),
                            .type = fuzz_take(in) % 4};
        size_t bytes = 1 + fuzz_take(in), checked = bytes;
        if (offset + RECORD_HEADER_BYTES + bytes > FUZZ_SEGMENT_BYTES)
            break;
        uint8_t *payload = file + offset + RECORD_HEADER_BYTES;
        for (size_t i = 0; i < bytes; i++)
            payload[i] = fuzz_take(in);
        if (head.type == RECORD_LARGE_BATCH && bytes > 8) {
            checked = 4 + 1 + payload[0] % (bytes - 4);
            payload[0] = (uint8_t)(checked - 4);
            payload[1] = payload[2] = payload[3] = 0;
        }
        head.bytes = (uint32_t)bytes;
        record_seal(h, offset, &head, checked, file + offset);
        offset += record_padded_bytes(bytes);
        if (fuzz_take(in) % 8 == 0)
            offset += 8; /* a hole */
    }
}

static void fuzz_make_segment(const firn_vfs *vfs, uint64_t number, slice *in) {
    static uint8_t bytes[FUZZ_SEGMENT_BYTES];
    char path[64];
    vfs_file *file = NULL;
    memset(bytes, 0, sizeof bytes);
    segment_header h = {.kind = SEGMENT_LOG,
                        .number = number,
                        .epoch = number,
                        .position = (uint64_t)fuzz_take(in) * 8,
                        .sequence = fuzz_take(in),
                        .predecessor = fuzz_take(in) % (FUZZ_SEGMENTS + 1),
                        .predecessor_cut = SEGMENT_HEADER_BYTES + (uint64_t)fuzz_take(in) * 8};
    segment_header_encode(&h, bytes);
    fuzz_records(in, &h, bytes);
    for (unsigned damages = fuzz_take(in) % 3; damages > 0; damages--) {
        size_t at = (size_t)fuzz_take(in) * 256 + fuzz_take(in);
        bytes[at % sizeof bytes] = fuzz_take(in);
    }
    snprintf(path, sizeof path, "/%06u.wal", (unsigned)number);
    CHECK(status_is_ok(vfs_open(vfs, path, FIRN_VFS_WRITE | FIRN_VFS_CREATE, &file)));
    CHECK(status_is_ok(vfs_write(file, 0, bytes, sizeof bytes - fuzz_take(in) * 8)));
    (void)vfs_close(file);
}

static status fuzz_batch(void *context, seqno first, uint32_t count, slice ops, uint64_t position) {
    seqno *next = context;
    CHECK(first >= *next && position % 8 == 0);
    *next = first + count;
    for (batch_op op; ops.size > 0; count--)
        CHECK(batch_op_decode(&ops, &op) && op_kind_is_supported((uint8_t)op.kind));
    CHECK(count == 0);
    return STATUS_OK;
}

static int fuzz_line(void *context, const char *line) {
    (void)context;
    return strlen(line) > 100000;
}

static void fuzz_recover(const firn_vfs *vfs, slice *in) {
    seqno next = 1;
    wal_recovery r;
    wal_recovery_args args = {.vfs = vfs,
                              .directory = "",
                              .floor_segment = fuzz_take(in) % 4,
                              .floor_position = (uint64_t)fuzz_take(in) * 8,
                              .clean_end = fuzz_take(in),
                              .last_good = fuzz_take(in) % 2,
                              .beside_writer = fuzz_take(in) % 2,
                              .on_batch = fuzz_batch,
                              .context = &next};
    status st = wal_recover(&args, &r);
    if (!status_is_ok(st)) {
        CHECK(status_is(st, FIRN_CORRUPTION) || status_is(st, FIRN_NOT_SUPPORTED) ||
              status_is(st, FIRN_ABORTED));
        return;
    }
    CHECK(r.end_position % RECORD_ALIGNMENT == 0 && r.end_position >= args.floor_position);
    CHECK(r.next_segment > r.end_segment);
    CHECK(status_is_ok(wal_recovery_write_back(&args, &r)));
    /* Once more, the same must come out. */
    wal_recovery again;
    next = 1;
    CHECK(status_is_ok(wal_recover(&args, &again)));
    CHECK(again.records == r.records && again.end_position == r.end_position);
    wal_recovery_deinit(&again);
    wal_recovery_deinit(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    slice in = slice_of(data, size);
    vfs_mem *disk = NULL;
    CHECK(status_is_ok(vfs_mem_new(&disk)));
    const firn_vfs *vfs = vfs_mem_vfs(disk);
    unsigned segments = 1 + fuzz_take(&in) % FUZZ_SEGMENTS;
    for (uint64_t number = 1; number <= segments; number++)
        fuzz_make_segment(vfs, number, &in);
    fuzz_recover(vfs, &in);
    (void)!wal_describe(vfs, "/000001.wal", NULL, fuzz_line, NULL).code;
    vfs_mem_free(disk);
    return 0;
}
