#include "util/event_log.h"

#include <stdio.h>
#include <string.h>

#include "lib/test.h"
#include "platform/memory.h"
#include "platform/thread.h"
#include "platform/vfs.h"
#include "platform/vfs_fault.h"
#include "platform/vfs_mem.h"
#include "util/rng.h"
#include "util/text.h"

/* A checker of JSON grammar (RFC 8259) for what event lines can hold: strings, integers, one flat
 * object. Each function returns what follows, or NULL. */
static const char *json_string(const char *p, const char *end) {
    if (p == end || *p++ != '"')
        return NULL;
    while (p < end && *p != '"') {
        if ((uint8_t)*p < 0x20)
            return NULL;
        if (*p++ != '\\')
            continue;
        if (p == end || !strchr("\"\\/bfnrtu", *p))
            return NULL;
        if (*p++ != 'u')
            continue;
        for (int i = 0; i < 4; i++, p++)
            if (p >= end || !strchr("0123456789abcdefABCDEF", *p))
                return NULL;
    }
    return p < end ? p + 1 : NULL;
}

static const char *json_integer(const char *p, const char *end) {
    if (p < end && *p == '-')
        p++;
    const char *first = p;
    while (p < end && *p >= '0' && *p <= '9')
        p++;
    return p == first || (*first == '0' && p > first + 1) ? NULL : p;
}

static bool json_is_flat_object(slice line) {
    const char *p = (const char *)line.data, *end = p + line.size;
    if (p == end || *p++ != '{')
        return false;
    for (;;) {
        p = json_string(p, end);
        if (!p || p == end || *p++ != ':' || p == end)
            return false;
        p = *p == '"' ? json_string(p, end) : json_integer(p, end);
        if (!p || p == end)
            return false;
        if (*p == '}')
            return p + 1 == end;
        if (*p++ != ',')
            return false;
    }
}

static bool contains(slice line, const char *text) {
    size_t size = strlen(text);
    for (size_t at = 0; at + size <= line.size; at++)
        if (memcmp(line.data + at, text, size) == 0)
            return true;
    return false;
}

static uint64_t fixed_wall_ms(void *context) {
    (void)context;
    return 1700000000123;
}
static uint64_t fixed_monotonic_ns(void *context) {
    (void)context;
    return 1;
}
static const time_source fixed_clock = {NULL, fixed_monotonic_ns, fixed_wall_ms};

typedef struct fixture {
    vfs_mem *disk;
    vfs_fault *fault;
    event_log *log;
} fixture;

static void fixture_open_log(fixture *f) {
    event_log_args args = {.vfs = vfs_fault_vfs(f->fault),
                           .directory = "/db",
                           .clock = &fixed_clock};
    ASSERT_OK(event_log_new(&args, &f->log));
}

static fixture fixture_new(void) {
    fixture f = {0};
    ASSERT_OK(vfs_mem_new(&f.disk));
    ASSERT_OK(vfs_fault_new(vfs_mem_vfs(f.disk), &f.fault));
    ASSERT_OK(vfs_make_dir(vfs_mem_vfs(f.disk), "/db"));
    fixture_open_log(&f);
    return f;
}

static void fixture_free(fixture *f) {
    event_log_free(f->log);
    vfs_fault_free(f->fault);
    vfs_mem_free(f->disk);
}

static slice contents_of(const fixture *f, const char *path) {
    uint64_t bytes = 0;
    uint8_t *data = vfs_mem_contents(f->disk, path, &bytes);
    return data ? slice_of(data, bytes) : SLICE_UNSET;
}

/* Cuts the first line off; the newline goes. */
static bool next_line(slice *rest, slice *line) {
    if (rest->size == 0)
        return false;
    const uint8_t *newline = memchr(rest->data, '\n', rest->size);
    assert_non_null(newline);
    *line = slice_of(rest->data, (size_t)(newline - rest->data));
    *rest = slice_skip(*rest, line->size + 1);
    return true;
}

static void emit_number(event_log *log, uint64_t number) {
    event e = event_begin(log, "test");
    event_u64(&e, "number", number);
    event_end(&e);
}

