/* Operations of a batch: what decodes, encodes to bytes that decode to the same; what is refused is
 * left in place. */
#include <stddef.h>
#include <stdint.h>

#include "format/batch.h"
#include "format/expiry.h"
#include "platform/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_same(const batch_op *a, const batch_op *b) {
    CHECK(a->kind == b->kind && a->keyspace == b->keyspace);
    CHECK(slice_equal(a->key.s, b->key.s) && slice_equal(a->value, b->value));
}

static void check_round_trip(const batch_op *op) {
    size_t bytes = batch_op_bytes(op->keyspace, op->key.s, op->value);
    uint8_t *encoded = memory_new(bytes);
    if (!encoded)
        return;
    uint8_t *end = batch_op_encode(encoded, op->kind, op->keyspace, op->key.s, op->value);
    CHECK(end == encoded + bytes);
    slice in = slice_of(encoded, bytes);
    batch_op again;
    CHECK(batch_op_decode(&in, &again));
    CHECK(in.size == 0);
    check_same(op, &again);
    memory_free(encoded);
}

/* Adds the operation the way a user would; the bytes must be those batch_op_encode makes. */
static void check_append(firn_batch *b, const batch_op *op) {
    status st;
    size_t before = b->ops.size;
    uint64_t expiry_ms = expiry_of_version(op->kind, op->value);
    if (op->kind == OP_PUT_EXPIRY && (expiry_ms == 0 || expiry_ms == EXPIRY_NEVER))
        return; /* a plain put is made of it */
    if (op->kind == OP_PUT)
        st = batch_put(b, op->keyspace, op->key.s, op->value, true);
    else if (op->kind == OP_PUT_EXPIRY)
        st = batch_put_expiring(b, op->keyspace,
                                &(batch_expiring){op->key.s, expiry_strip(op->kind, op->value),
                                                  expiry_of_version(op->kind, op->value)},
                                true);
    else if (op->kind == OP_SINGLE_DELETE)
        st = batch_single_delete(b, op->keyspace, op->key.s);
    else
        st = batch_delete(b, op->keyspace, op->key.s);
    if (!status_is_ok(st))
        return;
    slice in = slice_skip(batch_get_view(b).ops, before);
    batch_op again;
    CHECK(batch_op_decode(&in, &again) && in.size == 0);
    check_same(op, &again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    slice ops = slice_of(data, size);
    firn_batch b;
    batch_init(&b);
    for (;;) {
        slice before = ops;
        batch_op op;
        if (!batch_op_decode(&ops, &op)) {
            CHECK(ops.data == before.data && ops.size == before.size);
            break;
        }
        CHECK(ops.size < before.size && ops.data + ops.size == data + size);
        CHECK(op.key.s.size <= KEY_BYTES_MAX && op.kind != OP_SEEK);
        /* Kinds of later builds may have values this build would not write. */
        if (op.value.size < LARGE_VALUE_BYTES)
            check_round_trip(&op);
        if (op.kind != OP_PUT_LARGE && op_kind_is_supported((uint8_t)op.kind))
            check_append(&b, &op);
    }
    batch_deinit(&b);
    return 0;
}
