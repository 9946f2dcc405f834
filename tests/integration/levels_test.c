/* Data spreads over the levels as their targets say, and reads stay right while it moves. */
#include <stdlib.h>
#include <string.h>

#include "integration/db_fixture.h"

enum { KEYS = 60000, VALUE_BYTES = 100 };

/* Keys in an order without pattern: each number below KEYS once. */
static uint64_t shuffled(uint64_t i) {
    return i * 40507u % KEYS; /* KEYS and the factor share no divisor */
}

static void put_version(firn_db *db, uint64_t number, uint64_t version) {
    uint8_t value[VALUE_BYTES];
    fill_bytes(number << 20 ^ version, value, sizeof value);
    ASSERT_FIRN_OK(
        firn_put(db, NULL, FIRN_STR(numbered_key(number)), firn_slice_of(value, sizeof value)));
}

/* Some keys, found one by one and in order, hold the version they should. */
static void check_sample(firn_db *db, const uint8_t *versions, uint64_t salt) {
    uint8_t expected[VALUE_BYTES];
    firn_iter *it;
    ASSERT_FIRN_OK(firn_iter_new(db, NULL, &it));
    for (uint64_t i = 0; i < 20; i++) {
        uint64_t number = shuffled((salt * 20 + i) % KEYS);
        if (versions[number])
            expect_range(db, NULL, number, number + 1, VALUE_BYTES, versions[number]);
        else
            expect_text(db, NULL, numbered_key(number), NULL);
    }
    uint64_t number = shuffled(salt % KEYS);
    firn_iter_seek(it, FIRN_STR(numbered_key(number)));
    for (int steps = 0; steps < 200; steps++) {
        while (number < KEYS && versions[number] == 0)
            number++;
        if (number == KEYS)
            break;
        assert_true(firn_iter_valid(it));
        assert_memory_equal(firn_iter_key(it).data, numbered_key(number), 10);
        fill_bytes(number << 20 ^ versions[number], expected, sizeof expected);
        assert_memory_equal(firn_iter_value(it).data, expected, sizeof expected);
        number++;
        firn_iter_next(it);
    }
    ASSERT_FIRN_OK(firn_iter_status(it));
    firn_iter_free(it);
}

static void check_shape(firn_db *db) {
    firn_stats s = stats_of(db);
    uint32_t filled = 0;
    for (uint32_t level = 0; level < s.level_count; level++) {
        const firn_level_stats *l = &s.levels[level];
        print_message("L%u: %llu files, %llu bytes of %llu\n", level, (unsigned long long)l->files,
                      (unsigned long long)l->bytes, (unsigned long long)l->target_bytes);
        if (level == 0 || l->files == 0)
            continue;
        filled++;
        assert_true(l->bytes <= l->target_bytes * 6 / 5);
    }
    assert_true(filled >= 3); /* one whose only table was just moved down is empty */
    assert_int_equal(s.pending_compaction_bytes, 0);
}

TEST(levels, fill_to_their_targets_while_reads_stay_right) {
    char *dir = test_dir_new();
    firn_options options = FIRN_OPTIONS_INIT;
    options.memtable_bytes = 256 << 10;
    options.file_bytes = 256 << 10;
    options.level_base_bytes = 256 << 10;
    options.level_fanout = 2;
    options.memory_bytes = 16 << 20;
    options.durability = FIRN_SYNC_MANUAL;
    firn_db *db = open_db(dir, &options);
    uint8_t *versions = calloc(KEYS, 1);
    for (uint8_t version = 1; version <= 3; version++) {
        for (uint64_t i = 0; i < KEYS; i++) {
            uint64_t number = shuffled(i);
            if (version > 1 && i % 4 != version)
                continue;
            put_version(db, number, version);
            versions[number] = version;
            if (i % 1000 == 0)
                check_sample(db, versions, i + version);
        }
        ASSERT_FIRN_OK(firn_flush(db));
        ASSERT_FIRN_OK(firn_wait_idle(db));
        check_shape(db);
    }
    for (uint64_t i = 0; i < 500; i++)
        check_sample(db, versions, i * 131);
    close_db(db);
    db = open_db(dir, &options);
    check_shape(db);
    check_sample(db, versions, 1);
    close_db(db);
    free(versions);
    test_dir_remove(dir);
}

TEST_MAIN(RUN(levels, fill_to_their_targets_while_reads_stay_right))
