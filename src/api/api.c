/* The exported functions: they check arguments, count, and call the engine. */
#include "db/db.h"
#include "db/option_table.h"
#include "firn/firn.h"
#include "platform/error_detail.h"
#include "platform/memory.h"

#include "base/poison.h"

#define API_TEXT_OF(x) #x
#define API_VERSION_TEXT(major, minor, patch) \
    API_TEXT_OF(major) "." API_TEXT_OF(minor) "." API_TEXT_OF(patch)

FIRN_API const char *firn_version(void) {
    return API_VERSION_TEXT(FIRN_VERSION_MAJOR, FIRN_VERSION_MINOR, FIRN_VERSION_PATCH);
}

#undef API_TEXT_OF
#undef API_VERSION_TEXT

FIRN_API const char *firn_status_name(firn_status code) {
    static const char *const names[] = {
        "OK",        "NOT_FOUND", "CORRUPTION",       "IO_ERROR",  "INVALID_ARGUMENT",
        "BUSY",      "LOCKED",    "NO_SPACE",         "READ_ONLY", "NOT_SUPPORTED",
        "TOO_LARGE", "ABORTED",   "SNAPSHOT_TOO_OLD", "NO_MEMORY", "WOULD_BLOCK"};
    return (size_t)code < sizeof names / sizeof *names ? names[code] : "UNKNOWN";
}

FIRN_API const char *firn_error_detail(void) {
    return error_detail_get();
}

static firn_status api_argument_error(const char *what) {
    return error_status(FIRN_INVALID_ARGUMENT, "%s", what).code;
}

/* A slice of no bytes may come without an address. */
static bool api_slice_is_good(firn_slice s) {
    return s.data != NULL || s.size == 0;
}

static slice api_slice(firn_slice s) {
    return s.data ? s : slice_of("", 0);
}

static firn_status api_check(const firn_db *db, const void *out) {
    if (!db || !out)
        return api_argument_error("a database or result pointer is NULL");
    if (!db_belongs_to_this_process(db))
        return api_argument_error("this database was opened before fork(); open it in the child");
    return FIRN_OK;
}

/* --- life --- */

FIRN_API firn_status firn_open(const char *path, const firn_options *options, firn_db **out) {
    db_config config;
    if (!out)
        return api_argument_error("firn_open: `out` is NULL");
    *out = NULL;
    if (!path)
        return api_argument_error("firn_open: `path` is NULL");
    status st = db_config_derive(options, &config);
    if (status_is_ok(st))
        st = db_open(path, &config, out);
    return st.code;
}

FIRN_API firn_status firn_close(firn_db *db) {
    if (!db)
        return FIRN_OK;
    firn_status code = api_check(db, db);
    return code != FIRN_OK ? code : db_close(db).code;
}

FIRN_API firn_status firn_refresh(firn_db *db) {
    firn_status code = api_check(db, db);
    return code != FIRN_OK ? code : db_refresh(db).code;
}

/* --- writing --- */

static firn_choice api_sync(const firn_write_options *options) {
    return options ? options->sync : FIRN_DEFAULT;
}

/* One operation without a heap: encoded on the stack when it is small. */
#define API_STACK_OP_BYTES 1024

static status api_write_small(firn_db *db, firn_choice sync, op_kind kind, slice key, slice value) {
    uint8_t bytes[API_STACK_OP_BYTES];
    uint8_t *end = batch_op_encode(bytes, kind, KEYSPACE_DEFAULT_ID, key, value);
    batch_op op = {kind, KEYSPACE_DEFAULT_ID, user_key_of(key), value};
    batch_view view = {.ops = slice_of(bytes, (size_t)(end - bytes)),
                       .count = 1,
                       .user_bytes = key.size + value.size,
                       .only = &op};
    return db_write(db, &view, sync);
}

