#include "version/version.h"

#include "platform/error_detail.h"
#include "platform/memory.h"

#include "base/poison.h"

FIRN_INTERNAL status version_new_empty(key_order order, version **out) {
    version *v = memory_new_zeroed(sizeof *v);
    *out = v;
    if (!v)
        return error_status(FIRN_NO_MEMORY, "no memory for a version");
    atomic_u32_init(&v->references, 1);
    v->order = order;
    return STATUS_OK;
}

FIRN_INTERNAL void version_ref(version *v) {
    /* relaxed: the caller holds a reference already. */
    atomic_u32_add(&v->references, 1, memory_order_relaxed);
}

FIRN_INTERNAL void version_unref(version *v) {
    /* acq_rel: pairs with the other droppers' release. */
    if (!v || atomic_u32_sub(&v->references, 1, memory_order_acq_rel) != 1)
        return;
    for (uint32_t level = 0; level < LEVEL_COUNT; level++) {
        for (uint32_t i = 0; i < v->levels[level].count; i++)
            table_meta_unref(v->levels[level].tables[i]);
        memory_free(v->levels[level].tables);
    }
    memory_free(v);
}

/* --- building --- */

static bool version_edit_removes(const version_edit *edit, uint32_t keyspace, uint32_t level,
                                 uint64_t number) {
    for (uint32_t i = 0; i < edit->removed_count; i++) {
        const edit_removed *r = &edit->removed[i];
        if (r->keyspace == keyspace && r->level == level && r->number == number)
            return true;
    }
    return false;
}

/* Whether `a` stands before `b` on `level`. */
static bool version_table_precedes(const version *v, uint32_t level, const table_meta *a,
                                   const table_meta *b) {
    if (level > 0)
        return key_order_compare(v->order, a->smallest, b->smallest) < 0;
    if (a->max_sequence != b->max_sequence)
        return a->max_sequence > b->max_sequence;
    return a->where.number > b->where.number;
}

/* Inserts by shifting: edits add few tables to a level that is sorted already. */
static void version_level_insert(version *v, uint32_t level, table_meta *table) {
    version_level *l = &v->levels[level];
    uint32_t low = 0, high = l->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (version_table_precedes(v, level, l->tables[middle], table))
            low = middle + 1;
        else
            high = middle;
    }
    memmove(l->tables + low + 1, l->tables + low, (l->count - low) * sizeof *l->tables);
    l->tables[low] = table;
    l->count++;
    l->bytes += table->where.file_bytes;
    table_meta_ref(table);
}

static status version_level_build(version *v, uint32_t level, const version *base,
                                  const version_edit *edit, uint32_t keyspace) {
    const version_level *old = &base->levels[level];
    version_level *l = &v->levels[level];
    uint32_t added = 0, removed = 0;
    for (uint32_t i = 0; i < edit->added_count; i++)
        added += edit->added[i].level == level && edit->added[i].table->keyspace == keyspace;
    for (uint32_t i = 0; i < edit->removed_count; i++)
        removed += edit->removed[i].level == level && edit->removed[i].keyspace == keyspace;
    if (old->count + added == 0)
        return removed ? error_status(FIRN_CORRUPTION, "version edit removes an unknown table")
                       : STATUS_OK;
    l->tables = memory_new((old->count + added) * sizeof *l->tables);
    if (!l->tables)
        return error_status(FIRN_NO_MEMORY, "no memory for a version");
    for (uint32_t i = 0; i < old->count; i++) {
        table_meta *t = old->tables[i];
        if (removed && version_edit_removes(edit, keyspace, level, t->where.number))
            continue;
        l->tables[l->count++] = t;
        l->bytes += t->where.file_bytes;
        table_meta_ref(t);
    }
    if (old->count - l->count != removed)
        return error_status(FIRN_CORRUPTION, "version edit removes an unknown table");
    for (uint32_t i = 0; i < edit->added_count; i++) {
        if (edit->added[i].level == level && edit->added[i].table->keyspace == keyspace)
            version_level_insert(v, level, edit->added[i].table);
    }
    return STATUS_OK;
}

static status version_check_level(const version *v, uint32_t level) {
    const version_level *l = &v->levels[level];
    for (uint32_t i = 1; level > 0 && i < l->count; i++) {
        internal_key before = l->tables[i - 1]->largest;
        user_key after = internal_key_user(l->tables[i]->smallest);
        int order = key_order_compare_user(v->order, internal_key_user(before), after);
        /* The end of a range tombstone is a bound of its table and no key in it. */
        if (order > 0 || (order == 0 && !internal_key_is_range_end(before)))
            return error_status(FIRN_CORRUPTION,
                                "tables %06llu and %06llu of level %u overlap; run 'firn verify'",
                                (unsigned long long)l->tables[i - 1]->where.number,
                                (unsigned long long)l->tables[i]->where.number, level);
    }
    return STATUS_OK;
}

