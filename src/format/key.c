#include "format/key.h"

#include "platform/error_detail.h"
#include "platform/memory.h"

#include "base/poison.h"

FIRN_INTERNAL void internal_key_append(buf *out, user_key key, seqno sequence, op_kind kind) {
    DCHECK(sequence <= SEQNO_MAX);
    uint8_t *p = buf_reserve(out, key.s.size + KEY_TRAILER_BYTES);
    if (!p)
        return;
    slice_copy_to(key.s, p);
    encode_fixed64(p + key.s.size, key_trailer_pack(sequence, kind));
    out->size += key.s.size + KEY_TRAILER_BYTES;
}

static size_t key_common_bytes(slice a, slice b) {
    size_t limit = a.size < b.size ? a.size : b.size, common = 0;
    while (common < limit && a.data[common] == b.data[common])
        common++;
    return common;
}

/* The size of the shortest user key strictly between `last` and `next` (last < next, bytewise) that
 * is a beginning of `last` with its final byte raised by one; 0 when none is shorter than `last`.
 *
 * A key between the two shares their common beginning. Raising the byte where they part is enough
 * unless that gives `next` itself, which is not below it; then a later byte must be raised. */
static size_t key_separator_bytes(slice last, slice next) {
    size_t parting = key_common_bytes(last, next);
    for (size_t at = parting; at + 1 < last.size; at++) {
        if (last.data[at] == 0xff)
            continue;
        bool equals_next =
            at == parting && next.size == at + 1 && last.data[at] + 1 == next.data[at];
        if (!equals_next)
            return at + 1;
    }
    return 0;
}

FIRN_INTERNAL void internal_key_append_separator(key_order order, internal_key last,
                                                 internal_key next, buf *out) {
    DCHECK(last.s.size >= KEY_TRAILER_BYTES && next.s.size >= KEY_TRAILER_BYTES);
    DCHECK(key_order_compare(order, last, next) < 0);
    slice last_user = internal_key_user(last).s;
    /* The bytes say nothing about what lies between two keys of a custom order. */
    size_t size = order.custom ? 0 : key_separator_bytes(last_user, internal_key_user(next).s);
    if (size == 0) {
        buf_append_slice(out, last.s);
        return;
    }
    size_t start = out->size;
    /* This trailer sorts before every stored version, so nothing of `last` can be behind it only
     * because the user key is strictly greater. */
    internal_key_append(out, user_key_of(slice_of(last_user.data, size)), SEQNO_MAX, OP_SEEK);
    if (out->out_of_memory)
        return;
    DCHECK(out->data[start + size - 1] != 0xff);
    out->data[start + size - 1]++;
}

FIRN_INTERNAL slice key_prefix_successor(slice prefix, buf *storage) {
    size_t size = prefix.size;
    while (size > 0 && prefix.data[size - 1] == 0xff)
        size--;
    if (size == 0)
        return SLICE_UNSET;
    size_t start = storage->size;
    buf_append(storage, prefix.data, size);
    if (storage->out_of_memory)
        return SLICE_UNSET;
    storage->data[start + size - 1]++;
    return slice_of(storage->data + start, size);
}

FIRN_INTERNAL status seek_key_init(seek_key *k, user_key key, seqno sequence) {
    DCHECK(sequence <= SEQNO_MAX);
    size_t size = key.s.size + KEY_TRAILER_BYTES;
    uint8_t *bytes = k->inline_bytes;
    k->heap = NULL;
    k->key.s = SLICE_UNSET;
    if (size > sizeof k->inline_bytes) {
        bytes = k->heap = memory_new(size);
        if (!bytes)
            return error_status(FIRN_NO_MEMORY, "no memory for a key of %zu bytes", key.s.size);
    }
    slice_copy_to(key.s, bytes);
    encode_fixed64(bytes + key.s.size, key_trailer_pack(sequence, OP_SEEK));
    k->key.s = slice_of(bytes, size);
    return STATUS_OK;
}

FIRN_INTERNAL void seek_key_deinit(seek_key *k) {
    memory_free(k->heap);
    k->heap = NULL;
    k->key.s = SLICE_UNSET;
}