TEST(event_log, line_has_time_name_and_fields_in_order) {
    fixture f = fixture_new();
    event e = event_begin(f.log, "flush");
    event_u64(&e, "bytes", UINT64_MAX);
    event_i64(&e, "delta", INT64_MIN);
    event_string(&e, "reason", "say \"no\"\n");
    event_bytes(&e, "key", slice_of("a\\\0\xff", 4));
    event_end(&e);
    assert_true(
        slice_equal(contents_of(&f, "/db/events.log"),
                    slice_from_string(
                        "{\"ts_ms\":1700000000123,\"event\":\"flush\","
                        "\"bytes\":18446744073709551615,\"delta\":-9223372036854775808,"
                        "\"reason\":\"say \\\"no\\\"\\n\",\"key\":\"a\\\\\\\\\\\\0\\\\xff\"}\n")));
    fixture_free(&f);
}

TEST(event_log, every_line_is_json_whatever_the_values) {
    fixture f = fixture_new();
    rng r;
    rng_init(&r, test_seed());
    uint64_t count = test_scaled(500);
    for (uint64_t i = 0; i < count; i++) {
        char text[60];
        size_t size = rng_below(&r, sizeof text);
        for (size_t j = 0; j < size; j++)
            text[j] = (char)(1 + rng_below(&r, 255));
        text[size] = 0;
        event e = event_begin(f.log, "random");
        event_string(&e, "text", text);
        event_bytes(&e, "key", slice_of(text, size));
        event_u64(&e, "u", rng_next(&r));
        event_i64(&e, "i", (int64_t)rng_next(&r));
        event_end(&e);
    }
    slice rest = contents_of(&f, "/db/events.log"), line;
    uint64_t lines = 0;
    for (; next_line(&rest, &line); lines++)
        assert_true(json_is_flat_object(line));
    assert_int_equal(lines, count);
    fixture_free(&f);
}

TEST(event_log, reopened_log_appends) {
    fixture f = fixture_new();
    emit_number(f.log, 1);
    event_log_free(f.log);
    fixture_open_log(&f);
    emit_number(f.log, 2);
    slice rest = contents_of(&f, "/db/events.log"), line;
    assert_true(next_line(&rest, &line) && contains(line, "\"number\":1}"));
    assert_true(next_line(&rest, &line) && contains(line, "\"number\":2}"));
    assert_int_equal(rest.size, 0);
    fixture_free(&f);
}

TEST(event_log, line_torn_by_a_crash_does_not_spoil_the_next) {
    fixture f = fixture_new();
    emit_number(f.log, 1);
    event_log_free(f.log);
    vfs_file *file = NULL;
    ASSERT_OK(vfs_open(vfs_mem_vfs(f.disk), "/db/events.log", FIRN_VFS_WRITE, &file));
    ASSERT_OK(vfs_truncate(file, 20));
    ASSERT_OK(vfs_close(file));
    fixture_open_log(&f);
    emit_number(f.log, 2);
    slice rest = contents_of(&f, "/db/events.log"), line;
    assert_true(next_line(&rest, &line));
    assert_int_equal(line.size, 20);
    assert_true(next_line(&rest, &line) && json_is_flat_object(line));
    assert_int_equal(rest.size, 0);
    fixture_free(&f);
}

TEST(event_log, rotates_at_one_mebibyte_and_loses_no_line) {
    fixture f = fixture_new();
    char filler[1001];
    memset(filler, 'x', 1000);
    filler[1000] = 0;
    enum { LINES = 1500 };
    for (uint64_t i = 0; i < LINES; i++) {
        event e = event_begin(f.log, "test");
        event_u64(&e, "number", i);
        event_string(&e, "filler", filler);
        event_end(&e);
    }
    slice old = contents_of(&f, "/db/events.log.old"), now = contents_of(&f, "/db/events.log");
    assert_in_range(old.size, (1 << 20) - 1100, 1 << 20);
    assert_in_range(now.size, 1, 1 << 20);
    slice line;
    for (uint64_t i = 0; i < LINES; i++) {
        char number[32];
        snprintf(number, sizeof number, "\"number\":%d,", (int)i);
        assert_true(next_line(old.size ? &old : &now, &line));
        assert_true(json_is_flat_object(line) && contains(line, number));
    }
    assert_int_equal(now.size, 0);
    fixture_free(&f);
}

