/* tests/lib/test.h - the small layer over cmocka every test file uses.
 *
 *   TEST(coding, varint_round_trips_at_every_length) { assert_int_equal(...); }
 *   TEST_MAIN(RUN(coding, varint_round_trips_at_every_length), RUN(...))
 *
 * Random tests take their seed from test_seed(), which prints it and obeys FIRN_TEST_SEED. */
#ifndef FIRN_TESTS_TEST_H
#define FIRN_TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first. */
#include <cmocka.h>

#include "base/status.h"
#include "platform/error_detail.h"

#define TEST(group, behaviour) \
    static void test_##group##_##behaviour(__attribute__((unused)) void **state)
#define RUN(group, behaviour) \
    { #group ": " #behaviour, test_##group##_##behaviour, NULL, NULL, NULL }
#define TEST_MAIN(...)                                    \
    int main(void) {                                      \
        const struct CMUnitTest tests[] = {__VA_ARGS__};  \
        return cmocka_run_group_tests(tests, NULL, NULL); \
    }

/* A status must be OK / must have this code; prints the detail otherwise. */
#define ASSERT_OK(expr)         test_assert_status((expr), FIRN_OK, #expr, __FILE__, __LINE__)
#define ASSERT_CODE(expr, code) test_assert_status((expr), (code), #expr, __FILE__, __LINE__)
/* The same for the public firn_status. */
#define ASSERT_FIRN(expr, code) test_assert_code((expr), (code), #expr, __FILE__, __LINE__)
#define ASSERT_FIRN_OK(expr)    ASSERT_FIRN(expr, FIRN_OK)

void test_assert_status(status st, firn_status expected, const char *what, const char *file,
                        int line);
void test_assert_code(firn_status code, firn_status expected, const char *what, const char *file,
                      int line);

/* From FIRN_TEST_SEED or the clock; printed. */
uint64_t test_seed(void);
/* FIRN_TEST_SCALE (default 1.0) times `count`, at least 1: lets slow builds (valgrind) do less. */
uint64_t test_scaled(uint64_t count);

/* A fresh empty directory under TMPDIR; gives a malloc'd path. test_dir_remove deletes it with all
 * it holds and frees the path. */
char *test_dir_new(void);
void test_dir_remove(char *path);
/* "dir/name" in a rotating set of 16 static buffers per thread. */
const char *test_path(const char *directory, const char *name);

#endif
