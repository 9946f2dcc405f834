/* Looks at files for a person, and proves them whole. Works on paths, takes no lock, writes
 * nothing. */
#include "db/inspect.h"

#include <stdio.h>

#include "db/db_internal.h"
#include "format/file_name.h"
#include "platform/error_detail.h"
#include "platform/memory.h"
#include "wal/wal_recovery.h"

#include "base/poison.h"

/* --- one file --- */

static status inspect_read_magic(const firn_vfs *vfs, const char *path, uint8_t head[8],
                                 uint8_t tail[8]) {
    status st = STATUS_OK;
    vfs_file *file = NULL;
    uint64_t bytes;
    size_t got;
    memset(head, 0, 8);
    memset(tail, 0, 8);
    TRY(vfs_open(vfs, path, FIRN_VFS_READ, &file));
    TRY(vfs_get_size(file, &bytes));
    TRY(vfs_read(file, 0, head, 8, &got));
    if (bytes >= 8)
        TRY(vfs_read(file, bytes - 8, tail, 8, &got));
out:
    (void)vfs_close(file); /* only read */
    return st;
}

static status inspect_table(const db_config *config, const char *path, firn_line_callback print,
                            void *context) {
    status st = STATUS_OK;
    table *t = NULL;
    table_open_args args = {.vfs = config->vfs, .path = path, .order = config->order};
    TRY(table_open(&args, &t));
    TRY(table_describe(t, print, context));
    TRY(table_verify(t, NULL, NULL));
out:
    table_unref(t);
    return st;
}

FIRN_INTERNAL status inspect_file(const db_config *config, const char *path,
                                  firn_line_callback print, void *context) {
    status st = STATUS_OK;
    uint8_t head[8], tail[8];
    TRY(inspect_read_magic(config->vfs, path, head, tail));
    if (memcmp(head, "FIRN-LOG", 8) == 0)
        TRY(wal_describe(config->vfs, path, NULL, print, context));
    else if (memcmp(head, "FIRN-MAN", 8) == 0)
        TRY(wal_describe(config->vfs, path, version_edit_describe, print, context));
    else if (memcmp(tail, "FIRN-SST", 8) == 0)
        TRY(inspect_table(config, path, print, context));
    else
        st = error_corruption_at(path, 0, "not a log, manifest or table: none of their magics");
out:
    if (status_is(st, FIRN_NOT_FOUND))
        error_detail_set("%s: no such file", path);
    return st;
}

/* --- a whole database --- */

typedef struct verify_run {
    firn_db *db; /* opened read-only: the manifest and the log are proven by that */
    firn_verify_callback report;
    void *context;
    char file[FILE_PATH_BYTES];                  /* being read */
    uint64_t bytes_done, bytes_total, file_base; /* the log, read at the open, included */
    uint64_t problems;
    char first_problem[ERROR_DETAIL_BYTES / 2];
    bool stopped;
} verify_run;

/* The user wants to stop when it answers true. */
static bool verify_tell(verify_run *r, const char *problem) {
    firn_verify_progress progress = {r->file, r->bytes_done, r->bytes_total, problem};
    if (problem && r->problems++ == 0)
        snprintf(r->first_problem, sizeof r->first_problem, "%s", problem);
    if (r->report && r->report(r->context, &progress))
        r->stopped = true;
    return r->stopped;
}

static int verify_table_progress(void *context, uint64_t bytes) {
    verify_run *r = context;
    r->bytes_done = r->file_base + bytes;
    return verify_tell(r, NULL);
}

/* What the manifest says of a table against what the table says of itself. */
static void verify_compare_table(verify_run *r, const table_meta *meta, const table *t) {
    char line[FILE_PATH_BYTES + 256];
    const table_properties *p = table_get_properties(t);
    const struct {
        const char *name;
        uint64_t manifest, file;
    } rows[] = {{"entries", meta->entries, p->entries},
                {"deletes", meta->deletes, p->deletes},
                {"range tombstones", meta->range_tombstones, p->range_tombstones},
                {"earliest expiry", meta->min_expiry, p->min_expiry},
                {"latest expiry", meta->max_expiry, p->max_expiry},
                {"keyspace", meta->keyspace, p->keyspace},
                {"smallest sequence", meta->min_sequence, p->min_sequence},
                {"largest sequence", meta->max_sequence, p->max_sequence}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].manifest == rows[i].file)
            continue;
        snprintf(line, sizeof line, "%s: %s is %llu in the manifest and %llu in the file", r->file,
                 rows[i].name, (unsigned long long)rows[i].manifest,
                 (unsigned long long)rows[i].file);
        verify_tell(r, line);
    }
}

static status verify_key_range(verify_run *r, const table_meta *meta, table *t) {
    buf smallest = {0}, largest = {0};
    status st = table_read_bounds(t, &smallest, &largest);
    if (status_is_ok(st) && (!slice_equal(buf_slice(&smallest), meta->smallest.s) ||
                             !slice_equal(buf_slice(&largest), meta->largest.s))) {
        error_detail_set("%s: first or last key differ from what the manifest says", r->file);
        verify_tell(r, error_detail_get());
    }
    buf_deinit(&smallest);
    buf_deinit(&largest);
    return st;
}

