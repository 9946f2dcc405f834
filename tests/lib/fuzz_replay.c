/* Runs a fuzz target without libFuzzer: on every file of the directories given, on the empty input,
 * and on seeded variations of each. A missing directory is an empty corpus. */
#include <dirent.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPLAY_VARIATIONS 50
#define REPLAY_BYTES_MAX  (1U << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* xorshift64*: the variations are the same in every run. */
static uint64_t replay_state = 0x9e3779b97f4a7c15U;
static uint64_t replay_random(void) {
    replay_state ^= replay_state >> 12;
    replay_state ^= replay_state << 25;
    replay_state ^= replay_state >> 27;
    return replay_state * 0x2545f4914f6cdd1dU;
}

static void replay_one(const uint8_t *data, size_t size) {
    /* A copy of the exact size lets AddressSanitizer see reads past the end. */
    uint8_t *copy = malloc(size ? size : 1);
    if (copy == NULL)
        abort();
    if (size)
        memcpy(copy, data, size);
    (void)LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void replay_with_variations(const uint8_t *data, size_t size) {
    replay_one(data, size);
    if (size == 0)
        return;
    uint8_t *changed = malloc(size);
    if (changed == NULL)
        abort();
    for (int i = 0; i < REPLAY_VARIATIONS; i++) {
        memcpy(changed, data, size);
        size_t changes = 1 + replay_random() % 4;
        for (size_t c = 0; c < changes; c++)
            changed[replay_random() % size] = (uint8_t)replay_random();
        size_t kept = i % 4 == 0 ? replay_random() % (size + 1) : size;
        replay_one(changed, kept);
    }
    free(changed);
}

static bool replay_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return false;
    }
    uint8_t *data = malloc(REPLAY_BYTES_MAX);
    if (data == NULL)
        abort();
    size_t size = fread(data, 1, REPLAY_BYTES_MAX, file);
    bool good = !ferror(file);
    (void)fclose(file);
    if (good)
        replay_with_variations(data, size);
    free(data);
    return good;
}

int main(int argc, char **argv) {
    size_t files = 0;
    bool good = true;
    replay_one(NULL, 0);
    for (int i = 1; i < argc; i++) {
        DIR *directory = opendir(argv[i]);
        if (directory == NULL)
            continue;
        for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
            char path[4096];
            if (entry->d_name[0] == '.')
                continue;
            int length = snprintf(path, sizeof(path), "%s/%s", argv[i], entry->d_name);
            good = length > 0 && (size_t)length < sizeof(path) && replay_file(path) && good;
            files++;
        }
        (void)closedir(directory);
    }
    /* With few kept inputs, bytes out of nothing still exercise the first checks. */
    uint8_t noise[512];
    for (int i = 0; i < 500; i++) {
        size_t size = replay_random() % sizeof(noise);
        for (size_t b = 0; b < size; b++)
            noise[b] = (uint8_t)replay_random();
        replay_one(noise, size);
    }
    printf("%zu files replayed\n", files);
    return good ? 0 : 1;
}
