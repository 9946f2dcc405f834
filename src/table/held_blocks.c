#include "table/held_blocks.h"

#include "codec/codec.h"
#include "platform/memory.h"

#include "base/poison.h"

enum {
    HELD_BLOCKS_MIN = 16,      /* fewer teach nothing */
    HELD_BLOCKS_PER_TRIAL = 4, /* every so manyth is compressed both ways */
    HELD_SAVING_PERCENT = 5
};

FIRN_INTERNAL void held_blocks_deinit(held_blocks *h) {
    buf_deinit(&h->contents);
    buf_deinit(&h->separators);
    memory_free(h->list);
    *h = (held_blocks){0};
}

FIRN_INTERNAL status held_blocks_add(held_blocks *h, slice contents) {
    if (h->count == h->capacity) {
        uint32_t capacity = h->capacity ? h->capacity * 2 : 64;
        held_block *list = memory_resize(h->list, capacity * sizeof *list);
        if (!list)
            return status_of(FIRN_NO_MEMORY, "held blocks");
        h->list = list;
        h->capacity = capacity;
    }
    buf_append_slice(&h->contents, contents);
    h->list[h->count++] = (held_block){contents.size, 0};
    return buf_status(&h->contents);
}

FIRN_INTERNAL status held_blocks_set_separator(held_blocks *h, slice separator) {
    h->list[h->count - 1].separator_bytes = separator.size;
    buf_append_slice(&h->separators, separator);
    return buf_status(&h->separators);
}

FIRN_INTERNAL uint64_t held_blocks_memory_bytes(const held_blocks *h) {
    return h->contents.capacity + h->separators.capacity + h->capacity * sizeof *h->list;
}

FIRN_INTERNAL uint64_t held_blocks_training_bytes(const held_blocks *h) {
    return h->count < HELD_BLOCKS_MIN ? 0 : CODEC_DICTIONARY_TRAINING_BYTES;
}

/* What `packed` bytes save of a block. */
static size_t held_blocks_stored(size_t packed, size_t raw) {
    return packed ? packed : raw;
}

/* Bytes of every fourth block, with the dictionary and without. */
static status held_blocks_try(const held_blocks *h, const codec_dictionary *d, int level,
                              uint8_t *room, uint64_t *with, uint64_t *without) {
    status st = STATUS_OK;
    size_t skip = 0, packed;
    for (uint32_t i = 0; i < h->count; skip += h->list[i++].bytes) {
        slice raw = slice_of(h->contents.data + skip, h->list[i].bytes);
        if (i % HELD_BLOCKS_PER_TRIAL)
            continue;
        TRY(codec_compress_at(CODEC_ZSTD, level, raw, room, &packed));
        *without += held_blocks_stored(packed, raw.size);
        TRY(codec_dictionary_compress(d, raw, room, &packed));
        *with += held_blocks_stored(packed, raw.size);
    }
out:
    return st;
}

static size_t held_blocks_largest(const held_blocks *h) {
    size_t largest = 0;
    for (uint32_t i = 0; i < h->count; i++)
        largest = h->list[i].bytes > largest ? h->list[i].bytes : largest;
    return largest;
}

FIRN_INTERNAL status held_blocks_train(const held_blocks *h, size_t most, int level, buf *out) {
    status st = STATUS_OK;
    codec_dictionary *d = NULL;
    uint64_t with = 0, without = 0;
    uint8_t *room = NULL;
    size_t *sizes = NULL;
    buf_clear(out);
    if (h->count < HELD_BLOCKS_MIN)
        return STATUS_OK;
    sizes = memory_new(h->count * sizeof *sizes);
    room = memory_new(codec_bound(CODEC_ZSTD, held_blocks_largest(h)));
    if (!sizes || !room) {
        st = status_of(FIRN_NO_MEMORY, "held blocks");
        goto out;
    }
    for (uint32_t i = 0; i < h->count; i++)
        sizes[i] = h->list[i].bytes;
    TRY(codec_dictionary_train(h->contents.data, sizes, h->count, most, out));
    if (out->size == 0)
        goto out;
    TRY(codec_dictionary_new_packer(buf_slice(out), level, &d));
    TRY(held_blocks_try(h, d, level, room, &with, &without));
    if (with * 100 > without * (100 - HELD_SAVING_PERCENT))
        buf_clear(out);
out:
    codec_dictionary_free(d);
    memory_free(sizes);
    memory_free(room);
    return st;
}
