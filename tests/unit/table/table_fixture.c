#include "table_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "platform/memory.h"
#include "util/hash.h"

void fixture_init(fixture *f) {
    *f = (fixture){0};
    ASSERT_OK(vfs_mem_new(&f->disk));
}

void fixture_deinit(fixture *f) {
    for (uint32_t i = 0; i < f->count; i++) {
        free(f->entries[i].key);
        free(f->entries[i].value);
    }
    free(f->entries);
    vfs_mem_free(f->disk);
}

void fixture_add(fixture *f, slice user, seqno sequence, op_kind kind, slice value) {
    if (f->count == f->capacity) {
        f->capacity = f->capacity ? f->capacity * 2 : 256;
        f->entries = realloc(f->entries, f->capacity * sizeof *f->entries);
        assert_non_null(f->entries);
    }
    fixture_entry *e = &f->entries[f->count++];
    e->key_bytes = (uint32_t)user.size + KEY_TRAILER_BYTES;
    e->key = malloc(e->key_bytes);
    assert_non_null(e->key);
    slice_copy_to(user, e->key);
    encode_fixed64(e->key + user.size, key_trailer_pack(sequence, kind));
    e->value_bytes = (uint32_t)value.size;
    e->value = malloc(value.size ? value.size : 1);
    assert_non_null(e->value);
    slice_copy_to(value, e->value);
}

internal_key fixture_key(const fixture *f, uint32_t i) {
    return (internal_key){slice_of(f->entries[i].key, f->entries[i].key_bytes)};
}

static key_order fixture_sort_order;
static int fixture_compare(const void *a, const void *b) {
    const fixture_entry *x = a, *y = b;
    return key_order_compare(fixture_sort_order, (internal_key){slice_of(x->key, x->key_bytes)},
                             (internal_key){slice_of(y->key, y->key_bytes)});
}

void fixture_sort(fixture *f, key_order order) {
    fixture_sort_order = order;
    if (f->count)
        qsort(f->entries, f->count, sizeof *f->entries, fixture_compare);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < f->count; i++) {
        if (kept && fixture_compare(&f->entries[kept - 1], &f->entries[i]) == 0) {
            free(f->entries[i].key);
            free(f->entries[i].value);
        } else {
            f->entries[kept++] = f->entries[i];
        }
    }
    f->count = kept;
}

static size_t fixture_shape_key(rng *r, unsigned shape, uint8_t *key) {
    size_t bytes = 0;
    switch (shape) {
    case 0: /* big-endian binary */
        for (bytes = 0; bytes < 8; bytes++)
            key[bytes] = bytes < 6 ? 0 : (uint8_t)rng_next(r);
        return bytes;
    case 1: /* a long shared prefix and digits */
        memcpy(key, "user/profile/0000000000", 23);
        for (bytes = 23; bytes < 27; bytes++)
            key[bytes] = (uint8_t)('0' + rng_below(r, 10));
        return bytes;
    case 2: /* short, of few letters, the empty key among them: prefixes of each other */
        bytes = rng_below(r, 7);
        for (size_t i = 0; i < bytes; i++)
            key[i] = (uint8_t)("\0\1a\xff"[rng_below(r, 4)]);
        return bytes;
    case 3: /* few keys, many versions */
        key[0] = (uint8_t)('a' + rng_below(r, 5));
        key[1] = (uint8_t)('a' + rng_below(r, 5));
        return 1 + rng_below(r, 2);
    case 4: /* up to the longest, with a long common beginning */
        bytes = rng_below(r, 4) == 0 ? KEY_BYTES_MAX - rng_below(r, 3) : 60000 + rng_below(r, 9);
        memset(key, 'x', bytes);
        for (size_t i = 59000; i < 59003; i++)
            key[i] = (uint8_t)rng_below(r, 3);
        return bytes;
    default: /* a key that continues like the trailer of the one before it */
        key[0] = 'k';
        encode_fixed64(key + 1, key_trailer_pack(1 + rng_below(r, 3), OP_PUT));
        return rng_below(r, 10);
    }
}

