/* Tables: what can be rescued of damaged ones, and at which level each belongs. */
#include <stdio.h>

#include "db/repair_internal.h"
#include "platform/error_detail.h"
#include "platform/memory.h"
#include "table/table_salvage.h"
#include "util/text.h"

#include "base/poison.h"

#define REPAIR_KEY_SHOWN 48

/* --- damaged ones --- */

typedef struct repair_salvage {
    repair *r;
    const char *path;
    table_output *output; /* NULL: only looking */
    key_order order;
    buf smallest, largest;
    seqno min_sequence, max_sequence;
} repair_salvage;

/* "from 'a' to 'b'", for people. */
static void repair_print_range(char *out, size_t size, slice from, slice to) {
    buf text = {0};
    if (slice_is_set(from)) {
        buf_append(&text, "from '", 6);
        text_append_escaped(&text, from, REPAIR_KEY_SHOWN);
        buf_append(&text, "' ", 2);
    } else {
        buf_printf(&text, "from the table's first key ");
    }
    if (slice_is_set(to)) {
        buf_append(&text, "to '", 4);
        text_append_escaped(&text, to, REPAIR_KEY_SHOWN);
        buf_append(&text, "'", 1);
    } else {
        buf_printf(&text, "to its last key");
    }
    snprintf(out, size, "%.*s", (int)text.size, text.data ? (const char *)text.data : "");
    buf_deinit(&text);
}

static status repair_on_hole(void *context, const table_salvage_hole *hole) {
    repair_salvage *s = context;
    char range[512];
    if (s->output)
        return STATUS_OK; /* told when it was looked at */
    repair_message m = REPAIR_MESSAGE(FIRN_REPAIR_LOSS, s->path);
    m.offset = hole->offset;
    m.bytes = hole->bytes;
    m.from = hole->after;
    m.to = hole->before;
    repair_print_range(range, sizeof range, hole->after, hole->before);
    return repair_tell(s->r, &m, "%s: %s at offset %llu (%llu bytes): lost are keys %s", s->path,
                       hole->problem, (unsigned long long)hole->offset,
                       (unsigned long long)hole->bytes, range);
}

typedef struct repair_chunks {
    table *origin;
    large_ref ref;
} repair_chunks;

static status repair_read_chunk(void *context, uint64_t index, uint8_t *out, size_t *bytes) {
    repair_chunks *c = context;
    return table_large_read_chunk(c->origin, &c->ref, index, out, bytes);
}

static status repair_write_entry(repair_salvage *s, table *origin, internal_key key, slice value) {
    status st = STATUS_OK;
    table_builder *builder;
    repair_chunks chunks = {.origin = origin};
    TRY(table_output_builder(s->output, &builder));
    if (internal_key_kind(key) != OP_PUT_LARGE) {
        TRY(table_builder_add(builder, key, value));
    } else if (!large_ref_decode(value, &chunks.ref)) {
        st = error_status(FIRN_CORRUPTION, "%s: malformed reference to a large value", s->path);
    } else {
        large_source source = {&chunks, repair_read_chunk};
        TRY(table_builder_add_large(builder, key, &chunks.ref, &source));
    }
out:
    return st;
}

static void repair_note_sequence(repair_salvage *s, seqno sequence) {
    if (s->smallest.size == 0) /* the first */
        s->min_sequence = s->max_sequence = sequence;
    if (sequence < s->min_sequence)
        s->min_sequence = sequence;
    if (sequence > s->max_sequence)
        s->max_sequence = sequence;
}

static status repair_on_entry(void *context, table *origin, internal_key key, slice value) {
    repair_salvage *s = context;
    if (s->output)
        return repair_write_entry(s, origin, key, value);
    repair_note_sequence(s, internal_key_sequence(key));
    if (s->smallest.size == 0)
        buf_append_slice(&s->smallest, key.s);
    buf_clear(&s->largest);
    buf_append_slice(&s->largest, key.s);
    return status_first(buf_status(&s->smallest), buf_status(&s->largest));
}

