#include "db/space_reserve.h"

#include <errno.h>

#include "lib/test.h"
#include "platform/vfs.h"
#include "platform/vfs_fault.h"
#include "platform/vfs_mem.h"

enum { KIB = 1 << 10, DISK = 1000 * KIB, LEAST = 100 * KIB, MOST = 400 * KIB };
#define TENTH_NS 100000000u

static uint64_t fixture_now_ns;

static uint64_t fixture_clock_ns(void *context) {
    (void)context;
    return fixture_now_ns;
}

typedef struct fixture {
    vfs_mem *disk;
    vfs_fault *faults;
    event_log *events;
    time_source clock;
    space_reserve reserve;
} fixture;

static void fixture_ignore(void *context, const char *json, size_t size) {
    (void)context;
    (void)json;
    (void)size;
}

static space_used used(uint64_t table_kib, uint64_t unflushed_kib) {
    return (space_used){table_kib * KIB, unflushed_kib * KIB};
}

static void fixture_open(fixture *f, uint64_t least, uint64_t most, space_used now) {
    space_reserve_args args = {.vfs = vfs_fault_vfs(f->faults),
                               .directory = "/db",
                               .clock = &f->clock,
                               .events = f->events,
                               .least = least,
                               .most = most};
    space_reserve_init(&f->reserve);
    space_reserve_open(&f->reserve, &args, &now);
}

static void fixture_init(fixture *f) {
    fixture_now_ns = 50 * TENTH_NS;
    *f = (fixture){.clock = {NULL, fixture_clock_ns, fixture_clock_ns}};
    ASSERT_OK(vfs_mem_new(&f->disk));
    ASSERT_OK(vfs_fault_new(vfs_mem_vfs(f->disk), &f->faults));
    ASSERT_OK(vfs_make_dir(vfs_mem_vfs(f->disk), "/db"));
    event_log_args args = {.vfs = vfs_mem_vfs(f->disk),
                           .clock = &f->clock,
                           .callback = fixture_ignore};
    ASSERT_OK(event_log_new(&args, &f->events));
    vfs_mem_set_capacity(f->disk, DISK);
}

static void fixture_deinit(fixture *f) {
    space_reserve_deinit(&f->reserve);
    event_log_free(f->events);
    vfs_fault_free(f->faults);
    vfs_mem_free(f->disk);
}

static uint64_t fixture_free_kib(const fixture *f) {
    uint64_t bytes;
    ASSERT_OK(vfs_free_bytes(vfs_mem_vfs(f->disk), "/db", &bytes));
    return bytes / KIB;
}

/* Somebody else's file. */
static void fixture_take(fixture *f, uint64_t kib) {
    vfs_file *file;
    ASSERT_OK(vfs_open(vfs_mem_vfs(f->disk), "/db/other", FIRN_VFS_WRITE | FIRN_VFS_CREATE, &file));
    ASSERT_OK(kib ? vfs_reserve(file, 0, kib * KIB) : vfs_truncate(file, 0));
    ASSERT_OK(vfs_close(file));
}

static void fixture_keep(fixture *f, space_used now) {
    space_reserve_keep(&f->reserve, &now);
}

static uint64_t held_kib(const fixture *f) {
    return space_reserve_held_bytes(&f->reserve) / KIB;
}

TEST(space_reserve, its_size_follows_what_the_database_holds) {
    static const struct {
        uint64_t tables, unflushed, held;
    } steps[] = {
        {0, 0, 100},      {0, 150, 150},   {1600, 150, 150},
        {3200, 150, 200}, {99999, 0, 400}, {3200, 0, 400}, /* not more than twice */
        {0, 0, 100},
    };
    fixture f;
    fixture_init(&f);
    fixture_open(&f, LEAST, MOST, used(0, 0));
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        fixture_keep(&f, used(steps[i].tables, steps[i].unflushed));
        assert_int_equal(held_kib(&f), steps[i].held);
        assert_int_equal(fixture_free_kib(&f), 1000 - (steps[i].held + 3) / 4 * 4);
        assert_false(space_reserve_is_short(&f.reserve));
    }
    fixture_keep(&f, used(0, 180));
    space_reserve_deinit(&f.reserve);
    fixture_open(&f, LEAST, MOST, used(1600, 0));
    assert_int_equal(held_kib(&f), 100);
    assert_int_equal(fixture_free_kib(&f), 900);
    fixture_deinit(&f);
}

