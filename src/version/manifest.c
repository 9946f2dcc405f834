#include "version/manifest.h"

#include <stdio.h>

#include "format/file_name.h"
#include "platform/clock.h"
#include "platform/error_detail.h"
#include "platform/memory.h"
#include "record/record.h"
#include "util/coding.h"
#include "util/crc32c.h"

#include "base/poison.h"

#define MANIFEST_RESERVE_BYTES  (64u << 10)
#define MANIFEST_ROLL_BYTES     (1u << 20)
#define MANIFEST_FILE_BYTES_MAX (1ull << 32)
#define CURRENT_BYTES_MAX       128
#define DIRECTORY_FORMAT        1

FIRN_INTERNAL void manifest_init(manifest *m, const firn_vfs *vfs, const char *directory) {
    *m = (manifest){.vfs = vfs, .directory = directory, .health = MANIFEST_NEEDS_NEW_FILE};
}

FIRN_INTERNAL void manifest_deinit(manifest *m) {
    /* Space was reserved behind the last edit; it need not stay. */
    if (m->file && m->health == MANIFEST_GOOD)
        (void)!status_is_ok(vfs_truncate(m->file, m->end));
    (void)vfs_close(m->file); /* every edit was synced when it was written */
    m->file = NULL;
}

static segment_header manifest_header(const manifest *m, uint64_t number, uint64_t epoch) {
    segment_header h = {.kind = SEGMENT_MANIFEST, .number = number, .epoch = epoch};
    memcpy(h.database, m->database, sizeof h.database);
    return h;
}

/* --- CURRENT --- */

/* Splits off the next word of a line. */
static slice manifest_current_word(slice *line) {
    slice word = slice_of(line->data, 0);
    while (word.size < line->size && line->data[word.size] != ' ')
        word.size++;
    *line = slice_skip(*line, word.size < line->size ? word.size + 1 : word.size);
    return word;
}

/* Whether a word is what some version of Firn would have written as its format. */
static bool manifest_is_number(slice word) {
    bool good = word.size > 0 && word.size < 10;
    for (size_t i = 0; good && i < word.size; i++)
        good = word.data[i] >= '0' && word.data[i] <= '9';
    return good;
}

static bool manifest_current_parse(slice text, uint64_t *number) {
    char name[64], crc_text[16];
    slice line = text;
    if (line.size == 0 || line.data[line.size - 1] != '\n')
        return false;
    line.size--;
    (void)manifest_current_word(&line); /* "firn" and the format, judged by the caller */
    (void)manifest_current_word(&line);
    slice manifest_name = manifest_current_word(&line);
    size_t covered = (size_t)(manifest_name.data + manifest_name.size - text.data);
    if (manifest_name.size >= sizeof name || line.size != 8)
        return false;
    memcpy(name, manifest_name.data, manifest_name.size);
    name[manifest_name.size] = 0;
    snprintf(crc_text, sizeof crc_text, "%08x", crc32c_extend(0, text.data, covered));
    return memcmp(crc_text, line.data, 8) == 0 && file_name_parse(name, number) == FILE_MANIFEST;
}

static status manifest_judge_current(const char *path, slice text, uint64_t *number) {
    slice line = text;
    slice word = manifest_current_word(&line), format = manifest_current_word(&line);
    if (!slice_equal(word, slice_from_string("firn")))
        return error_status(
            FIRN_CORRUPTION,
            "%s: does not begin with 'firn': damaged, or not a Firn database (offset 0)", path);
    if (manifest_is_number(format) && !slice_equal(format, slice_from_string("1")))
        return error_status(FIRN_NOT_SUPPORTED,
                            "%s: directory format '%.*s', this version of Firn reads format %d; "
                            "open it with a newer version",
                            path, (int)(format.size < 16 ? format.size : 16),
                            (const char *)format.data, DIRECTORY_FORMAT);
    if (!manifest_current_parse(text, number))
        return error_corruption_at(path, 0, "damaged line (checksum or manifest name)");
    return STATUS_OK;
}

