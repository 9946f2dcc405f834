/* Tables used where the system keeps their file: data blocks that are not compressed are searched
 * in the mapping itself, without a copy, a cache entry or a system call.
 *
 * A block's checksum is looked at when the block is used for the first time; two bits per
 * block remember that it was right. Before that the system is asked for the block's pages at once,
 * for the mapping itself reads single pages.
 *
 * A page that cannot be had reads as zeros and is noted (platform/fault_guard.h). Whatever was made
 * of a block in place is thrown away when anything was noted by then; the block is read from the
 * file instead, and from then on so are all blocks of the table. */
#include "base/attributes.h"
#include "codec/codec.h"
#include "platform/error_detail.h"
#include "platform/memory.h"
#include "table/table_internal.h"

#include "base/poison.h"

/* What is known of a block of a mapped table. */
typedef enum table_block_state {
    TABLE_BLOCK_UNKNOWN = 0, /* not used yet */
    TABLE_BLOCK_CHECKED = 1, /* its checksum was right */
    TABLE_BLOCK_COMPRESSED = 2,
    TABLE_BLOCK_DOUBTED = 3 /* as checked, and to be checked at each use */
} table_block_state;

enum { TABLE_STATES_PER_WORD = 32 };

FIRN_INTERNAL bool table_is_mapped(const table *t) {
    return t->mapping.file != NULL;
}

static size_t table_state_words(const table *t) {
    return ((size_t)t->block_count + TABLE_STATES_PER_WORD - 1) / TABLE_STATES_PER_WORD;
}

FIRN_INTERNAL size_t table_states_bytes(const table *t) {
    return t->states ? table_state_words(t) * sizeof *t->states : 0;
}

/* Without a mapping, or memory for the states, the table is read from the file. */
FIRN_INTERNAL void table_map_file(table *t) {
    if (t->block_count == 0)
        return;
    size_t words = table_state_words(t);
    t->states = memory_new(words * sizeof *t->states);
    if (!t->states)
        return;
    atomic_u32_init(&t->restart_stride, 0);
    for (size_t i = 0; i < words; i++)
        atomic_u64_init(&t->states[i], 0);
    if (!status_is_ok(vfs_map(t->file, 0, t->properties.file_bytes, false, &t->mapping))) {
        memory_free(t->states);
        t->states = NULL;
        return;
    }
    vfs_map_is_random(&t->mapping);
}

FIRN_INTERNAL void table_unmap_file(table *t) {
    vfs_unmap(&t->mapping);
    memory_free(t->states);
}

static inline uint32_t table_block_get_state(const table *t, uint32_t position) {
    /* relaxed: says something of bytes that never change, not of other memory. */
    uint64_t word =
        atomic_u64_load(&t->states[position / TABLE_STATES_PER_WORD], memory_order_relaxed);
    return word >> position % TABLE_STATES_PER_WORD * 2 & 3;
}

static void table_block_set_state(table *t, uint32_t position, table_block_state state) {
    atomic_u64 *word = &t->states[position / TABLE_STATES_PER_WORD];
    uint32_t shift = position % TABLE_STATES_PER_WORD * 2;
    uint64_t before = atomic_u64_load(word, memory_order_relaxed); /* relaxed: as above */
    /* acquire: needs no partner; it is the weakest order a compare-and-swap has here. */
    while (!(before >> shift & 3) &&
           !atomic_u64_cas(word, &before, before | (uint64_t)state << shift, memory_order_acquire))
        ;
}

static bool table_block_matches(const table *t, block_handle handle) {
    block_trailer trailer;
    const uint8_t *disk = t->mapping.data + handle.offset;
    return block_trailer_decode(t->source.identity, handle, disk, &trailer) &&
           trailer.codec == CODEC_NONE && trailer.raw_bytes == handle.bytes;
}

/* The first use of a block through this table. False: it is compressed, or its bytes are not right.
 */