/* Bounds as a table's builder makes them: the end is exclusive, and sorts before every version of
 * its key. */
static status repair_bound_range(repair_salvage *s, internal_key begin, user_key end) {
    internal_key largest = {buf_slice(&s->largest)};
    if (s->largest.size == 0 ||
        key_order_compare_user(s->order, internal_key_user(largest), end) < 0) {
        buf_clear(&s->largest);
        internal_key_append(&s->largest, end, SEQNO_MAX, OP_SEEK);
    }
    internal_key smallest = {buf_slice(&s->smallest)};
    if (s->smallest.size == 0 || key_order_compare(s->order, begin, smallest) < 0) {
        buf_clear(&s->smallest);
        buf_append_slice(&s->smallest, begin.s);
    }
    return status_first(buf_status(&s->smallest), buf_status(&s->largest));
}

static status repair_on_range(void *context, const range_tombstone *range) {
    status st = STATUS_OK;
    repair_salvage *s = context;
    table_builder *builder;
    buf key = {0};
    internal_key_append(&key, range->begin, range->sequence, OP_RANGE_DELETE);
    TRY(buf_status(&key));
    internal_key begin = {buf_slice(&key)};
    if (s->output) {
        TRY(table_output_builder(s->output, &builder));
        TRY(table_builder_add_range_tombstone(builder, begin, range->end));
    } else {
        repair_note_sequence(s, range->sequence);
        TRY(repair_bound_range(s, begin, range->end));
    }
out:
    buf_deinit(&key);
    return st;
}

static status repair_salvage_table(repair_salvage *s, const repair_table *t, key_order order,
                                   table_salvage *found) {
    table_salvage_args args = {.vfs = s->r->config->vfs,
                               .path = s->path,
                               .order = order,
                               .identity = t->meta ? t->meta->where.identity : NULL,
                               .on_entry = repair_on_entry,
                               .on_range = repair_on_range,
                               .on_hole = repair_on_hole,
                               .context = s};
    return table_salvage_run(&args, found);
}

static status repair_tell_lost(repair *r, repair_table *t, const char *path, const char *why) {
    char range[512] = "nobody knows which";
    repair_message m = REPAIR_MESSAGE(FIRN_REPAIR_LOSS, path);
    t->fate = REPAIR_LOST;
    if (t->meta) {
        m.entries = t->meta->entries;
        m.from = internal_key_user(t->meta->smallest).s;
        m.to = internal_key_user(t->meta->largest).s;
        repair_print_range(range, sizeof range, m.from, m.to);
    }
    return repair_tell(r, &m, "%s: %s: lost are its keys, %s", path, why, range);
}

/* Describes the table as its rescue would leave it. */
static status repair_describe_salvaged(repair *r, repair_table *t, const repair_salvage *s,
                                       const table_salvage *found) {
    table_meta fields = t->meta ? *t->meta : (table_meta){0};
    table_meta *described;
    fields.keyspace = t->meta ? t->meta->keyspace : found->properties.keyspace;
    fields.where.number = t->number;
    fields.where.file_bytes = found->properties.file_bytes;
    memcpy(fields.where.identity, found->properties.identity, sizeof fields.where.identity);
    fields.entries = found->entries;
    fields.range_tombstones = found->range_tombstones;
    fields.hidden_versions = fields.expiring = 0; /* how many of them are left is not known */
    fields.smallest.s = buf_slice(&s->smallest);
    fields.largest.s = buf_slice(&s->largest);
    if (!t->meta) {
        fields.min_expiry = found->properties.min_expiry;
        fields.max_expiry = found->properties.max_expiry;
    }
    fields.min_sequence = s->min_sequence;
    fields.max_sequence = s->max_sequence;
    if (!repair_find_keyspace(r, fields.keyspace))
        return error_status(FIRN_NO_MEMORY, "%s: no room for keyspace %u", s->path,
                            fields.keyspace);
    status st = table_meta_new(&fields, &described);
    if (!status_is_ok(st))
        return st;
    table_meta_unref(t->meta);
    t->meta = described;
    return STATUS_OK;
}

