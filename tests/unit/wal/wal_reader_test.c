#include "wal/wal_reader.h"

#include <stdlib.h>
#include <string.h>

#include "util/coding.h"
#include "wal_fixture.h"

static vfs_mem *disk;
static wal_reader reader;
static const segment_header header = {.kind = SEGMENT_LOG, .number = 1, .epoch = 5, .sequence = 1};

static int set_up(void **state) {
    (void)state;
    disk = log_disk_new();
    reader = (wal_reader){0};
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    wal_reader_deinit(&reader);
    vfs_mem_free(disk);
    return 0;
}

/* Opens a segment whose records area holds `content`. */
static void open_with(const uint8_t *content, size_t bytes) {
    char path[64];
    bool missing;
    vfs_file *file = NULL;
    uint8_t page[SEGMENT_HEADER_BYTES];
    segment_header_encode(&header, page);
    wal_reader_close(&reader);
    ASSERT_OK(vfs_open(vfs_mem_vfs(disk), log_path(1, path),
                       FIRN_VFS_WRITE | FIRN_VFS_CREATE | FIRN_VFS_TRUNCATE, &file));
    ASSERT_OK(vfs_write(file, 0, page, sizeof page));
    ASSERT_OK(vfs_write(file, sizeof page, content, bytes));
    ASSERT_OK(vfs_close(file));
    ASSERT_OK(wal_reader_open(&reader, vfs_mem_vfs(disk), path, &missing));
}

/* A record at `at` of the records area that claims all below its own position less `distance` units
 * of 8 to be durable. */
static void seal_at(uint8_t *content, size_t at, uint32_t payload, uint32_t distance) {
    record_head head = {.bytes = payload, .synced_distance = distance, .type = RECORD_BATCH};
    record_seal(&header, SEGMENT_HEADER_BYTES + at, &head, payload, content + at);
}

TEST(wal_reader, records_of_all_sizes_are_read_through_the_window) {
    size_t bytes = 24u << 20, at = 0, count = 0;
    uint8_t *content = calloc(1, bytes);
    uint32_t sizes[] = {1,       7,       8,        100, WAL_READER_WINDOW_BYTES - 17,
                        3,       1000000, 5u << 20, 2,   WAL_READER_WINDOW_BYTES,
                        6000000, 999,     1u << 22};
    for (; count < sizeof sizes / sizeof *sizes; count++) {
        seal_at(content, at, sizes[count], 0);
        at += (size_t)record_padded_bytes(sizes[count]);
    }
    open_with(content, bytes);
    uint64_t offset = SEGMENT_HEADER_BYTES;
    record_head head;
    slice checked;
    record_verdict verdict;
    for (size_t i = 0; i < count; i++) {
        ASSERT_OK(wal_reader_judge(&reader, offset, &head, &checked, &verdict));
        assert_int_equal(verdict, RECORD_VALID);
        assert_int_equal(checked.size, sizes[i]);
        offset += record_padded_bytes(head.bytes);
    }
    ASSERT_OK(wal_reader_judge(&reader, offset, &head, &checked, &verdict));
    assert_int_equal(verdict, RECORD_END);
    free(content);
}

TEST(wal_reader, a_damaged_length_takes_no_memory) {
    size_t bytes = 20u << 20;
    uint8_t *content = calloc(1, bytes);
    seal_at(content, 0, 100, 0);
    encode_fixed32(content + 4, 19u << 20);
    open_with(content, bytes);
    record_head head;
    slice checked;
    record_verdict verdict;
    ASSERT_OK(wal_reader_judge(&reader, SEGMENT_HEADER_BYTES, &head, &checked, &verdict));
    assert_int_equal(verdict, RECORD_INVALID);
    assert_true(reader.window_capacity <= WAL_READER_WINDOW_BYTES);
    free(content);
}