void fixture_fill(fixture *f, rng *r, unsigned shape, uint32_t count) {
    uint8_t *key = malloc(KEY_BYTES_MAX);
    uint8_t value[600];
    assert_non_null(key);
    for (uint32_t i = 0; i < count; i++) {
        size_t key_bytes = fixture_shape_key(r, shape, key);
        size_t value_bytes = rng_below(r, 8) == 0 ? rng_below(r, sizeof value) : rng_below(r, 20);
        for (size_t b = 0; b < value_bytes; b++)
            value[b] = (uint8_t)rng_next(r);
        bool delete = rng_below(r, 10) == 0;
        seqno sequence = 1 + rng_below(r, shape == 3 ? 1000000 : 3);
        fixture_add(f, slice_of(key, key_bytes), sequence, delete ? OP_DELETE : OP_PUT,
                    slice_of(value, delete ? 0 : value_bytes));
    }
    free(key);
}

table_builder_args fixture_args(void) {
    return (table_builder_args){.keyspace = 7,
                                .identity = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
                                .block_bytes = 512,
                                .restart_interval = 4,
                                .filter_bits_per_key = 10,
                                .codec = CODEC_NONE};
}

void fixture_pick_index(fixture *f, rng *r, table_builder_args *args) {
    static const uint32_t bytes[] = {0, 1, 100, 400};
    args->index_partition_bytes = bytes[rng_below(r, 4)];
    f->joins_index = rng_below(r, 3) == 0;
}

static status fixture_read_chunk(void *context, uint64_t index, uint8_t *out, size_t *bytes) {
    const fixture_entry *e = context;
    uint64_t left = e->value_bytes - index * EXTENT_CHUNK_BYTES;
    *bytes = left < EXTENT_CHUNK_BYTES ? left : EXTENT_CHUNK_BYTES;
    memcpy(out, e->value + index * EXTENT_CHUNK_BYTES, *bytes);
    return STATUS_OK;
}

static status fixture_add_ranges(const fixture *f, table_builder *b) {
    status st = STATUS_OK;
    if (f->ranges == 0)
        return st;
    user_key end = internal_key_user(fixture_key(f, f->count - 1));
    for (uint32_t i = 0; status_is_ok(st) && i < f->ranges; i++) {
        buf key = {0};
        user_key begin = internal_key_user(fixture_key(f, i * (f->count / (f->ranges + 1))));
        internal_key_append(&key, begin, 7, OP_RANGE_DELETE);
        st = table_builder_add_range_tombstone(b, (internal_key){buf_slice(&key)}, end);
        buf_deinit(&key);
    }
    return st;
}

status fixture_try_build(fixture *f, const table_builder_args *args) {
    status st = STATUS_OK;
    vfs_file *file = NULL;
    table_builder *b = NULL;
    table_summary summary;
    f->args = *args;
    TRY(vfs_open(vfs_mem_vfs(f->disk), FIXTURE_PATH,
                 FIRN_VFS_WRITE | FIRN_VFS_CREATE | FIRN_VFS_TRUNCATE, &file));
    f->args.file = file;
    TRY(table_builder_new(&f->args, &b));
    for (uint32_t i = 0; i < f->count; i++) {
        fixture_entry *e = &f->entries[i];
        internal_key key = fixture_key(f, i);
        if (internal_key_kind(key) == OP_PUT_LARGE) {
            large_ref ref = {.bytes = e->value_bytes};
            large_source source = {e, fixture_read_chunk};
            TRY(table_builder_add_large(b, key, &ref, &source));
        } else {
            TRY(table_builder_add(b, key, slice_of(e->value, e->value_bytes)));
        }
        assert_int_equal(table_builder_entries(b), i + 1);
    }
    TRY(fixture_add_ranges(f, b));
    TRY(table_builder_finish(b, &summary));
    f->built = summary.properties;
    if (f->count && f->ranges == 0) {
        assert_true(slice_equal(summary.smallest.s, fixture_key(f, 0).s));
        assert_true(slice_equal(summary.largest.s, fixture_key(f, f->count - 1).s));
    }
out:
    table_builder_free(b);
    (void)vfs_close(file);
    return st;
}

void fixture_build(fixture *f, const table_builder_args *args) {
    ASSERT_OK(fixture_try_build(f, args));
}

