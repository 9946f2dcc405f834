#include "table_fixture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "platform/memory.h"
#include "platform/vfs_fault.h"
#include "table/table_cache.h"
#include "table/table_internal.h"

/* `count` tables with numbers 1 and up, each with an identity and keys of its own; with more than
 * one key the index is partitioned. */
static void cache_test_tables_indexed(fixture *f, table_locator *where, int count, int keys) {
    fixture_init(f);
    for (int i = 0; i < count; i++) {
        char path[64];
        vfs_file *file = NULL;
        table_builder *b = NULL;
        table_summary summary;
        buf key = {0};
        table_builder_args args = fixture_args();
        snprintf(path, sizeof path, "/%06d.sst", i + 1);
        ASSERT_OK(vfs_open(vfs_mem_vfs(f->disk), path, FIRN_VFS_WRITE | FIRN_VFS_CREATE, &file));
        args.file = file;
        args.identity[0] = (uint8_t)i;
        args.block_bytes = 64;
        args.index_partition_bytes = keys > 1 ? 20 : 0;
        ASSERT_OK(table_builder_new(&args, &b));
        for (int k = 0; k < keys; k++) {
            char user[80];
            snprintf(user, sizeof user, "%s/%06d", path, k);
            buf_clear(&key);
            internal_key_append(&key, user_key_of(slice_from_string(user)), 1, OP_PUT);
            ASSERT_OK(
                table_builder_add(b, (internal_key){buf_slice(&key)}, slice_from_string("v")));
        }
        ASSERT_OK(table_builder_finish(b, &summary));
        where[i] =
            (table_locator){.number = (uint64_t)i + 1, .file_bytes = summary.properties.file_bytes};
        memcpy(where[i].identity, args.identity, 16);
        buf_deinit(&key);
        table_builder_free(b);
        ASSERT_OK(vfs_close(file));
    }
}

static void cache_test_tables(fixture *f, table_locator *where, int count) {
    cache_test_tables_indexed(f, where, count, 1);
}

static epoch cache_readers;

static void cache_test_slots(table_slot *slots, int count) {
    epoch_init(&cache_readers);
    for (int i = 0; i < count; i++)
        table_slot_init(&slots[i]);
}

static void cache_test_free(table_cache *c, table_slot *slots, int count) {
    for (int i = 0; i < count; i++) {
        table_slot_close(&slots[i]);
        table_slot_init(&slots[i]);
    }
    table_cache_free(c);
    assert_int_equal(epoch_collect(&cache_readers), 0);
}

TEST(table_cache, opens_once_and_closes_the_least_recently_used) {
    enum { TABLES = 6 };
    fixture f;
    vfs_fault *fault = NULL;
    table_cache *c = NULL;
    table_locator where[TABLES];
    table_slot slots[TABLES];
    table *t = NULL, *again = NULL;
    cache_test_tables(&f, where, TABLES);
    cache_test_slots(slots, TABLES);
    ASSERT_OK(vfs_fault_new(vfs_mem_vfs(f.disk), &fault));
    vfs_fault_set(fault, &(vfs_fault_rule){.kinds = VFS_FAULT_OPEN, .after = UINT64_MAX});
    table_cache_args args = {.vfs = vfs_fault_vfs(fault),
                             .directory = "",
                             .readers = &cache_readers,
                             .tables_max = 3};
    ASSERT_OK(table_cache_new(&args, &c));
    for (int i = 0; i < 3; i++) {
        ASSERT_OK(table_cache_get(c, &where[i], &slots[i], (key_order){NULL}, &t));
        ASSERT_OK(table_cache_get(c, &where[i], &slots[i], (key_order){NULL}, &again));
        assert_ptr_equal(t, again);
        assert_memory_equal(table_get_properties(t)->identity, where[i].identity, 16);
        table_unref(t);
        table_unref(again);
    }
    assert_int_equal(vfs_fault_matched(fault), 3);
    for (int i = 3; i < TABLES; i++) {
        ASSERT_OK(table_cache_get(c, &where[i], &slots[i], (key_order){NULL}, &t));
        table_unref(t);
    }
    ASSERT_OK(table_cache_get(c, &where[TABLES - 1], &slots[TABLES - 1], (key_order){NULL}, &t));
    table_unref(t);
    assert_int_equal(vfs_fault_matched(fault), TABLES);
    ASSERT_OK(table_cache_get(c, &where[0], &slots[0], (key_order){NULL}, &t));
    table_unref(t);
    assert_int_equal(vfs_fault_matched(fault), TABLES + 1);
    cache_test_free(c, slots, (int)(sizeof slots / sizeof *slots));
    vfs_fault_free(fault);
    fixture_deinit(&f);
}

