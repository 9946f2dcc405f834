#include "version/version_edit.h"

#include "platform/error_detail.h"
#include "platform/memory.h"
#include "util/coding.h"
#include "util/text.h"
#include "version/version.h"

#include "base/poison.h"

/* On disk: never renumber. */
enum edit_tag {
    EDIT_DATABASE = 1,
    EDIT_NEXT_FILE = 2,
    EDIT_LAST_SEQUENCE = 3,
    EDIT_LOG_FLOOR = 4,
    EDIT_CLEAN_END = 5,
    EDIT_KEYSPACE_CREATED = 6,
    EDIT_KEYSPACE_DROPPED = 7,
    EDIT_FLUSHED = 8,
    EDIT_TABLE_ADDED = 9,
    EDIT_TABLE_REMOVED = 10,
    EDIT_TABLE_HISTORY = 11 /* since format 2 */
};

FIRN_INTERNAL void version_edit_deinit(version_edit *e) {
    for (uint32_t i = 0; i < e->added_count; i++)
        table_meta_unref(e->added[i].table);
    for (uint32_t i = 0; i < e->keyspace_count; i++) {
        memory_free(e->keyspaces[i].name);
        memory_free(e->keyspaces[i].comparator);
    }
    memory_free(e->added);
    memory_free(e->removed);
    memory_free(e->flushed);
    memory_free(e->keyspaces);
    *e = (version_edit){0};
}

/* Makes room for one more element: arrays grow at powers of two. */
static status version_edit_grow(void **array, uint32_t count, size_t element_bytes) {
    if (count & (count - 1))
        return STATUS_OK;
    size_t capacity = count ? (size_t)count * 2 : 1;
    void *grown = memory_resize(*array, capacity * element_bytes);
    if (!grown)
        return error_status(FIRN_NO_MEMORY, "no memory for a version edit of %u entries", count);
    *array = grown;
    return STATUS_OK;
}

FIRN_INTERNAL status version_edit_add_table(version_edit *e, uint32_t level, table_meta *table) {
    status st = version_edit_grow((void **)&e->added, e->added_count, sizeof *e->added);
    if (status_is_ok(st)) {
        table_meta_ref(table);
        e->added[e->added_count++] = (edit_added){level, table};
    }
    return st;
}

FIRN_INTERNAL status version_edit_remove_table(version_edit *e, uint32_t keyspace, uint32_t level,
                                               uint64_t number) {
    status st = version_edit_grow((void **)&e->removed, e->removed_count, sizeof *e->removed);
    if (status_is_ok(st))
        e->removed[e->removed_count++] = (edit_removed){keyspace, level, number};
    return st;
}

FIRN_INTERNAL status version_edit_set_flushed(version_edit *e, uint32_t keyspace, seqno sequence) {
    status st = version_edit_grow((void **)&e->flushed, e->flushed_count, sizeof *e->flushed);
    if (status_is_ok(st))
        e->flushed[e->flushed_count++] = (edit_flushed){keyspace, sequence};
    return st;
}

static status version_edit_push_keyspace(version_edit *e, edit_keyspace keyspace) {
    status st = version_edit_grow((void **)&e->keyspaces, e->keyspace_count, sizeof *e->keyspaces);
    if (status_is_ok(st))
        e->keyspaces[e->keyspace_count++] = keyspace;
    return st;
}

FIRN_INTERNAL status version_edit_create_keyspace(version_edit *e, uint32_t id, const char *name,
                                                  const char *comparator) {
    edit_keyspace k = {id, false, memory_copy_string(name), memory_copy_string(comparator)};
    status st = k.name && k.comparator ? version_edit_push_keyspace(e, k)
                                       : error_status(FIRN_NO_MEMORY, "no memory for a keyspace");
    if (!status_is_ok(st)) {
        memory_free(k.name);
        memory_free(k.comparator);
    }
    return st;
}

FIRN_INTERNAL status version_edit_drop_keyspace(version_edit *e, uint32_t id) {
    return version_edit_push_keyspace(e, (edit_keyspace){id, true, NULL, NULL});
}

/* --- encoding --- */

static void version_edit_put_field(buf *out, enum edit_tag tag, buf *field) {
    put_varint32(out, tag);
    put_sized(out, buf_slice(field));
    out->out_of_memory |= field->out_of_memory;
    buf_clear(field);
}

static void version_edit_put_table(const edit_added *added, buf *field) {
    const table_meta *t = added->table;
    put_varint32(field, t->keyspace);
    put_varint32(field, added->level);
    put_varint64(field, t->where.number);
    buf_append(field, t->where.identity, sizeof t->where.identity);
    const uint64_t numbers[] = {t->where.file_bytes, t->entries,       t->deletes,
                                t->range_tombstones, t->raw_key_bytes, t->raw_value_bytes,
                                t->min_sequence,     t->max_sequence,  t->min_expiry,
                                t->max_expiry};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        put_varint64(field, numbers[i]);
    put_sized(field, t->smallest.s);
    put_sized(field, t->largest.s);
}

