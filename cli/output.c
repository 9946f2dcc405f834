#include "output.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int output_write_all(int fd, const void *data, size_t size) {
    const char *from = data;
    while (size > 0) {
        ssize_t written = write(fd, from, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return errno;
        from += written;
        size -= (size_t)written;
    }
    return 0;
}

bool output_flush(output *out) {
    if (out->os_errno == 0 && out->used > 0)
        out->os_errno = output_write_all(out->fd, out->bytes, out->used);
    out->used = 0;
    return out->os_errno == 0;
}

bool output_write(output *out, const void *data, size_t size) {
    if (size == 0)
        return out->os_errno == 0;
    if (size > sizeof out->bytes - out->used && !output_flush(out))
        return false;
    /* Large values go straight from the engine's memory. */
    if (size >= sizeof out->bytes) {
        if (out->os_errno == 0)
            out->os_errno = output_write_all(out->fd, data, size);
        return out->os_errno == 0;
    }
    memcpy(out->bytes + out->used, data, size);
    out->used += size;
    return out->os_errno == 0;
}

bool output_text(output *out, const char *text) {
    return output_write(out, text, strlen(text));
}

bool output_printf(output *out, const char *format, ...) {
    char line[1024];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    CHECK(size >= 0);
    if ((size_t)size < sizeof line)
        return output_write(out, line, (size_t)size);

    char *whole = NULL;
    va_start(args, format);
    size = vasprintf(&whole, format, args);
    va_end(args);
    if (size < 0) {
        out->os_errno = ENOMEM;
        return false;
    }
    bool going = output_write(out, whole, (size_t)size);
    free(whole);
    return going;
}

bool output_finish(output *out) {
    return output_flush(out) || out->os_errno == EPIPE;
}
