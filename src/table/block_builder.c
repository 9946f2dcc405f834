#include "table/block_builder.h"

#include "util/coding.h"

#include "base/poison.h"

FIRN_INTERNAL void block_builder_init(block_builder *b, uint32_t interval) {
    *b = (block_builder){.interval = interval ? interval : 1};
}

FIRN_INTERNAL void block_builder_deinit(block_builder *b) {
    buf_deinit(&b->data);
    buf_deinit(&b->restarts);
}

FIRN_INTERNAL void block_builder_add(block_builder *b, slice key, uint32_t shared, slice value) {
    DCHECK(shared <= key.size && value.size <= UINT32_MAX);
    if (b->entries == 0 || b->since_restart == b->interval) {
        put_fixed32(&b->restarts, (uint32_t)b->data.size);
        b->since_restart = 0;
        shared = 0;
    }
    size_t unshared = key.size - shared;
    /* Counted even if there is no room: a block that lost entries must not pass for an empty one.
     */
    b->since_restart++;
    b->entries++;
    b->key_bytes += key.size;
    uint8_t *start = buf_reserve(&b->data, 3 * VARINT32_BYTES_MAX + unshared + value.size);
    if (!start)
        return;
    uint8_t *p = start;
    if (LIKELY((shared | unshared | value.size) < 0x80)) {
        p[0] = (uint8_t)shared;
        p[1] = (uint8_t)unshared;
        p[2] = (uint8_t)value.size;
        p += 3;
    } else {
        p = encode_varint32(p, shared);
        p = encode_varint32(p, (uint32_t)unshared);
        p = encode_varint32(p, (uint32_t)value.size);
    }
    memcpy(p, key.data + shared, unshared);
    slice_copy_to(value, p + unshared);
    b->data.size += (size_t)(p - start) + unshared + value.size;
}

FIRN_INTERNAL status block_builder_finish(block_builder *b, slice *out) {
    *out = SLICE_UNSET;
    uint32_t restarts = (uint32_t)(b->restarts.size / 4);
    buf_append_slice(&b->data, buf_slice(&b->restarts));
    put_fixed32(&b->data, restarts);
    status st = status_first(buf_status(&b->restarts), buf_status(&b->data));
    if (status_is_ok(st))
        *out = buf_slice(&b->data);
    return st;
}

FIRN_INTERNAL void block_builder_clear(block_builder *b) {
    buf_clear(&b->data);
    buf_clear(&b->restarts);
    b->since_restart = b->entries = 0;
    b->key_bytes = 0;
}