/* What format 1 does not say about a table. False: nothing of that is known, as in tables that a
 * build of then wrote. */
static bool version_edit_put_history(const table_meta *t, buf *field) {
    if (!t->newest_ms && !t->written_ms && !t->hidden_versions && !t->expiring)
        return false;
    put_varint32(field, t->keyspace);
    put_varint64(field, t->where.number);
    put_varint64(field, t->newest_ms);
    put_varint64(field, t->written_ms);
    put_varint64(field, t->hidden_versions);
    put_varint64(field, t->expiring);
    for (uint32_t i = 0; t->expiring && i < EXPIRY_PARTS; i++)
        put_varint64(field, t->expiry_parts[i] - (i ? t->expiry_parts[i - 1] : 0));
    return true;
}

static void version_edit_encode_scalars(const version_edit *e, buf *field, buf *out) {
    if (e->has_database) {
        buf_append(field, e->database, sizeof e->database);
        version_edit_put_field(out, EDIT_DATABASE, field);
    }
    if (e->has_next_file) {
        put_varint64(field, e->next_file);
        version_edit_put_field(out, EDIT_NEXT_FILE, field);
    }
    if (e->has_last_sequence) {
        put_varint64(field, e->last_sequence);
        version_edit_put_field(out, EDIT_LAST_SEQUENCE, field);
    }
    if (e->has_log_floor) {
        put_varint64(field, e->log_floor_segment);
        put_varint64(field, e->log_floor_position);
        version_edit_put_field(out, EDIT_LOG_FLOOR, field);
    }
    if (e->has_clean_end) {
        put_varint64(field, e->clean_end);
        version_edit_put_field(out, EDIT_CLEAN_END, field);
    }
}

FIRN_INTERNAL void version_edit_encode(const version_edit *e, buf *out) {
    buf field = {0};
    version_edit_encode_scalars(e, &field, out);
    for (uint32_t i = 0; i < e->keyspace_count; i++) {
        const edit_keyspace *k = &e->keyspaces[i];
        put_varint32(&field, k->id);
        if (!k->dropped) {
            put_sized(&field, slice_from_string(k->name));
            put_sized(&field, slice_from_string(k->comparator));
        }
        version_edit_put_field(out, k->dropped ? EDIT_KEYSPACE_DROPPED : EDIT_KEYSPACE_CREATED,
                               &field);
    }
    for (uint32_t i = 0; i < e->flushed_count; i++) {
        put_varint32(&field, e->flushed[i].keyspace);
        put_varint64(&field, e->flushed[i].sequence);
        version_edit_put_field(out, EDIT_FLUSHED, &field);
    }
    for (uint32_t i = 0; i < e->removed_count; i++) {
        put_varint32(&field, e->removed[i].keyspace);
        put_varint32(&field, e->removed[i].level);
        put_varint64(&field, e->removed[i].number);
        version_edit_put_field(out, EDIT_TABLE_REMOVED, &field);
    }
    for (uint32_t i = 0; i < e->added_count; i++) {
        version_edit_put_table(&e->added[i], &field);
        version_edit_put_field(out, EDIT_TABLE_ADDED, &field);
        if (version_edit_put_history(e->added[i].table, &field))
            version_edit_put_field(out, EDIT_TABLE_HISTORY, &field);
    }
    buf_deinit(&field);
}

/* --- decoding --- */

static const status EDIT_DAMAGED = {FIRN_CORRUPTION, 0, "malformed version edit"};

static bool version_edit_get_key(slice *in, internal_key *out) {
    return get_sized(in, &out->s) && out->s.size >= KEY_TRAILER_BYTES &&
           out->s.size <= KEY_BYTES_MAX + KEY_TRAILER_BYTES;
}

static status version_edit_decode_added(slice in, version_edit *e) {
    table_meta t = {0};
    uint32_t level;
    slice identity;
    uint64_t *numbers[] = {&t.where.file_bytes, &t.entries,       &t.deletes,
                           &t.range_tombstones, &t.raw_key_bytes, &t.raw_value_bytes,
                           &t.min_sequence,     &t.max_sequence,  &t.min_expiry,
                           &t.max_expiry};
    if (!get_varint32(&in, &t.keyspace) || !get_varint32(&in, &level) || level >= LEVEL_COUNT ||
        !get_varint64(&in, &t.where.number) || !get_bytes(&in, sizeof t.where.identity, &identity))
        return EDIT_DAMAGED;
    slice_copy_to(identity, t.where.identity);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (!get_varint64(&in, numbers[i]))
            return EDIT_DAMAGED;
    }
    if (!version_edit_get_key(&in, &t.smallest) || !version_edit_get_key(&in, &t.largest) ||
        in.size != 0)
        return EDIT_DAMAGED;
    table_meta *table;
    status st = table_meta_new(&t, &table);
    if (status_is_ok(st))
        st = version_edit_add_table(e, level, table);
    table_meta_unref(table);
    return st;
}

