#include "db/read_tree.h"

#include "iter/checked_iter.h"
#include "iter/merging_iter.h"
#include "platform/error_detail.h"
#include "platform/memory.h"

#include "base/poison.h"

/* Rooms are rounded up, so that a new table in L0 does not mean new memory. */
enum { READ_TREE_ROOM_STEP = 4 };

static uint32_t read_tree_round_up(uint32_t count) {
    return (count + READ_TREE_ROOM_STEP - 1) / READ_TREE_ROOM_STEP * READ_TREE_ROOM_STEP;
}

/* Memory for that many sources; what there was goes. */
static status read_tree_reserve(read_tree *tree, uint32_t memtables, uint32_t levels,
                                memory_budget *budget) {
    if (LIKELY(memtables <= tree->memtable_room && levels <= tree->level_room))
        return STATUS_OK;
    read_tree_deinit(tree);
    memtables = read_tree_round_up(memtables);
    levels = read_tree_round_up(levels);
    uint32_t most = memtables + levels;
    size_t memtable_bytes = memtables * sizeof(memtable_iter);
    size_t level_bytes = levels * sizeof(level_iter);
    size_t child_bytes = most * sizeof(iter *);
    size_t bytes = memtable_bytes + level_bytes + child_bytes + merging_iter_bytes(most);
    status st = memory_budget_try_charge(budget, MEMORY_READERS, bytes);
    if (!status_is_ok(st))
        return st;
    tree->budget = budget;
    tree->charged = bytes;
    uint8_t *memory = memory_new_zeroed(bytes);
    if (!memory) /* read_tree_deinit releases it */
        return error_status(FIRN_NO_MEMORY, "no memory for an iterator over %u sources", most);
    tree->memory = memory;
    tree->memtables = (memtable_iter *)(void *)memory;
    tree->levels = (level_iter *)(void *)(memory + memtable_bytes);
    tree->children = (iter **)(void *)(memory + memtable_bytes + level_bytes);
    tree->merge = memory + memtable_bytes + level_bytes + child_bytes;
    tree->memtable_room = memtables;
    tree->level_room = levels;
    return STATUS_OK;
}

static void read_tree_add_memtable(read_tree *tree, memtable *m) {
    memtable_iter *it = &tree->memtables[tree->memtable_count++];
    memtable_iter_attach(it, m);
}

/* Whether a table may hold keys within the bounds. */
static bool read_tree_wants(const read_tree_args *args, const table_meta *meta) {
    const iter_bounds *bounds = args->read.bounds;
    if (!bounds)
        return true;
    key_order order = args->view->order;
    return !(slice_is_set(bounds->lower) &&
             key_order_compare_user(order, internal_key_user(meta->largest),
                                    user_key_of(bounds->lower)) < 0) &&
           !(slice_is_set(bounds->upper) &&
             key_order_compare_user(order, internal_key_user(meta->smallest),
                                    user_key_of(bounds->upper)) > 0);
}

/* Position of the first of the level's tables in [low, high) whose smallest key is above `bound`,
 * or whose largest is not below it. */
