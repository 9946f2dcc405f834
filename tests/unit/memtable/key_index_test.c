#include "memtable/key_index.h"

#include <stdio.h>
#include <string.h>

#include "lib/test.h"
#include "platform/memory.h"
#include "util/hash.h"

typedef struct index_fixture {
    arena *arena;
    key_index index;
} index_fixture;

static void index_begin(index_fixture *f, uint64_t capacity_bytes) {
    f->arena = arena_new(65536);
    assert_non_null(f->arena);
    key_index_init(&f->index, capacity_bytes, f->arena);
}

static void index_end(index_fixture *f) {
    key_index_deinit(&f->index);
    arena_free(f->arena);
}

static memtable_entry *index_add(index_fixture *f, const char *key, seqno sequence, uint64_t hash) {
    size_t bytes = strlen(key) + KEY_TRAILER_BYTES;
    memtable_entry *entry = arena_allocate(f->arena, sizeof *entry + bytes);
    assert_non_null(entry);
    atomic_ptr_init(&entry->older, NULL);
    entry->key_bytes = (uint32_t)bytes;
    entry->value_bytes = 0;
    memcpy(entry->bytes, key, strlen(key));
    encode_fixed64(entry->bytes + strlen(key), key_trailer_pack(sequence, OP_PUT));
    key_index_add(&f->index, hash, entry, false);
    return entry;
}

static uint64_t index_hash(const char *key) {
    return hash64(key, strlen(key));
}

static key_index_answer index_find(index_fixture *f, const char *key, seqno at, uint64_t hash,
                                   const memtable_entry **out) {
    seek_key seek;
    ASSERT_OK(seek_key_init(&seek, user_key_of(slice_from_string(key)), at));
    key_index_answer answer = key_index_find(&f->index, hash, seek.key, out);
    seek_key_deinit(&seek);
    return answer;
}

TEST(key_index, an_empty_one_knows_that_it_has_nothing) {
    index_fixture f;
    const memtable_entry *found = (const memtable_entry *)&f;
    index_begin(&f, 1 << 20);
    assert_int_equal(index_find(&f, "a", 7, index_hash("a"), &found), KEY_INDEX_NONE);
    assert_null(found);
    key_index_prefetch(&f.index, 7);
    index_end(&f);
}

TEST(key_index, keys_of_one_hash_are_told_apart_through_every_table) {
    enum { KEYS = 40 }; /* all in one bucket of each table */
    index_fixture f;
    char key[16];
    const memtable_entry *added[KEYS], *found;
    index_begin(&f, 4096);
    for (int i = 0; i < KEYS; i++) {
        snprintf(key, sizeof key, "key%d", i);
        added[i] = index_add(&f, key, 100, 12345);
        assert_int_equal(index_find(&f, "other", 100, 12345, &found), KEY_INDEX_NONE);
    }
    for (int i = 0; i < KEYS; i++) {
        snprintf(key, sizeof key, "key%d", i);
        assert_int_equal(index_find(&f, key, 100, 12345, &found), KEY_INDEX_FOUND);
        assert_ptr_equal(found, added[i]);
        assert_int_equal(index_find(&f, key, 99, 12345, &found), KEY_INDEX_NONE);
    }
    index_end(&f);
}

TEST(key_index, versions_added_in_any_order_are_found_by_sequence) {
    static const seqno orders[][6] = {{1, 2, 3, 4, 5, 6},
                                      {6, 5, 4, 3, 2, 1},
                                      {3, 1, 6, 2, 5, 4},
                                      {2, 6, 4, 1, 3, 5}};
    for (size_t order = 0; order < 4; order++) {
        index_fixture f;
        const memtable_entry *found, *added[7];
        index_begin(&f, 1 << 16);
        for (size_t i = 0; i < 6; i++)
            added[orders[order][i]] =
                index_add(&f, "key", 10 * orders[order][i], index_hash("key"));
        assert_int_equal(index_find(&f, "key", 9, index_hash("key"), &found), KEY_INDEX_NONE);
        for (seqno at = 10; at < 80; at++) {
            assert_int_equal(index_find(&f, "key", at, index_hash("key"), &found), KEY_INDEX_FOUND);
            assert_ptr_equal(found, added[at / 10 < 6 ? at / 10 : 6]);
        }
        index_end(&f);
    }
}

TEST(key_index, a_long_chain_of_versions_is_left_to_the_ordered_list) {
    index_fixture f;
    const memtable_entry *found;
    index_begin(&f, 1 << 16);
    for (seqno i = 1; i <= KEY_INDEX_VERSIONS; i++)
        (void)index_add(&f, "key", i, index_hash("key"));
    assert_int_equal(index_find(&f, "key", 1, index_hash("key"), &found), KEY_INDEX_FOUND);
    (void)index_add(&f, "key", KEY_INDEX_VERSIONS + 1, index_hash("key"));
    assert_int_equal(index_find(&f, "key", 1, index_hash("key"), &found), KEY_INDEX_UNKNOWN);
    assert_null(found);
    assert_int_equal(index_find(&f, "key", 2, index_hash("key"), &found), KEY_INDEX_FOUND);
    index_end(&f);
}

TEST(key_index, without_memory_it_says_that_it_does_not_know) {
    index_fixture f;
    const memtable_entry *found;
    index_begin(&f, 1 << 20);
    memtable_entry *warm = arena_allocate(f.arena, 8); /* the block for the entry is there */
    assert_non_null(warm);
    memory_fail_after(1, true);
    (void)index_add(&f, "lost", 1, index_hash("lost"));
    memory_fail_after(0, false);
    assert_int_equal(index_find(&f, "lost", 1, index_hash("lost"), &found), KEY_INDEX_UNKNOWN);
    /* With memory again it gets its table, and must not say "none" for what is not in it. */
    (void)index_add(&f, "kept", 2, index_hash("kept"));
    (void)index_add(&f, "lost", 3, index_hash("lost"));
    assert_int_equal(index_find(&f, "lost", 1, index_hash("lost"), &found), KEY_INDEX_UNKNOWN);
    assert_int_equal(index_find(&f, "kept", 2, index_hash("kept"), &found), KEY_INDEX_UNKNOWN);
    assert_null(found);
    index_end(&f);
}

TEST_MAIN(RUN(key_index, an_empty_one_knows_that_it_has_nothing),
          RUN(key_index, keys_of_one_hash_are_told_apart_through_every_table),
          RUN(key_index, versions_added_in_any_order_are_found_by_sequence),
          RUN(key_index, a_long_chain_of_versions_is_left_to_the_ordered_list),
          RUN(key_index, without_memory_it_says_that_it_does_not_know))
