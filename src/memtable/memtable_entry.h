/* memtable/memtable_entry.h - one version of one key, as it lies in the arena.
 *
 * Invariants: complete before anything leads to it, and never changed after, but for `older`. */
#ifndef FIRN_MEMTABLE_MEMTABLE_ENTRY_H
#define FIRN_MEMTABLE_MEMTABLE_ENTRY_H

#include "base/atomic.h"
#include "format/key.h"

typedef struct memtable_entry {
    atomic_ptr older;     /* the next older version of the same user key; of key_index */
    uint32_t key_bytes;   /* of the internal key */
    uint32_t value_bytes; /* < LARGE_VALUE_BYTES */
    uint8_t bytes[];      /* internal key, then value */
} memtable_entry;

static inline internal_key memtable_entry_key(const memtable_entry *entry) {
    return (internal_key){slice_of(entry->bytes, entry->key_bytes)};
}
static inline slice memtable_entry_user(const memtable_entry *entry) {
    return slice_of(entry->bytes, entry->key_bytes - KEY_TRAILER_BYTES);
}
static inline uint64_t memtable_entry_trailer(const memtable_entry *entry) {
    return decode_fixed64(entry->bytes + entry->key_bytes - KEY_TRAILER_BYTES);
}
static inline slice memtable_entry_value(const memtable_entry *entry) {
    return slice_of(entry->bytes + entry->key_bytes, entry->value_bytes);
}
#endif
