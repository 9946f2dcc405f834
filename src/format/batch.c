#include "format/batch.h"

#include "format/expiry.h"
#include "platform/error_detail.h"
#include "platform/memory.h"

#include "base/poison.h"

enum { BATCH_LARGE_CAPACITY_MIN = 4 };

FIRN_INTERNAL void batch_init(firn_batch *b) {
    *b = (firn_batch){0};
}

static void batch_free_large_values(firn_batch *b) {
    for (uint32_t i = 0; i < b->large_count; i++)
        if (b->large[i].owned)
            memory_free((void *)(uintptr_t)b->large[i].value.data);
    b->large_count = 0;
}

FIRN_INTERNAL void batch_deinit(firn_batch *b) {
    batch_free_large_values(b);
    memory_free(b->large);
    buf_deinit(&b->ops);
    *b = (firn_batch){0};
}

FIRN_INTERNAL void batch_clear(firn_batch *b) {
    batch_free_large_values(b);
    buf_clear(&b->ops);
    b->count = 0;
    b->bytes = 0;
    b->user_bytes = 0;
    b->names_keyspaces = false;
}

FIRN_INTERNAL status batch_check_limits(slice key, slice value) {
    if (UNLIKELY(key.size > KEY_BYTES_MAX))
        return error_status(FIRN_TOO_LARGE, "the key has %zu bytes; a key has at most %u", key.size,
                            KEY_BYTES_MAX);
    if (UNLIKELY(value.size > VALUE_BYTES_MAX))
        return error_status(FIRN_TOO_LARGE, "the value has %zu bytes; a value has at most %u",
                            value.size, VALUE_BYTES_MAX);
    return STATUS_OK;
}

FIRN_INTERNAL size_t batch_op_bytes(uint32_t keyspace, slice key, slice value) {
    return 1 + varint_length(keyspace) + varint_length(key.size) + varint_length(value.size) +
           key.size + value.size;
}

/* All of an operation but its value. */
static uint8_t *batch_head_encode(uint8_t *p, const batch_op *op, size_t value_bytes) {
    DCHECK(op->key.s.size <= KEY_BYTES_MAX && value_bytes < LARGE_VALUE_BYTES);
    DCHECK(op->kind != OP_SEEK);
    *p++ = (uint8_t)op->kind;
    p = encode_varint32(p, op->keyspace);
    p = encode_varint32(p, (uint32_t)op->key.s.size);
    p = encode_varint32(p, (uint32_t)value_bytes);
    slice_copy_to(op->key.s, p);
    return p + op->key.s.size;
}

FIRN_INTERNAL uint8_t *batch_op_encode(uint8_t *p, op_kind kind, uint32_t keyspace, slice key,
                                       slice value) {
    batch_op op = {kind, keyspace, user_key_of(key), value};
    p = batch_head_encode(p, &op, value.size);
    slice_copy_to(value, p);
    return p + value.size;
}

/* Appends one operation that adds `extent_bytes` to the log beside itself. `lead` stands in front
 * of the value and counts as part of it. */
static status batch_append(firn_batch *b, const batch_op *op, slice lead, uint64_t extent_bytes) {
    size_t value_bytes = lead.size + op->value.size;
    size_t op_bytes = batch_op_bytes(op->keyspace, op->key.s, slice_of(NULL, value_bytes));
    uint64_t bytes = b->bytes + op_bytes + extent_bytes;
    if (UNLIKELY(bytes > BATCH_BYTES_MAX))
        return error_status(FIRN_TOO_LARGE,
                            "with this operation the batch has %llu bytes; a batch has at most "
                            "%llu: write it in parts",
                            (unsigned long long)bytes, (unsigned long long)BATCH_BYTES_MAX);
    uint8_t *p = buf_reserve(&b->ops, op_bytes);
    if (UNLIKELY(!p)) {
        /* The caller may go on with the batch as it was. */
        b->ops.out_of_memory = false;
        return error_status(FIRN_NO_MEMORY, "no memory to add %zu bytes to a batch", op_bytes);
    }
    uint8_t *end = batch_head_encode(p, op, value_bytes);
    slice_copy_to(lead, end);
    slice_copy_to(op->value, end + lead.size);
    DCHECK(end + value_bytes == p + op_bytes);
    b->ops.size += op_bytes;
    b->bytes = bytes;
    b->count++;
    b->names_keyspaces |= op->keyspace != 0;
    return STATUS_OK;
}

static status batch_reserve_large(firn_batch *b) {
    if (b->large_count < b->large_capacity)
        return STATUS_OK;
    uint32_t capacity = b->large_capacity ? b->large_capacity * 2 : BATCH_LARGE_CAPACITY_MIN;
    batch_large *large = memory_resize(b->large, capacity * sizeof *large);
    if (!large)
        return error_status(FIRN_NO_MEMORY, "no memory to list %u large values", capacity);
    b->large = large;
    b->large_capacity = capacity;
    return STATUS_OK;
}

