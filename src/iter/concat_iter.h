/* iter/concat_iter.h - sources whose key ranges ascend and do not overlap, one after the other.
 *
 * Purpose: a level of tables below L0: only the table in use is open. */
#ifndef FIRN_ITER_CONCAT_ITER_H
#define FIRN_ITER_CONCAT_ITER_H

#include "iter/iter.h"

typedef struct concat_source {
    void *context; /* owned by the concat iterator from concat_iter_new on */
    size_t count;
    /* Position of the first source whose largest key is >= target; count if none. */
    size_t (*find)(void *context, internal_key target);
    NODISCARD status (*open)(void *context, size_t position, iter **out);
    void (*release)(void *context); /* frees it */
} concat_source;

/* Takes source->context, also on failure. */
FIRN_INTERNAL NODISCARD status concat_iter_new(const concat_source *source, iter **out);
#endif
