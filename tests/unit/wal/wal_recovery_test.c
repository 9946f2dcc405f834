#include "wal/wal_recovery.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "platform/memory.h"
#include "record/record.h"
#include "util/coding.h"
#include "wal_fixture.h"

static vfs_mem *disk;
static const firn_vfs *vfs;
static log_entries *model, *found;
static firn_batch batch;
static wal_recovery r;
static wal_recovery_args args;
static wal_writer *w;

static int set_up(void **state) {
    (void)state;
    disk = log_disk_new();
    vfs = vfs_mem_vfs(disk);
    model = log_entries_new();
    found = log_entries_new();
    batch_init(&batch);
    memset(&r, 0, sizeof r);
    args = log_recovery_args(vfs, found);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    wal_writer_free(w);
    w = NULL;
    wal_recovery_deinit(&r);
    batch_deinit(&batch);
    free(model);
    free(found);
    vfs_mem_free(disk);
    return 0;
}

static status recover(void) {
    wal_recovery_deinit(&r);
    found->count = 0;
    return wal_recover(&args, &r);
}

/* Appends `count` puts of `value_bytes`. */
static void append(int count, size_t value_bytes) {
    for (int i = 0; i < count; i++) {
        char key[16];
        snprintf(key, sizeof key, "key%04d", i);
        log_batch_put(&batch, key, value_bytes, (uint8_t)(i + 1));
        ASSERT_OK(log_append(w, &batch, model));
    }
}

static void begin(void) {
    wal_writer_args writer_args = log_writer_args(vfs);
    w = log_writer_new(&writer_args);
}

static void stop(void) {
    wal_writer_free(w);
    w = NULL;
}

static uint8_t *file_of(uint64_t number, uint64_t *bytes) {
    char path[64];
    uint8_t *file = vfs_mem_contents(disk, log_path(number, path), bytes);
    assert_non_null(file);
    return file;
}

static void remove_file(uint64_t number) {
    char path[64];
    ASSERT_OK(vfs_remove(vfs, log_path(number, path)));
}

static bool is_dead(uint64_t number) {
    for (size_t i = 0; i < r.dead_count; i++) {
        if (r.dead[i] == number)
            return true;
    }
    return false;
}

TEST(wal_recovery, an_empty_directory_is_an_empty_log) {
    ASSERT_OK(recover());
    assert_int_equal(r.end_segment, 0);
    assert_int_equal(r.end_offset, 0);
    assert_int_equal(r.end_position, 0);
    assert_int_equal(r.last_sequence, 0);
    assert_int_equal(r.next_segment, 1);
    args.floor_segment = 9;
    args.floor_position = 4000;
    ASSERT_OK(recover());
    assert_int_equal(r.end_position, 4000);
    assert_int_equal(r.next_segment, 9);
    assert_int_equal(r.end_segment, 0);
}

TEST(wal_recovery, says_where_to_go_on) {
    begin();
    append(30, 1000);
    uint64_t end = wal_writer_end(w), segment = wal_writer_segment(w);
    ASSERT_OK(recover());
    log_assert_equal(found, model);
    assert_int_equal(r.end_position, end);
    assert_int_equal(r.end_segment, segment);
    assert_int_equal(r.next_segment, segment + 1);
    assert_int_equal(r.records, 30);
    assert_int_equal(r.bytes, end);
    assert_int_equal(r.last_sequence, 30);
    assert_int_equal(r.torn_bytes, 0);
    assert_int_equal(r.dead_count, 0);
    assert_int_equal(r.segment_count, segment);
    assert_int_equal(r.segments[r.segment_count - 1].end_position, end);
    stop();
}

TEST(wal_recovery, lives_go_on_in_new_segments) {
    for (int life = 0; life < 12; life++) {
        ASSERT_OK(recover());
        log_assert_equal(found, model);
        w = log_writer_after(vfs, &r);
        append(life % 4, (size_t)life * 500);
        if (life % 3 == 0)
            ASSERT_OK(wal_writer_sync(w));
        stop();
    }
}

