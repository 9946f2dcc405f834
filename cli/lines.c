#include "lines.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

enum { LINES_READ_BYTES = 256 * 1024 };
/* A 1 GiB value of which every byte is written as six, and some room for the key. */
static const size_t lines_bytes_max = 6 * ((size_t)1 << 30) + ((size_t)1 << 20);

void lines_init(lines *in, int fd) {
    *in = (lines){.fd = fd};
}

void lines_deinit(lines *in) {
    buf_deinit(&in->bytes);
}

static bool lines_find(const lines *in, size_t *end) {
    const uint8_t *from = in->bytes.data + in->searched;
    size_t size = in->bytes.size - in->searched;
    const uint8_t *newline = size > 0 ? memchr(from, '\n', size) : NULL;
    if (newline)
        *end = (size_t)(newline - in->bytes.data);
    return newline != NULL;
}

/* Moves the unfinished line to the front, so that the buffer holds one line and what follows. */
static void lines_compact(lines *in) {
    if (in->start == 0)
        return;
    size_t left = in->bytes.size - in->start;
    if (left > 0)
        memmove(in->bytes.data, in->bytes.data + in->start, left);
    in->bytes.size = left;
    in->start = 0;
}

static int lines_fill(lines *in) {
    lines_compact(in);
    in->searched = in->bytes.size;
    if (in->bytes.size > lines_bytes_max)
        return EFBIG;
    uint8_t *to = buf_reserve(&in->bytes, LINES_READ_BYTES);
    if (!to)
        return ENOMEM;
    ssize_t got;
    do {
        got = read(in->fd, to, LINES_READ_BYTES);
    } while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno;
    in->bytes.size += (size_t)got;
    in->ended = got == 0;
    return 0;
}

static lines_result lines_give(lines *in, size_t end, size_t next, slice *line) {
    *line = slice_of(in->bytes.data + in->start, end - in->start);
    in->bytes_read += next - in->start;
    in->start = in->searched = next;
    in->number++;
    return LINES_LINE;
}

lines_result lines_next(lines *in, slice *line) {
    size_t end;
    *line = slice_of("", 0);
    while (in->os_errno == 0) {
        if (lines_find(in, &end))
            return lines_give(in, end, end + 1, line);
        if (in->ended && in->start == in->bytes.size)
            return LINES_END;
        if (in->ended)
            return lines_give(in, in->bytes.size, in->bytes.size, line);
        in->os_errno = lines_fill(in);
    }
    return LINES_ERROR;
}

bool lines_would_wait(const lines *in) {
    size_t end;
    if (in->ended || in->os_errno != 0 || lines_find(in, &end))
        return false;
    struct pollfd ready = {.fd = in->fd, .events = POLLIN};
    return poll(&ready, 1, 0) == 0;
}
