#include "table/table_cache.h"

#include "format/file_name.h"
#include "platform/error_detail.h"
#include "platform/memory.h"
#include "util/coding.h"

#include "base/poison.h"

struct table_cache {
    table_cache_args args;
    cache *tables; /* of references, charge 1 each */
};

/* Each shard gets an equal part of the capacity, so a small cache has few. */
static uint32_t table_cache_shards(uint64_t tables_max) {
    if (tables_max >= 256)
        return 16;
    return tables_max >= 64 ? 4 : 1;
}

FIRN_INTERNAL status table_cache_new(const table_cache_args *args, table_cache **out) {
    *out = NULL;
    table_cache *c = memory_new_zeroed(sizeof *c);
    if (!c)
        return error_status(FIRN_NO_MEMORY, "no memory for the cache of open tables");
    c->args = *args;
    status st = cache_new(args->tables_max, table_cache_shards(args->tables_max), &c->tables);
    if (!status_is_ok(st)) {
        memory_free(c);
        return st;
    }
    *out = c;
    return STATUS_OK;
}

FIRN_INTERNAL void table_cache_free(table_cache *c) {
    if (!c)
        return;
    cache_free(c->tables);
    memory_free(c);
}

static cache_key table_cache_key(const table_locator *where) {
    return (cache_key){{decode_fixed64(where->identity), decode_fixed64(where->identity + 8)},
                       where->number};
}

static void table_cache_drop(void *value) {
    table_unref(value);
}

/* Opens the table outside any lock: two readers that miss at once open it twice, and the second
 * insert replaces the first. */
static status table_cache_open(table_cache *c, const table_locator *where, key_order order,
                               table **out) {
    char path[FILE_PATH_BYTES];
    table_open_args args = {
        .vfs = c->args.vfs,
        .path = file_path(path, c->args.directory, FILE_TABLE, where->number),
        .order = order,
        .blocks = c->args.blocks,
        .expected_bytes = where->file_bytes,
        .expected_identity = where->identity,
    };
    return table_open(&args, out);
}

FIRN_INTERNAL status table_cache_get(table_cache *c, const table_locator *where, key_order order,
                                     table **out) {
    *out = NULL;
    cache_key key = table_cache_key(where);
    cache_handle *handle = cache_lookup(c->tables, &key);
    if (LIKELY(handle != NULL)) {
        *out = cache_handle_value(handle);
        table_ref(*out);
        cache_release(c->tables, handle);
        return STATUS_OK;
    }
    status st = table_cache_open(c, where, order, out);
    if (!status_is_ok(st))
        return st;
    table_ref(*out); /* the cache's own */
    st = cache_insert(c->tables, &key, *out, 1, table_cache_drop, &handle);
    if (status_is_ok(st))
        cache_release(c->tables, handle);
    else
        table_unref(*out); /* not cached for want of memory; the caller is served all the same */
    return STATUS_OK;
}

FIRN_INTERNAL void table_cache_forget(table_cache *c, const table_locator *where) {
    cache_key key = table_cache_key(where);
    cache_erase(c->tables, &key);
}
