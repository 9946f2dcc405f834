#include "integration/db_fixture.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

firn_options small_options(void) {
    firn_options o = FIRN_OPTIONS_INIT;
    o.memory_bytes = 8 << 20;
    o.memtable_bytes = 64 << 10;
    o.file_bytes = 64 << 10;
    o.level_base_bytes = 128 << 10;
    o.level_fanout = 4;
    o.durability = FIRN_SYNC_MANUAL;
    o.threads = 2;
    return o;
}

firn_db *open_db(const char *path, const firn_options *options) {
    firn_db *db;
    ASSERT_FIRN_OK(firn_open(path, options, &db));
    return db;
}

void close_db(firn_db *db) {
    ASSERT_FIRN_OK(firn_close(db));
}

const char *numbered_key(uint64_t number) {
    static __thread char keys[8][32];
    static __thread unsigned next;
    char *key = keys[next++ % 8];
    snprintf(key, sizeof keys[0], "key-%06llu", (unsigned long long)number);
    return key;
}

void put_text(firn_db *db, const char *key, const char *value) {
    ASSERT_FIRN_OK(firn_put(db, NULL, FIRN_STR(key), FIRN_STR(value)));
}

void delete_text(firn_db *db, const char *key) {
    ASSERT_FIRN_OK(firn_delete(db, NULL, FIRN_STR(key)));
}

void expect_text(firn_db *db, const firn_snapshot *snapshot, const char *key,
                 const char *expected) {
    firn_value value;
    firn_read_options options = FIRN_READ_OPTIONS_INIT;
    options.snapshot = snapshot;
    firn_status st = firn_get(db, &options, FIRN_STR(key), &value);
    if (!expected) {
        ASSERT_FIRN(st, FIRN_NOT_FOUND);
    } else {
        ASSERT_FIRN_OK(st);
        assert_int_equal(value.size, strlen(expected));
        assert_memory_equal(value.data, expected, value.size);
    }
    firn_value_release(&value);
}

void fill_bytes(uint64_t seed, void *out, size_t bytes) {
    uint8_t *p = out;
    while (bytes) {
        seed += 0x9e3779b97f4a7c15u; /* splitmix64 */
        uint64_t z = (seed ^ seed >> 30) * 0xbf58476d1ce4e5b9u;
        z ^= z >> 27;
        size_t part = bytes < sizeof z ? bytes : sizeof z;
        memcpy(p, &z, part);
        p += part;
        bytes -= part;
    }
}

void put_range(firn_db *db, uint64_t first, uint64_t last, size_t bytes, uint64_t version) {
    uint8_t *value = malloc(bytes + 1);
    for (uint64_t i = first; i < last; i++) {
        fill_bytes(i << 20 ^ version, value, bytes);
        ASSERT_FIRN_OK(firn_put(db, NULL, FIRN_STR(numbered_key(i)), firn_slice_of(value, bytes)));
    }
    free(value);
}

void expect_range(firn_db *db, const firn_snapshot *snapshot, uint64_t first, uint64_t last,
                  size_t bytes, uint64_t version) {
    uint8_t *expected = malloc(bytes + 1);
    firn_read_options options = FIRN_READ_OPTIONS_INIT;
    options.snapshot = snapshot;
    for (uint64_t i = first; i < last; i++) {
        firn_value value;
        fill_bytes(i << 20 ^ version, expected, bytes);
        ASSERT_FIRN_OK(firn_get(db, &options, FIRN_STR(numbered_key(i)), &value));
        assert_int_equal(value.size, bytes);
        assert_memory_equal(value.data, expected, bytes);
        firn_value_release(&value);
    }
    free(expected);
}

firn_stats stats_of(firn_db *db) {
    firn_stats stats = {.size = sizeof stats};
    ASSERT_FIRN_OK(firn_get_stats(db, &stats));
    return stats;
}

void expect_detail(const char *text, const char *file, int line) {
    if (strstr(firn_error_detail(), text))
        return;
    print_error("the detail '%s' does not hold '%s'\n", firn_error_detail(), text);
    _fail(file, line);
}

/* --- files --- */

uint8_t *read_file(const char *path, size_t *bytes) {
    struct stat info;
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("cannot open %s", path);
    assert_int_equal(fstat(fileno(file), &info), 0);
    uint8_t *data = malloc((size_t)info.st_size + 1);
    *bytes = fread(data, 1, (size_t)info.st_size, file);
    assert_int_equal(*bytes, (size_t)info.st_size);
    fclose(file);
    return data;
}

void write_file(const char *path, const void *data, size_t bytes) {
    FILE *file = fopen(path, "wb");
    if (!file)
        fail_msg("cannot create %s", path);
    assert_int_equal(fwrite(data, 1, bytes, file), bytes);
    assert_int_equal(fclose(file), 0);
}

void copy_directory(const char *from, const char *to) {
    DIR *directory = opendir(from);
    assert_non_null(directory);
    (void)mkdir(to, 0700);
    for (struct dirent *e; (e = readdir(directory));) {
        size_t bytes;
        if (e->d_name[0] == '.')
            continue;
        uint8_t *data = read_file(test_path(from, e->d_name), &bytes);
        write_file(test_path(to, e->d_name), data, bytes);
        free(data);
    }
    closedir(directory);
}

const char *find_file(const char *directory, const char *suffix) {
    DIR *d = opendir(directory);
    const char *found = NULL;
    assert_non_null(d);
    for (struct dirent *e; !found && (e = readdir(d));) {
        size_t name = strlen(e->d_name), end = strlen(suffix);
        if (name >= end && strcmp(e->d_name + name - end, suffix) == 0)
            found = test_path(directory, e->d_name);
    }
    closedir(d);
    if (!found)
        fail_msg("%s holds no file *%s", directory, suffix);
    return found;
}

/* --- processes --- */

pid_t fork_child(void) {
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    return child;
}

void expect_child_succeeded(pid_t child) {
    int result;
    assert_int_equal(waitpid(child, &result, 0), child);
    if (!WIFEXITED(result) || WEXITSTATUS(result) != 0)
        fail_msg("child ended with wait status %#x", (unsigned)result);
}