TEST(wal_recovery, reads_from_the_floor_on) {
    begin();
    append(30, 1000);
    for (size_t i = 0; i < model->count; i++) {
        args.floor_position = model->at[i].position;
        args.floor_segment = wal_writer_floor_segment(w, args.floor_position);
        ASSERT_OK(recover());
        assert_int_equal(found->count, model->count - i);
        assert_int_equal(found->at[0].position, args.floor_position);
        assert_int_equal(r.dead_count, args.floor_segment - 1);
    }
    stop();
}

TEST(wal_recovery, damage_below_the_floor_does_not_matter) {
    begin();
    append(3, 300);
    ASSERT_OK(wal_writer_sync(w));
    append(1, 300);
    uint64_t bytes;
    file_of(1, &bytes)[SEGMENT_HEADER_BYTES + model->at[1].position + 40] ^= 1;
    ASSERT_CODE(recover(), FIRN_CORRUPTION);
    args.floor_position = model->at[2].position;
    ASSERT_OK(recover());
    assert_int_equal(found->count, 2);
    stop();
}

/* Records behind a floor that was flushed but never synced: their place is torn. */
TEST(wal_recovery, positions_never_fall_below_the_floor) {
    begin();
    append(4, 300);
    stop();
    uint64_t bytes;
    uint8_t *file = file_of(1, &bytes);
    memset(file + SEGMENT_HEADER_BYTES + model->at[1].position, 0,
           (size_t)(bytes - SEGMENT_HEADER_BYTES - model->at[1].position));
    args.floor_position = model->at[3].position;
    ASSERT_OK(recover());
    assert_int_equal(found->count, 0);
    assert_int_equal(r.end_position, args.floor_position);
    r.last_sequence = 3;
    w = log_writer_after(vfs, &r);
    model->count = 3;
    append(2, 300);
    ASSERT_OK(recover());
    assert_int_equal(found->count, 2);
    assert_int_equal(found->at[0].position, args.floor_position);
    stop();
}

TEST(wal_recovery, cuts_a_tail_torn_at_any_byte) {
    begin();
    append(3, 200);
    ASSERT_OK(wal_writer_sync(w));
    append(1, 200);
    uint64_t end = wal_writer_end(w), last = model->at[3].position, bytes;
    uint8_t *file = file_of(1, &bytes) + SEGMENT_HEADER_BYTES;
    uint8_t whole[512];
    size_t unpadded = RECORD_HEADER_BYTES + decode_fixed32(file + last + 4);
    memcpy(whole, file + last, (size_t)(end - last));
    for (size_t kept = 0; kept < unpadded; kept++) {
        memset(file + last, 0, (size_t)(end - last));
        memcpy(file + last, whole, kept);
        if (memcmp(file + last, whole, unpadded) == 0)
            continue; /* what is missing was zeros */
        ASSERT_OK(recover());
        assert_int_equal(found->count, 3);
        log_assert_prefix(found, model);
        assert_int_equal(r.end_position, last);
        static const uint8_t zeros[sizeof whole];
        assert_int_equal(r.torn_bytes != 0, memcmp(whole, zeros, kept) != 0);
    }
    stop();
}

TEST(wal_recovery, a_flipped_byte_is_refused_by_name_unless_it_may_be_a_torn_tail) {
    begin();
    append(6, 100);
    ASSERT_OK(wal_writer_sync(w));
    uint64_t synced = wal_writer_end(w), bytes;
    append(4, 100); /* the proof of what was durable, and the tail */
    uint8_t *file = file_of(1, &bytes);
    for (size_t i = 0; i < model->count; i++) {
        uint64_t offset = SEGMENT_HEADER_BYTES + model->at[i].position;
        size_t unpadded = RECORD_HEADER_BYTES + decode_fixed32(file + offset + 4);
        for (size_t at = 0; at < unpadded; at++) {
            file[offset + at] ^= 0x5a;
            status st = recover();
            if (model->at[i].position < synced) {
                char where[64];
                snprintf(where, sizeof where, "at offset %llu", (unsigned long long)offset);
                ASSERT_CODE(st, FIRN_CORRUPTION);
                assert_non_null(strstr(error_detail_get(), where));
                assert_non_null(strstr(error_detail_get(), "000001.wal"));
            } else {
                ASSERT_OK(st);
                assert_int_equal(found->count, i);
                assert_int_equal(r.end_position, model->at[i].position);
            }
            log_assert_prefix(found, model);
            file[offset + at] ^= 0x5a;
        }
    }
    stop();
}