static status api_write_one(firn_db *db, firn_choice sync, op_kind kind, slice key, slice value) {
    status st = STATUS_OK;
    firn_batch batch;
    if (batch_op_bytes(KEYSPACE_DEFAULT_ID, key, value) <= API_STACK_OP_BYTES)
        return api_write_small(db, sync, kind, key, value);
    batch_init(&batch);
    if (kind == OP_DELETE)
        TRY(batch_delete(&batch, KEYSPACE_DEFAULT_ID, key));
    else if (kind == OP_SINGLE_DELETE)
        TRY(batch_single_delete(&batch, KEYSPACE_DEFAULT_ID, key));
    else
        TRY(batch_put(&batch, KEYSPACE_DEFAULT_ID, key, value, false));
    batch_view view = batch_get_view(&batch);
    TRY(db_write(db, &view, sync));
out:
    batch_deinit(&batch);
    return st;
}

#undef API_STACK_OP_BYTES

/* An option that an older caller's struct does not have is as if not given. */
static bool api_has_expiry(const firn_write_options *o) {
    return o && (o->size == 0 || o->size > offsetof(firn_write_options, ttl_ms));
}

/* When a put with these options expires; 0: never. False: the options contradict each other. */
static bool api_expiry(const firn_db *db, const firn_write_options *o, uint64_t *expiry_ms) {
    *expiry_ms = 0;
    if (!api_has_expiry(o))
        return true;
    *expiry_ms = o->expires_at_ms == FIRN_NONE ? 0 : o->expires_at_ms;
    if (o->ttl_ms == 0 || o->ttl_ms == FIRN_NONE)
        return true;
    uint64_t now_ms = db_now_ms(db);
    if (o->expires_at_ms != 0)
        return false;
    if (o->ttl_ms < UINT64_MAX - now_ms) /* else beyond all time */
        *expiry_ms = now_ms + o->ttl_ms;
    return true;
}

static status api_put_expiring(firn_db *db, firn_choice sync, const batch_expiring *put) {
    status st = STATUS_OK;
    firn_batch batch;
    batch_init(&batch);
    TRY(batch_put_expiring(&batch, KEYSPACE_DEFAULT_ID, put, false));
    batch_view view = batch_get_view(&batch);
    TRY(db_write(db, &view, sync));
out:
    batch_deinit(&batch);
    return st;
}

FIRN_API uint64_t firn_now_ms(firn_db *db) {
    return db ? db_now_ms(db) : 0;
}

FIRN_API firn_status firn_put(firn_db *db, const firn_write_options *options, firn_slice key,
                              firn_slice value) {
    firn_status code = api_check(db, db);
    if (code != FIRN_OK)
        return code;
    if (!api_slice_is_good(key) || !api_slice_is_good(value))
        return api_argument_error("firn_put: a slice has a size and no data");
    uint64_t expiry_ms;
    if (!api_expiry(db, options, &expiry_ms))
        return api_argument_error("firn_put: give expires_at_ms or ttl_ms, not both");
    batch_expiring put = {api_slice(key), api_slice(value), expiry_ms};
    status st = batch_check_limits(key, value);
    if (status_is_ok(st))
        st = expiry_ms ? api_put_expiring(db, api_sync(options), &put)
                       : api_write_one(db, api_sync(options), OP_PUT, put.key, put.value);
    if (status_is_ok(st))
        db_count_operation(db, OP_PUT);
    return st.code;
}

static firn_status api_delete(firn_db *db, const firn_write_options *options, op_kind kind,
                              firn_slice key) {
    firn_status code = api_check(db, db);
    if (code != FIRN_OK)
        return code;
    if (!api_slice_is_good(key))
        return api_argument_error("the key to delete has a size and no data");
    status st = batch_check_limits(key, slice_of("", 0));
    if (status_is_ok(st))
        st = api_write_one(db, api_sync(options), kind, api_slice(key), slice_of("", 0));
    if (status_is_ok(st))
        db_count_operation(db, kind);
    return st.code;
}

FIRN_API firn_status firn_delete(firn_db *db, const firn_write_options *options, firn_slice key) {
    return api_delete(db, options, OP_DELETE, key);
}

