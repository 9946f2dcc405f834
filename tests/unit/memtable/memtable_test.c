#include "memtable/memtable.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "format/large_ref.h"
#include "lib/test.h"
#include "platform/memory.h"
#include "unit/iter/iter_model.h"

static memtable *memtable_test_new(key_order order) {
    memtable *m = NULL;
    ASSERT_OK(memtable_new(order, 1 << 20, &m));
    return m;
}

static void memtable_test_put(memtable *m, seqno sequence, const char *key, const char *value) {
    ASSERT_OK(memtable_add(m, sequence, value ? OP_PUT : OP_DELETE,
                           user_key_of(slice_from_string(key)),
                           slice_from_string(value ? value : "")));
}

static lookup memtable_test_get(const memtable *m, slice key, seqno at) {
    seek_key seek;
    lookup found;
    memset(&found, 0xee, sizeof found);
    ASSERT_OK(seek_key_init(&seek, user_key_of(key), at));
    memtable_get(m, seek.key, &found);
    seek_key_deinit(&seek);
    assert_null(found.pin);
    assert_null(found.unpin);
    return found;
}

TEST(memtable, empty_one_holds_nothing_and_costs_little) {
    memtable *m = memtable_test_new((key_order){NULL});
    assert_false(memtable_test_get(m, slice_of("", 0), SEQNO_MAX).found);
    assert_int_equal(memtable_entries(m), 0);
    assert_int_equal(memtable_deletes(m), 0);
    assert_int_equal(memtable_large_bytes(m), 0);
    assert_int_equal(memtable_first_sequence(m), 0);
    assert_int_equal(memtable_last_sequence(m), 0);
    assert_in_range(memtable_bytes(m), 1, 8192);
    memtable_unref(m);
    memtable_unref(NULL);
}

TEST(memtable, get_answers_the_newest_version_at_or_below_the_sequence) {
    memtable *m = memtable_test_new((key_order){NULL});
    memtable_test_put(m, 10, "key", "ten");
    memtable_test_put(m, 30, "key", NULL);
    memtable_test_put(m, 20, "key", "twenty");
    memtable_test_put(m, 25, "kez", "other");
    memtable_test_put(m, 26, "ke", "shorter");
    assert_false(memtable_test_get(m, FIRN_STR("key"), 9).found);
    for (seqno at = 10; at < 40; at++) {
        lookup l = memtable_test_get(m, FIRN_STR("key"), at);
        assert_true(l.found);
        assert_int_equal(l.sequence, at < 20 ? 10 : at < 30 ? 20 : 30);
        assert_int_equal(l.kind, at < 30 ? OP_PUT : OP_DELETE);
        slice value = slice_from_string(at < 20 ? "ten" : at < 30 ? "twenty" : "");
        assert_true(slice_equal(l.value, value));
    }
    assert_false(memtable_test_get(m, FIRN_STR("kex"), 99).found);
    assert_false(memtable_test_get(m, FIRN_STR("keyy"), 99).found);
    assert_false(memtable_test_get(m, FIRN_STR(""), 99).found);
    assert_false(memtable_test_get(m, FIRN_STR("zzz"), 99).found);
    assert_int_equal(memtable_entries(m), 5);
    assert_int_equal(memtable_deletes(m), 1);
    assert_int_equal(memtable_first_sequence(m), 10);
    assert_int_equal(memtable_last_sequence(m), 30);
    memtable_unref(m);
}

TEST(memtable, keys_that_pad_to_the_same_head_are_distinct) {
    memtable *m = memtable_test_new((key_order){NULL});
    static const uint8_t zeros[12] = {0};
    for (size_t size = 0; size <= sizeof zeros; size++)
        ASSERT_OK(memtable_add(m, 100 - size, OP_PUT, user_key_of(slice_of(zeros, size)),
                               slice_of(&size, 1)));
    for (size_t size = 0; size <= sizeof zeros; size++) {
        lookup l = memtable_test_get(m, slice_of(zeros, size), SEQNO_MAX);
        assert_true(l.found);
        assert_int_equal(l.value.data[0], size);
    }
    memtable_unref(m);
}

