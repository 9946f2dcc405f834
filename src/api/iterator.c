#include "firn/iterator.h"

#include "db/db.h"
#include "platform/error_detail.h"

#include "base/poison.h"

FIRN_API firn_status firn_iter_new(firn_db *db, const firn_read_options *options, firn_iter **out) {
    if (out)
        *out = NULL;
    if (!db || !out)
        return error_status(FIRN_INVALID_ARGUMENT, "firn_iter_new: an argument is NULL").code;
    if (!db_belongs_to_this_process(db))
        return error_status(FIRN_INVALID_ARGUMENT,
                            "this database was opened before fork(); open it in the child")
            .code;
    return db_iter_new(db, KEYSPACE_DEFAULT_ID, options, out).code;
}

FIRN_API void firn_iter_free(firn_iter *it) {
    if (it)
        db_iter_free(it);
}

FIRN_API void firn_iter_seek_first(firn_iter *it) {
    db_iter_seek_first(it);
}

FIRN_API void firn_iter_seek_last(firn_iter *it) {
    db_iter_seek_last(it);
}

static slice iter_api_key(firn_slice key) {
    return key.data ? key : slice_of("", 0);
}

FIRN_API void firn_iter_seek(firn_iter *it, firn_slice key) {
    db_iter_seek(it, iter_api_key(key));
}

FIRN_API void firn_iter_seek_for_prev(firn_iter *it, firn_slice key) {
    db_iter_seek_for_prev(it, iter_api_key(key));
}

FIRN_API void firn_iter_next(firn_iter *it) {
    db_iter_next(it);
}

FIRN_API void firn_iter_prev(firn_iter *it) {
    db_iter_prev(it);
}

FIRN_API int firn_iter_valid(const firn_iter *it) {
    return db_iter_valid(it);
}

FIRN_API firn_slice firn_iter_key(const firn_iter *it) {
    return db_iter_key(it);
}

FIRN_API firn_slice firn_iter_value(firn_iter *it) {
    return db_iter_value(it);
}

FIRN_API uint64_t firn_iter_expiry_ms(const firn_iter *it) {
    return db_iter_expiry_ms(it);
}

FIRN_API firn_status firn_iter_status(const firn_iter *it) {
    return db_iter_status(it).code;
}

FIRN_API firn_status firn_iter_refresh(firn_iter *it) {
    return db_iter_refresh(it).code;
}
