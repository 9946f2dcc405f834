#include "platform/fault_guard.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/test.h"
#include "platform/error_detail.h"
#include "platform/thread.h"
#include "platform/vfs.h"

enum { PAGE = 4096, FILE_PAGES = 8 };

static char *dir;
static vfs_file *file;
static char other[] = "other";
static char *const other_name = other;

static int fresh_file(void **state) {
    (void)state;
    dir = test_dir_new();
    ASSERT_OK(vfs_open(firn_vfs_default(), test_path(dir, "mapped"),
                       FIRN_VFS_WRITE | FIRN_VFS_CREATE, &file));
    ASSERT_OK(vfs_reserve(file, 0, FILE_PAGES * PAGE));
    return 0;
}

static int drop_file(void **state) {
    (void)state;
    ASSERT_OK(vfs_close(file));
    test_dir_remove(dir);
    return 0;
}

static void assert_refused(status st) {
    assert_int_equal(st.code, FIRN_IO_ERROR);
}

TEST(fault_guard, a_page_that_cannot_be_had_reads_as_zeros_and_is_reported) {
    vfs_mapping m;
    uint8_t page[PAGE];
    memset(page, 7, sizeof page);
    for (uint64_t i = 0; i < FILE_PAGES; i++)
        ASSERT_OK(vfs_write(file, i * PAGE, page, sizeof page));
    ASSERT_OK(vfs_map(file, 100, FILE_PAGES * PAGE - 100, false, &m));
    assert_int_equal(m.data[0], 7);
    ASSERT_OK(vfs_map_check(&m));
    ASSERT_OK(vfs_map_check_bytes(slice_of(m.data, m.bytes)));
    ASSERT_OK(vfs_truncate(file, 3 * PAGE));
    assert_int_equal(m.data[5 * PAGE], 0);
    assert_int_equal(m.data[0], 7); /* the others are as they were */
    assert_refused(vfs_map_check(&m));
    assert_non_null(strstr(error_detail_get(), "mapped' through its mapping near offset 20580"));
    assert_refused(vfs_map_check_bytes(slice_of(m.data + 9, 1)));
    assert_non_null(strstr(error_detail_get(), "/mapped'"));
    ASSERT_OK(vfs_map_check_bytes(slice_of(page, sizeof page)));
    vfs_unmap(&m);
    vfs_unmap(&m); /* an empty one is fine */
}

TEST(fault_guard, stores_to_a_page_that_cannot_be_had_go_nowhere) {
    vfs_mapping m, again;
    ASSERT_OK(vfs_map(file, 0, FILE_PAGES * PAGE, true, &m));
    m.data[0] = 1;
    ASSERT_OK(vfs_truncate(file, PAGE));
    m.data[2 * PAGE] = 9;
    assert_int_equal(m.data[2 * PAGE], 9);
    assert_refused(vfs_map_check(&m));
    ASSERT_OK(vfs_reserve(file, 0, FILE_PAGES * PAGE));
    ASSERT_OK(vfs_map(file, 0, FILE_PAGES * PAGE, false, &again));
    assert_int_equal(again.data[0], 1);
    assert_int_equal(again.data[2 * PAGE], 0);
    ASSERT_OK(vfs_map_check(&again)); /* each range answers for itself */
    vfs_unmap(&m);
    vfs_unmap(&again);
}

TEST(fault_guard, a_slot_that_is_used_again_starts_without_faults) {
    for (int i = 0; i < 3; i++) {
        vfs_mapping m;
        ASSERT_OK(vfs_reserve(file, 0, FILE_PAGES * PAGE));
        ASSERT_OK(vfs_map(file, 0, FILE_PAGES * PAGE, false, &m));
        ASSERT_OK(vfs_map_check(&m));
        ASSERT_OK(vfs_truncate(file, 0));
        assert_int_equal(*(volatile uint8_t *)m.data, 0);
        assert_refused(vfs_map_check(&m));
        vfs_unmap(&m);
    }
}

