#include "table_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "util/hash.h"

enum { LARGE_TEST_VALUES = 3 };
static const uint32_t large_test_bytes[LARGE_TEST_VALUES] = {LARGE_VALUE_BYTES,
                                                             LARGE_VALUE_BYTES + 1,
                                                             3 * EXTENT_CHUNK_BYTES - 7};

static void large_test_table(fixture *f) {
    rng r;
    rng_init(&r, 8);
    fixture_init(f);
    table_builder_args args = fixture_args();
    fixture_fill(f, &r, 1, 50);
    for (int i = 0; i < LARGE_TEST_VALUES; i++) {
        uint8_t *value = malloc(large_test_bytes[i]);
        assert_non_null(value);
        for (uint32_t b = 0; b < large_test_bytes[i]; b += 8) {
            uint64_t word = rng_next(&r);
            uint32_t left = large_test_bytes[i] - b;
            memcpy(value + b, &word, left < 8 ? left : 8);
        }
        char name[] = "user/profile/9x";
        name[14] = (char)('a' + i);
        fixture_add(f, slice_from_string(name), 5, OP_PUT_LARGE,
                    slice_of(value, large_test_bytes[i]));
        free(value);
    }
    fixture_sort(f, args.order);
    fixture_build(f, &args);
}

/* The reference a lookup of entry `i` gives. */
static large_ref large_test_ref(const fixture *f, table *t, uint32_t i) {
    internal_key key = fixture_key(f, i);
    slice user = internal_key_user(key).s;
    table_get_trace trace;
    lookup found;
    large_ref ref;
    ASSERT_OK(
        table_get(t, key, hash64(user.data, user.size), &(table_read_args){0}, &trace, &found));
    assert_true(found.found);
    assert_int_equal(found.kind, OP_PUT_LARGE);
    assert_true(large_ref_decode(found.value, &ref));
    assert_int_equal(ref.place, LARGE_IN_TABLE);
    assert_int_equal(ref.bytes, f->entries[i].value_bytes);
    lookup_release(&found);
    return ref;
}

static bool large_test_is_large(const fixture *f, uint32_t i) {
    return internal_key_kind(fixture_key(f, i)) == OP_PUT_LARGE;
}

TEST(table_large, values_come_back_in_chunks_and_mapped) {
    fixture f;
    large_test_table(&f);
    table *t = fixture_open(&f, NULL);
    uint8_t *chunk = malloc(EXTENT_CHUNK_BYTES);
    int seen = 0;
    for (uint32_t i = 0; i < f.count; i++) {
        if (!large_test_is_large(&f, i))
            continue;
        large_ref ref = large_test_ref(&f, t, i);
        size_t bytes = 0;
        uint64_t done = 0;
        for (uint64_t c = 0; c < extent_chunk_count(ref.bytes); c++) {
            ASSERT_OK(table_large_read_chunk(t, &ref, c, chunk, &bytes));
            assert_memory_equal(chunk, f.entries[i].value + done, bytes);
            done += bytes;
        }
        assert_int_equal(done, f.entries[i].value_bytes);
        ASSERT_CODE(table_large_read_chunk(t, &ref, extent_chunk_count(ref.bytes), chunk, &bytes),
                    FIRN_INVALID_ARGUMENT);
        slice value;
        void *pin;
        void (*unpin)(void *pin);
        ASSERT_OK(table_large_map(t, &ref, &value, &pin, &unpin));
        assert_true(slice_equal(value, slice_of(f.entries[i].value, f.entries[i].value_bytes)));
        unpin(pin);
        seen++;
    }
    assert_int_equal(seen, LARGE_TEST_VALUES);
    assert_int_equal(table_get_properties(t)->large_count, LARGE_TEST_VALUES);
    ASSERT_OK(table_verify(t, NULL, NULL));
    free(chunk);
    table_unref(t);
    fixture_deinit(&f);
}

TEST(table_large, a_mapped_value_keeps_the_table_open) {
    fixture f;
    large_test_table(&f);
    table *t = fixture_open(&f, NULL);
    uint32_t i = f.count - 1;
    assert_true(large_test_is_large(&f, i));
    large_ref ref = large_test_ref(&f, t, i);
    slice value;
    void *pin;
    void (*unpin)(void *pin);
    ASSERT_OK(table_large_map(t, &ref, &value, &pin, &unpin));
    table_unref(t);
    assert_true(slice_equal(value, slice_of(f.entries[i].value, f.entries[i].value_bytes)));
    unpin(pin);
    fixture_deinit(&f);
}

TEST(table_large, damage_is_found_in_the_chunk_that_has_it) {
    fixture f;
    large_test_table(&f);
    table *t = fixture_open(&f, NULL);
    uint32_t i = f.count - 1;
    large_ref ref = large_test_ref(&f, t, i);
    uint64_t file_bytes;
    uint8_t *data = fixture_bytes(&f, &file_bytes);
    uint8_t *chunk = malloc(EXTENT_CHUNK_BYTES);
    size_t bytes;
    slice value;
    void *pin;
    void (*unpin)(void *pin);
    const uint64_t places[] = {EXTENT_CHUNK_BYTES + 3, ref.bytes + 4}; /* value, checksum */
    for (int p = 0; p < 2; p++) {
        data[ref.offset + places[p]] ^= 0x10;
        ASSERT_OK(table_large_read_chunk(t, &ref, 0, chunk, &bytes));
        ASSERT_CODE(table_large_read_chunk(t, &ref, 1, chunk, &bytes), FIRN_CORRUPTION);
        assert_int_equal(bytes, 0);
        ASSERT_CODE(table_large_map(t, &ref, &value, &pin, &unpin), FIRN_CORRUPTION);
        assert_null(pin);
        ASSERT_CODE(table_verify(t, NULL, NULL), FIRN_CORRUPTION);
        data[ref.offset + places[p]] ^= 0x10;
    }
    ASSERT_OK(table_verify(t, NULL, NULL));
    free(chunk);
    table_unref(t);
    fixture_deinit(&f);
}

TEST(table_large, references_outside_the_file_are_corruption) {
    fixture f;
    large_test_table(&f);
    table *t = fixture_open(&f, NULL);
    large_ref good = large_test_ref(&f, t, f.count - 1);
    uint8_t *chunk = malloc(EXTENT_CHUNK_BYTES);
    large_ref bad[5];
    for (int i = 0; i < 5; i++)
        bad[i] = good;
    bad[0].offset = UINT64_MAX - 5;
    bad[1].bytes = UINT64_MAX - 5;
    bad[2].bytes = 0;
    bad[3].place = LARGE_IN_LOG;
    bad[4].offset = table_get_properties(t)->file_bytes - good.bytes;
    for (int i = 0; i < 5; i++) {
        size_t bytes;
        slice value;
        void *pin;
        void (*unpin)(void *pin);
        ASSERT_CODE(table_large_read_chunk(t, &bad[i], 0, chunk, &bytes), FIRN_CORRUPTION);
        ASSERT_CODE(table_large_map(t, &bad[i], &value, &pin, &unpin), FIRN_CORRUPTION);
    }
    free(chunk);
    table_unref(t);
    fixture_deinit(&f);
}

TEST_MAIN(RUN(table_large, values_come_back_in_chunks_and_mapped),
          RUN(table_large, a_mapped_value_keeps_the_table_open),
          RUN(table_large, damage_is_found_in_the_chunk_that_has_it),
          RUN(table_large, references_outside_the_file_are_corruption))