/* Only against `base`: the one edit that adds many tables starts from nothing. */
static status version_check_added(const version *base, const version_edit *edit,
                                  uint32_t keyspace) {
    for (uint32_t i = 0; i < edit->added_count; i++) {
        const table_meta *t = edit->added[i].table;
        for (uint32_t level = 0; t->keyspace == keyspace && level < LEVEL_COUNT; level++) {
            if (version_find_table(base, level, t->where.number) &&
                !version_edit_removes(edit, keyspace, level, t->where.number))
                return error_status(FIRN_CORRUPTION, "version edit adds table %06llu again",
                                    (unsigned long long)t->where.number);
        }
    }
    return STATUS_OK;
}

FIRN_INTERNAL status version_new_edited(const version *base, const version_edit *edit,
                                        uint32_t keyspace, graveyard *grave, version **out) {
    status st = STATUS_OK;
    version *v = NULL;
    *out = NULL;
    TRY(version_check_added(base, edit, keyspace));
    TRY(version_new_empty(base->order, &v));
    for (uint32_t i = 0; i < edit->added_count; i++)
        edit->added[i].table->grave = grave;
    for (uint32_t level = 0; level < LEVEL_COUNT; level++) {
        TRY(version_level_build(v, level, base, edit, keyspace));
        TRY(version_check_level(v, level));
        for (uint32_t i = 0; i < v->levels[level].count; i++)
            v->has_range_tombstones |= v->levels[level].tables[i]->range_tombstones > 0;
    }
    *out = v;
    v = NULL;
out:
    version_unref(v);
    return st;
}

/* --- asking --- */

FIRN_INTERNAL uint32_t version_level_find(const version *v, uint32_t level, internal_key target) {
    const version_level *l = &v->levels[level];
    uint32_t low = 0, high = l->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (key_order_compare(v->order, l->tables[middle]->largest, target) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool version_table_may_hold(const version *v, const table_meta *t, internal_key seek) {
    user_key key = internal_key_user(seek);
    return key_order_compare_user(v->order, key, internal_key_user(t->smallest)) >= 0 &&
           key_order_compare_user(v->order, key, internal_key_user(t->largest)) <= 0;
}

/* L0 newest first, then at most one table per level: newer versions lie in front of older ones. */
FIRN_INTERNAL uint32_t version_walk_next(version_walk *walk, table_meta **out, uint32_t capacity) {
    const version *v = walk->v;
    uint32_t count = 0;
    for (; walk->level == 0 && count < capacity; walk->position++) {
        if (walk->position == v->levels[0].count) {
            walk->level = 1;
            break;
        }
        table_meta *t = v->levels[0].tables[walk->position];
        if (version_table_may_hold(v, t, walk->seek))
            out[count++] = t;
    }
    for (; walk->level > 0 && walk->level < LEVEL_COUNT && count < capacity; walk->level++) {
        const version_level *l = &v->levels[walk->level];
        uint32_t i = l->count ? version_level_find(v, walk->level, walk->seek) : 0;
        if (i < l->count && version_table_may_hold(v, l->tables[i], walk->seek))
            out[count++] = l->tables[i];
    }
    return count;
}

FIRN_INTERNAL uint64_t version_total_bytes(const version *v) {
    uint64_t bytes = 0;
    for (uint32_t level = 0; level < LEVEL_COUNT; level++)
        bytes += v->levels[level].bytes;
    return bytes;
}

FIRN_INTERNAL uint64_t version_total_tables(const version *v) {
    uint64_t count = 0;
    for (uint32_t level = 0; level < LEVEL_COUNT; level++)
        count += v->levels[level].count;
    return count;
}

FIRN_INTERNAL table_meta *version_find_table(const version *v, uint32_t level, uint64_t number) {
    for (uint32_t i = 0; level < LEVEL_COUNT && i < v->levels[level].count; i++) {
        if (v->levels[level].tables[i]->where.number == number)
            return v->levels[level].tables[i];
    }
    return NULL;
}

FIRN_INTERNAL bool version_overlaps_below(const version *v, uint32_t level, user_key smallest,
                                          user_key largest) {
    for (; level < LEVEL_COUNT; level++) {
        for (uint32_t i = 0; i < v->levels[level].count; i++) {
            const table_meta *t = v->levels[level].tables[i];
            if (key_order_compare_user(v->order, internal_key_user(t->largest), smallest) >= 0 &&
                key_order_compare_user(v->order, internal_key_user(t->smallest), largest) <= 0)
                return true;
        }
    }
    return false;
}