TEST(memtable, holds_keys_and_values_of_every_size) {
    static const size_t key_sizes[] = {0, 1, 7, 8, 9, 255, 4096, KEY_BYTES_MAX};
    static const size_t value_sizes[] = {0, 1, 1000, 70000, LARGE_VALUE_BYTES - 1};
    uint8_t *bytes = malloc(LARGE_VALUE_BYTES);
    assert_non_null(bytes);
    for (size_t i = 0; i < LARGE_VALUE_BYTES; i++)
        bytes[i] = (uint8_t)(i * 7 + i / 251);
    memtable *m = memtable_test_new((key_order){NULL});
    seqno sequence = 1;
    uint64_t user_bytes = 0;
    for (size_t k = 0; k < sizeof key_sizes / sizeof *key_sizes; k++) {
        for (size_t v = 0; v < sizeof value_sizes / sizeof *value_sizes; v++) {
            ASSERT_OK(memtable_add(m, sequence++, OP_PUT,
                                   user_key_of(slice_of(bytes, key_sizes[k])),
                                   slice_of(bytes, value_sizes[v])));
            user_bytes += key_sizes[k] + value_sizes[v];
        }
    }
    assert_true(memtable_bytes(m) > user_bytes);
    sequence = 1;
    for (size_t k = 0; k < sizeof key_sizes / sizeof *key_sizes; k++) {
        for (size_t v = 0; v < sizeof value_sizes / sizeof *value_sizes; v++) {
            lookup l = memtable_test_get(m, slice_of(bytes, key_sizes[k]), sequence++);
            assert_true(l.found);
            assert_true(slice_equal(l.value, slice_of(bytes, value_sizes[v])));
        }
    }
    free(bytes);
    memtable_unref(m);
}

TEST(memtable, counts_the_bytes_large_values_hold_in_the_log) {
    memtable *m = memtable_test_new((key_order){NULL});
    uint8_t ref[LARGE_REF_BYTES_MAX];
    large_ref large = {.place = LARGE_IN_LOG, .file = 3, .offset = 4096, .bytes = 5u << 20};
    for (seqno sequence = 1; sequence <= 2; sequence++) {
        uint8_t *end = large_ref_encode(&large, ref);
        ASSERT_OK(memtable_add(m, sequence, OP_PUT_LARGE, user_key_of(FIRN_STR("k")),
                               slice_of(ref, (size_t)(end - ref))));
    }
    assert_int_equal(memtable_large_bytes(m), 10u << 20);
    lookup l = memtable_test_get(m, FIRN_STR("k"), 5);
    assert_int_equal(l.kind, OP_PUT_LARGE);
    assert_int_equal(l.value.size, LARGE_REF_BYTES);
    memtable_unref(m);
}

TEST(memtable, refuses_a_large_value_reference_it_cannot_read) {
    memtable *m = memtable_test_new((key_order){NULL});
    uint64_t bytes = memtable_bytes(m);
    ASSERT_CODE(memtable_add(m, 7, OP_PUT_LARGE, user_key_of(FIRN_STR("k")), FIRN_STR("junk")),
                FIRN_CORRUPTION);
    assert_non_null(strstr(error_detail_get(), "7"));
    assert_int_equal(memtable_entries(m), 0);
    assert_int_equal(memtable_last_sequence(m), 0);
    assert_int_equal(memtable_bytes(m), bytes);
    memtable_unref(m);
}

TEST(memtable, sequences_may_arrive_in_any_order) {
    memtable *m = memtable_test_new((key_order){NULL});
    memtable_test_put(m, 50, "a", "1");
    assert_int_equal(memtable_first_sequence(m), 50);
    assert_int_equal(memtable_last_sequence(m), 50);
    memtable_test_put(m, SEQNO_MAX, "b", "1");
    memtable_test_put(m, 1, "c", "1");
    memtable_test_put(m, 60, "d", "1");
    assert_int_equal(memtable_first_sequence(m), 1);
    assert_int_equal(memtable_last_sequence(m), SEQNO_MAX);
    memtable_unref(m);
}

/* Whether the step ends the process. */
static bool memtable_test_refuses(memtable *m, memtable_state next) {
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)signal(SIGABRT, SIG_DFL);
        (void)freopen("/dev/null", "w", stderr);
        memtable_set_state(m, next);
        _exit(0);
    }
    int how = 0;
    assert_int_equal(waitpid(child, &how, 0), child);
    return !(WIFEXITED(how) && WEXITSTATUS(how) == 0);
}

