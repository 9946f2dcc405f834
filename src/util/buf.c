#include "util/buf.h"

#include <stdarg.h>
#include <stdio.h>

#include "platform/memory.h"

#include "base/poison.h"

enum { BUF_CAPACITY_MIN = 64 };

FIRN_INTERNAL void buf_deinit(buf *b) {
    memory_free(b->data);
    *b = (buf){0};
}

/* The flag goes too: what is built next has not failed yet. */
FIRN_INTERNAL void buf_clear(buf *b) {
    b->size = 0;
    b->out_of_memory = false;
}

FIRN_INTERNAL COLD uint8_t *buf_grow(buf *b, size_t extra) {
    if (b->out_of_memory)
        return NULL;
    if (extra > SIZE_MAX / 2 - b->size)
        goto short_of_memory;
    size_t capacity = b->capacity * 2;
    if (capacity < b->size + extra)
        capacity = b->size + extra;
    if (capacity < BUF_CAPACITY_MIN)
        capacity = BUF_CAPACITY_MIN;
    uint8_t *data = memory_resize(b->data, capacity);
    if (!data)
        goto short_of_memory;
    b->data = data;
    b->capacity = capacity;
    return data + b->size;

short_of_memory:
    b->out_of_memory = true;
    return NULL;
}

FIRN_INTERNAL void buf_append(buf *b, const void *data, size_t size) {
    uint8_t *to = buf_reserve(b, size);
    if (!to || size == 0)
        return;
    memcpy(to, data, size);
    b->size += size;
}

FIRN_INTERNAL void buf_append_zeros(buf *b, size_t size) {
    uint8_t *to = buf_reserve(b, size);
    if (!to)
        return;
    memset(to, 0, size);
    b->size += size;
}

/* Needs one byte more than it appends, for the terminator vsnprintf insists on. */
FIRN_INTERNAL void buf_printf(buf *b, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    uint8_t *to = buf_reserve(b, BUF_CAPACITY_MIN);
    if (to) {
        size_t room = b->capacity - b->size;
        int length = vsnprintf((char *)to, room, format, args);
        CHECK(length >= 0);
        if ((size_t)length >= room) {
            to = buf_reserve(b, (size_t)length + 1);
            if (to)
                (void)vsnprintf((char *)to, (size_t)length + 1, format, again);
        }
        if (to)
            b->size += (size_t)length;
    }
    va_end(again);
    va_end(args);
}

FIRN_INTERNAL status buf_status(const buf *b) {
    return b->out_of_memory ? status_of(FIRN_NO_MEMORY, "growing a buffer") : STATUS_OK;
}