TEST(fault_guard, finds_a_range_among_thousands) {
    enum { COUNT = 3000 };
    static fault_guard *guards[COUNT];
    vfs_mapping m;
    size_t distance;
    for (size_t i = 0; i < COUNT; i++)
        ASSERT_OK(fault_guard_add((void *)(uintptr_t)((i + 1) * PAGE), PAGE, false, &other_name,
                                  &guards[i]));
    ASSERT_OK(vfs_map(file, 0, FILE_PAGES * PAGE, false, &m));
    ASSERT_OK(vfs_truncate(file, 0));
    assert_int_equal(*(volatile uint8_t *)(m.data + PAGE), 0);
    assert_refused(vfs_map_check(&m));
    for (size_t i = 0; i < COUNT; i++) {
        assert_false(fault_guard_has_faulted(guards[i], &distance));
        fault_guard_remove(guards[i]);
    }
    vfs_unmap(&m);
}

/* What a process without a handler of its own dies of. */
static int status_of_child(void (*run)(void)) {
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGBUS, SIG_DFL); /* what the sanitizers install prints pages */
        run();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void fault_beside_the_guarded_range(void) {
    fault_guard *elsewhere;
    int fd = open(test_path(dir, "mapped"), O_RDWR);
    if (!status_is_ok(fault_guard_add((void *)PAGE, PAGE, false, &other_name, &elsewhere)))
        _exit(1);
    volatile uint8_t *map = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
    if (ftruncate(fd, 0) != 0)
        _exit(1);
    (void)map[PAGE];
}

static void be_sent_the_signal(void) {
    fault_guard *elsewhere;
    if (!status_is_ok(fault_guard_add((void *)PAGE, PAGE, false, &other_name, &elsewhere)))
        _exit(1);
    (void)kill(getpid(), SIGBUS);
}

static volatile sig_atomic_t signals_seen;

static void count_signal(int number) {
    signals_seen += number == SIGBUS;
    if (signals_seen == 2)
        _exit(42);
}

static void have_a_handler_already(void) {
    signal(SIGBUS, count_signal);
    be_sent_the_signal();
    fault_beside_the_guarded_range();
}

TEST(fault_guard, signals_that_are_not_ours_do_what_they_did_before) {
    int status = status_of_child(fault_beside_the_guarded_range);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
    status = status_of_child(be_sent_the_signal);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
    status = status_of_child(have_a_handler_already);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

static atomic_u32 churning;

static void map_and_unmap(void *context) {
    (void)context;
    while (atomic_u32_load(&churning, memory_order_seq_cst)) {
        vfs_mapping m;
        ASSERT_OK(vfs_map(file, 0, PAGE, false, &m));
        vfs_unmap(&m);
    }
}

TEST(fault_guard, ranges_that_come_and_go_do_not_disturb_a_fault) {
    thread churn;
    atomic_u32_init(&churning, 1);
    ASSERT_OK(thread_start(&churn, "churn", map_and_unmap, NULL));
    for (int i = 0; i < 300; i++) {
        vfs_mapping m;
        ASSERT_OK(vfs_map(file, 0, FILE_PAGES * PAGE, false, &m));
        ASSERT_OK(vfs_truncate(file, PAGE));
        assert_int_equal(*(volatile uint8_t *)(m.data + 2 * PAGE), 0);
        assert_refused(vfs_map_check(&m));
        vfs_unmap(&m);
    }
    atomic_u32_store(&churning, 0, memory_order_seq_cst);
    thread_join(&churn);
}

#define GUARD(name) \
    { "fault_guard: " #name, test_fault_guard_##name, fresh_file, drop_file, NULL }

/* The first test has children that install the handler themselves: nothing may be guarded before.
 */
TEST_MAIN(GUARD(signals_that_are_not_ours_do_what_they_did_before),
          GUARD(a_page_that_cannot_be_had_reads_as_zeros_and_is_reported),
          GUARD(stores_to_a_page_that_cannot_be_had_go_nowhere),
          GUARD(a_slot_that_is_used_again_starts_without_faults),
          GUARD(finds_a_range_among_thousands),
          GUARD(ranges_that_come_and_go_do_not_disturb_a_fault))
