#include "progress.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "cli.h"
#include "util/text.h"

/* Whether the terminal's last line is a bar of ours. */
static bool progress_is_drawn;

enum { PROGRESS_INTERVAL_NS = 100 * 1000 * 1000, PROGRESS_BAR_MAX = 40 };

static uint64_t progress_now_ns(void) {
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void progress_start(progress *p, bool wanted, const char *noun, uint64_t total_bytes) {
    *p = (progress){
        .shown = wanted && isatty(STDERR_FILENO) == 1,
        .noun = noun,
        .total_bytes = total_bytes,
        .start_ns = progress_now_ns(),
    };
}

double progress_seconds(const progress *p) {
    return (double)(progress_now_ns() - p->start_ns) / 1e9;
}

static int progress_columns(void) {
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return 80;
    return size.ws_col;
}

/* "[#####     ]  42 %  " */
static int progress_bar(const progress *p, uint64_t bytes, int columns, char *out, size_t room) {
    double share = bytes >= p->total_bytes ? 1.0 : (double)bytes / (double)p->total_bytes;
    int width = columns - 60;
    width = width > PROGRESS_BAR_MAX ? PROGRESS_BAR_MAX : width < 10 ? 10 : width;
    int filled = (int)(share * width);
    return snprintf(out, room, "[%.*s%*s] %3d %%  ", filled,
                    "########################################", width - filled, "",
                    (int)(share * 100));
}

/* ", 0:12 left" */
static void progress_time_left(const progress *p, uint64_t bytes, char *out, size_t room) {
    double seconds = progress_seconds(p);
    out[0] = '\0';
    if (bytes == 0 || bytes >= p->total_bytes || seconds < 0.5)
        return;
    double left = seconds * (double)(p->total_bytes - bytes) / (double)bytes;
    if (left < 360000)
        (void)snprintf(out, room, ", %d:%02d left", (int)left / 60, (int)left % 60);
}

static void progress_draw(const progress *p, uint64_t items, uint64_t bytes) {
    char line[256], left[32] = "", done[16], rate[16], count[32];
    int used = 0, columns = progress_columns();
    double seconds = progress_seconds(p);
    uint64_t bytes_per_second = seconds > 0 ? (uint64_t)((double)bytes / seconds) : 0;
    if (p->total_bytes > 0) {
        used = progress_bar(p, bytes, columns, line, sizeof line);
        progress_time_left(p, bytes, left, sizeof left);
    }
    if (p->noun)
        used += snprintf(line + used, sizeof line - (size_t)used, "%s %s, ",
                         cli_count(items, count), p->noun);
    used += snprintf(line + used, sizeof line - (size_t)used, "%s, %s/s%s", text_bytes(bytes, done),
                     text_bytes(bytes_per_second, rate), left);
    /* A line that wraps could not be taken back. */
    if (used >= columns)
        used = columns - 1;
    (void)fprintf(stderr, "\r%.*s\033[K", used, line);
    (void)fflush(stderr);
    progress_is_drawn = true;
}

void progress_hide(void) {
    if (!progress_is_drawn)
        return;
    (void)fputs("\r\033[K", stderr);
    (void)fflush(stderr);
    progress_is_drawn = false;
}

void progress_update(progress *p, uint64_t items, uint64_t bytes) {
    if (!p->shown)
        return;
    uint64_t now = progress_now_ns();
    if (now - p->drawn_ns < PROGRESS_INTERVAL_NS)
        return;
    p->drawn_ns = now;
    progress_draw(p, items, bytes);
}

void progress_end(progress *p) {
    if (p->shown)
        progress_hide();
    p->shown = false;
}