/* Range deletes that cannot be read: what they hid may show again. */
static status repair_tell_ranges(repair *r, const repair_table *t, const char *path,
                                 const table_salvage *found) {
    char range[512];
    uint64_t said = t->meta ? t->meta->range_tombstones : found->properties.range_tombstones;
    repair_message m = REPAIR_MESSAGE(FIRN_REPAIR_LOSS, path);
    if (found->range_tombstones >= said)
        return STATUS_OK;
    if (t->meta) {
        m.from = internal_key_user(t->meta->smallest).s;
        m.to = internal_key_user(t->meta->largest).s;
    }
    repair_print_range(range, sizeof range, m.from, m.to);
    return repair_tell(r, &m,
                       "%s: %llu of its %llu range deletes cannot be read: what they deleted may "
                       "show again, keys %s",
                       path, (unsigned long long)(said - found->range_tombstones),
                       (unsigned long long)said, range);
}

static status repair_look_at_damaged(repair *r, repair_table *t, repair_salvage *s) {
    status st = STATUS_OK;
    table_salvage found;
    uint64_t said = t->meta ? t->meta->entries : FIRN_NONE;
    key_order order = r->config->order;
    if (t->meta && repair_find_keyspace(r, t->meta->keyspace))
        order = repair_find_keyspace(r, t->meta->keyspace)->order;
    s->order = order;
    st = repair_salvage_table(s, t, order, &found);
    if (repair_is_damage(st)) {
        st = repair_tell_lost(r, t, s->path, "nothing of it can be read");
        goto out;
    }
    TRY(st);
    if (!t->meta && !found.has_properties) {
        st = repair_tell_lost(r, t, s->path, "its properties, and so its keyspace, are lost");
        goto out;
    }
    if (said == FIRN_NONE)
        said = found.properties.entries;
    if (found.entries == 0 && found.range_tombstones == 0) {
        st = repair_tell_lost(r, t, s->path, "none of its entries can be read");
        goto out;
    }
    t->fate = REPAIR_SALVAGE;
    TRY(repair_tell_ranges(r, t, s->path, &found));
    TRY(repair_describe_salvaged(r, t, s, &found));
    repair_message m = REPAIR_MESSAGE(FIRN_REPAIR_ACTION, s->path);
    m.entries = found.entries;
    st = repair_tell(r, &m, "%s: %llu of its %llu entries %s a new table", s->path,
                     (unsigned long long)found.entries, (unsigned long long)said,
                     r->plan_only ? "would go to" : "go to");
out:
    return st;
}

FIRN_INTERNAL status repair_judge_damaged(repair *r, repair_table *t, const char *problem) {
    status st = STATUS_OK;
    char path[FILE_PATH_BYTES];
    repair_salvage s = {.r = r, .path = file_path(path, r->directory, FILE_TABLE, t->number)};
    repair_message m = REPAIR_MESSAGE(FIRN_REPAIR_PROBLEM, path);
    TRY(repair_tell(r, &m, "%s", problem));
    TRY(repair_look_at_damaged(r, t, &s));
out:
    buf_deinit(&s.smallest);
    buf_deinit(&s.largest);
    return st;
}

/* --- their rescue --- */

static status repair_note_rescued(repair *r, uint64_t number) {
    uint64_t *grown = memory_resize(r->rescued, (r->rescued_count + 1) * sizeof *grown);
    if (!grown)
        return error_status(FIRN_NO_MEMORY, "%s: no memory to list the originals", r->directory);
    r->rescued = grown;
    r->rescued[r->rescued_count++] = number;
    return STATUS_OK;
}

static void repair_replace_meta(repair_table *t, table_meta *meta) {
    table_meta_ref(meta);
    table_meta_unref(t->meta);
    t->meta = meta;
    t->number = t->source = meta->where.number;
    t->fate = REPAIR_KEEP;
}