TEST(table_cache, a_forgotten_table_serves_its_users_to_the_end) {
    fixture f;
    table_cache *c = NULL;
    table_locator where[1];
    table_slot slots[1];
    table *t = NULL, *fresh = NULL;
    cache_test_tables(&f, where, 1);
    cache_test_slots(slots, 1);
    table_cache_args args = {.vfs = vfs_mem_vfs(f.disk),
                             .directory = "",
                             .readers = &cache_readers,
                             .tables_max = 100};
    ASSERT_OK(table_cache_new(&args, &c));
    ASSERT_OK(table_cache_get(c, &where[0], &slots[0], (key_order){NULL}, &t));
    table_cache_forget(c, &where[0]);
    ASSERT_OK(vfs_remove(args.vfs, "/000001.sst"));
    ASSERT_CODE(table_cache_get(c, &where[0], &slots[0], (key_order){NULL}, &fresh),
                FIRN_CORRUPTION);
    assert_null(fresh);
    ASSERT_OK(table_verify(t, NULL, NULL));
    table_unref(t);
    cache_test_free(c, slots, (int)(sizeof slots / sizeof *slots));
    fixture_deinit(&f);
}

TEST(table_cache, a_table_that_is_not_the_expected_one_is_corruption) {
    fixture f;
    table_cache *c = NULL;
    table_locator where[1];
    table_slot slots[1];
    table *t = NULL;
    cache_test_tables(&f, where, 1);
    cache_test_slots(slots, 1);
    table_cache_args args = {.vfs = vfs_mem_vfs(f.disk),
                             .directory = "",
                             .readers = &cache_readers,
                             .tables_max = 100};
    ASSERT_OK(table_cache_new(&args, &c));
    where[0].identity[3] ^= 1;
    ASSERT_CODE(table_cache_get(c, &where[0], &slots[0], (key_order){NULL}, &t), FIRN_CORRUPTION);
    where[0].identity[3] ^= 1;
    where[0].file_bytes++;
    ASSERT_CODE(table_cache_get(c, &where[0], &slots[0], (key_order){NULL}, &t), FIRN_CORRUPTION);
    cache_test_free(c, slots, (int)(sizeof slots / sizeof *slots));
    fixture_deinit(&f);
}

TEST(table_cache, every_failed_allocation_is_reported_or_survived) {
    fixture f;
    table_locator where[1];
    table_slot slots[1];
    cache_test_tables(&f, where, 1);
    cache_test_slots(slots, 1);
    uint64_t live = memory_live_count();
    table_cache_args args = {.vfs = vfs_mem_vfs(f.disk),
                             .directory = "",
                             .readers = &cache_readers,
                             .tables_max = 100};
    for (uint64_t countdown = 1; countdown < 60; countdown++) {
        table_cache *c = NULL;
        table *t = NULL;
        memory_fail_after(countdown, false);
        status st = table_cache_new(&args, &c);
        if (status_is_ok(st))
            st = table_cache_get(c, &where[0], &slots[0], (key_order){NULL}, &t);
        memory_fail_after(0, false);
        if (!status_is_ok(st))
            ASSERT_CODE(st, FIRN_NO_MEMORY);
        else
            ASSERT_OK(table_verify(t, NULL, NULL));
        table_unref(t);
        cache_test_free(c, slots, (int)(sizeof slots / sizeof *slots));
        assert_int_equal(memory_live_count(), live);
    }
    fixture_deinit(&f);
}

