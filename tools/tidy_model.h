/* Included ahead of every library file when clang-tidy reads it (tools/tidy.py): tells the
 * analyzer, which sees one file at a time, that the makers of error statuses never return OK. */
#ifndef FIRN_TIDY_MODEL_H
#define FIRN_TIDY_MODEL_H

#include "platform/error_detail.h"

#define error_status(code, ...)                 \
    ((void)(error_status)((code), __VA_ARGS__), \
     (status){(code) == FIRN_OK ? FIRN_IO_ERROR : (code), 0, ""})
#define error_corruption_at(path, offset, problem) \
    ((void)(error_corruption_at)((path), (offset), (problem)), (status){FIRN_CORRUPTION, 0, ""})

#endif