TEST(wal_recovery, a_later_segment_proves_what_was_durable) {
    begin();
    append(2, 1500);
    ASSERT_OK(wal_writer_sync(w));
    append(2, 1500);
    assert_int_equal(wal_writer_segment(w), 2);
    uint64_t bytes;
    uint8_t *file = file_of(1, &bytes);
    memset(file + SEGMENT_HEADER_BYTES, 0, (size_t)(bytes - SEGMENT_HEADER_BYTES));
    ASSERT_CODE(recover(), FIRN_CORRUPTION);
    assert_non_null(strstr(error_detail_get(), "000001.wal"));
    remove_file(1);
    ASSERT_CODE(recover(), FIRN_CORRUPTION);
    assert_non_null(strstr(error_detail_get(), "000001.wal"));
    stop();
}

TEST(wal_recovery, a_clean_end_proves_what_was_durable) {
    begin();
    append(3, 100);
    args.clean_end = wal_writer_end(w);
    stop();
    ASSERT_OK(recover());
    uint64_t bytes;
    file_of(1, &bytes)[SEGMENT_HEADER_BYTES + model->at[2].position + 30] ^= 1;
    ASSERT_CODE(recover(), FIRN_CORRUPTION);
    remove_file(1);
    ASSERT_CODE(recover(), FIRN_CORRUPTION);
    assert_non_null(strstr(error_detail_get(), "000001.wal"));
    args.floor_position = args.clean_end;
    ASSERT_OK(recover());
    assert_int_equal(found->count, 0);
}

static void damage(size_t record) {
    uint64_t bytes, position = model->at[record].position;
    for (uint64_t n = wal_writer_segment(w); n > 0; n--) {
        uint8_t *file = file_of(n, &bytes);
        segment_header header;
        ASSERT_OK(segment_header_decode(file, &header));
        if (header.position > position)
            continue;
        file[SEGMENT_HEADER_BYTES + (position - header.position) + 30] ^= 1;
        return;
    }
}

/* All of the model but what was damaged must be there. */
static void assert_all_but(const bool *lost) {
    size_t at = 0;
    for (size_t i = 0; i < model->count; i++) {
        if (lost[i])
            continue;
        assert_true(at < found->count);
        assert_int_equal(found->at[at].first_sequence, model->at[i].first_sequence);
        assert_int_equal(found->at[at].digest, model->at[i].digest);
        at++;
    }
    assert_int_equal(at, found->count);
}

TEST(wal_recovery, skip_keeps_every_batch_around_the_damage_and_reports_each_hole) {
    bool lost[40] = {false};
    begin();
    append(38, 1000); /* over several segments */
    ASSERT_OK(wal_writer_sync(w));
    append(2, 1000);
    uint64_t synced = wal_writer_synced(w);
    damage(3);
    damage(4);
    damage(7); /* the last of its segment */
    damage(20);
    lost[3] = lost[4] = lost[7] = lost[20] = true;
    stop();
    ASSERT_CODE(recover(), FIRN_CORRUPTION);
    args.last_good = args.skip = true;
    ASSERT_OK(recover());
    assert_all_but(lost);
    assert_int_equal(r.holes, 3);
    assert_int_equal(r.hole_bytes, 4 * (model->at[1].position - model->at[0].position));
    assert_true(r.damage.size > 0);
    assert_true(r.end_position >= synced);
    w = log_writer_after(vfs, &r);
    args.floor_position = r.end_position; /* as the flush that follows says */
    args.floor_segment = r.next_segment;
    append(2, 100);
    args.last_good = args.skip = false;
    ASSERT_OK(recover());
    assert_int_equal(found->count, 2);
}