static status repair_rescue_damaged(repair *r, repair_table *t) {
    status st = STATUS_OK;
    char path[FILE_PATH_BYTES];
    table_output output;
    table_salvage found;
    const repair_keyspace *k = repair_find_keyspace(r, t->meta->keyspace);
    CHECK(k != NULL); /* made when the table was judged */
    repair_start_output(r, k, t->level, &output);
    repair_salvage s = {.r = r,
                        .path = file_path(path, r->directory, FILE_TABLE, t->number),
                        .output = &output};
    TRY(repair_salvage_table(&s, t, k->order, &found));
    TRY(table_output_finish(&output));
    if (output.done_count == 1) {
        repair_replace_meta(t, output.done[0]);
    } else {
        st = error_status(FIRN_IO_ERROR, "%s: reads differently each time; nothing was changed",
                          path);
    }
out:
    table_output_deinit(&output);
    return st;
}

/* Checksums are seeded with the identity, not with the number: the bytes serve under any name. */
static status repair_rescue_exchanged(repair *r, repair_table *t) {
    status st = STATUS_OK;
    char from[FILE_PATH_BYTES], temporary[FILE_PATH_BYTES], to[FILE_PATH_BYTES];
    uint64_t number = version_set_new_file_number(r->numbers);
    table_meta *renamed = NULL;
    table_meta fields = *t->meta;
    file_path(from, r->directory, FILE_TABLE, t->source);
    file_path(to, r->directory, FILE_TABLE, number);
    file_path_temporary(temporary, r->directory, FILE_TABLE, number);
    TRY(repair_copy_file(r, from, temporary));
    TRY(vfs_rename(r->config->vfs, temporary, to));
    fields.where.number = number;
    TRY(table_meta_new(&fields, &renamed));
    repair_replace_meta(t, renamed);
out:
    table_meta_unref(renamed);
    return st;
}

FIRN_INTERNAL status repair_rescue_tables(repair *r) {
    status st = STATUS_OK;
    for (size_t i = 0; !r->plan_only && i < r->table_count; i++) {
        repair_table *t = &r->tables[i];
        if (t->fate != REPAIR_KEEP && t->fate != REPAIR_DROP)
            TRY(repair_note_rescued(r, t->number));
        if (t->fate == REPAIR_SALVAGE)
            TRY(repair_rescue_damaged(r, t));
        else if (t->fate == REPAIR_COPY)
            TRY(repair_rescue_exchanged(r, t));
    }
out:
    return st;
}

/* --- levels, when no manifest knows them --- */

/* Tables that are merged into one run, or a single one. */
typedef struct repair_group {
    const repair_keyspace *keyspace;
    user_key smallest, largest;
    seqno min_sequence, max_sequence;
    uint32_t tables, level;
    bool is_placed, is_gone; /* gone: became part of another */
} repair_group;

static bool repair_groups_overlap(const repair_group *a, const repair_group *b) {
    return a->keyspace == b->keyspace &&
           key_order_compare_user(a->keyspace->order, a->smallest, b->largest) <= 0 &&
           key_order_compare_user(a->keyspace->order, b->smallest, a->largest) <= 0;
}

/* Neither is newer than the other as a whole, and it matters. */
static bool repair_groups_clash(const repair_group *a, const repair_group *b) {
    return repair_groups_overlap(a, b) && a->min_sequence <= b->max_sequence &&
           b->min_sequence <= a->max_sequence;
}

static void repair_group_absorb(repair *r, repair_group *groups, uint32_t into, uint32_t from) {
    repair_group *a = &groups[into], *b = &groups[from];
    key_order order = a->keyspace->order;
    if (key_order_compare_user(order, b->smallest, a->smallest) < 0)
        a->smallest = b->smallest;
    if (key_order_compare_user(order, b->largest, a->largest) > 0)
        a->largest = b->largest;
    if (b->min_sequence < a->min_sequence)
        a->min_sequence = b->min_sequence;
    if (b->max_sequence > a->max_sequence)
        a->max_sequence = b->max_sequence;
    a->tables += b->tables;
    b->is_gone = true;
    for (size_t i = 0; i < r->table_count; i++) {
        if (r->tables[i].group == from)
            r->tables[i].group = into;
    }
}