TEST(memtable, life_knows_its_edges_and_no_others) {
    static const char *const legal = "AS SF FS SF FG"; /* each taken after it was tried */
    static const char names[] = "ASFG";
    memtable *m = memtable_test_new((key_order){NULL});
    for (const char *edge = legal;; edge += 3) {
        memtable_state now = memtable_get_state(m);
        for (uint32_t next = MEMTABLE_ACTIVE; next <= MEMTABLE_GONE; next++) {
            char step[] = {names[now], names[next], '\0'};
            assert_int_equal(memtable_test_refuses(m, (memtable_state)next), !strstr(legal, step));
        }
        if (now == MEMTABLE_GONE)
            break;
        assert_int_equal(names[now], edge[0]);
        memtable_set_state(m, (memtable_state)(strchr(names, edge[1]) - names));
    }
    memtable_unref(m);
}

TEST(memtable, one_from_a_pool_leaves_its_memory_to_the_next) {
    arena_pool_stats stats;
    memtable *m = NULL;
    uint64_t ordinary = 0;
    arena_pool *pool = memtable_new_pool(1 << 20, NULL);
    assert_non_null(pool);
    for (int round = 0; round < 3; round++) {
        char key[32];
        ASSERT_OK(memtable_new_pooled((key_order){NULL}, 1 << 20, pool, &m));
        for (seqno i = 1; i <= 2000; i++) {
            snprintf(key, sizeof key, "%llu", (unsigned long long)(i * 7919 % 2000));
            memtable_test_put(m, i, key, "value");
        }
        for (seqno i = 1; i <= 2000; i++) {
            snprintf(key, sizeof key, "%llu", (unsigned long long)(i * 7919 % 2000));
            lookup l = memtable_test_get(m, slice_from_string(key), SEQNO_MAX);
            assert_true(l.found && l.sequence == i);
        }
        arena_pool_get_stats(pool, &stats);
        assert_int_equal(stats.used_bytes, memtable_arena_bytes(m));
        /* All but the hash table, which has a size of its own, is used again. */
        if (round == 0)
            ordinary = stats.fresh - 1;
        assert_true(ordinary > 0);
        assert_int_equal(stats.recycled, ordinary * (uint64_t)round);
        memtable_unref(m);
    }
    memory_fail_after(1, true);
    ASSERT_CODE(memtable_new_pooled((key_order){NULL}, 1 << 20, pool, &m), FIRN_NO_MEMORY);
    memory_fail_after(0, false);
    arena_pool_unref(pool);
}

TEST(memtable, short_memory_at_any_point_leaves_it_as_it_was) {
    memtable *m = (memtable *)&m;
    for (uint64_t n = 1; n < 3; n++) {
        uint64_t live = memory_live_count();
        memory_fail_after(n, false);
        ASSERT_CODE(memtable_new((key_order){NULL}, 1 << 20, &m), FIRN_NO_MEMORY);
        memory_fail_after(0, false);
        assert_null(m);
        assert_int_equal(memory_live_count(), live);
    }
    m = memtable_test_new((key_order){NULL});
    char key[16], value[600];
    memset(value, 'v', sizeof value);
    uint64_t failures = 0;
    for (seqno sequence = 1; sequence <= 2000; sequence++) {
        snprintf(key, sizeof key, "%llu", (unsigned long long)(sequence * 7919 % 2000));
        user_key user = user_key_of(slice_from_string(key));
        uint64_t bytes = memtable_bytes(m);
        memory_fail_after(1, true);
        status st = memtable_add(m, sequence, OP_PUT, user, slice_of(value, sequence % 600));
        memory_fail_after(0, false);
        if (status_is_ok(st))
            continue;
        failures++;
        ASSERT_CODE(st, FIRN_NO_MEMORY);
        assert_int_equal(memtable_entries(m), sequence - 1);
        assert_int_equal(memtable_last_sequence(m), sequence - 1);
        assert_int_equal(memtable_bytes(m), bytes);
        assert_false(memtable_test_get(m, user.s, SEQNO_MAX).found);
        ASSERT_OK(memtable_add(m, sequence, OP_PUT, user, slice_of(value, sequence % 600)));
    }
    assert_true(failures > 3);
    for (seqno sequence = 1; sequence <= 2000; sequence++) {
        snprintf(key, sizeof key, "%llu", (unsigned long long)(sequence * 7919 % 2000));
        lookup l = memtable_test_get(m, slice_from_string(key), SEQNO_MAX);
        assert_true(l.found && l.sequence == sequence && l.value.size == sequence % 600);
    }
    iter *it = (iter *)&it;
    memory_fail_after(1, false);
    ASSERT_CODE(memtable_iter_new(m, &it), FIRN_NO_MEMORY);
    memory_fail_after(0, false);
    assert_null(it);
    memtable_unref(m);
}

