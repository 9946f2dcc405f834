#include "table/table_writer.h"

#include "platform/error_detail.h"
#include "platform/memory.h"

#include "base/poison.h"

FIRN_INTERNAL status table_writer_init(table_writer *o, vfs_file *file, const uint8_t identity[16],
                                       size_t piece_bytes) {
    *o = (table_writer){.file = file, .piece_bytes = piece_bytes};
    memcpy(o->identity, identity, sizeof o->identity);
    o->buffer = memory_map_pages(piece_bytes);
    if (!o->buffer)
        return error_status(FIRN_NO_MEMORY, "cannot write '%s': no memory for its buffer",
                            file->path);
    return STATUS_OK;
}

FIRN_INTERNAL void table_writer_deinit(table_writer *o) {
    memory_unmap_pages(o->buffer, o->piece_bytes);
    memory_free(o->packed);
    *o = (table_writer){0};
}

FIRN_INTERNAL status table_writer_flush(table_writer *o) {
    if (o->used == 0)
        return STATUS_OK;
    status st = vfs_write(o->file, o->written, o->buffer, o->used);
    if (status_is_ok(st)) {
        if (o->used == o->piece_bytes) /* the last piece is synced at once */
            vfs_will_sync(o->file, o->written, o->used);
        o->written += o->used;
        o->used = 0;
    }
    return st;
}

FIRN_INTERNAL status table_writer_append(table_writer *o, slice bytes) {
    status st = STATUS_OK;
    while (bytes.size) {
        size_t room = o->piece_bytes - o->used;
        size_t count = bytes.size < room ? bytes.size : room;
        memcpy(o->buffer + o->used, bytes.data, count);
        o->used += count;
        bytes = slice_skip(bytes, count);
        if (o->used == o->piece_bytes)
            TRY(table_writer_flush(o));
    }
out:
    return st;
}

/* Compresses into o->packed; *out is the packed bytes, or unset when that does not pay. */
static status table_writer_pack(table_writer *o, slice contents, codec_id codec, slice *out) {
    size_t bound = codec_bound(codec, contents.size), bytes = 0;
    *out = SLICE_UNSET;
    if (bound > o->packed_capacity) {
        uint8_t *packed = memory_resize(o->packed, bound);
        if (!packed)
            return error_status(FIRN_NO_MEMORY, "cannot write '%s': no memory to compress",
                                o->file->path);
        o->packed = packed;
        o->packed_capacity = bound;
    }
    status st = codec == CODEC_ZSTD_DICTIONARY
                    ? codec_dictionary_compress(o->dictionary, contents, o->packed, &bytes)
                    : codec_compress_at(codec, o->codec_level, contents, o->packed, &bytes);
    if (!status_is_ok(st))
        return error_status(st.code, "cannot write '%s': compression with %s fails", o->file->path,
                            codec_name((uint8_t)codec));
    if (bytes > 0 && bytes < contents.size)
        *out = slice_of(o->packed, bytes);
    return STATUS_OK;
}

FIRN_INTERNAL status table_writer_block(table_writer *o, slice contents, codec_id codec,
                                        block_handle *out) {
    status st = STATUS_OK;
    slice packed = SLICE_UNSET;
    block_trailer trailer = {CODEC_NONE, (uint32_t)contents.size};
    uint8_t trailer_bytes[BLOCK_TRAILER_BYTES];
    *out = (block_handle){0};
    if (contents.size > BLOCK_RAW_BYTES_MAX) {
        st = error_status(FIRN_TOO_LARGE, "cannot write '%s': a block of %zu bytes", o->file->path,
                          contents.size);
        goto out;
    }
    if (codec != CODEC_NONE)
        TRY(table_writer_pack(o, contents, codec, &packed));
    if (slice_is_set(packed)) {
        trailer.codec = (uint8_t)codec;
        contents = packed;
    }
    block_handle handle = {table_writer_bytes(o), contents.size};
    block_trailer_encode(o->identity, handle.offset, contents, &trailer, trailer_bytes);
    TRY(table_writer_append(o, contents));
    TRY(table_writer_append(o, slice_of(trailer_bytes, sizeof trailer_bytes)));
    *out = handle;
out:
    return st;
}