/* Follows the table it is about, which nobody else knows yet. */
static status version_edit_decode_history(slice in, version_edit *e) {
    uint32_t keyspace;
    uint64_t number, before = 0;
    table_meta *t = e->added_count ? e->added[e->added_count - 1].table : NULL;
    if (!t || !get_varint32(&in, &keyspace) || !get_varint64(&in, &number) ||
        keyspace != t->keyspace || number != t->where.number || !get_varint64(&in, &t->newest_ms) ||
        !get_varint64(&in, &t->written_ms) || !get_varint64(&in, &t->hidden_versions) ||
        !get_varint64(&in, &t->expiring))
        return EDIT_DAMAGED;
    for (uint32_t i = 0; t->expiring && i < EXPIRY_PARTS; i++) {
        uint64_t step;
        if (!get_varint64(&in, &step) || step > UINT64_MAX - before)
            return EDIT_DAMAGED;
        t->expiry_parts[i] = before += step;
    }
    bool fits = t->hidden_versions <= t->entries && t->expiring <= t->entries;
    return in.size == 0 && fits ? STATUS_OK : EDIT_DAMAGED;
}

static status version_edit_decode_keyspace(slice in, version_edit *e, bool dropped) {
    status st = STATUS_OK;
    edit_keyspace k = {.dropped = dropped};
    slice name, comparator;
    buf text = {0};
    if (!get_varint32(&in, &k.id))
        return EDIT_DAMAGED;
    if (dropped)
        return in.size ? EDIT_DAMAGED : version_edit_drop_keyspace(e, k.id);
    if (!get_sized(&in, &name) || !get_sized(&in, &comparator) || in.size != 0 ||
        memchr(name.data, 0, name.size) || memchr(comparator.data, 0, comparator.size))
        return EDIT_DAMAGED;
    buf_append_slice(&text, name);
    buf_append(&text, "", 1);
    buf_append_slice(&text, comparator);
    buf_append(&text, "", 1);
    TRY(buf_status(&text));
    TRY(version_edit_create_keyspace(e, k.id, (const char *)text.data,
                                     (const char *)text.data + name.size + 1));
out:
    buf_deinit(&text);
    return st;
}

static status version_edit_decode_scalar(uint32_t tag, slice in, version_edit *e) {
    bool good = true;
    slice identity;
    switch (tag) {
    case EDIT_DATABASE:
        e->has_database = good = get_bytes(&in, sizeof e->database, &identity);
        if (good)
            slice_copy_to(identity, e->database);
        break;
    case EDIT_NEXT_FILE:
        e->has_next_file = good = get_varint64(&in, &e->next_file);
        break;
    case EDIT_LAST_SEQUENCE:
        e->has_last_sequence = good = get_varint64(&in, &e->last_sequence);
        break;
    case EDIT_LOG_FLOOR:
        e->has_log_floor = good =
            get_varint64(&in, &e->log_floor_segment) && get_varint64(&in, &e->log_floor_position);
        break;
    case EDIT_CLEAN_END:
        e->has_clean_end = good = get_varint64(&in, &e->clean_end);
        break;
    default:
        return error_status(FIRN_NOT_SUPPORTED,
                            "version edit has field %u, which this version of Firn does not know; "
                            "open the database with a newer one",
                            tag);
    }
    return good && in.size == 0 ? STATUS_OK : EDIT_DAMAGED;
}

static status version_edit_decode_field(uint32_t tag, slice in, version_edit *e) {
    edit_flushed flushed;
    edit_removed removed;
    switch (tag) {
    case EDIT_KEYSPACE_CREATED:
        return version_edit_decode_keyspace(in, e, false);
    case EDIT_KEYSPACE_DROPPED:
        return version_edit_decode_keyspace(in, e, true);
    case EDIT_FLUSHED:
        if (!get_varint32(&in, &flushed.keyspace) || !get_varint64(&in, &flushed.sequence) ||
            in.size != 0)
            return EDIT_DAMAGED;
        return version_edit_set_flushed(e, flushed.keyspace, flushed.sequence);
    case EDIT_TABLE_REMOVED:
        if (!get_varint32(&in, &removed.keyspace) || !get_varint32(&in, &removed.level) ||
            !get_varint64(&in, &removed.number) || in.size != 0 || removed.level >= LEVEL_COUNT)
            return EDIT_DAMAGED;
        return version_edit_remove_table(e, removed.keyspace, removed.level, removed.number);
    case EDIT_TABLE_ADDED:
        return version_edit_decode_added(in, e);
    case EDIT_TABLE_HISTORY:
        return version_edit_decode_history(in, e);
    default:
        return version_edit_decode_scalar(tag, in, e);
    }
}