TEST(table_cache, a_reader_inside_keeps_its_table_while_it_is_closed) {
    enum { TABLES = 2 };
    fixture f;
    table_cache *c = NULL;
    table_locator where[TABLES];
    table_slot slots[TABLES];
    table *t = NULL;
    cache_test_tables(&f, where, TABLES);
    cache_test_slots(slots, TABLES);
    table_cache_args args = {.vfs = vfs_mem_vfs(f.disk),
                             .directory = "",
                             .readers = &cache_readers,
                             .tables_max = 1};
    ASSERT_OK(table_cache_new(&args, &c));
    assert_null(table_slot_peek(&slots[0]));
    ASSERT_OK(table_cache_get(c, &where[0], &slots[0], (key_order){NULL}, &t));
    table_unref(t);
    uint64_t inside = epoch_enter(&cache_readers);
    table *held = table_slot_peek(&slots[0]);
    assert_ptr_equal(held, t);
    table_cache_forget(c, &where[0]);
    assert_null(table_slot_peek(&slots[0]));
    assert_int_equal(epoch_collect(&cache_readers), 1);
    ASSERT_OK(table_verify(held, NULL, NULL)); /* the sanitizers watch */
    epoch_leave(&cache_readers, inside);
    assert_int_equal(epoch_collect(&cache_readers), 0);

    /* The limit closes what was used least recently, and empties its slot. */
    for (int i = 0; i < TABLES; i++) {
        ASSERT_OK(table_cache_get(c, &where[i], &slots[i], (key_order){NULL}, &t));
        table_unref(t);
    }
    assert_null(table_slot_peek(&slots[0]));
    assert_ptr_equal(table_slot_peek(&slots[1]), t);
    cache_test_free(c, slots, TABLES);
    fixture_deinit(&f);
}

TEST(table_cache, two_slots_of_one_table_lead_to_the_same) {
    fixture f;
    table_cache *c = NULL;
    table_locator where[1];
    table_slot slots[1], second;
    table *t = NULL, *again = NULL;
    cache_test_tables(&f, where, 1);
    cache_test_slots(slots, 1);
    table_slot_init(&second);
    table_cache_args args = {.vfs = vfs_mem_vfs(f.disk),
                             .directory = "",
                             .readers = &cache_readers,
                             .tables_max = 9};
    ASSERT_OK(table_cache_new(&args, &c));
    ASSERT_OK(table_cache_get(c, &where[0], &slots[0], (key_order){NULL}, &t));
    ASSERT_OK(table_cache_get(c, &where[0], &second, (key_order){NULL}, &again));
    assert_ptr_equal(t, again);
    table_unref(t);
    table_unref(again);
    table_slot_close(&slots[0]);
    assert_null(table_slot_peek(&slots[0]));
    assert_ptr_equal(table_slot_peek(&second), t);
    table_cache_forget(c, &where[0]);
    assert_null(table_slot_peek(&second));
    table_slot_close(&second);
    cache_test_free(c, slots, 1);
    fixture_deinit(&f);
}

TEST(table_cache, indexes_and_filters_stay_within_their_memory) {
    enum { TABLES = 6 };
    fixture f;
    table_cache *c = NULL;
    table_locator where[TABLES];
    table_slot slots[TABLES];
    table_cache_stats stats;
    cache_test_tables(&f, where, TABLES);
    cache_test_slots(slots, TABLES);
    table_cache_args args = {.vfs = vfs_mem_vfs(f.disk),
                             .directory = "",
                             .readers = &cache_readers,
                             .tables_max = 100};
    for (int limited = 0; limited < 2; limited++) {
        ASSERT_OK(table_cache_new(&args, &c));
        for (int i = 0; i < TABLES; i++) {
            table *t = NULL;
            ASSERT_OK(table_cache_get(c, &where[i], &slots[i], (key_order){NULL}, &t));
            table_unref(t);
        }
        table_cache_get_stats(c, &stats);
        assert_int_equal(stats.tables, limited ? TABLES / 2 : TABLES);
        assert_int_equal(stats.opened, TABLES);
        assert_true(!limited || stats.memory_bytes <= args.memory_max);
        args.memory_max = stats.memory_bytes / 2;
        cache_test_free(c, slots, TABLES);
    }
    fixture_deinit(&f);
}

