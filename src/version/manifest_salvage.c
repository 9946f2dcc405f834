#include "version/manifest_salvage.h"

#include <stdio.h>

#include "format/file_name.h"
#include "platform/error_detail.h"
#include "platform/memory.h"
#include "record/record.h"
#include "util/crc32c.h"

#include "base/poison.h"

#define MANIFEST_SALVAGE_BYTES_MAX  (1ull << 32)
#define MANIFEST_SALVAGE_LINE_BYTES 128

static status manifest_salvage_load(const firn_vfs *vfs, const char *path, uint8_t **bytes,
                                    size_t *size) {
    status st = STATUS_OK;
    vfs_file *file = NULL;
    uint64_t file_bytes = 0;
    TRY(vfs_open(vfs, path, FIRN_VFS_READ, &file));
    TRY(vfs_get_size(file, &file_bytes));
    if (file_bytes < SEGMENT_HEADER_BYTES || file_bytes > MANIFEST_SALVAGE_BYTES_MAX) {
        st = error_corruption_at(path, file_bytes, "no manifest has this size");
        goto out;
    }
    *bytes = memory_new((size_t)file_bytes);
    if (!*bytes) {
        st = error_status(FIRN_NO_MEMORY, "no memory to read %s", path);
        goto out;
    }
    TRY(vfs_read(file, 0, *bytes, (size_t)file_bytes, size));
    if (*size < SEGMENT_HEADER_BYTES)
        st = error_corruption_at(path, *size, "file ends within its header page");
out:
    (void)vfs_close(file); /* only read */
    return st;
}

/* One record. CORRUPTION: none that counts. */
static status manifest_salvage_record(slice checked,
                                      status (*apply)(void *context, const version_edit *edit),
                                      void *context) {
    version_edit edit = {0};
    status st = version_edit_decode(checked, &edit);
    if (status_is_ok(st))
        st = apply(context, &edit);
    version_edit_deinit(&edit);
    return st;
}

FIRN_INTERNAL status manifest_salvage_run(const firn_vfs *vfs, const char *path, uint64_t number,
                                          status (*apply)(void *context, const version_edit *edit),
                                          void *context, manifest_salvage *out) {
    status st = STATUS_OK;
    uint8_t *bytes = NULL;
    size_t size = 0;
    segment_header header;
    record_head head;
    slice checked;
    uint64_t need, damage = 0;
    *out = (manifest_salvage){.is_whole = true};
    TRY(manifest_salvage_load(vfs, path, &bytes, &size));
    st = segment_header_decode(bytes, &header);
    if (status_is(st, FIRN_NOT_SUPPORTED) && !segment_header_has_bad_format(bytes))
        st = error_status(FIRN_NOT_SUPPORTED, "%s: written in a newer format than %d", path,
                          SEGMENT_FORMAT);
    else if (!status_is_ok(st) || header.kind != SEGMENT_MANIFEST || header.number != number)
        st = error_corruption_at(path, 0, "damaged header page");
    TRY(st);
    memcpy(out->database, header.database, sizeof out->database);
    for (uint64_t at = SEGMENT_HEADER_BYTES; at < size;) {
        if (record_judge(&header, at, slice_skip(slice_of(bytes, size), (size_t)at), size, &head,
                         &checked, &need) == RECORD_VALID &&
            head.type == RECORD_EDIT) {
            st = manifest_salvage_record(checked, apply, context);
            if (!status_is(st, FIRN_CORRUPTION)) {
                TRY(st);
                /* Whatever stands in front of an edit had been durable: damage, no torn tail. */
                out->is_whole &= damage == 0 && head.sequence_delta == out->edits;
                out->starts_with_state |= head.sequence_delta == 0;
                out->edits++;
                at += record_padded_bytes(head.bytes);
                continue;
            }
        }
        if (damage == 0)
            damage = at;
        at += RECORD_ALIGNMENT;
    }
    out->bad_offset = damage;
    out->is_whole &= out->starts_with_state;
    st = STATUS_OK;
out:
    memory_free(bytes);
    return st;
}

FIRN_INTERNAL bool manifest_current_has_bad_format(const firn_vfs *vfs, const char *directory) {
    char path[FILE_PATH_BYTES], line[MANIFEST_SALVAGE_LINE_BYTES + 1], crc[16];
    vfs_file *file = NULL;
    size_t got = 0;
    bool is_damaged = false;
    status st = vfs_open(vfs, file_path(path, directory, FILE_CURRENT, 0), FIRN_VFS_READ, &file);
    if (status_is_ok(st))
        st = vfs_read(file, 0, line, sizeof line - 1, &got);
    (void)vfs_close(file); /* only read */
    line[got] = 0;
    const char *last = strrchr(line, ' ');
    if (status_is_ok(st) && last && strncmp(line, "firn ", 5) == 0 && line[6] == ' ') {
        line[5] = '1';
        snprintf(crc, sizeof crc, " %08x\n", crc32c_extend(0, line, (size_t)(last - line)));
        is_damaged = strcmp(last, crc) == 0;
    }
    return is_damaged;
}

#undef MANIFEST_SALVAGE_BYTES_MAX
#undef MANIFEST_SALVAGE_LINE_BYTES