TEST(wal_reader, scan_finds_claims_behind_a_hole_and_only_news) {
    size_t bytes = 3u << 20, behind = (2u << 20) + (1u << 19) + 64;
    uint8_t *content = calloc(1, bytes);
    seal_at(content, 800, 100, 100);         /* claims 0 */
    seal_at(content, 2000, 500, 50);         /* claims 1600 */
    seal_at(content, 2u << 20, 1u << 19, 0); /* claims its own position; reaches over the window */
    seal_at(content, behind, 10, (uint32_t)behind / 8); /* claims 0 */
    open_with(content, bytes);
    wal_scan scan = {.synced = 1600, .budget = WAL_SCAN_BUDGET_BYTES};
    ASSERT_OK(wal_reader_scan(&reader, SEGMENT_HEADER_BYTES + 8, &scan));
    assert_int_equal(scan.synced, 2u << 20);
    assert_int_equal(scan.proof_offset, SEGMENT_HEADER_BYTES + (2u << 20));
    assert_true(scan.content_end > SEGMENT_HEADER_BYTES + (2u << 20) + (1u << 19));
    /* Without the last one. */
    content[(2u << 20) + 100] ^= 1;
    open_with(content, bytes);
    scan = (wal_scan){.synced = 1600, .budget = WAL_SCAN_BUDGET_BYTES};
    ASSERT_OK(wal_reader_scan(&reader, SEGMENT_HEADER_BYTES + 8, &scan));
    assert_int_equal(scan.synced, 1600);
    assert_int_equal(scan.proof_offset, 0);
    scan = (wal_scan){.synced = 1599, .budget = WAL_SCAN_BUDGET_BYTES};
    ASSERT_OK(wal_reader_scan(&reader, SEGMENT_HEADER_BYTES + 8, &scan));
    assert_int_equal(scan.synced, 1600);
    free(content);
}

/* A value may hold what looks like heads of long records; looking at them must end. */
TEST(wal_reader, scan_stops_computing_checksums_when_its_budget_is_spent) {
    size_t bytes = 4u << 20;
    uint8_t *content = calloc(1, bytes);
    for (size_t at = 0; at + 24 <= bytes; at += 24) {
        encode_fixed32(content + at, 1);
        encode_fixed32(content + at + 4, (uint32_t)(bytes - at - 17));
        content[at + 16] = RECORD_BATCH;
    }
    open_with(content, bytes);
    wal_scan scan = {.synced = 0, .budget = 64u << 20};
    ASSERT_OK(wal_reader_scan(&reader, SEGMENT_HEADER_BYTES + 8, &scan));
    assert_int_equal(scan.synced, 0);
    assert_true(scan.budget < 4u << 20);
    free(content);
}

TEST(wal_reader, notices_a_header_that_changed) {
    uint8_t content[64] = {0}, page[SEGMENT_HEADER_BYTES];
    char path[64];
    bool unchanged;
    uint64_t bytes;
    open_with(content, sizeof content);
    ASSERT_OK(wal_reader_is_unchanged(&reader, &unchanged));
    assert_true(unchanged);
    segment_header other = header;
    other.number = 2;
    segment_header_encode(&other, page);
    memcpy(vfs_mem_contents(disk, log_path(1, path), &bytes), page, sizeof page);
    ASSERT_OK(wal_reader_is_unchanged(&reader, &unchanged));
    assert_false(unchanged);
    memset(vfs_mem_contents(disk, log_path(1, path), &bytes), 0, sizeof page);
    ASSERT_OK(wal_reader_is_unchanged(&reader, &unchanged));
    assert_false(unchanged);
}

#define RUN_WITH(behaviour) \
    { "wal_reader: " #behaviour, test_wal_reader_##behaviour, set_up, tear_down, NULL }

LOG_TEST_MAIN(RUN_WITH(records_of_all_sizes_are_read_through_the_window),
              RUN_WITH(a_damaged_length_takes_no_memory),
              RUN_WITH(scan_finds_claims_behind_a_hole_and_only_news),
              RUN_WITH(scan_stops_computing_checksums_when_its_budget_is_spent),
              RUN_WITH(notices_a_header_that_changed))