FIRN_INTERNAL status manifest_read_current(const firn_vfs *vfs, const char *directory,
                                           uint64_t *number) {
    status st = STATUS_OK;
    char path[FILE_PATH_BYTES];
    uint8_t bytes[CURRENT_BYTES_MAX];
    vfs_file *file = NULL;
    *number = 0;
    file_path(path, directory, FILE_CURRENT, 0);
    TRY(vfs_open(vfs, path, FIRN_VFS_READ, &file));
    /* Twice: a bit may have flipped on the way. */
    for (int attempt = 0; attempt < 2; attempt++) {
        size_t got = 0;
        TRY(vfs_read(file, 0, bytes, sizeof bytes, &got));
        st = manifest_judge_current(path, slice_of(bytes, got), number);
        if (status_is_ok(st))
            break;
    }
out:
    (void)vfs_close(file); /* only read */
    return st;
}

static status manifest_write_current(const manifest *m, uint64_t number) {
    char path[FILE_PATH_BYTES], name[FILE_PATH_BYTES], line[CURRENT_BYTES_MAX];
    file_path(name, "", FILE_MANIFEST, number);
    int covered =
        snprintf(line, sizeof line, "firn %d %s", DIRECTORY_FORMAT, strrchr(name, '/') + 1);
    CHECK(covered > 0 && covered + 11 < (int)sizeof line);
    uint32_t crc = crc32c_extend(0, line, (size_t)covered);
    snprintf(line + covered, sizeof line - (size_t)covered, " %08x\n", crc);
    file_path(path, m->directory, FILE_CURRENT, 0);
    return vfs_replace_file(m->vfs, m->directory, path, slice_from_string(line));
}

/* --- recovery --- */

typedef struct manifest_reader {
    const char *path;
    slice bytes; /* the whole file */
    segment_header header;
    uint64_t offset;
    uint32_t records;
} manifest_reader;

/* Whether a valid edit lies anywhere behind `offset`: then what is damaged there was durable. */
static bool manifest_has_later_edit(const manifest_reader *r, uint64_t offset) {
    record_head head;
    slice checked;
    uint64_t need;
    for (offset += RECORD_ALIGNMENT; offset < r->bytes.size; offset += RECORD_ALIGNMENT) {
        if (record_judge(&r->header, offset, slice_skip(r->bytes, offset), r->bytes.size, &head,
                         &checked, &need) == RECORD_VALID)
            return true;
    }
    return false;
}

static status manifest_apply_records(manifest_reader *r,
                                     status (*apply)(void *context, const version_edit *edit),
                                     void *context) {
    status st = STATUS_OK;
    version_edit edit = {0};
    record_head head;
    slice checked;
    uint64_t need;
    while (r->offset < r->bytes.size &&
           record_judge(&r->header, r->offset, slice_skip(r->bytes, r->offset), r->bytes.size,
                        &head, &checked, &need) == RECORD_VALID) {
        if (head.type != RECORD_EDIT || head.sequence_delta != r->records) {
            st = error_corruption_at(r->path, r->offset, "record out of place");
            goto out;
        }
        st = version_edit_decode(checked, &edit);
        if (status_is(st, FIRN_CORRUPTION))
            st = error_corruption_at(r->path, r->offset, "malformed version edit");
        TRY(st);
        st = apply(context, &edit);
        if (status_is(st, FIRN_CORRUPTION))
            st = error_corruption_at(r->path, r->offset, "version edit that does not fit");
        TRY(st);
        version_edit_deinit(&edit);
        r->offset += record_padded_bytes(head.bytes);
        r->records++;
    }
    if (r->records == 0 || manifest_has_later_edit(r, r->offset))
        st = error_corruption_at(r->path, r->offset, "damaged version edit");
out:
    version_edit_deinit(&edit);
    return st;
}

static status manifest_load(const firn_vfs *vfs, const char *path, uint8_t **bytes,
                            uint64_t *size) {
    status st = STATUS_OK;
    vfs_file *file = NULL;
    uint64_t file_bytes = 0;
    size_t got;
    TRY(vfs_open(vfs, path, FIRN_VFS_READ, &file));
    TRY(vfs_get_size(file, &file_bytes));
    if (file_bytes > MANIFEST_FILE_BYTES_MAX) {
        st = error_corruption_at(path, 0, "implausibly large manifest");
        goto out;
    }
    *bytes = memory_new((size_t)file_bytes + 1);
    if (!*bytes) {
        st = error_status(FIRN_NO_MEMORY, "no memory to read %s", path);
        goto out;
    }
    TRY(vfs_read(file, 0, *bytes, (size_t)file_bytes, &got));
    *size = got;
out:
    (void)vfs_close(file); /* only read */
    return st;
}