static size_t read_tree_search(key_order order, const version_level *l, slice bound, bool above) {
    size_t low = 0, high = l->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const table_meta *meta = l->tables[middle];
        internal_key key = above ? meta->smallest : meta->largest;
        int compared = key_order_compare_user(order, internal_key_user(key), user_key_of(bound));
        if (compared < 0 || (above && compared == 0))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Leaves tables out that lie beyond a bound: at their border a source ends without a look at the
 * next table. */
static void read_tree_clip(const read_tree_args *args, const version_level *l, size_t *first,
                           size_t *end) {
    const iter_bounds *bounds = args->read.bounds;
    if (!bounds)
        return;
    if (slice_is_set(bounds->lower))
        *first = read_tree_search(args->view->order, l, bounds->lower, false);
    if (slice_is_set(bounds->upper))
        *end = read_tree_search(args->view->order, l, bounds->upper, true);
}

static void read_tree_add_tables(read_tree *tree, const read_tree_args *args) {
    const version *v = args->view->version;
    level_iter_args sources = {.tables = args->tables,
                               .order = args->view->order,
                               .version = args->view->version,
                               .read = args->read};
    for (uint32_t i = 0; i < v->levels[0].count; i++) {
        if (read_tree_wants(args, v->levels[0].tables[i]))
            level_iter_attach(&tree->levels[tree->level_count++], &sources, &v->levels[0].tables[i],
                              1);
    }
    for (uint32_t level = 1; level < LEVEL_COUNT; level++) {
        const version_level *l = &v->levels[level];
        size_t first = 0, end = l->count;
        read_tree_clip(args, l, &first, &end);
        if (first < end)
            level_iter_attach(&tree->levels[tree->level_count++], &sources, l->tables + first,
                              end - first);
    }
}

/* All sources as one, in debug builds each of them and the whole under checks. */
static status read_tree_merge(read_tree *tree, const read_tree_args *args) {
    status st = STATUS_OK;
    key_order order = args->view->order;
    uint32_t count = 0;
    for (uint32_t i = 0; i < tree->memtable_count; i++)
        tree->children[count++] = &tree->memtables[i].base;
    for (uint32_t i = 0; i < tree->level_count; i++)
        tree->children[count++] = &tree->levels[i].base;
    for (uint32_t i = 0; i < count; i++)
        TRY(checked_iter_wrap(&tree->children[i], order, false));
    tree->merged = tree->children[0];
    if (count == 1)
        goto out;
    merging_iter_args merge = {.order = order, .visible = args->sequence};
    tree->merged = tree->merging = merging_iter_place(tree->merge, &merge, tree->children, count);
    TRY(checked_iter_wrap(&tree->merged, order, false));
out:
    return st;
}

FIRN_INTERNAL status read_tree_attach(read_tree *tree, const read_tree_args *args) {
    const read_view *view = args->view;
    status st = read_tree_reserve(tree, 1 + view->sealed_count,
                                  view->version->levels[0].count + LEVEL_COUNT - 1, args->memory);
    if (!status_is_ok(st))
        return st;
    tree->memtable_count = tree->level_count = 0;
    /* What comes into an empty memtable from now on, the reader does not see. */
    if (memtable_entries(view->active) > 0)
        read_tree_add_memtable(tree, view->active);
    for (uint32_t i = 0; i < view->sealed_count; i++)
        read_tree_add_memtable(tree, view->sealed[i]);
    read_tree_add_tables(tree, args);
    if (tree->memtable_count + tree->level_count == 0)
        read_tree_add_memtable(tree, view->active);
    return read_tree_merge(tree, args);
}

FIRN_INTERNAL uint64_t read_tree_take_hidden(read_tree *tree) {
    return tree->merging ? merging_iter_take_hidden(tree->merging) : 0;
}

FIRN_INTERNAL void read_tree_detach(read_tree *tree) {
    if (tree->merging)
        checked_iter_drop(tree->merged);
    for (uint32_t i = 0; i < tree->memtable_count + tree->level_count; i++)
        checked_iter_drop(tree->children[i]);
    for (uint32_t i = 0; i < tree->level_count; i++)
        level_iter_detach(&tree->levels[i]);
    tree->memtable_count = tree->level_count = 0;
    tree->merged = tree->merging = NULL;
}

FIRN_INTERNAL void read_tree_deinit(read_tree *tree) {
    for (uint32_t i = 0; i < tree->level_room; i++)
        level_iter_deinit(&tree->levels[i]);
    memory_free(tree->memory);
    memory_budget_release(tree->budget, MEMORY_READERS, tree->charged);
    *tree = (read_tree){0};
}

FIRN_INTERNAL uint64_t read_tree_memory_bytes(const read_tree *tree) {
    uint64_t bytes =
        tree->memtable_room * sizeof(memtable_iter) + tree->level_room * sizeof(level_iter);
    for (uint32_t i = 0; i < tree->level_room; i++)
        bytes += table_iter_memory_bytes(&tree->levels[i].current);
    return bytes;
}