/* While there is memory a partitioned index is held whole; tables opened later read theirs by
 * partition, and more of them stay open. */
TEST(table_cache, partitioned_indexes_are_held_whole_while_there_is_room) {
    enum { TABLES = 6 };
    fixture f;
    cache *blocks = NULL;
    table_cache *c = NULL;
    table_locator where[TABLES];
    table_slot slots[TABLES];
    int whole = 0, by_partition = 0;
    cache_test_tables_indexed(&f, where, TABLES, 100);
    cache_test_slots(slots, TABLES);
    ASSERT_OK(cache_new(1 << 20, 1, &blocks));
    table_cache_args args = {.vfs = vfs_mem_vfs(f.disk),
                             .directory = "",
                             .blocks = blocks,
                             .readers = &cache_readers,
                             .tables_max = 100};
    for (int limited = 0; limited < 2; limited++) {
        ASSERT_OK(table_cache_new(&args, &c));
        for (int i = 0; i < TABLES; i++) {
            table *t = NULL;
            ASSERT_OK(table_cache_get(c, &where[i], &slots[i], (key_order){NULL}, &t));
            assert_true(t->top.count > 4);
            whole += !t->is_by_partition;
            by_partition += t->is_by_partition;
            args.memory_max = 3 * table_memory_bytes(t);
            table_unref(t);
        }
        assert_true(limited ? whole > TABLES && by_partition > 1 : whole == TABLES);
        cache_test_free(c, slots, TABLES);
    }
    cache_free(blocks);
    fixture_deinit(&f);
}

TEST(table_cache, out_of_descriptors_it_closes_tables_and_tries_again) {
    enum { TABLES = 4 };
    fixture f;
    vfs_fault *fault = NULL;
    table_cache *c = NULL;
    table_locator where[TABLES];
    table_slot slots[TABLES];
    table *t = NULL;
    table_cache_stats stats;
    cache_test_tables(&f, where, TABLES);
    cache_test_slots(slots, TABLES);
    ASSERT_OK(vfs_fault_new(vfs_mem_vfs(f.disk), &fault));
    table_cache_args args = {.vfs = vfs_fault_vfs(fault),
                             .directory = "",
                             .readers = &cache_readers,
                             .tables_max = 100};
    ASSERT_OK(table_cache_new(&args, &c));
    for (int i = 0; i < TABLES; i++) {
        if (i == TABLES - 1)
            vfs_fault_set(fault,
                          &(vfs_fault_rule){.kinds = VFS_FAULT_OPEN, .count = 2, .error = EMFILE});
        ASSERT_OK(table_cache_get(c, &where[i], &slots[i], (key_order){NULL}, &t));
        table_unref(t);
    }
    table_cache_get_stats(c, &stats);
    assert_true(stats.closed > 0 && stats.tables < TABLES);
    /* For ever: the error comes through. */
    vfs_fault_set(fault,
                  &(vfs_fault_rule){.kinds = VFS_FAULT_OPEN, .count = UINT64_MAX, .error = EMFILE});
    table_cache_forget(c, &where[0]);
    ASSERT_CODE(table_cache_get(c, &where[0], &slots[0], (key_order){NULL}, &t), FIRN_IO_ERROR);
    cache_test_free(c, slots, TABLES);
    vfs_fault_free(fault);
    fixture_deinit(&f);
}

TEST_MAIN(RUN(table_cache, opens_once_and_closes_the_least_recently_used),
          RUN(table_cache, a_forgotten_table_serves_its_users_to_the_end),
          RUN(table_cache, a_table_that_is_not_the_expected_one_is_corruption),
          RUN(table_cache, a_reader_inside_keeps_its_table_while_it_is_closed),
          RUN(table_cache, two_slots_of_one_table_lead_to_the_same),
          RUN(table_cache, indexes_and_filters_stay_within_their_memory),
          RUN(table_cache, partitioned_indexes_are_held_whole_while_there_is_room),
          RUN(table_cache, out_of_descriptors_it_closes_tables_and_tries_again),
          RUN(table_cache, every_failed_allocation_is_reported_or_survived))
