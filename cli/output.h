/* cli/output.h - standard output, buffered, with its failures remembered.
 *
 * A reader that has seen enough (`firn scan ... | head`) ends the work quietly; a full disk is
 * reported. Both look the same while writing: output_write answers false, and the caller stops.
 * output_finish tells them apart. SIGPIPE must be ignored. */
#ifndef FIRN_CLI_OUTPUT_H
#define FIRN_CLI_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/attributes.h"
#include "base/slice.h"

enum { OUTPUT_BUFFER_BYTES = 64 * 1024 };

typedef struct output {
    int fd;
    int os_errno; /* of the first failure; later writes do nothing */
    size_t used;
    char bytes[OUTPUT_BUFFER_BYTES];
} output;

/* false: nothing more can be written, stop working. */
bool output_write(output *out, const void *data, size_t size);
static inline bool output_slice(output *out, slice s) {
    return output_write(out, s.data, s.size);
}
bool output_text(output *out, const char *text);
PRINTF_LIKE(2, 3) bool output_printf(output *out, const char *format, ...);
bool output_flush(output *out);

/* Flushes. Whether all was written; a reader that went away (EPIPE) counts as satisfied. */
bool output_finish(output *out);

/* Writes all of `data` to a descriptor. 0 or errno. */
int output_write_all(int fd, const void *data, size_t size);

#endif
