#include "format/file_name.h"

#include <string.h>

#include "lib/test.h"

TEST(file_name, paths_have_the_names_of_the_format) {
    char path[FILE_PATH_BYTES];
    assert_string_equal(file_path(path, "d", FILE_CURRENT, 0), "d/CURRENT");
    assert_string_equal(file_path(path, "d", FILE_LOCK, 0), "d/LOCK");
    assert_string_equal(file_path(path, "d", FILE_EVENTS, 0), "d/events.log");
    assert_string_equal(file_path(path, "d", FILE_RESERVE, 0), "d/RESERVE");
    assert_string_equal(file_path(path, "d", FILE_MANIFEST, 1), "d/MANIFEST-000001");
    assert_string_equal(file_path(path, "/a/b", FILE_LOG, 12), "/a/b/000012.wal");
    assert_string_equal(file_path(path, "d", FILE_TABLE, 1234567), "d/1234567.sst");
    assert_string_equal(file_path(path, "d", FILE_TABLE, UINT64_MAX), "d/18446744073709551615.sst");
    assert_string_equal(file_path_temporary(path, "d", FILE_TABLE, 2), "d/000002.sst.tmp");
    assert_string_equal(file_path_temporary(path, "d", FILE_CURRENT, 0), "d/CURRENT.tmp");
}

TEST(file_name, longest_allowed_directory_fits) {
    char directory[FILE_PATH_BYTES - 63], path[FILE_PATH_BYTES];
    memset(directory, 'd', sizeof directory - 1);
    directory[sizeof directory - 1] = '\0';
    (void)file_path_temporary(path, directory, FILE_MANIFEST, UINT64_MAX);
    assert_int_equal(strlen(path), sizeof directory - 1 + strlen("/MANIFEST-.tmp") + 20);
}

TEST(file_name, every_written_name_is_read_back) {
    static const file_kind kinds[] = {FILE_MANIFEST, FILE_LOG, FILE_TABLE};
    static const uint64_t numbers[] = {1, 42, 999999, 1000000, 123456789012345, UINT64_MAX};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        for (size_t j = 0; j < sizeof numbers / sizeof *numbers; j++) {
            char path[FILE_PATH_BYTES];
            uint64_t number;
            (void)file_path(path, "d", kinds[i], numbers[j]);
            assert_int_equal(file_name_parse(path + 2, &number), kinds[i]);
            assert_true(number == numbers[j]);
            (void)file_path_temporary(path, "d", kinds[i], numbers[j]);
            assert_int_equal(file_name_parse(path + 2, &number), FILE_TEMPORARY);
            assert_true(number == 0);
        }
}

TEST(file_name, other_names_are_told_apart) {
    static const struct {
        const char *name;
        file_kind kind;
    } names[] = {
        {"CURRENT", FILE_CURRENT},
        {"LOCK", FILE_LOCK},
        {"events.log", FILE_EVENTS},
        {"events.log.old", FILE_EVENTS},
        {"RESERVE", FILE_RESERVE},
        {"CURRENT.tmp", FILE_TEMPORARY},
        {"", FILE_UNKNOWN},
        {".", FILE_UNKNOWN},
        {"..", FILE_UNKNOWN},
        {".tmp", FILE_UNKNOWN},
        {"current", FILE_UNKNOWN},
        {"CURRENT2", FILE_UNKNOWN},
        {"MANIFEST-", FILE_UNKNOWN},
        {"MANIFEST-1", FILE_UNKNOWN},
        {"MANIFEST-000001x", FILE_UNKNOWN},
        {"MANIFEST-000001.sst", FILE_UNKNOWN},
        {"000001", FILE_UNKNOWN},
        {"00001.sst", FILE_UNKNOWN},   /* five digits */
        {"0000001.sst", FILE_UNKNOWN}, /* a needless zero: another file than 000001.sst */
        {"000000.sst", FILE_UNKNOWN},  /* numbers begin at 1 */
        {"000000.wal", FILE_LOG},      /* but for what is to be a segment */
        {"000001.sst2", FILE_UNKNOWN},
        {"000001.SST", FILE_UNKNOWN},
        {"+00001.sst", FILE_UNKNOWN},
        {" 000001.sst", FILE_UNKNOWN},
        {"18446744073709551616.sst", FILE_UNKNOWN}, /* 2^64 */
        {"99999999999999999999.sst", FILE_UNKNOWN},
        {"notes.txt", FILE_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        uint64_t number = 1;
        if (file_name_parse(names[i].name, &number) != names[i].kind)
            fail_msg("%s", names[i].name);
        assert_true(number == 0);
    }
}

TEST_MAIN(RUN(file_name, paths_have_the_names_of_the_format),
          RUN(file_name, longest_allowed_directory_fits),
          RUN(file_name, every_written_name_is_read_back),
          RUN(file_name, other_names_are_told_apart))
