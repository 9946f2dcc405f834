/* cli/lines.h - lines of any length from a descriptor.
 *
 * Lifetime: a line is valid until the next call. The bytes of a line are whatever they are, zeros
 * included; only '\n' ends one, and the last one may lack it. */
#ifndef FIRN_CLI_LINES_H
#define FIRN_CLI_LINES_H

#include "base/slice.h"
#include "util/buf.h"

typedef struct lines {
    int fd;
    buf bytes;
    size_t start;    /* of the line to come */
    size_t searched; /* up to here there is no newline */
    bool ended;
    int os_errno;        /* why lines_next answered LINES_ERROR */
    uint64_t number;     /* of the line last given, from 1 */
    uint64_t bytes_read; /* in all lines given so far */
} lines;

typedef enum lines_result {
    LINES_END = 0,
    LINES_LINE = 1,
    LINES_ERROR = -1 /* os_errno: of read(), ENOMEM, or EFBIG for a line beyond every limit */
} lines_result;

void lines_init(lines *in, int fd);
void lines_deinit(lines *in); /* does not close */
lines_result lines_next(lines *in, slice *line);
/* Whether lines_next would have to wait for input. */
bool lines_would_wait(const lines *in);

#endif