TEST(wal_recovery, skip_leaves_out_a_segment_without_header) {
    uint64_t bytes;
    bool lost[40] = {false};
    begin();
    append(38, 1000);
    ASSERT_OK(wal_writer_sync(w));
    append(2, 1000);
    segment_header second, third;
    ASSERT_OK(segment_header_decode(file_of(2, &bytes), &second));
    ASSERT_OK(segment_header_decode(file_of(3, &bytes), &third));
    file_of(2, &bytes)[40] ^= 1;
    for (size_t i = 0; i < model->count; i++)
        lost[i] =
            model->at[i].position >= second.position && model->at[i].position < third.position;
    stop();
    args.last_good = args.skip = true;
    ASSERT_OK(recover());
    assert_all_but(lost);
    assert_int_equal(r.holes, 1);
    assert_int_equal(r.hole_bytes, third.position - second.position);
}

TEST(wal_recovery, skip_cuts_a_torn_tail_as_the_other_modes_do) {
    begin();
    append(6, 100);
    ASSERT_OK(wal_writer_sync(w));
    append(6, 100);
    damage(8); /* never known to be durable */
    stop();
    ASSERT_OK(recover());
    assert_int_equal(found->count, 8);
    args.last_good = args.skip = true;
    ASSERT_OK(recover());
    assert_int_equal(found->count, 8);
    assert_int_equal(r.holes, 0);
    assert_int_equal(r.damage.size, 0);
}

TEST(wal_recovery, last_good_cuts_at_the_damage_and_life_goes_on) {
    begin();
    append(6, 100);
    ASSERT_OK(wal_writer_sync(w));
    append(2, 100);
    uint64_t synced = wal_writer_synced(w), bytes;
    stop();
    file_of(1, &bytes)[SEGMENT_HEADER_BYTES + model->at[3].position + 30] ^= 1;
    ASSERT_CODE(recover(), FIRN_CORRUPTION);
    args.last_good = true;
    ASSERT_OK(recover());
    assert_int_equal(found->count, 3);
    assert_true(r.damage.size > 0);
    assert_int_equal(r.end_offset, SEGMENT_HEADER_BYTES + model->at[3].position);
    assert_int_equal(r.end_position, synced); /* beyond every old claim */
    w = log_writer_after(vfs, &r);
    model->count = 3;
    append(2, 100);
    ASSERT_OK(wal_writer_sync(w));
    args.last_good = false;
    args.clean_end = synced;
    ASSERT_OK(recover());
    assert_int_equal(found->count, 5);
    log_assert_equal(found, model);
    assert_int_equal(r.damage.size, 0);
    stop();
}

TEST(wal_recovery, segments_of_an_abandoned_future_are_dead) {
    begin();
    append(12, 1000);
    stop();
    uint64_t bytes;
    uint8_t *file = file_of(1, &bytes);
    file[SEGMENT_HEADER_BYTES + model->at[2].position + 20] ^= 1; /* torn: nothing was synced */
    ASSERT_OK(recover());
    assert_int_equal(found->count, 2);
    assert_int_equal(r.end_segment, 1);
    assert_true(is_dead(2) && !is_dead(1));
    assert_true(r.torn_bytes > 1000);
    w = log_writer_after(vfs, &r);
    model->count = 2;
    append(3, 1000);
    /* Undamaged again, the bytes behind the cut still do not count. */
    file = file_of(1, &bytes);
    file[SEGMENT_HEADER_BYTES + model->at[2].position + 20] ^= 1;
    ASSERT_OK(recover());
    log_assert_equal(found, model);
    assert_true(is_dead(2) && !is_dead(3));
    stop();
}

TEST(wal_recovery, a_torn_first_segment_is_empty_and_the_chain_goes_on_behind_it) {
    char path[64];
    vfs_file *file = NULL;
    ASSERT_OK(vfs_open(vfs, log_path(1, path), FIRN_VFS_WRITE | FIRN_VFS_CREATE, &file));
    ASSERT_OK(vfs_write(file, 0, "FIRN-LOG", 8));
    ASSERT_OK(vfs_close(file));
    ASSERT_OK(recover());
    assert_int_equal(r.next_segment, 2);
    assert_true(is_dead(1));
    w = log_writer_after(vfs, &r);
    append(3, 100);
    ASSERT_OK(recover());
    log_assert_equal(found, model);
    remove_file(1);
    ASSERT_OK(recover());
    log_assert_equal(found, model);
    stop();
}