TEST(memtable, references_keep_it_alive) {
    uint64_t live = memory_live_count();
    memtable *m = memtable_test_new((key_order){NULL});
    memtable_test_put(m, 1, "k", "v");
    memtable_ref(m);
    iter *it = NULL;
    ASSERT_OK(memtable_iter_new(m, &it));
    memtable_unref(m);
    assert_true(memtable_test_get(m, FIRN_STR("k"), 1).found);
    memtable_unref(m);
    iter_seek_first(it);
    assert_true(iter_valid(it));
    assert_int_equal(iter_value(it).data[0], 'v');
    iter_free(it);
    assert_int_equal(memory_live_count(), live);
}

static int memtable_reverse(void *context, firn_slice a, firn_slice b) {
    (void)context;
    return slice_compare(b, a);
}
static const firn_comparator memtable_reverse_order = {"reverse", NULL, memtable_reverse};

/* Keys over few letters and lengths, so that versions, prefixes and tied heads are common. */
static size_t memtable_random_key(rng *r, uint8_t *key) {
    size_t size = rng_below(r, 4);
    if (rng_below(r, 3) == 0)
        size += 7;
    for (size_t i = 0; i < size; i++)
        key[i] = rng_below(r, 4) ? 'a' : (uint8_t)rng_below(r, 3);
    return size;
}

static void memtable_check_gets(const memtable *m, const iter_model *model, rng *r) {
    for (uint64_t i = 0; i < 2000; i++) {
        uint8_t *storage = NULL;
        internal_key target = iter_model_random_target(model, r, &storage);
        lookup l;
        memtable_get(m, target, &l);
        size_t position = iter_model_lower_bound(model, target);
        const iter_entry *e = position < model->count ? &model->entries[position] : NULL;
        bool found = e && e->key_bytes == target.s.size &&
                     slice_equal(internal_key_user(target).s, slice_of(e->key, e->key_bytes - 8));
        assert_int_equal(l.found, found);
        if (found) {
            internal_key key = {slice_of(e->key, e->key_bytes)};
            assert_int_equal(l.sequence, internal_key_sequence(key));
            assert_int_equal(l.kind, internal_key_kind(key));
            assert_true(slice_equal(l.value, slice_of(e->value, e->value_bytes)));
        }
        free(storage);
    }
}

static void memtable_check_order(key_order order) {
    rng r;
    rng_init(&r, test_seed());
    for (size_t count = 0; count < test_scaled(3000); count = count * 3 + 1) {
        memtable *m = memtable_test_new(order);
        iter_model model = {.order = order};
        for (size_t i = 0; i < count; i++) {
            uint8_t key[16], value[64];
            slice user = slice_of(key, memtable_random_key(&r, key));
            memset(value, (int)i, sizeof value);
            op_kind kind = rng_below(&r, 5) ? OP_PUT : OP_DELETE;
            slice bytes = slice_of(value, kind == OP_PUT ? rng_below(&r, sizeof value) : 0);
            ASSERT_OK(memtable_add(m, i + 1, kind, user_key_of(user), bytes));
            iter_model_add(&model, user, key_trailer_pack(i + 1, kind), bytes);
        }
        iter_model_sort(&model);
        iter *it = NULL;
        ASSERT_OK(memtable_iter_new(m, &it));
        iter_model_expect_all(&model, it);
        iter_model_walk(&model, it, &r, test_scaled(300));
        iter_free(it);
        memtable_check_gets(m, &model, &r);
        assert_int_equal(memtable_entries(m), count);
        memtable_unref(m);
        iter_model_deinit(&model);
    }
}

TEST(memtable, agrees_with_model) {
    memtable_check_order((key_order){NULL});
}

