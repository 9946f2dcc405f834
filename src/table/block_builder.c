#include "table/block_builder.h"

#include "table/block.h"
#include "util/coding.h"

#include "base/poison.h"

FIRN_INTERNAL void block_builder_init(block_builder *b, uint32_t interval) {
    *b = (block_builder){.interval = interval ? interval : 1};
}

FIRN_INTERNAL void block_builder_deinit(block_builder *b) {
    buf_deinit(&b->data);
    buf_deinit(&b->restarts);
}

/* Makes room for an entry and writes its lengths; NULL: no memory. *shared is 0 from here on where
 * a restart point is due. */
static inline uint8_t *block_builder_begin(block_builder *b, size_t key_bytes, uint32_t *shared,
                                           size_t value_bytes) {
    DCHECK(*shared <= key_bytes && value_bytes <= UINT32_MAX);
    if (b->entries == 0 || b->since_restart == b->interval) {
        put_fixed32(&b->restarts, (uint32_t)b->data.size);
        b->since_restart = 0;
        *shared = 0;
    }
    size_t unshared = key_bytes - *shared;
    /* Counted even if there is no room: a block that lost entries must not pass for an empty one.
     */
    b->since_restart++;
    b->entries++;
    b->key_bytes += key_bytes;
    uint8_t *p =
        buf_reserve(&b->data, 3 * VARINT32_BYTES_MAX + unshared + value_bytes + BLOCK_SLACK_BYTES);
    if (UNLIKELY(!p))
        return NULL;
    if (LIKELY((*shared | unshared | value_bytes) < 0x80)) {
        p[0] = (uint8_t)*shared;
        p[1] = (uint8_t)unshared;
        p[2] = (uint8_t)value_bytes;
        return p + 3;
    }
    p = encode_varint32(p, *shared);
    p = encode_varint32(p, (uint32_t)unshared);
    return encode_varint32(p, (uint32_t)value_bytes);
}

static inline void block_builder_end(block_builder *b, uint8_t *p, slice value) {
    slice_copy_to(value, p);
    b->data.size = (size_t)(p - b->data.data) + value.size;
}

FIRN_INTERNAL void block_builder_add(block_builder *b, slice key, uint32_t shared, slice value) {
    uint8_t *p = block_builder_begin(b, key.size, &shared, value.size);
    if (!p)
        return;
    memcpy(p, key.data + shared, key.size - shared);
    block_builder_end(b, p + (key.size - shared), value);
}

FIRN_INTERNAL void block_builder_add_slack(block_builder *b, slice key, uint32_t shared,
                                           slice value) {
    uint8_t *p = block_builder_begin(b, key.size, &shared, value.size);
    if (UNLIKELY(!p))
        return;
    /* Pieces of a fixed size are moved without a call; the value overwrites what is too much. */
    const uint8_t *from = key.data + shared;
    size_t unshared = key.size - shared;
    for (size_t i = 0; i < unshared; i += BLOCK_SLACK_BYTES)
        memcpy(p + i, from + i, BLOCK_SLACK_BYTES);
    block_builder_end(b, p + unshared, value);
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