TEST(wal_recovery, refuses_what_it_must_not_read) {
    begin();
    append(2, 100);
    stop();
    uint64_t bytes;
    uint8_t *file = file_of(1, &bytes);
    args.database[3] ^= 1;
    ASSERT_CODE(recover(), FIRN_CORRUPTION);
    assert_non_null(strstr(error_detail_get(), "another database"));
    args.database[3] ^= 1;
    file[8] = 2;
    ASSERT_CODE(recover(), FIRN_NOT_SUPPORTED);
    assert_non_null(strstr(error_detail_get(), "000001.wal"));
    assert_non_null(strstr(error_detail_get(), "format 2"));
}

typedef struct crafted {
    const void *payload;
    size_t bytes;
    uint32_t sequence_delta;
} crafted;

/* Writes a log segment of these records. */
static void craft_segment(uint64_t number, uint64_t position, uint64_t cut, const crafted *records,
                          size_t count) {
    char path[64];
    vfs_file *file = NULL;
    static uint8_t out[SEGMENT_HEADER_BYTES + 512];
    uint64_t offset = SEGMENT_HEADER_BYTES;
    memset(out, 0, sizeof out);
    segment_header h = {.kind = SEGMENT_LOG,
                        .number = number,
                        .epoch = 77,
                        .position = position,
                        .sequence = 10,
                        .predecessor = number - 1,
                        .predecessor_cut = cut};
    memcpy(h.database, args.database, 16);
    segment_header_encode(&h, out);
    for (size_t i = 0; i < count; i++) {
        record_head head = {.bytes = (uint32_t)records[i].bytes,
                            .sequence_delta = records[i].sequence_delta,
                            .type = RECORD_BATCH};
        memcpy(out + offset + RECORD_HEADER_BYTES, records[i].payload, records[i].bytes);
        /* Claims nothing to be durable. */
        head.synced_distance = (uint32_t)((position + offset - SEGMENT_HEADER_BYTES) / 8);
        record_seal(&h, offset, &head, records[i].bytes, out + offset);
        offset += record_padded_bytes(records[i].bytes);
    }
    ASSERT_OK(vfs_open(vfs, log_path(number, path),
                       FIRN_VFS_WRITE | FIRN_VFS_CREATE | FIRN_VFS_TRUNCATE, &file));
    ASSERT_OK(vfs_write(file, 0, out, sizeof out));
    ASSERT_OK(vfs_close(file));
}

static void craft(const void *payload, size_t bytes) {
    craft_segment(1, 0, 0, &(crafted){payload, bytes, 0}, 1);
}

static const uint8_t crafted_put[] = {1, 1, 0, 1, 1, 'k', 'v'}; /* a record of 24 bytes */

TEST(wal_recovery, sequences_that_do_not_rise_end_the_log) {
    crafted records[] = {{crafted_put, sizeof crafted_put, 0},
                         {crafted_put, sizeof crafted_put, 1},
                         {crafted_put, sizeof crafted_put, 1},
                         {crafted_put, sizeof crafted_put, 5}};
    craft_segment(1, 0, 0, records, 4);
    ASSERT_OK(recover());
    assert_int_equal(found->count, 2);
    assert_int_equal(r.last_sequence, 11);
    records[2].sequence_delta = 3; /* a gap is fine: failed appends use sequences up */
    craft_segment(1, 0, 0, records, 4);
    ASSERT_OK(recover());
    assert_int_equal(found->count, 4);
    assert_int_equal(r.last_sequence, 15);
}