TEST(event_log, stays_bounded_when_it_cannot_be_put_aside) {
    fixture f = fixture_new();
    vfs_fault_rule rule = {.kinds = VFS_FAULT_RENAME, .count = UINT64_MAX, .error = 5};
    vfs_fault_set(f.fault, &rule);
    char filler[10001];
    memset(filler, 'x', 10000);
    filler[10000] = 0;
    for (int i = 0; i < 300; i++) {
        event e = event_begin(f.log, "test");
        event_string(&e, "filler", filler);
        event_end(&e);
    }
    assert_true(vfs_fault_failed(f.fault) >= 2);
    assert_in_range(contents_of(&f, "/db/events.log").size, 1, 1 << 20);
    fixture_free(&f);
}

TEST(event_log, lines_that_cannot_be_written_are_counted_by_the_next_that_can) {
    fixture f = fixture_new();
    emit_number(f.log, 1);
    vfs_fault_rule rule = {.kinds = VFS_FAULT_WRITE,
                           .count = UINT64_MAX,
                           .error = 28,
                           .partial = true};
    vfs_fault_set(f.fault, &rule);
    char filler[501]; /* half of it, which is written, is longer than the next line */
    memset(filler, 'x', 500);
    filler[500] = 0;
    for (int i = 0; i < 3; i++) {
        event e = event_begin(f.log, "test");
        event_string(&e, "filler", filler);
        event_end(&e);
    }
    vfs_fault_set(f.fault, NULL);
    emit_number(f.log, 2);
    emit_number(f.log, 3);
    slice rest = contents_of(&f, "/db/events.log"), line;
    assert_true(next_line(&rest, &line) && contains(line, "\"number\":1}"));
    assert_true(next_line(&rest, &line) && contains(line, "\"number\":2,\"dropped_events\":3}"));
    assert_true(next_line(&rest, &line) && contains(line, "\"number\":3}"));
    assert_int_equal(rest.size, 0);
    fixture_free(&f);
}

TEST(event_log, failing_to_write_leaves_the_thread_its_error_detail) {
    fixture f = fixture_new();
    vfs_fault_rule rule = {.kinds = VFS_FAULT_ANY, .count = UINT64_MAX, .error = 5};
    vfs_fault_set(f.fault, &rule);
    error_detail_set("the real reason: 100%%");
    emit_number(f.log, 1);
    assert_string_equal(error_detail_get(), "the real reason: 100%");
    fixture_free(&f);
}

TEST(event_log, file_that_could_not_be_opened_is_tried_again) {
    fixture f = fixture_new();
    event_log_free(f.log);
    ASSERT_OK(vfs_remove(vfs_mem_vfs(f.disk), "/db/events.log"));
    vfs_fault_rule rule = {.kinds = VFS_FAULT_OPEN, .count = 2, .error = 13};
    vfs_fault_set(f.fault, &rule);
    fixture_open_log(&f);
    emit_number(f.log, 1);
    emit_number(f.log, 2);
    assert_true(contains(contents_of(&f, "/db/events.log"), "\"number\":2,\"dropped_events\":1}"));
    fixture_free(&f);
}

TEST(event_log, short_memory_drops_lines_and_nothing_else) {
    fixture f = fixture_new();
    for (uint64_t countdown = 1; countdown <= 12; countdown++) {
        memory_fail_after(countdown / 2 + 1, countdown % 2);
        event e = event_begin(f.log, "test");
        event_bytes(&e, "key", slice_from_string("a key longer than the rest of a small buffer"));
        event_end(&e);
        memory_fail_after(0, false);
    }
    emit_number(f.log, 9);
    slice rest = contents_of(&f, "/db/events.log"), line = SLICE_UNSET;
    while (next_line(&rest, &line))
        assert_true(json_is_flat_object(line) &&
                    (rest.size == 0 || contains(line, "\"key\":\"a key longer than")));
    assert_true(contains(line, "\"number\":9"));
    fixture_free(&f);
}