TEST(memtable, agrees_with_model_under_a_custom_order) {
    memtable_check_order((key_order){&memtable_reverse_order});
}

static void memtable_expect_same_entries(memtable *a, memtable *b) {
    iter *left = NULL, *right = NULL;
    ASSERT_OK(memtable_iter_new(a, &left));
    ASSERT_OK(memtable_iter_new(b, &right));
    iter_seek_first(right);
    for (iter_seek_first(left); iter_valid(left); iter_next(left), iter_next(right)) {
        assert_true(iter_valid(right));
        assert_true(slice_equal(iter_key(left).s, iter_key(right).s));
        assert_true(slice_equal(iter_value(left), iter_value(right)));
    }
    assert_false(iter_valid(right));
    iter_free(left);
    iter_free(right);
}

/* Groups of every size, by a writer that is alone and by one that may not be; ascending runs and
 * keys that come again. */
TEST(memtable, many_at_once_are_the_same_as_one_by_one) {
    enum { OPS = 3000, GROUP_MAX = 40 };
    rng r;
    rng_init(&r, test_seed());
    memtable *together = NULL, *singly = NULL;
    ASSERT_OK(memtable_new((key_order){NULL}, 1 << 20, &together));
    ASSERT_OK(memtable_new((key_order){NULL}, 1 << 20, &singly));
    for (seqno sequence = 1; sequence <= OPS;) {
        uint8_t keys[GROUP_MAX][8];
        memtable_op ops[GROUP_MAX];
        uint32_t count = rng_below(&r, 2) ? 1 : 1 + (uint32_t)rng_below(&r, GROUP_MAX);
        uint64_t number = rng_below(&r, OPS);
        bool ascending = rng_below(&r, 2);
        for (uint32_t i = 0; i < count; i++) {
            number = ascending ? number + 1 : rng_below(&r, OPS);
            for (int b = 0; b < 8; b++)
                keys[i][b] = (uint8_t)(number >> (56 - 8 * b));
            ops[i] = (memtable_op){rng_below(&r, 8) ? OP_PUT : OP_DELETE,
                                   user_key_of(slice_of(keys[i], 8)), slice_of(keys[i], 8)};
            if (ops[i].kind == OP_DELETE)
                ops[i].value = slice_of("", 0);
            ASSERT_OK(memtable_add(singly, sequence + i, ops[i].kind, ops[i].key, ops[i].value));
        }
        bool sole = rng_below(&r, 2);
        if (count == 1 && sole) {
            memtable_place place = memtable_expect(together, ops[0].key);
            ASSERT_OK(memtable_add_expected(together, sequence, &ops[0], &place));
        } else {
            ASSERT_OK(memtable_add_many(together, sequence, ops, count, sole));
            if (!sole) {
                assert_int_equal(memtable_entries(together), sequence - 1); /* not counted yet */
                memtable_note_added(together, sequence, sequence + count - 1);
            }
        }
        sequence += count;
        assert_int_equal(memtable_last_sequence(together), sequence - 1);
        assert_int_equal(memtable_entries(together), sequence - 1);
        assert_int_equal(memtable_deletes(together), memtable_deletes(singly));
    }
    assert_int_equal(memtable_first_sequence(together), 1);
    memtable_expect_same_entries(together, singly);
    memtable_unref(together);
    memtable_unref(singly);
}

TEST_MAIN(RUN(memtable, empty_one_holds_nothing_and_costs_little),
          RUN(memtable, get_answers_the_newest_version_at_or_below_the_sequence),
          RUN(memtable, keys_that_pad_to_the_same_head_are_distinct),
          RUN(memtable, holds_keys_and_values_of_every_size),
          RUN(memtable, counts_the_bytes_large_values_hold_in_the_log),
          RUN(memtable, refuses_a_large_value_reference_it_cannot_read),
          RUN(memtable, sequences_may_arrive_in_any_order),
          RUN(memtable, life_knows_its_edges_and_no_others),
          RUN(memtable, one_from_a_pool_leaves_its_memory_to_the_next),
          RUN(memtable, short_memory_at_any_point_leaves_it_as_it_was),
          RUN(memtable, references_keep_it_alive),
          RUN(memtable, many_at_once_are_the_same_as_one_by_one), RUN(memtable, agrees_with_model),
          RUN(memtable, agrees_with_model_under_a_custom_order))