TEST(wal_recovery, a_successor_follows_only_where_records_end_at_its_cut) {
    crafted records[] = {{crafted_put, sizeof crafted_put, 0},
                         {crafted_put, sizeof crafted_put, 1}};
    crafted next = {crafted_put, sizeof crafted_put, 2};
    craft_segment(1, 0, 0, records, 2);
    for (uint64_t cut = 0; cut <= 72; cut += 8) {
        craft_segment(2, cut, SEGMENT_HEADER_BYTES + cut, &next, 1);
        ASSERT_OK(recover());
        size_t before = cut < 24 ? 0 : cut < 48 ? 1 : 2;
        assert_int_equal(found->count, before + (cut % 24 == 0 && cut <= 48));
    }
    /* Nor does one whose position lies below where they end. */
    craft_segment(2, 40, SEGMENT_HEADER_BYTES + 48, &next, 1);
    ASSERT_OK(recover());
    assert_int_equal(found->count, 2);
}

TEST(wal_recovery, names_a_kind_of_operation_it_lacks) {
    const uint8_t merge[] = {1, 2 /* merge */, 0, 1, 1, 'k', 'v'};
    craft(merge, sizeof merge);
    ASSERT_CODE(recover(), FIRN_NOT_SUPPORTED);
    assert_non_null(strstr(error_detail_get(), "kind 2"));
    assert_non_null(strstr(error_detail_get(), "000001.wal"));
    assert_non_null(strstr(error_detail_get(), "offset 4096"));
    args.last_good = true; /* newer data is not damage */
    ASSERT_CODE(recover(), FIRN_NOT_SUPPORTED);
}

TEST(wal_recovery, a_valid_record_that_makes_no_sense_is_corruption) {
    const uint8_t short_value[] = {1, 1, 0, 1, 9, 'k', 'v'};
    const uint8_t wrong_count[] = {2, 1, 0, 1, 1, 'k', 'v'};
    const uint8_t deleted_value[] = {1, 0, 0, 1, 1, 'k', 'v'};
    craft(short_value, sizeof short_value);
    ASSERT_CODE(recover(), FIRN_CORRUPTION);
    craft(deleted_value, sizeof deleted_value);
    ASSERT_CODE(recover(), FIRN_CORRUPTION);
    craft(wrong_count, sizeof wrong_count);
    ASSERT_CODE(recover(), FIRN_CORRUPTION);
    args.last_good = true;
    ASSERT_OK(recover());
    assert_true(r.damage.size > 0);
    assert_int_equal(found->count, 0);
}

TEST(wal_recovery, gives_up_when_the_receiver_does) {
    begin();
    append(3, 100);
    found->answer = status_of(FIRN_NO_MEMORY, "test");
    ASSERT_CODE(recover(), FIRN_NO_MEMORY);
    assert_int_equal(found->count, 1);
    stop();
}

TEST(wal_recovery, beside_a_writer_missing_files_mean_start_over) {
    begin();
    append(12, 1000);
    ASSERT_OK(wal_writer_sync(w));
    append(12, 1000);
    args.beside_writer = true;
    ASSERT_OK(recover());
    log_assert_equal(found, model);
    wal_writer_release(w, wal_writer_floor_segment(w, model->at[10].position));
    ASSERT_CODE(recover(), FIRN_ABORTED);
    args.floor_position = model->at[10].position;
    args.floor_segment = wal_writer_floor_segment(w, args.floor_position);
    ASSERT_OK(recover());
    stop();
}

/* Nothing was synced, so no record claims that anything before it must be there. */
TEST(wal_recovery, beside_a_writer_a_first_segment_gone_unsynced_means_start_over) {
    begin();
    append(24, 1000);
    args.beside_writer = true;
    ASSERT_OK(recover());
    wal_writer_release(w, wal_writer_floor_segment(w, model->at[10].position));
    ASSERT_CODE(recover(), FIRN_ABORTED);
    stop();
}

/* The writer completes a record, and has synced it, between two looks of the reader. */
static const firn_vfs *beside_under;
static uint8_t *beside_at;
static uint8_t beside_bytes[64];
static unsigned beside_opens, beside_completed_at;

static int beside_open(const firn_vfs *v, const char *path, int flags, firn_file **out) {
    (void)v;
    if (++beside_opens == beside_completed_at)
        memcpy(beside_at, beside_bytes, sizeof beside_bytes);
    return beside_under->open(beside_under, path, flags, out);
}

