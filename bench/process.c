#include "process.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "engine.h"

/* The number behind "name:" in a /proc file, or 0. */
static uint64_t process_field(const char *path, const char *name) {
    FILE *file = fopen(path, "r");
    char line[256];
    uint64_t value = 0;
    size_t size = strlen(name);
    while (file && fgets(line, sizeof line, file)) {
        if (strncmp(line, name, size) == 0 && line[size] == ':') {
            value = strtoull(line + size + 1, NULL, 10);
            break;
        }
    }
    if (file)
        fclose(file);
    return value;
}

static uint64_t process_timeval_ns(struct timeval t) {
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_usec * 1000;
}

void process_usage(usage *out) {
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    out->write_bytes = process_field("/proc/self/io", "write_bytes");
    out->read_bytes = process_field("/proc/self/io", "read_bytes");
    out->write_calls = process_field("/proc/self/io", "syscw");
    out->read_calls = process_field("/proc/self/io", "syscr");
    out->minor_faults = (uint64_t)r.ru_minflt;
    out->major_faults = (uint64_t)r.ru_majflt;
    out->waits = (uint64_t)r.ru_nvcsw;
    out->preemptions = (uint64_t)r.ru_nivcsw;
    out->cpu_user_ns = process_timeval_ns(r.ru_utime);
    out->cpu_system_ns = process_timeval_ns(r.ru_stime);
}

usage usage_since(const usage *now, const usage *before) {
    return (usage){
        .write_bytes = now->write_bytes - before->write_bytes,
        .read_bytes = now->read_bytes - before->read_bytes,
        .write_calls = now->write_calls - before->write_calls,
        .read_calls = now->read_calls - before->read_calls,
        .minor_faults = now->minor_faults - before->minor_faults,
        .major_faults = now->major_faults - before->major_faults,
        .waits = now->waits - before->waits,
        .preemptions = now->preemptions - before->preemptions,
        .cpu_user_ns = now->cpu_user_ns - before->cpu_user_ns,
        .cpu_system_ns = now->cpu_system_ns - before->cpu_system_ns,
    };
}

uint64_t process_rss_anon(void) {
    return process_field("/proc/self/status", "RssAnon") << 10;
}

/* Whether a thread other than the caller and `ignored` runs or waits for the disk. */
static bool process_others_busy(pid_t ignored) {
    DIR *tasks = opendir("/proc/self/task");
    bool busy = false;
    for (struct dirent *d; tasks && !busy && (d = readdir(tasks));) {
        pid_t thread = isdigit((unsigned char)d->d_name[0]) ? atoi(d->d_name) : ignored;
        if (thread == ignored || thread == gettid())
            continue;
        char path[64 + sizeof d->d_name];
        char text[256] = "";
        snprintf(path, sizeof path, "/proc/self/task/%s/stat", d->d_name);
        FILE *file = fopen(path, "r");
        if (!file)
            continue;
        if (fgets(text, sizeof text, file)) {
            /* The state follows the name, which may itself hold parentheses. */
            const char *after_name = strrchr(text, ')');
            busy = after_name && (after_name[2] == 'R' || after_name[2] == 'D');
        }
        fclose(file);
    }
    if (tasks)
        closedir(tasks);
    return busy;
}

uint64_t process_wait_quiet(pid_t ignored) {
    enum { QUIET_CHECKS = 10, CHECK_US = 10000 };
    const uint64_t patience_ns = (uint64_t)60 * 1000000000;
    uint64_t start = clock_ns();
    uint64_t quiet_since = start;
    for (int quiet = 0; quiet < QUIET_CHECKS; quiet++) {
        usleep(CHECK_US);
        if (process_others_busy(ignored) && clock_ns() - start < patience_ns) {
            quiet = -1;
            quiet_since = clock_ns();
        }
    }
    return quiet_since;
}

static struct { uint64_t all, tables; } directory_sums; /* nftw hands no context on */

static int directory_add(const char *path, const struct stat *st, int kind, struct FTW *where) {
    (void)where;
    const char *dot = strrchr(path, '.');
    uint64_t bytes = kind == FTW_F ? (uint64_t)st->st_blocks * 512 : 0;
    directory_sums.all += bytes;
    if (dot && (strcmp(dot, ".sst") == 0 || strcmp(dot, ".ldb") == 0))
        directory_sums.tables += bytes;
    return 0;
}

uint64_t directory_bytes(const char *path, uint64_t *tables) {
    directory_sums.all = directory_sums.tables = 0;
    nftw(path, directory_add, 16, FTW_PHYS);
    *tables = directory_sums.tables;
    return directory_sums.all;
}

static int directory_remove_one(const char *path, const struct stat *st, int kind,
                                struct FTW *where) {
    (void)st, (void)kind, (void)where;
    if (remove(path) != 0 && errno != ENOENT)
        bench_fail("cannot remove %s: %s", path, strerror(errno));
    return 0;
}

void directory_remove(const char *path) {
    nftw(path, directory_remove_one, 16, FTW_PHYS | FTW_DEPTH);
}

void directory_make(const char *path) {
    if (mkdir(path, 0777) != 0)
        bench_fail("cannot make %s: %s", path, strerror(errno));
}

void directory_sync(const char *path) {
    int directory = open(path, O_RDONLY | O_DIRECTORY);
    if (directory < 0)
        return;
    (void)syncfs(directory); /* only evens out the conditions */
    close(directory);
}

static void machine_cpu_name(char *name, size_t size) {
    FILE *file = fopen("/proc/cpuinfo", "r");
    char line[256];
    snprintf(name, size, "?");
    while (file && fgets(line, sizeof line, file)) {
        const char *colon = strchr(line, ':');
        if (colon && strncmp(line, "model name", 10) == 0) {
            snprintf(name, size, "%s", colon + 2);
            name[strcspn(name, "\"\\\n")] = '\0';
            break;
        }
    }
    if (file)
        fclose(file);
}

void machine_describe(const char *path, FILE *to) {
    struct utsname system;
    struct statfs fs;
    char cpu[128];
    char date[32];
    time_t now = time(NULL);
    struct tm utc;
    machine_cpu_name(cpu, sizeof cpu);
    uname(&system);
    if (statfs(path, &fs) != 0)
        memset(&fs, 0, sizeof fs);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    const char *fs_name = fs.f_type == 0xef53       ? "ext4"
                          : fs.f_type == 0x01021994 ? "tmpfs"
                          : fs.f_type == 0x58465342 ? "xfs"
                          : fs.f_type == 0x9123683e ? "btrfs"
                                                    : "other";
    fprintf(to,
            "\"date\": \"%s\", \"cpu\": \"%s\", \"cores\": %ld, \"memory_bytes\": %llu, "
            "\"kernel\": \"%s %s\", \"file_system\": \"%s\"",
            date, cpu, sysconf(_SC_NPROCESSORS_ONLN),
            (unsigned long long)sysconf(_SC_PHYS_PAGES) *
                (unsigned long long)sysconf(_SC_PAGE_SIZE),
            system.sysname, system.release, fs_name);
}
