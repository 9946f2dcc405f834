#include "db/masked_tree.h"

#include "iter/checked_iter.h"
#include "iter/merging_iter.h"
#include "platform/error_detail.h"
#include "platform/memory.h"

#include "base/poison.h"

FIRN_INTERNAL bool masked_tree_is_needed(const read_view *view) {
    bool needed = view->version->has_range_tombstones || memtable_has_ranges(view->active);
    for (uint32_t i = 0; i < view->sealed_count && !needed; i++)
        needed = memtable_has_ranges(view->sealed[i]);
    return needed;
}

static bool masked_tree_newest_is_enough(void *context, seqno newer, seqno older) {
    (void)context;
    return newer >= older;
}

static status masked_tree_open_mask(masked_tree *tree, const read_tree_args *args) {
    status st = STATUS_OK;
    const read_view *view = args->view;
    range_select select = {args->sequence, masked_tree_newest_is_enough, NULL};
    range_gather_memtable(&tree->ranges, view->active);
    for (uint32_t i = 0; i < view->sealed_count; i++)
        range_gather_memtable(&tree->ranges, view->sealed[i]);
    TRY(range_gather_version(&tree->ranges, args->tables, view->version));
    TRY(range_list_status(&tree->ranges.list));
    TRY(range_fragments_build(view->order, tree->ranges.list.items, tree->ranges.list.count,
                              &select, &tree->mask));
out:
    return st;
}

typedef struct masked_children {
    iter **list;
    size_t count;
} masked_children;

static status masked_tree_add_memtable(const masked_tree *tree, memtable *m, seqno sequence,
                                       masked_children *children) {
    iter *it = NULL;
    status st = memtable_iter_new(m, &it);
    if (status_is_ok(st) && tree->mask) {
        /* What is added from now on the reader does not see. */
        seqno newest = memtable_last_sequence(m);
        st = mask_iter_new(it, tree->mask, newest < sequence ? newest : sequence, &it);
    }
    if (status_is_ok(st))
        children->list[children->count++] = it;
    return st;
}

static status masked_tree_add_tables(const masked_tree *tree, const read_tree_args *args,
                                     masked_children *children) {
    status st = STATUS_OK;
    version *v = args->view->version;
    level_iter_args sources = {.tables = args->tables,
                               .order = args->view->order,
                               .version = v,
                               .read = args->read,
                               .mask = tree->mask};
    /* Sources that stop at a bound do not stand where a mask has sought them to. */
    sources.read.bounds = NULL;
    for (uint32_t i = 0; i < v->levels[0].count; i++, children->count++)
        TRY(level_iter_new_table(&sources, v->levels[0].tables[i],
                                 &children->list[children->count]));
    for (uint32_t level = 1; level < LEVEL_COUNT; level++) {
        if (v->levels[level].count == 0)
            continue;
        TRY(level_iter_new_sorted(&sources, v->levels[level].tables, v->levels[level].count,
                                  &children->list[children->count]));
        children->count++;
    }
out:
    return st;
}

/* The sources charge what they read into themselves. */
static status masked_tree_pay(masked_tree *tree, memory_budget *budget, size_t sources) {
    uint64_t bytes = (tree->mask ? tree->mask->bytes : 0) +
                     tree->ranges.list.capacity * sizeof *tree->ranges.list.items +
                     sources * sizeof(level_iter) + merging_iter_bytes((uint32_t)sources);
    status st = memory_budget_try_charge(budget, MEMORY_READERS, bytes);
    if (status_is_ok(st)) {
        tree->budget = budget;
        tree->charged = bytes;
    }
    return st;
}

FIRN_INTERNAL status masked_tree_attach(masked_tree *tree, const read_tree_args *args) {
    status st = STATUS_OK;
    seqno sequence = args->sequence;
    const read_view *view = args->view;
    masked_children children = {0};
    size_t most = 1 + view->sealed_count + view->version->levels[0].count + LEVEL_COUNT;
    DCHECK(!tree->merged && !tree->mask);
    TRY(masked_tree_open_mask(tree, args));
    TRY(masked_tree_pay(tree, args->memory, most));
    children.list = memory_new_zeroed(most * sizeof(iter *));
    if (!children.list)
        TRY(error_status(FIRN_NO_MEMORY, "no memory for an iterator over %zu sources", most));
    TRY(masked_tree_add_memtable(tree, view->active, sequence, &children));
    for (uint32_t i = 0; i < view->sealed_count; i++)
        TRY(masked_tree_add_memtable(tree, view->sealed[i], sequence, &children));
    TRY(masked_tree_add_tables(tree, args, &children));
    for (size_t i = 0; i < children.count; i++)
        TRY(checked_iter_wrap(&children.list[i], view->order, true));
    size_t taken = children.count;
    children.count = 0;
    TRY(merging_iter_new(view->order, children.list, taken, &tree->merging));
    tree->merged = tree->merging;
    TRY(checked_iter_wrap(&tree->merged, view->order, false));
out:
    for (size_t i = 0; i < children.count; i++)
        iter_free(children.list[i]);
    memory_free(children.list);
    if (!status_is_ok(st))
        masked_tree_detach(tree);
    return st;
}

FIRN_INTERNAL void masked_tree_detach(masked_tree *tree) {
    if (tree->merged != tree->merging)
        checked_iter_drop(tree->merged);
    iter_free(tree->merging); /* before what it keeps: the mask */
    memory_free(tree->mask);
    range_gather_deinit(&tree->ranges);
    memory_budget_release(tree->budget, MEMORY_READERS, tree->charged);
    *tree = (masked_tree){0};
}