static status batch_put_large(firn_batch *b, uint32_t keyspace, const batch_expiring *put,
                              bool copy) {
    status st = STATUS_OK;
    void *copied = NULL;
    slice value = put->value;
    uint8_t ref_bytes[LARGE_REF_BYTES_MAX];
    large_ref ref = {.place = LARGE_IN_LOG,
                     .bytes = value.size,
                     .has_expiry = put->expiry_ms != 0,
                     .expiry_ms = put->expiry_ms};
    uint8_t *ref_end = large_ref_encode(&ref, ref_bytes);
    batch_op op = {OP_PUT_LARGE, keyspace, user_key_of(put->key),
                   slice_of(ref_bytes, (size_t)(ref_end - ref_bytes))};

    TRY(batch_reserve_large(b));
    if (copy) {
        copied = memory_copy(value.data, value.size);
        if (!copied)
            TRY(error_status(FIRN_NO_MEMORY, "no memory to copy a value of %zu bytes", value.size));
    }
    TRY(batch_append(b, &op, slice_of("", 0), extent_disk_bytes(value.size)));
    b->large[b->large_count++] = (batch_large){
        .ref_offset = b->ops.size - op.value.size,
        .value = slice_of(copied ? copied : (const void *)value.data, value.size),
        .owned = copied != NULL,
    };
    copied = NULL;
out:
    memory_free(copied);
    return st;
}

FIRN_INTERNAL status batch_put_expiring(firn_batch *b, uint32_t keyspace, const batch_expiring *put,
                                        bool copy_large) {
    status st = STATUS_OK;
    uint8_t lead[EXPIRY_BYTES];
    batch_expiring p = *put;
    size_t lead_bytes = 0;
    if (p.expiry_ms == EXPIRY_NEVER)
        p.expiry_ms = 0;
    if (p.expiry_ms) {
        encode_fixed64(lead, p.expiry_ms);
        lead_bytes = sizeof lead;
    }
    TRY(batch_check_limits(p.key, p.value));
    if (UNLIKELY(p.value.size + lead_bytes >= LARGE_VALUE_BYTES)) {
        TRY(batch_put_large(b, keyspace, &p, copy_large));
    } else {
        batch_op op = {p.expiry_ms ? OP_PUT_EXPIRY : OP_PUT, keyspace, user_key_of(p.key), p.value};
        TRY(batch_append(b, &op, slice_of(lead, lead_bytes), 0));
    }
    b->user_bytes += p.key.size + p.value.size;
out:
    return st;
}

FIRN_INTERNAL status batch_put(firn_batch *b, uint32_t keyspace, slice key, slice value,
                               bool copy_large) {
    return batch_put_expiring(b, keyspace, &(batch_expiring){.key = key, .value = value},
                              copy_large);
}

static status batch_add_delete(firn_batch *b, op_kind kind, uint32_t keyspace, slice key) {
    status st = STATUS_OK;
    slice none = slice_of("", 0);
    batch_op op = {kind, keyspace, user_key_of(key), none};
    TRY(batch_check_limits(key, none));
    TRY(batch_append(b, &op, none, 0));
    b->user_bytes += key.size;
out:
    return st;
}

FIRN_INTERNAL status batch_delete(firn_batch *b, uint32_t keyspace, slice key) {
    return batch_add_delete(b, OP_DELETE, keyspace, key);
}

FIRN_INTERNAL status batch_single_delete(firn_batch *b, uint32_t keyspace, slice key) {
    return batch_add_delete(b, OP_SINGLE_DELETE, keyspace, key);
}

FIRN_INTERNAL status batch_delete_range(firn_batch *b, uint32_t keyspace, slice begin, slice end) {
    status st = STATUS_OK;
    slice none = slice_of("", 0);
    batch_op op = {OP_RANGE_DELETE, keyspace, user_key_of(begin), end};
    TRY(batch_check_limits(begin, none));
    TRY(batch_check_limits(end, none)); /* a key, too */
    TRY(batch_append(b, &op, none, 0));
    b->user_bytes += begin.size + end.size;
out:
    return st;
}

FIRN_INTERNAL batch_view batch_get_view(const firn_batch *b) {
    return (batch_view){
        .ops = buf_slice(&b->ops),
        .count = b->count,
        .large = b->large,
        .large_count = b->large_count,
        .user_bytes = b->user_bytes,
        .names_keyspaces = b->names_keyspaces,
    };
}

/* What an operation's value may be, for the kinds this build knows. */
static bool batch_value_is_valid(op_kind kind, slice value) {
    large_ref ref;
    switch ((int)kind) {
    case OP_DELETE:
    case OP_SINGLE_DELETE:
        return value.size == 0;
    case OP_PUT:
        return value.size < LARGE_VALUE_BYTES;
    case OP_RANGE_DELETE:
        return value.size <= KEY_BYTES_MAX;
    case OP_PUT_EXPIRY:
        return value.size >= EXPIRY_BYTES && value.size < LARGE_VALUE_BYTES;
    case OP_PUT_LARGE:
        return large_ref_decode(value, &ref) && ref.place == LARGE_IN_LOG;
    default:
        return value.size <= VALUE_BYTES_MAX;
    }
}

FIRN_INTERNAL bool batch_op_decode(slice *ops, batch_op *out) {
    slice in = *ops, key, value;
    uint8_t kind;
    uint32_t keyspace, key_bytes, value_bytes;
    if (!get_u8(&in, &kind) || kind == OP_SEEK || !get_varint32(&in, &keyspace) ||
        !get_varint32(&in, &key_bytes) || !get_varint32(&in, &value_bytes) ||
        key_bytes > KEY_BYTES_MAX || !get_bytes(&in, key_bytes, &key) ||
        !get_bytes(&in, value_bytes, &value) || !batch_value_is_valid((op_kind)kind, value))
        return false;
    *out = (batch_op){(op_kind)kind, keyspace, user_key_of(key), value};
    *ops = in;
    return true;
}