TEST(space_reserve, what_is_spent_is_free_and_short_until_it_can_be_made_whole) {
    fixture f;
    fixture_init(&f);
    fixture_open(&f, LEAST, MOST, used(0, 200));
    fixture_take(&f, 800);
    assert_int_equal(fixture_free_kib(&f), 0);
    assert_true(space_reserve_spend(&f.reserve));
    assert_int_equal(fixture_free_kib(&f), 200);
    assert_true(space_reserve_is_short(&f.reserve));
    assert_int_equal(space_reserve_log_bytes(&f.reserve), 100 * KIB);
    assert_true(space_reserve_spend(&f.reserve)); /* another job failed at the same time */
    fixture_keep(&f, used(0, 200));               /* first it is for those who lacked it */
    assert_true(space_reserve_is_short(&f.reserve));
    assert_int_equal(fixture_free_kib(&f), 200);
    fixture_take(&f, 801);
    fixture_now_ns += TENTH_NS;
    assert_false(space_reserve_spend(&f.reserve));
    fixture_now_ns += TENTH_NS;
    fixture_keep(&f, used(0, 200));
    assert_true(space_reserve_is_short(&f.reserve));
    assert_int_equal(held_kib(&f), 0);
    fixture_take(&f, 0);
    fixture_keep(&f, used(0, 200)); /* to look whether there is room costs nobody anything */
    assert_false(space_reserve_is_short(&f.reserve));
    assert_int_equal(held_kib(&f), 200);
    fixture_deinit(&f);
}

TEST(space_reserve, one_that_cannot_grow_is_kept_as_it_is_and_space_is_short) {
    fixture f;
    fixture_init(&f);
    fixture_open(&f, LEAST, MOST, used(0, 100));
    fixture_take(&f, 800);
    fixture_keep(&f, used(0, 300));
    assert_true(space_reserve_is_short(&f.reserve));
    assert_int_equal(held_kib(&f), 100);
    assert_int_equal(fixture_free_kib(&f), 100);
    fixture_keep(&f, used(0, 100)); /* what was not flushed is */
    assert_false(space_reserve_is_short(&f.reserve));
    fixture_deinit(&f);
}

TEST(space_reserve, the_next_open_finds_it) {
    fixture f;
    fixture_init(&f);
    fixture_open(&f, LEAST, MOST, used(0, 200));
    space_reserve_deinit(&f.reserve);
    fixture_take(&f, 800); /* it could not be made anew */
    fixture_open(&f, LEAST, MOST, used(0, 200));
    assert_int_equal(held_kib(&f), 200);
    assert_false(space_reserve_is_short(&f.reserve));
    space_reserve_deinit(&f.reserve);
    fixture_open(&f, 0, 0, used(0, 200)); /* not wanted any more */
    assert_int_equal(held_kib(&f), 0);
    assert_int_equal(fixture_free_kib(&f), 200);
    assert_false(space_reserve_spend(&f.reserve));
    assert_false(space_reserve_is_short(&f.reserve));
    fixture_deinit(&f);
}

TEST(space_reserve, a_disk_without_room_for_it_is_short_from_the_start) {
    fixture f;
    fixture_init(&f);
    fixture_take(&f, 952);
    fixture_open(&f, LEAST, MOST, used(0, 0));
    assert_true(space_reserve_is_short(&f.reserve));
    assert_true(space_reserve_log_bytes(&f.reserve) == UINT64_MAX); /* nothing to share */
    assert_int_equal(fixture_free_kib(&f), 48);
    fixture_deinit(&f);
}

/* Whatever else is wrong with the file is no reason to refuse writes. */
TEST(space_reserve, without_the_file_for_another_reason_the_database_goes_on) {
    fixture f;
    vfs_fault_rule rule = {.kinds = VFS_FAULT_RESERVE, .count = UINT64_MAX, .error = EIO};
    fixture_init(&f);
    vfs_fault_set(f.faults, &rule);
    fixture_open(&f, LEAST, MOST, used(0, 0));
    assert_false(space_reserve_is_short(&f.reserve));
    assert_int_equal(held_kib(&f), 0);
    vfs_fault_set(f.faults, NULL);
    fixture_now_ns += TENTH_NS;
    fixture_keep(&f, used(0, 0));
    assert_int_equal(held_kib(&f), 100);
    fixture_deinit(&f);
}

TEST_MAIN(RUN(space_reserve, its_size_follows_what_the_database_holds),
          RUN(space_reserve, what_is_spent_is_free_and_short_until_it_can_be_made_whole),
          RUN(space_reserve, one_that_cannot_grow_is_kept_as_it_is_and_space_is_short),
          RUN(space_reserve, the_next_open_finds_it),
          RUN(space_reserve, a_disk_without_room_for_it_is_short_from_the_start),
          RUN(space_reserve, without_the_file_for_another_reason_the_database_goes_on))