/* Up to where the file is a header page and valid records; 0: not even that page. */
static uint64_t manifest_valid_bytes(slice bytes) {
    segment_header header;
    record_head head;
    slice checked;
    uint64_t need, offset = SEGMENT_HEADER_BYTES;
    if (bytes.size < SEGMENT_HEADER_BYTES ||
        !status_is_ok(segment_header_decode(bytes.data, &header)))
        return 0;
    while (offset < bytes.size && record_judge(&header, offset, slice_skip(bytes, offset),
                                               bytes.size, &head, &checked, &need) == RECORD_VALID)
        offset += record_padded_bytes(head.bytes);
    return offset;
}

/* Reads it again where the first read is not valid to its end, and gives the better of the two: a
 * bit that flipped on the way must not pass for a torn last edit, whose tables would count as
 * orphans. */
static status manifest_load_carefully(const firn_vfs *vfs, const char *path, uint8_t **bytes,
                                      uint64_t *size) {
    uint8_t *again = NULL;
    uint64_t again_size = 0;
    status st = manifest_load(vfs, path, bytes, size);
    uint64_t valid = status_is_ok(st) ? manifest_valid_bytes(slice_of(*bytes, *size)) : 0;
    if (!status_is_ok(st) || valid >= *size)
        return st;
    st = manifest_load(vfs, path, &again, &again_size);
    if (status_is_ok(st) && manifest_valid_bytes(slice_of(again, again_size)) >= valid) {
        memory_free(*bytes);
        *bytes = again;
        *size = again_size;
        again = NULL;
    }
    memory_free(again);
    return st;
}

FIRN_INTERNAL status manifest_recover(manifest *m,
                                      status (*apply)(void *context, const version_edit *edit),
                                      void *context) {
    status st = STATUS_OK;
    char path[FILE_PATH_BYTES];
    uint8_t *bytes = NULL;
    uint64_t number, size = 0;
    TRY(manifest_read_current(m->vfs, m->directory, &number));
    file_path(path, m->directory, FILE_MANIFEST, number);
    st = manifest_load_carefully(m->vfs, path, &bytes, &size);
    if (status_is(st, FIRN_NOT_FOUND))
        st = error_status(FIRN_CORRUPTION, "%s: missing, but CURRENT names it", path);
    TRY(st);
    manifest_reader r = {.path = path,
                         .bytes = slice_of(bytes, size),
                         .offset = SEGMENT_HEADER_BYTES};
    if (size < SEGMENT_HEADER_BYTES) {
        st = error_corruption_at(path, size, "file ends within its header page");
        goto out;
    }
    st = segment_header_decode(bytes, &r.header);
    if (status_is(st, FIRN_NOT_FOUND))
        st = error_corruption_at(path, 0, "damaged header page");
    else if (status_is(st, FIRN_NOT_SUPPORTED))
        st = error_status(FIRN_NOT_SUPPORTED, "%s: written in a newer format than %d", path,
                          SEGMENT_FORMAT);
    TRY(st);
    if (r.header.kind != SEGMENT_MANIFEST || r.header.number != number) {
        st = error_corruption_at(path, 0, "header page belongs to another file");
        goto out;
    }
    TRY(manifest_apply_records(&r, apply, context));
    memcpy(m->database, r.header.database, sizeof m->database);
    m->number = number;
    m->end = r.offset;
    m->health = MANIFEST_NEEDS_NEW_FILE;
out:
    memory_free(bytes);
    return st;
}