/* A live writer may have replaced the table by others since: then its file may be gone. */
static bool verify_is_listed_still(verify_run *r, const table_meta *meta) {
    version_set *now;
    seqno visible;
    bool listed = false;
    if (!status_is_ok(recovery_load_read_only(r->db, &now, &visible)))
        return true;
    read_view *view = version_set_view(now, meta->keyspace);
    for (uint32_t level = 0; view && level < LEVEL_COUNT && !listed; level++)
        listed = version_find_table(view->version, level, meta->where.number) != NULL;
    read_view_unref(view);
    version_set_unref(now);
    return listed;
}

static void verify_tell_failure(verify_run *r, const table_meta *meta, status st) {
    if (r->stopped || (status_is(st, FIRN_NOT_FOUND) && !verify_is_listed_still(r, meta)))
        return;
    if (status_is(st, FIRN_NOT_FOUND))
        error_detail_set("%s: missing, but the manifest lists it", r->file);
    verify_tell(r, error_detail_get());
}

/* False: the caller stops. */
static bool verify_one_table(verify_run *r, const table_meta *meta, key_order order) {
    status st = STATUS_OK;
    table *t = NULL;
    file_path(r->file, r->db->directory, FILE_TABLE, meta->where.number);
    r->file_base = r->bytes_done;
    table_open_args args = {.vfs = r->db->config.vfs,
                            .path = r->file,
                            .order = order,
                            .expected_bytes = meta->where.file_bytes,
                            .expected_identity = meta->where.identity};
    TRY(table_open(&args, &t));
    verify_compare_table(r, meta, t);
    TRY(table_verify(t, verify_table_progress, r));
    TRY(verify_key_range(r, meta, t));
out:
    table_unref(t);
    if (!status_is_ok(st))
        verify_tell_failure(r, meta, st);
    r->bytes_done = r->file_base + meta->where.file_bytes;
    return !verify_tell(r, NULL);
}

static bool verify_keyspace(verify_run *r, const read_view *view) {
    for (uint32_t level = 0; level < LEVEL_COUNT; level++) {
        const version_level *l = &view->version->levels[level];
        for (uint32_t i = 0; i < l->count; i++) {
            if (!verify_one_table(r, l->tables[i], view->order))
                return false;
        }
    }
    return true;
}

static void verify_all_keyspaces(verify_run *r, const uint32_t *ids, uint32_t count) {
    bool go_on = true;
    r->bytes_done = r->bytes_total = r->db->recovered_bytes;
    for (uint32_t i = 0; i < count; i++) {
        read_view *view = version_set_view(r->db->versions, ids[i]);
        r->bytes_total += version_total_bytes(view->version);
        read_view_unref(view);
    }
    go_on = !verify_tell(r, NULL); /* also where there is nothing but the log */
    for (uint32_t i = 0; i < count && go_on; i++) {
        read_view *view = version_set_view(r->db->versions, ids[i]);
        go_on = verify_keyspace(r, view);
        read_view_unref(view);
    }
}

/* Opening reads the manifest and the log; damage there is one problem, and the tables may still be
 * looked at. */
static status verify_open(verify_run *r, const db_config *config, const char *path) {
    db_config reading = *config;
    reading.read_only = true;
    reading.opens_tables_late = true;
    reading.cache_bytes = 0;
    snprintf(r->file, sizeof r->file, "%s", path);
    status st = db_open(path, &reading, &r->db);
    if (!status_is(st, FIRN_CORRUPTION))
        return st;
    verify_tell(r, error_detail_get());
    reading.last_good = true;
    st = db_open(path, &reading, &r->db);
    return status_is(st, FIRN_CORRUPTION) ? STATUS_OK : st; /* told already; nothing more to see */
}

FIRN_INTERNAL status verify_database(const db_config *config, const char *path,
                                     firn_verify_callback report, void *context) {
    status st = STATUS_OK;
    uint32_t ids[64];
    verify_run *r = memory_new_zeroed(sizeof *r);
    if (!r)
        return error_status(FIRN_NO_MEMORY, "no memory to verify %s", path);
    r->report = report;
    r->context = context;
    TRY(verify_open(r, config, path));
    if (r->db)
        verify_all_keyspaces(r, ids, version_set_keyspaces(r->db->versions, ids, 64));
    if (r->problems)
        st = error_status(FIRN_CORRUPTION, "%s: %llu problem%s found: %s", path,
                          (unsigned long long)r->problems, r->problems == 1 ? "" : "s, the first",
                          r->first_problem);
    else if (r->stopped)
        st = error_status(FIRN_ABORTED, "%s: verification was stopped", path);
out:
    if (r->db)
        st = status_first(st, db_close(r->db));
    memory_free(r);
    return st;
}
