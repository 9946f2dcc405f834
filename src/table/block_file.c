#include "table/block_file.h"

#include <inttypes.h>

#include "codec/codec.h"
#include "platform/error_detail.h"
#include "platform/memory.h"
#include "util/crc32c.h"

#include "base/poison.h"

FIRN_INTERNAL uint8_t *block_handle_encode(block_handle handle, uint8_t *p) {
    return encode_varint64(encode_varint64(p, handle.offset), handle.bytes);
}

FIRN_INTERNAL bool block_handle_decode(slice in, block_handle *out) {
    *out = (block_handle){0};
    return get_varint64(&in, &out->offset) && get_varint64(&in, &out->bytes) && in.size == 0;
}

FIRN_INTERNAL status block_handle_check(const block_source *source, block_handle handle) {
    if (handle.bytes > BLOCK_RAW_BYTES_MAX || handle.offset > source->end ||
        source->end - handle.offset < handle.bytes + BLOCK_TRAILER_BYTES)
        return error_corruption_at(source->file->path, handle.offset,
                                   "a block handle points outside the file");
    return STATUS_OK;
}

static uint32_t block_crc(const uint8_t identity[16], uint64_t offset, slice contents,
                          const uint8_t *trailer) {
    uint32_t crc = crc32c_seed_table(identity, offset);
    crc = crc32c_extend(crc, contents.data, contents.size);
    return crc32c_extend(crc, trailer, BLOCK_TRAILER_BYTES - 4);
}

FIRN_INTERNAL bool block_trailer_decode(const uint8_t identity[16], block_handle handle,
                                        const uint8_t *disk, block_trailer *out) {
    const uint8_t *trailer = disk + handle.bytes;
    *out = (block_trailer){trailer[0], decode_fixed32(trailer + 1)};
    return decode_fixed32(trailer + 5) ==
           block_crc(identity, handle.offset, slice_of(disk, handle.bytes), trailer);
}

FIRN_INTERNAL void block_trailer_encode(const uint8_t identity[16], uint64_t offset, slice contents,
                                        const block_trailer *trailer,
                                        uint8_t out[BLOCK_TRAILER_BYTES]) {
    out[0] = trailer->codec;
    encode_fixed32(out + 1, trailer->raw_bytes);
    encode_fixed32(out + 5, block_crc(identity, offset, contents, out));
}

FIRN_INTERNAL status block_read_checked(const block_source *source, block_handle handle,
                                        uint8_t *disk, block_trailer *out) {
    status st = STATUS_OK;
    for (int attempt = 0; attempt < 2; attempt++) {
        TRY(vfs_read_exact(source->file, handle.offset, disk, handle.bytes + BLOCK_TRAILER_BYTES));
        if (LIKELY(block_trailer_decode(source->identity, handle, disk, out)))
            goto out;
    }
    st = error_corruption_at(source->file->path, handle.offset, "checksum mismatch in the block");
out:
    return st;
}

FIRN_INTERNAL status block_trailer_check(const block_source *source, block_handle handle,
                                         const block_trailer *trailer) {
    if (trailer->raw_bytes > BLOCK_RAW_BYTES_MAX ||
        (trailer->codec == CODEC_NONE && trailer->raw_bytes != handle.bytes))
        return error_corruption_at(source->file->path, handle.offset,
                                   "impossible raw size in the block's trailer");
    return STATUS_OK;
}