status fixture_try_open(fixture *f, cache *blocks, table **out) {
    table_open_args args = {.vfs = vfs_mem_vfs(f->disk),
                            .path = FIXTURE_PATH,
                            .order = f->args.order,
                            .blocks = blocks,
                            .memory = f->memory,
                            .index_memory_max = f->joins_index ? UINT64_MAX : 0,
                            .is_mapped = f->is_mapped};
    return table_open(&args, out);
}

table *fixture_open(fixture *f, cache *blocks) {
    table *t = NULL;
    ASSERT_OK(fixture_try_open(f, blocks, &t));
    assert_non_null(t);
    return t;
}

uint8_t *fixture_bytes(fixture *f, uint64_t *bytes) {
    uint8_t *data = vfs_mem_contents(f->disk, FIXTURE_PATH, bytes);
    assert_non_null(data);
    return data;
}

void fixture_write(fixture *f, const uint8_t *data, uint64_t bytes) {
    vfs_file *file = NULL;
    ASSERT_OK(vfs_open(vfs_mem_vfs(f->disk), FIXTURE_PATH,
                       FIRN_VFS_WRITE | FIRN_VFS_CREATE | FIRN_VFS_TRUNCATE, &file));
    if (bytes)
        ASSERT_OK(vfs_write(file, 0, data, bytes));
    ASSERT_OK(vfs_close(file));
}

uint32_t fixture_find(const fixture *f, key_order order, internal_key target) {
    uint32_t low = 0, high = f->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (key_order_compare(order, fixture_key(f, middle), target) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void fixture_check_get(const fixture *f, table *t, slice user, seqno sequence,
                       const table_read_args *args, bool may_fail) {
    seek_key seek;
    lookup found;
    table_get_trace trace;
    ASSERT_OK(seek_key_init(&seek, user_key_of(user), sequence));
    uint32_t i = fixture_find(f, f->args.order, seek.key);
    bool expected = i < f->count && slice_equal(internal_key_user(fixture_key(f, i)).s, user);
    status st = table_get(t, seek.key, hash64(user.data, user.size), args, &trace, &found);
    if (may_fail && !status_is_ok(st)) {
        assert_true(status_is(st, FIRN_CORRUPTION) || status_is(st, FIRN_NOT_SUPPORTED));
        assert_null(found.pin);
        seek_key_deinit(&seek);
        return;
    }
    ASSERT_OK(st);
    assert_int_equal(found.found, expected);
    assert_int_equal(trace.filter_checked, f->args.filter_bits_per_key != 0);
    if (expected) {
        const fixture_entry *e = &f->entries[i];
        assert_false(trace.filter_negative);
        assert_int_equal(found.sequence, internal_key_sequence(fixture_key(f, i)));
        assert_int_equal(found.kind, internal_key_kind(fixture_key(f, i)));
        if (found.kind != OP_PUT_LARGE)
            assert_true(slice_equal(found.value, slice_of(e->value, e->value_bytes)));
    }
    lookup_release(&found);
    seek_key_deinit(&seek);
}

bool fixture_stands_on(const fixture *f, iter *it, uint32_t i) {
    if (i >= f->count)
        return !iter_valid(it) && status_is_ok(it->st);
    if (!iter_valid(it) || !slice_equal(iter_key(it).s, fixture_key(f, i).s))
        return false;
    return internal_key_kind(iter_key(it)) == OP_PUT_LARGE ||
           slice_equal(iter_value(it), slice_of(f->entries[i].value, f->entries[i].value_bytes));
}

void fixture_check_scan(const fixture *f, table *t, const table_read_args *args) {
    iter *it = NULL;
    ASSERT_OK(table_iter_new(t, args, &it));
    iter_seek_first(it);
    for (uint32_t i = 0; i < f->count; i++) {
        assert_true(fixture_stands_on(f, it, i));
        iter_next(it);
    }
    assert_true(fixture_stands_on(f, it, f->count));
    iter_seek_last(it);
    for (uint32_t i = f->count; i-- > 0;) {
        assert_true(fixture_stands_on(f, it, i));
        iter_prev(it);
    }
    assert_true(fixture_stands_on(f, it, f->count));
    iter_free(it);
}

static int fixture_reverse_compare(void *context, firn_slice a, firn_slice b) {
    (void)context;
    return slice_compare(b, a);
}

const firn_comparator fixture_reverse = {"test.reverse", NULL, fixture_reverse_compare};