FIRN_INTERNAL status manifest_write_back(manifest *m) {
    status st = STATUS_OK;
    char path[FILE_PATH_BYTES];
    uint8_t *bytes = NULL;
    uint64_t size = 0;
    vfs_file *file = NULL;
    file_path(path, m->directory, FILE_MANIFEST, m->number);
    TRY(manifest_load_carefully(m->vfs, path, &bytes, &size));
    if (manifest_valid_bytes(slice_of(bytes, size)) <
        m->end) { /* or the damage would be made ours */
        st = error_corruption_at(path, 0, "read differently a second time");
        goto out;
    }
    TRY(vfs_open(m->vfs, path, FIRN_VFS_WRITE, &file));
    TRY(vfs_write(file, 0, bytes, (size_t)m->end));
    TRY(vfs_sync(file));
    /* CURRENT may have been renamed without that. */
    TRY(vfs_sync_dir(m->vfs, m->directory));
out:
    (void)vfs_close(file); /* synced, or given up */
    memory_free(bytes);
    return st;
}

/* --- writing --- */

FIRN_INTERNAL bool manifest_wants_new_file(const manifest *m) {
    uint64_t tail = m->end - m->snapshot_bytes;
    return m->health == MANIFEST_NEEDS_NEW_FILE ||
           (tail > MANIFEST_ROLL_BYTES && tail > m->snapshot_bytes);
}

/* Encodes an edit as a record to stand at `offset`. */
static status manifest_encode_record(const segment_header *header, uint64_t offset,
                                     uint32_t ordinal, const version_edit *edit, buf *out) {
    size_t start = out->size;
    buf_append_zeros(out, RECORD_HEADER_BYTES);
    version_edit_encode(edit, out);
    size_t payload = out->size - start - RECORD_HEADER_BYTES;
    buf_append_zeros(out, record_padded_bytes(payload) - RECORD_HEADER_BYTES - payload);
    status st = buf_status(out);
    if (!status_is_ok(st))
        return st;
    record_head head = {.bytes = (uint32_t)payload, .sequence_delta = ordinal, .type = RECORD_EDIT};
    record_seal(header, offset, &head, payload, out->data + start);
    return STATUS_OK;
}

static void manifest_remove_file(const manifest *m, uint64_t number) {
    char path[FILE_PATH_BYTES];
    /* A manifest that stays behind is found as an orphan at the next open. */
    if (number != 0)
        (void)!status_is_ok(
            vfs_remove(m->vfs, file_path(path, m->directory, FILE_MANIFEST, number)));
}

/* Without touching the error detail, which belongs to the failure that led here. */
static void manifest_remove_quietly(const manifest *m, uint64_t number) {
    char path[FILE_PATH_BYTES];
    (void)m->vfs->remove(m->vfs, file_path(path, m->directory, FILE_MANIFEST, number));
}

/* Reserves `bytes` from `offset` on, and for edits to come, but not on a full disk; *end is where
 * the reserved part ends. */
static status manifest_reserve(vfs_file *file, uint64_t offset, uint64_t bytes, uint64_t *end) {
    *end = offset + bytes + MANIFEST_RESERVE_BYTES;
    status st = vfs_reserve(file, offset, bytes + MANIFEST_RESERVE_BYTES);
    if (status_is(st, FIRN_NO_SPACE)) {
        *end = offset + bytes;
        st = vfs_reserve(file, offset, bytes);
    }
    return st;
}

static status manifest_write_new(const manifest *m, uint64_t number, slice content, vfs_file **out,
                                 uint64_t *reserved) {
    status st = STATUS_OK;
    char path[FILE_PATH_BYTES];
    vfs_file *file = NULL;
    file_path(path, m->directory, FILE_MANIFEST, number);
    TRY(vfs_open(m->vfs, path, FIRN_VFS_READ | FIRN_VFS_WRITE | FIRN_VFS_CREATE | FIRN_VFS_TRUNCATE,
                 &file));
    TRY(manifest_reserve(file, 0, content.size, reserved));
    TRY(vfs_write(file, 0, content.data, content.size));
    TRY(vfs_sync(file));
    /* The new name must be durable before CURRENT names it. */
    TRY(vfs_sync_dir(m->vfs, m->directory));
    *out = file;
    file = NULL;
out:
    (void)vfs_close(file); /* NULL unless it failed; then the file is of no use */
    if (!status_is_ok(st))
        manifest_remove_quietly(m, number);
    return st;
}