FIRN_INTERNAL status block_decompress(const block_source *source, block_handle handle,
                                      const block_trailer *trailer, const uint8_t *contents,
                                      uint8_t *out) {
    slice packed = slice_of(contents, handle.bytes);
    status st;
    if (trailer->codec != CODEC_ZSTD_DICTIONARY)
        st = codec_decompress(trailer->codec, packed, out, trailer->raw_bytes);
    else if (source->dictionary)
        st = codec_dictionary_decompress(source->dictionary, packed, out, trailer->raw_bytes);
    else
        st = status_of(FIRN_CORRUPTION, "the table has no dictionary");
    if (LIKELY(status_is_ok(st)))
        return st;
    if (status_is(st, FIRN_CORRUPTION))
        return error_corruption_at(source->file->path, handle.offset,
                                   "the block does not decompress");
    return error_status(st.code,
                        "%s: cannot decompress the block at offset %" PRIu64 ": codec %s (%u)%s",
                        source->file->path, handle.offset, codec_name(trailer->codec),
                        trailer->codec,
                        st.code == FIRN_NOT_SUPPORTED ? " is not part of this build" : "");
}

static table_block *block_new(uint64_t bytes) {
    table_block *b = memory_new(sizeof *b + bytes + BLOCK_SLACK_BYTES);
    if (b) {
        *b = (table_block){0};
        /* The slack is copied, if never used: let it be defined. */
        memset(b->bytes + bytes, 0, BLOCK_SLACK_BYTES);
    }
    return b;
}

static COLD status block_no_memory(const block_source *source, block_handle handle,
                                   uint64_t bytes) {
    return error_status(FIRN_NO_MEMORY,
                        "%s: no memory for the %" PRIu64 " bytes of the block at offset %" PRIu64,
                        source->file->path, bytes, handle.offset);
}

/* Takes the packed table_block *packed, giving the expanded one in its place. */
static status block_expand(const block_source *source, block_handle handle,
                           const block_trailer *trailer, table_block **packed) {
    table_block *raw = block_new(trailer->raw_bytes);
    if (!raw)
        return block_no_memory(source, handle, trailer->raw_bytes);
    status st = block_decompress(source, handle, trailer, (*packed)->bytes, raw->bytes);
    if (!status_is_ok(st)) {
        block_free(raw);
        return st;
    }
    block_free(*packed);
    *packed = raw;
    return STATUS_OK;
}

/* The one read of a block that may not wait: what does not match is left to a read that may. */
static status block_read_cached(const block_source *source, block_handle handle, uint8_t *disk,
                                block_trailer *out) {
    status st =
        vfs_read_cached(source->file, handle.offset, disk, handle.bytes + BLOCK_TRAILER_BYTES);
    if (status_is_ok(st) && !block_trailer_decode(source->identity, handle, disk, out))
        st = status_of(FIRN_WOULD_BLOCK, "the block has to be read again");
    return st;
}

typedef status block_reader(const block_source *source, block_handle handle, uint8_t *disk,
                            block_trailer *out);

static status block_load_raw_with(block_reader *read, const block_source *source,
                                  block_handle handle, table_block **out) {
    status st = STATUS_OK;
    table_block *b = NULL;
    block_trailer trailer;
    *out = NULL;
    TRY(block_handle_check(source, handle));
    b = block_new(handle.bytes + BLOCK_TRAILER_BYTES);
    if (!b) {
        st = block_no_memory(source, handle, handle.bytes);
        goto out;
    }
    TRY(read(source, handle, b->bytes, &trailer));
    TRY(block_trailer_check(source, handle, &trailer));
    if (trailer.codec != CODEC_NONE)
        TRY(block_expand(source, handle, &trailer, &b));
    b->raw_bytes = trailer.raw_bytes;
    b->codec = trailer.codec;
    *out = b;
    return STATUS_OK;
out:
    block_free(b);
    return st;
}

FIRN_INTERNAL status block_load_raw(const block_source *source, block_handle handle,
                                    table_block **out) {
    return block_load_raw_with(block_read_checked, source, handle, out);
}

static status block_load_with(block_reader *read, const block_source *source, block_handle handle,
                              table_block **out) {
    table_block *b = NULL;
    *out = NULL;
    status st = block_load_raw_with(read, source, handle, &b);
    if (!status_is_ok(st))
        return st;
    if (!block_view_init(&b->view, block_raw(b))) {
        block_free(b);
        return error_corruption_at(source->file->path, handle.offset, "malformed block");
    }
    *out = b;
    return STATUS_OK;
}