FIRN_API firn_status firn_single_delete(firn_db *db, const firn_write_options *options,
                                        firn_slice key) {
    return api_delete(db, options, OP_SINGLE_DELETE, key);
}

static status api_delete_range(firn_db *db, firn_choice sync, slice begin, slice end) {
    status st = STATUS_OK;
    firn_batch batch;
    batch_init(&batch);
    TRY(batch_delete_range(&batch, KEYSPACE_DEFAULT_ID, begin, end));
    batch_view view = batch_get_view(&batch);
    TRY(db_write(db, &view, sync));
    db_count_operation(db, OP_RANGE_DELETE);
out:
    batch_deinit(&batch);
    return st;
}

FIRN_API firn_status firn_delete_range(firn_db *db, const firn_write_options *options,
                                       firn_slice begin, firn_slice end) {
    firn_status code = api_check(db, db);
    if (code != FIRN_OK)
        return code;
    if (!api_slice_is_good(begin) || !api_slice_is_good(end))
        return api_argument_error("firn_delete_range: a bound has a size and no data");
    if (!end.data)
        return api_argument_error("firn_delete_range: `end` is not set");
    return api_delete_range(db, api_sync(options), api_slice(begin), end).code;
}

FIRN_API firn_status firn_write(firn_db *db, const firn_write_options *options,
                                const firn_batch *batch) {
    firn_status code = api_check(db, batch);
    if (code != FIRN_OK)
        return code;
    batch_view view = batch_get_view(batch);
    return db_write(db, &view, api_sync(options)).code;
}

FIRN_API firn_status firn_sync(firn_db *db) {
    firn_status code = api_check(db, db);
    return code != FIRN_OK ? code : db_sync(db).code;
}

/* --- reading --- */

FIRN_API firn_status firn_get(firn_db *db, const firn_read_options *options, firn_slice key,
                              firn_value *out) {
    if (out) {
        out->data = out->inline_bytes;
        out->size = 0;
        out->pin = NULL;
        out->unpin = NULL;
        out->owner = NULL;
        out->expiry_ms = 0;
    }
    firn_status code = api_check(db, out);
    if (code != FIRN_OK)
        return code;
    if (!api_slice_is_good(key))
        return api_argument_error("firn_get: the key has a size and no data");
    if (key.size > KEY_BYTES_MAX)
        return FIRN_NOT_FOUND;
    return db_get(db, KEYSPACE_DEFAULT_ID, options, api_slice(key), out).code;
}

FIRN_API firn_status firn_value_check(const firn_value *value) {
    if (!value)
        return api_argument_error("firn_value_check: no value");
    return db_value_check(value).code;
}

FIRN_API firn_status firn_multi_get(firn_db *db, const firn_read_options *options, size_t count,
                                    const firn_slice *keys, firn_value *values,
                                    firn_status *statuses) {
    firn_status code = api_check(db, db);
    if (code != FIRN_OK)
        return code;
    if (count == 0)
        return FIRN_OK;
    if (!keys || !values || !statuses)
        return api_argument_error("firn_multi_get: an argument is NULL");
    if (count > 1000000)
        return api_argument_error("firn_multi_get: more than 1,000,000 keys");
    for (size_t i = 0; i < count; i++) {
        if (!api_slice_is_good(keys[i]))
            return api_argument_error("firn_multi_get: a key has a size and no data");
    }
    multi_get_args args = {count, keys, values, statuses};
    return db_multi_get(db, KEYSPACE_DEFAULT_ID, options, &args).code;
}

FIRN_API firn_status firn_explain_get(firn_db *db, const firn_read_options *options, firn_slice key,
                                      firn_explain_callback explain, void *context) {
    firn_status code = api_check(db, db);
    if (code != FIRN_OK)
        return code;
    if (!explain || !api_slice_is_good(key))
        return api_argument_error("firn_explain_get: a missing callback, or a key without data");
    return db_explain_get(db, options, api_slice(key), explain, context).code;
}

