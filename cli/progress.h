/* cli/progress.h - a bar with rate and time left on a terminal, nothing anywhere else.
 *
 * It is drawn on stderr, at most ten times a second, one at a time in a process. cli_message hides
 * it; the next update draws it again. Threads: one at a time. */
#ifndef FIRN_CLI_PROGRESS_H
#define FIRN_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct progress {
    bool shown;
    const char *noun;     /* "records", or NULL to count bytes only */
    uint64_t total_bytes; /* 0: unknown; no bar and no time left */
    uint64_t start_ns;
    uint64_t drawn_ns;
} progress;

/* `wanted` false keeps it silent on a terminal too. */
void progress_start(progress *p, bool wanted, const char *noun, uint64_t total_bytes);
void progress_update(progress *p, uint64_t items, uint64_t bytes);
/* Takes the bar away for good. */
void progress_end(progress *p);
/* Takes whatever bar is there off the terminal, to make room for a message. */
void progress_hide(void);
double progress_seconds(const progress *p);

#endif