TEST(wal_recovery, beside_a_writer_a_tail_that_moves_is_not_damage) {
    begin();
    append(3, 200);
    ASSERT_OK(wal_writer_sync(w));
    append(2, 200);
    uint64_t bytes;
    beside_at = file_of(1, &bytes) + SEGMENT_HEADER_BYTES + model->at[1].position;
    memcpy(beside_bytes, beside_at, sizeof beside_bytes);
    beside_under = vfs;
    firn_vfs watched = *vfs;
    watched.open = beside_open;
    args.vfs = &watched;
    /* The file is opened for its header, its records, the scan of the tail, a second look; where no
     * writer is beside, the second look comes before the scan: a read may have failed to tell. */
    for (beside_completed_at = 2; beside_completed_at <= 5; beside_completed_at++) {
        for (int beside = 0; beside < 2; beside++) {
            args.beside_writer = beside;
            beside_opens = 0;
            memset(beside_at, 0, sizeof beside_bytes);
            bool in_time = beside_completed_at <= (beside ? 4u : 3u);
            ASSERT_CODE(recover(), in_time ? FIRN_OK : FIRN_CORRUPTION);
            if (in_time)
                log_assert_equal(found, model);
        }
    }
    stop();
}

TEST(wal_recovery, every_allocation_may_fail) {
    char *directory = test_dir_new();
    wal_writer_args writer_args = log_writer_args(firn_vfs_default());
    writer_args.directory = directory;
    w = log_writer_new(&writer_args);
    append(20, 3000);
    stop();
    args.vfs = found->vfs = firn_vfs_default();
    args.directory = found->directory = directory;
    uint64_t blocks = memory_live_count();
    for (uint64_t n = 1;; n++) {
        memory_fail_after(n, false);
        status st = recover();
        memory_fail_after(0, false);
        if (status_is_ok(st))
            break;
        assert_int_equal(st.code, FIRN_NO_MEMORY);
        assert_int_equal(memory_live_count(), blocks);
    }
    log_assert_equal(found, model);
    test_dir_remove(directory);
}

#define RUN_WITH(behaviour) \
    { "wal_recovery: " #behaviour, test_wal_recovery_##behaviour, set_up, tear_down, NULL }

LOG_TEST_MAIN(RUN_WITH(an_empty_directory_is_an_empty_log), RUN_WITH(says_where_to_go_on),
              RUN_WITH(lives_go_on_in_new_segments), RUN_WITH(reads_from_the_floor_on),
              RUN_WITH(damage_below_the_floor_does_not_matter),
              RUN_WITH(positions_never_fall_below_the_floor),
              RUN_WITH(cuts_a_tail_torn_at_any_byte),
              RUN_WITH(a_flipped_byte_is_refused_by_name_unless_it_may_be_a_torn_tail),
              RUN_WITH(a_later_segment_proves_what_was_durable),
              RUN_WITH(a_clean_end_proves_what_was_durable),
              RUN_WITH(last_good_cuts_at_the_damage_and_life_goes_on),
              RUN_WITH(skip_keeps_every_batch_around_the_damage_and_reports_each_hole),
              RUN_WITH(skip_leaves_out_a_segment_without_header),
              RUN_WITH(skip_cuts_a_torn_tail_as_the_other_modes_do),
              RUN_WITH(segments_of_an_abandoned_future_are_dead),
              RUN_WITH(a_torn_first_segment_is_empty_and_the_chain_goes_on_behind_it),
              RUN_WITH(refuses_what_it_must_not_read), RUN_WITH(names_a_kind_of_operation_it_lacks),
              RUN_WITH(sequences_that_do_not_rise_end_the_log),
              RUN_WITH(a_successor_follows_only_where_records_end_at_its_cut),
              RUN_WITH(a_valid_record_that_makes_no_sense_is_corruption),
              RUN_WITH(gives_up_when_the_receiver_does),
              RUN_WITH(beside_a_writer_missing_files_mean_start_over),
              RUN_WITH(beside_a_writer_a_first_segment_gone_unsynced_means_start_over),
              RUN_WITH(beside_a_writer_a_tail_that_moves_is_not_damage),
              RUN_WITH(every_allocation_may_fail))
