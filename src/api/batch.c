#include "firn/batch.h"

#include "db/db.h"
#include "format/batch.h"
#include "platform/error_detail.h"
#include "platform/memory.h"

#include "base/poison.h"

FIRN_API firn_status firn_batch_new(firn_batch **out) {
    if (!out)
        return error_status(FIRN_INVALID_ARGUMENT, "firn_batch_new: `out` is NULL").code;
    *out = memory_new(sizeof **out);
    if (!*out)
        return error_status(FIRN_NO_MEMORY, "no memory for a batch").code;
    batch_init(*out);
    return FIRN_OK;
}

FIRN_API void firn_batch_free(firn_batch *batch) {
    if (!batch)
        return;
    batch_deinit(batch);
    memory_free(batch);
}

static bool batch_arguments_are_good(const firn_batch *batch, firn_slice key, firn_slice value) {
    bool good = batch && (key.data || !key.size) && (value.data || !value.size);
    if (!good)
        error_detail_set("a batch is NULL, or a slice has a size and no data");
    return good;
}

FIRN_API firn_status firn_batch_put(firn_batch *batch, firn_slice key, firn_slice value) {
    if (!batch_arguments_are_good(batch, key, value))
        return FIRN_INVALID_ARGUMENT;
    return batch_put(batch, KEYSPACE_DEFAULT_ID, key, value, true).code;
}

FIRN_API firn_status firn_batch_put_expiring(firn_batch *batch, firn_slice key, firn_slice value,
                                             uint64_t expires_at_ms) {
    if (!batch_arguments_are_good(batch, key, value))
        return FIRN_INVALID_ARGUMENT;
    batch_expiring put = {key, value, expires_at_ms};
    return batch_put_expiring(batch, KEYSPACE_DEFAULT_ID, &put, true).code;
}

FIRN_API firn_status firn_batch_delete(firn_batch *batch, firn_slice key) {
    if (!batch_arguments_are_good(batch, key, (firn_slice){0}))
        return FIRN_INVALID_ARGUMENT;
    return batch_delete(batch, KEYSPACE_DEFAULT_ID, key).code;
}

FIRN_API firn_status firn_batch_single_delete(firn_batch *batch, firn_slice key) {
    if (!batch_arguments_are_good(batch, key, (firn_slice){0}))
        return FIRN_INVALID_ARGUMENT;
    return batch_single_delete(batch, KEYSPACE_DEFAULT_ID, key).code;
}

FIRN_API firn_status firn_batch_delete_range(firn_batch *batch, firn_slice begin, firn_slice end) {
    if (!batch_arguments_are_good(batch, begin, end))
        return FIRN_INVALID_ARGUMENT;
    if (!end.data) {
        error_detail_set("firn_batch_delete_range: `end` is not set");
        return FIRN_INVALID_ARGUMENT;
    }
    return batch_delete_range(batch, KEYSPACE_DEFAULT_ID, begin, end).code;
}

FIRN_API void firn_batch_clear(firn_batch *batch) {
    if (batch)
        batch_clear(batch);
}

FIRN_API uint32_t firn_batch_count(const firn_batch *batch) {
    return batch ? batch->count : 0;
}

FIRN_API uint64_t firn_batch_bytes(const firn_batch *batch) {
    return batch ? batch->bytes : 0;
}
