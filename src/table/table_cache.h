/* table/table_cache.h - open tables, bounded by descriptors.
 *
 * Threads:   safe.
 * Lifetime:  table_cache_free when no table is in use. */
#ifndef FIRN_TABLE_TABLE_CACHE_H
#define FIRN_TABLE_TABLE_CACHE_H

#include "table/table.h"

typedef struct table_cache table_cache;

typedef struct table_cache_args {
    const firn_vfs *vfs;
    const char *directory; /* borrowed for the cache's life */
    cache *blocks;         /* may be NULL */
    uint64_t tables_max;
} table_cache_args;

FIRN_INTERNAL NODISCARD status table_cache_new(const table_cache_args *args, table_cache **out);
FIRN_INTERNAL void table_cache_free(table_cache *c);

typedef struct table_locator {
    uint64_t number;
    uint64_t file_bytes;
    uint8_t identity[16];
} table_locator;
/* An open table with a reference for the caller: table_unref it. */
FIRN_INTERNAL NODISCARD status table_cache_get(table_cache *c, const table_locator *where,
                                               key_order order, table **out);
/* The file is about to be deleted: closes it when its last user goes. */
FIRN_INTERNAL void table_cache_forget(table_cache *c, const table_locator *where);
#endif