FIRN_API void firn_value_release(firn_value *value) {
    if (value)
        db_value_release(value);
}

FIRN_API firn_status firn_snapshot_new(firn_db *db, const firn_snapshot **out) {
    if (out)
        *out = NULL;
    firn_status code = api_check(db, out);
    return code != FIRN_OK ? code : db_snapshot_new(db, NULL, out).code;
}

FIRN_API firn_status firn_snapshot_new_for(firn_db *db, const char *label,
                                           const firn_snapshot **out) {
    if (out)
        *out = NULL;
    firn_status code = api_check(db, out);
    return code != FIRN_OK ? code : db_snapshot_new(db, label, out).code;
}

FIRN_API firn_status firn_snapshot_list(firn_db *db, firn_snapshot_callback each, void *context) {
    firn_status code = api_check(db, db);
    if (code == FIRN_OK && !each)
        code = api_argument_error("firn_snapshot_list: no callback");
    return code != FIRN_OK ? code : db_snapshot_list(db, each, context).code;
}

FIRN_API void firn_snapshot_release(firn_db *db, const firn_snapshot *snapshot) {
    if (db && snapshot)
        db_snapshot_release(db, snapshot);
}

FIRN_API uint64_t firn_snapshot_sequence(const firn_snapshot *snapshot) {
    return snapshot ? db_snapshot_sequence(snapshot) : 0;
}

/* --- maintenance --- */

FIRN_API firn_status firn_flush(firn_db *db) {
    firn_status code = api_check(db, db);
    return code != FIRN_OK ? code : db_flush(db).code;
}

FIRN_API firn_status firn_compact_range(firn_db *db, firn_slice lower, firn_slice upper) {
    firn_status code = api_check(db, db);
    if (code == FIRN_OK && (!api_slice_is_good(lower) || !api_slice_is_good(upper)))
        code = api_argument_error("firn_compact_range: a bound has a size and no data");
    return code != FIRN_OK ? code : db_compact_range(db, lower, upper).code;
}

FIRN_API firn_status firn_wait_idle(firn_db *db) {
    firn_status code = api_check(db, db);
    return code != FIRN_OK ? code : db_wait_idle(db).code;
}

FIRN_API firn_status firn_cancel_compact_range(firn_db *db) {
    firn_status code = api_check(db, db);
    if (code == FIRN_OK)
        db_cancel_compact_range(db);
    return code;
}

FIRN_API firn_status firn_pause_compactions(firn_db *db) {
    firn_status code = api_check(db, db);
    return code != FIRN_OK ? code : db_pause_compactions(db).code;
}

FIRN_API firn_status firn_resume_compactions(firn_db *db) {
    firn_status code = api_check(db, db);
    return code != FIRN_OK ? code : db_resume_compactions(db).code;
}

FIRN_API firn_status firn_set_option(firn_db *db, const char *name, const char *value) {
    firn_status code = api_check(db, name);
    if (code == FIRN_OK && !value)
        code = api_argument_error("firn_set_option: value is NULL");
    return code != FIRN_OK ? code : db_set_option(db, name, value).code;
}

FIRN_API firn_status firn_get_stats(firn_db *db, firn_stats *out) {
    firn_status code = api_check(db, out);
    if (code != FIRN_OK)
        return code;
    firn_stats all = {.size = sizeof all};
    size_t size = out->size;
    if (size < sizeof out->size || size > sizeof all)
        return api_argument_error("firn_get_stats: set out->size to sizeof(firn_stats)");
    db_get_stats(db, &all);
    memcpy(out, &all, size);
    out->size = size;
    return FIRN_OK;
}

/* --- options by name --- */

FIRN_API int firn_option_at(size_t position, firn_option_info *out) {
    return out && option_table_at(position, out);
}

FIRN_API firn_status firn_options_set(firn_options *options, const char *name, const char *value) {
    if (!options || !name || !value)
        return api_argument_error("firn_options_set: an argument is NULL");
    return option_table_set(options, name, value).code;
}
