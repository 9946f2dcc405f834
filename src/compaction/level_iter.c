#include "compaction/level_iter.h"

#include "iter/concat_iter.h"
#include "platform/error_detail.h"
#include "platform/memory.h"

#include "base/poison.h"

typedef struct level_source {
    level_iter_args args; /* holds a reference on args.version */
    table_meta *const *metas;
    size_t count;
} level_source;

FIRN_INTERNAL status level_iter_new_table(const level_iter_args *args, table_meta *meta,
                                          iter **out) {
    status st = STATUS_OK;
    table *t = NULL;
    *out = NULL;
    TRY(table_cache_get(args->tables, &meta->where, &meta->open, args->order, &t));
    TRY(table_iter_new(t, &args->read, out));
out:
    table_unref(t);
    return st;
}

static size_t level_source_find(void *context, internal_key target) {
    const level_source *s = context;
    size_t low = 0, high = s->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (key_order_compare(s->args.order, s->metas[middle]->largest, target) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static status level_source_open(void *context, size_t position, iter **out) {
    const level_source *s = context;
    return level_iter_new_table(&s->args, s->metas[position], out);
}

static void level_source_release(void *context) {
    level_source *s = context;
    version_unref(s->args.version);
    memory_free(s);
}

FIRN_INTERNAL status level_iter_new_sorted(const level_iter_args *args, table_meta *const *metas,
                                           size_t count, iter **out) {
    *out = NULL;
    level_source *s = memory_new(sizeof *s);
    if (!s)
        return error_status(FIRN_NO_MEMORY, "no memory for a level iterator");
    *s = (level_source){*args, metas, count};
    version_ref(s->args.version);
    concat_source source = {.context = s,
                            .count = count,
                            .find = level_source_find,
                            .open = level_source_open,
                            .release = level_source_release};
    return concat_iter_new(&source, out);
}