FIRN_INTERNAL status block_load(const block_source *source, block_handle handle,
                                table_block **out) {
    return block_load_with(block_read_checked, source, handle, out);
}

FIRN_INTERNAL status block_from_raw(slice raw, table_block **out) {
    *out = NULL;
    table_block *b = raw.size <= BLOCK_RAW_BYTES_MAX ? block_new(raw.size) : NULL;
    if (!b)
        return error_status(FIRN_NO_MEMORY, "no memory for a block of %zu bytes", raw.size);
    slice_copy_to(raw, b->bytes);
    b->raw_bytes = (uint32_t)raw.size;
    if (!block_view_init(&b->view, block_raw(b))) {
        block_free(b);
        return status_of(FIRN_CORRUPTION, "malformed block");
    }
    *out = b;
    return STATUS_OK;
}

FIRN_INTERNAL void block_free(table_block *b) {
    memory_free(b);
}

static void block_free_cached(void *value) {
    block_free(value);
}

static inline cache_key block_cache_key(const block_source *source, block_handle handle) {
    return (cache_key){{decode_fixed64(source->identity), decode_fixed64(source->identity + 8)},
                       handle.offset};
}

static status block_ref_get(block_reader *read, const block_source *source, block_handle handle,
                            cache *blocks, bool fill, block_ref *out) {
    *out = (block_ref){0};
    cache_key key = block_cache_key(source, handle);
    if (blocks) {
        out->handle = cache_lookup(blocks, &key);
        if (LIKELY(out->handle != NULL)) {
            out->block = cache_handle_value(out->handle);
            out->view = out->block->view;
            return STATUS_OK;
        }
    }
    status st = block_load_with(read, source, handle, &out->block);
    out->was_read = true;
    if (!status_is_ok(st))
        return st;
    out->view = out->block->view;
    if (!blocks || !fill)
        return STATUS_OK;
    out->block->owner = blocks;
    st = cache_insert(blocks, &key, out->block, block_memory_bytes(out->block) + CACHE_ENTRY_BYTES,
                      block_free_cached, &out->handle);
    if (UNLIKELY(!status_is_ok(st))) {
        /* The cache has no memory for its entry: the block serves this one reader. */
        out->block->owner = NULL;
        out->handle = NULL;
    }
    return STATUS_OK;
}

FIRN_INTERNAL status block_ref_fetch(const block_source *source, block_handle handle, cache *blocks,
                                     bool fill, block_ref *out) {
    return block_ref_get(block_read_checked, source, handle, blocks, fill, out);
}

FIRN_INTERNAL status block_ref_fetch_cached(const block_source *source, block_handle handle,
                                            cache *blocks, bool fill, block_ref *out) {
    return block_ref_get(block_read_cached, source, handle, blocks, fill, out);
}

FIRN_INTERNAL void block_ref_release(block_ref *ref) {
    if (ref->handle)
        cache_release(ref->block->owner, ref->handle);
    else
        block_free(ref->block);
    *ref = (block_ref){0};
}

/* The pin is the cache's handle; the block behind it knows the cache. */
static void block_unpin_cached(void *pin) {
    cache_handle *handle = pin;
    const table_block *b = cache_handle_value(handle);
    cache_release(b->owner, handle);
}

FIRN_INTERNAL void block_ref_to_pin(block_ref *ref, void **pin, void (**unpin)(void *pin)) {
    *pin = ref->handle ? (void *)ref->handle : (void *)ref->block;
    *unpin = ref->handle ? block_unpin_cached : block_free_cached;
    *ref = (block_ref){0};
}

FIRN_INTERNAL uint64_t block_pin_bytes(void *pin, void (*unpin)(void *pin), bool *is_cached) {
    *is_cached = unpin == block_unpin_cached;
    if (*is_cached)
        return block_memory_bytes(cache_handle_value(pin));
    return unpin == block_free_cached ? block_memory_bytes(pin) : 0;
}