TEST(event_log, creation_survives_short_memory_at_every_allocation) {
    fixture f = fixture_new();
    event_log_args args = {.vfs = vfs_mem_vfs(f.disk), .directory = "/db", .clock = &fixed_clock};
    for (uint64_t countdown = 1; countdown < 100; countdown++) {
        uint64_t live = memory_live_count();
        event_log *log = NULL;
        memory_fail_after(countdown, false);
        status st = event_log_new(&args, &log);
        memory_fail_after(0, false);
        assert_true(status_is_ok(st) || status_is(st, FIRN_NO_MEMORY));
        assert_int_equal(status_is_ok(st), log != NULL);
        event_log_free(log);
        assert_int_equal(memory_live_count(), live);
    }
    fixture_free(&f);
}

static void collect_line(void *context, const char *json, size_t size) {
    assert_int_equal(json[size], 0);
    buf_append(context, json, size);
}

TEST(event_log, callback_gets_lines_without_newline_and_no_file_is_made) {
    fixture f = fixture_new();
    event_log_free(f.log);
    f.log = NULL;
    ASSERT_OK(vfs_remove(vfs_mem_vfs(f.disk), "/db/events.log"));
    buf got = {0};
    event_log_args args = {.vfs = vfs_mem_vfs(f.disk),
                           .directory = "/db",
                           .clock = &fixed_clock,
                           .callback = collect_line,
                           .callback_context = &got};
    ASSERT_OK(event_log_new(&args, &f.log));
    emit_number(f.log, 7);
    assert_true(slice_equal(buf_slice(&got),
                            slice_from_string(
                                "{\"ts_ms\":1700000000123,\"event\":\"test\",\"number\":7}")));
    assert_false(slice_is_set(contents_of(&f, "/db/events.log")));
    buf_deinit(&got);
    fixture_free(&f);
}

TEST(event_log, without_directory_and_callback_nothing_happens) {
    fixture f = fixture_new();
    event_log_free(f.log);
    uint64_t operations = vfs_mem_operation_count(f.disk);
    event_log_args args = {.vfs = vfs_mem_vfs(f.disk), .clock = &fixed_clock};
    ASSERT_OK(event_log_new(&args, &f.log));
    emit_number(f.log, 7);
    emit_number(NULL, 7);
    event e = event_begin(NULL, "none");
    event_string(&e, "a", "b");
    event_i64(&e, "a", 1);
    event_bytes(&e, "a", SLICE_UNSET);
    event_end(&e);
    assert_int_equal(vfs_mem_operation_count(f.disk), operations);
    fixture_free(&f);
}

enum { WRITERS = 4, LINES_EACH = 300 };

static void write_many(void *context) {
    for (uint64_t i = 0; i < LINES_EACH; i++)
        emit_number(context, i);
}

TEST(event_log, lines_of_many_threads_stay_whole) {
    fixture f = fixture_new();
    thread threads[WRITERS];
    for (int i = 0; i < WRITERS; i++)
        ASSERT_OK(thread_start(&threads[i], "writer", write_many, f.log));
    for (int i = 0; i < WRITERS; i++)
        thread_join(&threads[i]);
    slice rest = contents_of(&f, "/db/events.log"), line;
    int lines = 0;
    for (; next_line(&rest, &line); lines++)
        assert_true(json_is_flat_object(line));
    assert_int_equal(lines, WRITERS * LINES_EACH);
    fixture_free(&f);
}

TEST_MAIN(RUN(event_log, line_has_time_name_and_fields_in_order),
          RUN(event_log, every_line_is_json_whatever_the_values),
          RUN(event_log, reopened_log_appends),
          RUN(event_log, line_torn_by_a_crash_does_not_spoil_the_next),
          RUN(event_log, rotates_at_one_mebibyte_and_loses_no_line),
          RUN(event_log, stays_bounded_when_it_cannot_be_put_aside),
          RUN(event_log, lines_that_cannot_be_written_are_counted_by_the_next_that_can),
          RUN(event_log, failing_to_write_leaves_the_thread_its_error_detail),
          RUN(event_log, file_that_could_not_be_opened_is_tried_again),
          RUN(event_log, short_memory_drops_lines_and_nothing_else),
          RUN(event_log, creation_survives_short_memory_at_every_allocation),
          RUN(event_log, callback_gets_lines_without_newline_and_no_file_is_made),
          RUN(event_log, without_directory_and_callback_nothing_happens),
          RUN(event_log, lines_of_many_threads_stay_whole))