FIRN_INTERNAL status version_edit_decode(slice payload, version_edit *out) {
    *out = (version_edit){0};
    while (payload.size) {
        uint32_t tag;
        slice field;
        if (!get_varint32(&payload, &tag) || !get_sized(&payload, &field))
            return EDIT_DAMAGED;
        status st = version_edit_decode_field(tag, field, out);
        if (!status_is_ok(st))
            return st;
    }
    return STATUS_OK;
}

/* --- for people --- */

static void version_edit_describe_table(const edit_added *a, buf *line) {
    const table_meta *t = a->table;
    buf_printf(line,
               "  add table %06llu to level %u of keyspace %u: %llu bytes, %llu entries (%llu "
               "deletes), sequences %llu..%llu, keys ",
               (unsigned long long)t->where.number, a->level, t->keyspace,
               (unsigned long long)t->where.file_bytes, (unsigned long long)t->entries,
               (unsigned long long)t->deletes, (unsigned long long)t->min_sequence,
               (unsigned long long)t->max_sequence);
    text_append_escaped(line, internal_key_user(t->smallest).s, 64);
    buf_append(line, " .. ", 4);
    text_append_escaped(line, internal_key_user(t->largest).s, 64);
    if (t->newest_ms)
        buf_printf(line, ", newest of %llu ms, written at %llu ms",
                   (unsigned long long)t->newest_ms, (unsigned long long)t->written_ms);
    if (t->hidden_versions)
        buf_printf(line, ", %llu older versions", (unsigned long long)t->hidden_versions);
    if (t->expiring)
        buf_printf(line, ", %llu expire, half of them by %llu ms", (unsigned long long)t->expiring,
                   (unsigned long long)t->expiry_parts[EXPIRY_PARTS / 2 - 1]);
}

static bool version_edit_print(buf *line, firn_line_callback print, void *context) {
    buf_append(line, "", 1);
    bool stop = line->out_of_memory || print(context, (const char *)line->data);
    buf_clear(line);
    return stop;
}

static void version_edit_describe_scalars(const version_edit *e, buf *line,
                                          firn_line_callback print, void *context) {
    if (e->has_database) {
        buf_printf(line, "  database ");
        for (size_t i = 0; i < sizeof e->database; i++)
            buf_printf(line, "%02x", e->database[i]);
        version_edit_print(line, print, context);
    }
    const struct {
        bool there;
        const char *name;
        uint64_t value;
    } rows[] = {
        {e->has_next_file, "next file", e->next_file},
        {e->has_last_sequence, "last sequence", e->last_sequence},
        {e->has_log_floor, "oldest log segment needed", e->log_floor_segment},
        {e->has_log_floor, "oldest log position needed", e->log_floor_position},
        {e->has_clean_end, "log complete and durable up to position", e->clean_end},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!rows[i].there)
            continue;
        buf_printf(line, "  %s %llu", rows[i].name, (unsigned long long)rows[i].value);
        version_edit_print(line, print, context);
    }
}

FIRN_INTERNAL status version_edit_describe(slice payload, firn_line_callback print, void *context) {
    version_edit e;
    buf line = {0};
    status st = version_edit_decode(payload, &e);
    version_edit_describe_scalars(&e, &line, print, context);
    for (uint32_t i = 0; i < e.keyspace_count; i++) {
        const edit_keyspace *k = &e.keyspaces[i];
        if (k->dropped)
            buf_printf(&line, "  drop keyspace %u", k->id);
        else
            buf_printf(&line, "  keyspace %u \"%s\", order %s", k->id, k->name, k->comparator);
        version_edit_print(&line, print, context);
    }
    for (uint32_t i = 0; i < e.flushed_count; i++) {
        buf_printf(&line, "  keyspace %u is in tables through sequence %llu", e.flushed[i].keyspace,
                   (unsigned long long)e.flushed[i].sequence);
        version_edit_print(&line, print, context);
    }
    for (uint32_t i = 0; i < e.removed_count; i++) {
        buf_printf(&line, "  remove table %06llu from level %u of keyspace %u",
                   (unsigned long long)e.removed[i].number, e.removed[i].level,
                   e.removed[i].keyspace);
        version_edit_print(&line, print, context);
    }
    for (uint32_t i = 0; i < e.added_count; i++) {
        version_edit_describe_table(&e.added[i], &line);
        version_edit_print(&line, print, context);
    }
    buf_deinit(&line);
    version_edit_deinit(&e);
    return st;
}