/* CURRENT could not be replaced. Where it certainly was not, the new file goes, or a full disk
 * would collect one per attempt. Else whether CURRENT names it is unknown: both stay. */
static void manifest_drop_unnamed(manifest *m, uint64_t number) {
    char detail[ERROR_DETAIL_BYTES];
    uint64_t named;
    snprintf(detail, sizeof detail, "%s", error_detail_get());
    status st = manifest_read_current(m->vfs, m->directory, &named);
    m->is_unsettled = !status_is(st, FIRN_NOT_FOUND) && (!status_is_ok(st) || named == number);
    if (!m->is_unsettled)
        manifest_remove_quietly(m, number);
    error_detail_set("%s", detail);
}

FIRN_INTERNAL status manifest_start_file(manifest *m, uint64_t number,
                                         const version_edit *snapshot) {
    status st = STATUS_OK;
    vfs_file *file = NULL;
    buf content = {0};
    uint64_t epoch, reserved = 0;
    if (m->health == MANIFEST_POISONED)
        return error_status(FIRN_IO_ERROR, "an earlier write of the manifest failed; close the "
                                           "database and open it again");
    m->is_unsettled = false;
    if (snapshot->has_database)
        memcpy(m->database, snapshot->database, sizeof m->database);
    entropy_read(&epoch, sizeof epoch);
    segment_header header = manifest_header(m, number, epoch);
    buf_append_zeros(&content, SEGMENT_HEADER_BYTES);
    TRY(buf_status(&content));
    segment_header_encode(&header, content.data);
    TRY(manifest_encode_record(&header, SEGMENT_HEADER_BYTES, 0, snapshot, &content));
    TRY(manifest_write_new(m, number, buf_slice(&content), &file, &reserved));
    st = manifest_write_current(m, number);
    if (!status_is_ok(st)) {
        manifest_drop_unnamed(m, number);
        m->health = MANIFEST_NEEDS_NEW_FILE;
        goto out;
    }
    uint64_t old = m->number;
    (void)vfs_close(m->file); /* superseded */
    *m = (manifest){.vfs = m->vfs,
                    .directory = m->directory,
                    .health = MANIFEST_GOOD,
                    .file = file,
                    .number = number,
                    .epoch = epoch,
                    .end = content.size,
                    .reserved = reserved,
                    .snapshot_bytes = content.size,
                    .records = 1};
    memcpy(m->database, header.database, sizeof m->database);
    file = NULL;
    manifest_remove_file(m, old);
out:
    (void)vfs_close(file); /* NULL unless it failed */
    buf_deinit(&content);
    return st;
}

FIRN_INTERNAL status manifest_append(manifest *m, const version_edit *edit) {
    status st = STATUS_OK;
    buf record = {0};
    segment_header header = manifest_header(m, m->number, m->epoch);
    CHECK(m->health == MANIFEST_GOOD);
    m->is_unsettled = false;
    TRY(manifest_encode_record(&header, m->end, m->records, edit, &record));
    if (m->end + record.size > m->reserved) {
        uint64_t reserved;
        TRY(manifest_reserve(m->file, m->reserved, record.size, &reserved));
        m->reserved = reserved;
    }
    m->is_unsettled = true; /* until it is durable */
    st = vfs_write(m->file, m->end, record.data, record.size);
    if (!status_is_ok(st)) {
        m->health = MANIFEST_NEEDS_NEW_FILE;
        goto out;
    }
    st = vfs_sync(m->file);
    if (!status_is_ok(st)) {
        /* The kernel may have dropped the pages and forgotten: never retried. */
        m->health = MANIFEST_POISONED;
        error_detail_append("; the database takes no more writes until it is opened again");
        goto out;
    }
    m->end += record.size;
    m->records++;
    m->is_unsettled = false;
out:
    buf_deinit(&record);
    return st;
}

#undef MANIFEST_RESERVE_BYTES
#undef MANIFEST_ROLL_BYTES
#undef MANIFEST_FILE_BYTES_MAX
#undef CURRENT_BYTES_MAX
#undef DIRECTORY_FORMAT