static bool repair_absorb_any(repair *r, repair_group *groups, uint32_t count, uint32_t into) {
    bool found = false;
    for (uint32_t j = 0; j < count; j++) {
        if (j == into || groups[j].is_gone || !repair_groups_clash(&groups[into], &groups[j]))
            continue;
        repair_group_absorb(r, groups, into, j);
        found = true;
    }
    return found;
}

/* The oldest first; each goes as deep as it can without lying below or beside an older one that it
 * overlaps. */
static void repair_place_groups(repair_group *groups, uint32_t count) {
    for (;;) {
        repair_group *oldest = NULL;
        for (uint32_t i = 0; i < count; i++) {
            if (!groups[i].is_gone && !groups[i].is_placed &&
                (!oldest || groups[i].max_sequence < oldest->max_sequence))
                oldest = &groups[i];
        }
        if (!oldest)
            return;
        oldest->level = LEVEL_COUNT - 1;
        for (uint32_t i = 0; i < count; i++) {
            const repair_group *other = &groups[i];
            if (!other->is_placed || !repair_groups_overlap(oldest, other) ||
                other->level > oldest->level)
                continue;
            oldest->level = other->level > 0 ? other->level - 1 : 0;
        }
        oldest->is_placed = true;
    }
}

static uint32_t repair_make_groups(repair *r, repair_group *groups) {
    uint32_t count = 0;
    for (size_t i = 0; i < r->table_count; i++) {
        repair_table *t = &r->tables[i];
        t->group = UINT32_MAX;
        if (t->fate == REPAIR_DROP || t->fate == REPAIR_LOST)
            continue;
        t->group = count;
        groups[count++] = (repair_group){.keyspace = repair_find_keyspace(r, t->meta->keyspace),
                                         .smallest = internal_key_user(t->meta->smallest),
                                         .largest = internal_key_user(t->meta->largest),
                                         .min_sequence = t->meta->min_sequence,
                                         .max_sequence = t->meta->max_sequence,
                                         .tables = 1};
    }
    return count;
}

static status repair_merge_groups(repair *r, const repair_group *groups, uint32_t count) {
    status st = STATUS_OK;
    for (uint32_t i = 0; i < count; i++) {
        if (groups[i].is_gone || groups[i].tables < 2)
            continue;
        repair_message m = REPAIR_MESSAGE(FIRN_REPAIR_ACTION, r->directory);
        TRY(repair_tell(r, &m,
                        "%s: %u tables overlap in keys and in sequences, their order is lost with "
                        "the manifest: %s",
                        r->directory, groups[i].tables,
                        r->plan_only ? "would be merged" : "merged into new ones"));
        if (!r->plan_only)
            TRY(repair_merge_group(r, groups[i].keyspace, i));
    }
out:
    return st;
}

FIRN_INTERNAL status repair_place_tables(repair *r) {
    status st = STATUS_OK;
    repair_group *groups = memory_new_zeroed((r->table_count + 1) * sizeof *groups);
    if (!groups)
        return error_status(FIRN_NO_MEMORY, "%s: no memory to order its tables", r->directory);
    uint32_t count = repair_make_groups(r, groups);
    for (uint32_t i = 0; i < count; i++) {
        while (!groups[i].is_gone && repair_absorb_any(r, groups, count, i)) {
        }
    }
    repair_place_groups(groups, count);
    TRY(repair_merge_groups(r, groups, count));
    for (size_t i = 0; i < r->table_count; i++) {
        if (r->tables[i].group != UINT32_MAX)
            r->tables[i].level = groups[r->tables[i].group].level;
    }
    repair_message m = REPAIR_MESSAGE(FIRN_REPAIR_ACTION, r->directory);
    st = repair_tell(r, &m, "%s: %s a manifest from what its tables say of themselves",
                     r->directory, r->plan_only ? "would get" : "gets");
out:
    memory_free(groups);
    return st;
}

#undef REPAIR_KEY_SHOWN