static bool table_meet_block(table *t, uint32_t position, block_handle handle) {
    vfs_will_read(t->file, handle.offset, handle.bytes + BLOCK_TRAILER_BYTES);
    if (t->mapping.data[handle.offset + handle.bytes] != CODEC_NONE) {
        table_block_set_state(t, position, TABLE_BLOCK_COMPRESSED);
        return false;
    }
    if (!table_block_matches(t, handle))
        return false;
    table_block_set_state(t, position,
                          t->verifies_reads ? TABLE_BLOCK_DOUBTED : TABLE_BLOCK_CHECKED);
    return true;
}

/* Asks the processor for what a search will touch first: the end of the block, where the restart
 * array is, and where restart points would be if this block is like the one that was met first.
 * Three misses in turn become one. */
static inline void table_prefetch_block(const table *t, block_handle handle) {
    enum { POINTS_MAX = 6, BEFORE = 16, BEHIND = 40 }; /* their distances differ a little */
    const uint8_t *data = t->mapping.data + handle.offset, *end = data + handle.bytes;
    __builtin_prefetch(end - 4);
    __builtin_prefetch(end);
    /* relaxed: a hint. */
    uint32_t stride = atomic_u32_load(&t->restart_stride, memory_order_relaxed);
    if (stride == 0)
        return;
    __builtin_prefetch(data);
    const uint8_t *p = data + stride;
    for (int i = 1; i < POINTS_MAX && p < end; i++, p += stride) {
        __builtin_prefetch(p - BEFORE);
        __builtin_prefetch(p + BEHIND);
    }
}

FIRN_INTERNAL void table_announce_block(const table *t, block_handle handle) {
    if (t->mapping.file)
        table_prefetch_block(t, handle);
}

static void table_note_stride(table *t, const block_view *view) {
    /* relaxed: a hint. */
    if (view->restart_count < 2 || atomic_u32_load(&t->restart_stride, memory_order_relaxed))
        return;
    uint32_t second = decode_fixed32(view->data + view->entries_bytes + 4);
    if (second < view->entries_bytes) /* relaxed: a hint. */
        atomic_u32_store(&t->restart_stride, second, memory_order_relaxed);
}

/* False: the block has to be fetched another way. */
static bool table_use_in_place(table *t, uint32_t position, block_handle handle, block_ref *out) {
    *out = (block_ref){0};
    if (UNLIKELY(!status_is_ok(vfs_map_check(&t->mapping))))
        return false;
    table_prefetch_block(t, handle);
    switch (table_block_get_state(t, position)) {
    case TABLE_BLOCK_CHECKED:
        break;
    case TABLE_BLOCK_DOUBTED:
        if (!table_block_matches(t, handle))
            return false;
        break;
    case TABLE_BLOCK_COMPRESSED:
        return false;
    default:
        if (!table_meet_block(t, position, handle))
            return false;
        out->was_read = true;
        break;
    }
    slice raw = slice_of(t->mapping.data + handle.offset, handle.bytes);
    if (UNLIKELY(!block_view_init(&out->view, raw)))
        return false;
    if (UNLIKELY(out->was_read))
        table_note_stride(t, &out->view);
    return true;
}

FIRN_INTERNAL status table_fetch_block_again(table *t, block_handle handle, bool fill,
                                             block_ref *out) {
    status st = block_ref_fetch(&t->source, handle, t->blocks, fill, out);
    return status_is_ok(st) ? st : vfs_map_check(&t->mapping);
}

FIRN_INTERNAL status table_fetch_block(table *t, uint32_t position, block_handle handle, bool fill,
                                       block_ref *out) {
    if (t->mapping.file) {
        if (LIKELY(table_use_in_place(t, position, handle, out)))
            return STATUS_OK;
        if (UNLIKELY(!status_is_ok(vfs_map_check(&t->mapping))))
            return table_fetch_block_again(t, handle, fill, out);
    }
    return block_ref_fetch(&t->source, handle, t->blocks, fill, out);
}

/* The note is of any page of the table: the checksum says whether it was one of the block's. */
FIRN_INTERNAL bool table_in_place_holds(const table *t, block_handle handle) {
    return status_is_ok(vfs_map_check(&t->mapping)) || table_block_matches(t, handle);
}
