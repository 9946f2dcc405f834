#include "table/table_salvage.h"

#include "codec/codec.h"
#include "platform/error_detail.h"
#include "platform/memory.h"
#include "table/index_ref.h"
#include "table/properties.h"
#include "util/buf.h"
#include "util/coding.h"
#include "util/crc32c.h"

#include "base/poison.h"

/* A block begins where the one before ended; its end is looked for in so many bytes, which is more
 * than the builder ever puts into one. */
#define SALVAGE_BLOCK_BYTES_MAX (6u << 20)
/* Checksums over candidates, in multiples of the file: beyond that the search gives up. */
#define SALVAGE_EFFORT 32

typedef struct salvager {
    const table_salvage_args *args;
    table_salvage *out;
    table t; /* as much of an open table as reading blocks and extents takes */
    bool has_footer;
    block_run run;
    buf last_key;   /* handed out; empty at first */
    uint8_t *chunk; /* to check large values */
    table_block *range_block;
    range_list ranges; /* in it */

    /* A hole that waits for the key behind it. */
    bool has_hole;
    table_salvage_hole hole;
    buf hole_after;
} salvager;

/* What is lost, as opposed to what ends the salvage. */
static bool salvage_is_damage(status st) {
    return status_is(st, FIRN_CORRUPTION) || status_is(st, FIRN_IO_ERROR);
}

/* --- holes --- */

static status salvage_tell_hole(salvager *s, slice before) {
    if (!s->has_hole)
        return STATUS_OK;
    s->has_hole = false;
    s->out->holes++;
    s->hole.before = before;
    s->hole.after = s->hole_after.size ? slice_skip(buf_slice(&s->hole_after), 1) : SLICE_UNSET;
    return s->args->on_hole(s->args->context, &s->hole);
}

/* Neighbouring holes become one. */
static status salvage_note_hole(salvager *s, uint64_t offset, uint64_t bytes, const char *problem) {
    if (s->has_hole) {
        s->hole.bytes = offset + bytes - s->hole.offset;
        return STATUS_OK;
    }
    s->has_hole = true;
    s->hole = (table_salvage_hole){.offset = offset, .bytes = bytes, .problem = problem};
    buf_clear(&s->hole_after);
    if (s->last_key.size) {
        /* One byte in front tells the empty key from no key. */
        internal_key last = {buf_slice(&s->last_key)};
        buf_append(&s->hole_after, "k", 1);
        buf_append_slice(&s->hole_after, internal_key_user(last).s);
    }
    return buf_status(&s->hole_after);
}

/* --- entries --- */

static status salvage_check_large(salvager *s, block_place at, slice value) {
    status st = STATUS_OK;
    large_ref ref;
    size_t bytes;
    TRY(table_large_decode(&s->t, at, value, &ref));
    if (!s->chunk && !(s->chunk = memory_new(EXTENT_CHUNK_BYTES))) {
        st = error_status(FIRN_NO_MEMORY, "%s: no memory to check a large value", at.path);
        goto out;
    }
    for (uint64_t i = 0; i < extent_chunk_count(ref.bytes); i++)
        TRY(table_large_read_chunk(&s->t, &ref, i, s->chunk, &bytes));
out:
    return st;
}

static status salvage_entry(salvager *s, block_place at, const iter_entry *e) {
    status st = STATUS_OK;
    internal_key key = {slice_of(e->key, e->key_bytes)};
    slice value = slice_of(e->value, e->value_bytes);
    slice user = internal_key_user(key).s;
    if (internal_key_kind(key) == OP_PUT_LARGE) {
        st = salvage_check_large(s, at, value);
        if (salvage_is_damage(st)) {
            TRY(salvage_tell_hole(s, user));
            TRY(salvage_note_hole(s, at.offset, 0, "a large value is damaged"));
            buf_clear(&s->hole_after);
            buf_append(&s->hole_after, "k", 1);
            buf_append_slice(&s->hole_after, user);
            TRY(buf_status(&s->hole_after));
            TRY(salvage_tell_hole(s, user));
            goto out;
        }
        TRY(st);
    }
    TRY(salvage_tell_hole(s, user));
    TRY(s->args->on_entry(s->args->context, &s->t, key, value));
    s->out->entries++;
out:
    return st;
}

/* Whether the block's keys ascend, behind everything handed out. */
static bool salvage_is_in_order(const salvager *s) {
    internal_key last = {buf_slice(&s->last_key)};
    for (uint32_t i = 0; i < s->run.count; i++) {
        internal_key key = {slice_of(s->run.entries[i].key, s->run.entries[i].key_bytes)};
        if (last.s.size && key_order_compare(s->t.order, last, key) >= 0)
            return false;
        last = key;
    }
    return s->run.count > 0;
}

/* Takes the block as that of the range deletes, of which there is one. CORRUPTION: it is none, and
 * stays the caller's. */
static status salvage_take_ranges(salvager *s, table_block *b, block_place at) {
    range_list found = {0};
    status st = range_block_decode(&b->view, at, s->t.order, &found);
    if (status_is_ok(st) && found.count == 0)
        st = error_corruption_at(at.path, at.offset, "no range deletes");
    if (!status_is_ok(st) || s->range_block) {
        range_list_deinit(&found);
        if (status_is_ok(st))
            block_free(b);
        return st;
    }
    s->range_block = b;
    s->ranges = found;
    return STATUS_OK;
}

static status salvage_load_ranges(salvager *s) {
    table_block *b = NULL;
    block_handle handle = s->t.meta.range_tombstones;
    if (handle.bytes == 0)
        return STATUS_OK;
    status st = block_load(&s->t.source, handle, &b);
    if (status_is_ok(st))
        st = salvage_take_ranges(s, b, table_place(&s->t, handle.offset));
    if (!status_is_ok(st))
        block_free(b);
    return st;
}

static status salvage_tell_ranges(salvager *s) {
    status st = STATUS_OK;
    for (uint32_t i = 0; i < s->ranges.count; i++)
        TRY(s->args->on_range(s->args->context, &s->ranges.items[i]));
    s->out->range_tombstones = s->ranges.count;
out:
    return st;
}

/* Hands out a data block. CORRUPTION: it is none. */
static status salvage_block(salvager *s, const table_block *b, block_place at) {
    status st = STATUS_OK;
    TRY(block_run_decode(&s->run, &b->view, block_piece_whole(&b->view), at));
    if (!salvage_is_in_order(s)) {
        st = error_corruption_at(at.path, at.offset, "keys are out of order in the block");
        goto out;
    }
    for (uint32_t i = 0; i < s->run.count; i++)
        TRY(salvage_entry(s, at, &s->run.entries[i]));
    const iter_entry *last = &s->run.entries[s->run.count - 1];
    buf_clear(&s->last_key);
    buf_append(&s->last_key, last->key, last->key_bytes);
    st = buf_status(&s->last_key);
out:
    return st;
}

static status salvage_load_block(salvager *s, block_handle handle) {
    table_block *b = NULL;
    status st = block_load(&s->t.source, handle, &b);
    if (status_is_ok(st))
        st = salvage_block(s, b, table_place(&s->t, handle.offset));
    block_free(b);
    return st;
}

static status salvage_by_index(salvager *s) {
    status st = STATUS_OK;
    const table_index *index = &s->t.index;
    for (uint32_t i = 0; i < index->count; i++) {
        block_handle handle = table_index_handle(index, i);
        st = salvage_load_block(s, handle);
        if (!salvage_is_damage(st)) {
            TRY(st);
            continue;
        }
        TRY(salvage_note_hole(s, handle.offset, handle.bytes + BLOCK_TRAILER_BYTES,
                              "a block is damaged"));
        /* The index knows better than the next good block where the lost keys end. */
        TRY(salvage_tell_hole(s, internal_key_user(table_index_separator(index, i)).s));
        internal_key separator = table_index_separator(index, i);
        buf_clear(&s->last_key);
        buf_append_slice(&s->last_key, separator.s);
        TRY(buf_status(&s->last_key));
    }
    TRY(salvage_tell_hole(s, SLICE_UNSET));
out:
    return st;
}

/* --- without an index: the whole file in memory, searched for blocks --- */

typedef struct salvage_search {
    slice file;
    uint64_t effort; /* bytes of checksums left */
    buf found;       /* handles of the data blocks found so far, as an index would have them */
} salvage_search;

static bool salvage_trailer_fits(const uint8_t *trailer, uint64_t bytes) {
    uint32_t raw = decode_fixed32(trailer + 1);
    return trailer[0] == CODEC_NONE ? raw == bytes : raw > 0 && raw <= SALVAGE_BLOCK_BYTES_MAX * 4;
}

/* The block that begins at `start`: its end is where a trailer matches. */
static bool salvage_find_at(const salvager *s, salvage_search *search, uint64_t start,
                            block_handle *out) {
    const uint8_t *file = search->file.data;
    uint64_t end = search->file.size;
    uint32_t crc = crc32c_seed_table(s->t.source.identity, start);
    if (end - start > SALVAGE_BLOCK_BYTES_MAX)
        end = start + SALVAGE_BLOCK_BYTES_MAX;
    for (uint64_t at = start; at + BLOCK_TRAILER_BYTES <= end && search->effort > 0; at++) {
        if (file[at] <= CODEC_LAST && at > start && salvage_trailer_fits(file + at, at - start) &&
            crc32c_extend(crc, file + at, 5) == decode_fixed32(file + at + 5)) {
            *out = (block_handle){start, at - start};
            return true;
        }
        crc = crc32c_extend(crc, file + at, 1);
        search->effort--;
    }
    return false;
}

/* The first uncompressed block from `start` on, found by its trailer, which knows its length. */
static bool salvage_find_plain(const salvager *s, salvage_search *search, uint64_t start,
                               block_handle *out) {
    const uint8_t *file = search->file.data;
    for (uint64_t at = start; at + BLOCK_TRAILER_BYTES <= search->file.size; at++) {
        uint64_t bytes = decode_fixed32(file + at + 1);
        if (file[at] != CODEC_NONE || bytes == 0 || bytes > at - start || bytes > search->effort)
            continue;
        search->effort -= bytes;
        uint32_t crc = crc32c_seed_table(s->t.source.identity, at - bytes);
        if (crc32c_extend(crc, file + at - bytes, bytes + 5) == decode_fixed32(file + at + 5)) {
            *out = (block_handle){at - bytes, bytes};
            return true;
        }
    }
    return false;
}

/* Whether a handle, encoded, is that of a data block that was found. */
static bool salvage_is_found(const salvage_search *search, slice handle) {
    slice all = buf_slice(&search->found);
    while (all.size > 0) {
        slice one = slice_of(all.data + 1, all.data[0]);
        if (slice_equal(one, handle))
            return true;
        all = slice_skip(all, 1 + one.size);
    }
    return false;
}

/* An index of blocks in front of it must not be taken for entries. Its values are handles; where
 * data was found, of that data. */
static bool salvage_is_index(const salvage_search *search, const table_block *b, block_place at) {
    slice key, value;
    uint64_t previous_end = 0;
    bool has_entries = false, knows_one = search->found.size == 0;
    block_cursor cursor = block_cursor_first(&b->view);
    for (;;) {
        block_handle handle;
        if (!status_is_ok(block_cursor_next(&cursor, at, &key, &value)))
            return false;
        if (!slice_is_set(key))
            return has_entries && knows_one;
        if (!block_handle_decode(value, &handle) || handle.offset < previous_end ||
            handle.offset + handle.bytes > at.offset)
            return false;
        previous_end = handle.offset + handle.bytes;
        knows_one |= salvage_is_found(search, value);
        has_entries = true;
    }
}

/* Whether the block is what ends the data: the properties, or the index. */
static bool salvage_is_meta(salvager *s, const salvage_search *search, const table_block *b,
                            block_place at) {
    table_properties found = s->out->properties;
    slice comparator;
    if (!status_is_ok(properties_decode(&b->view, at, &found, &comparator)))
        return salvage_is_index(search, b, at);
    s->out->properties = found;
    s->out->has_properties = true;
    return true;
}

static status salvage_note_found(salvage_search *search, block_handle handle) {
    uint8_t bytes[1 + BLOCK_HANDLE_BYTES_MAX];
    bytes[0] = (uint8_t)(block_handle_encode(handle, bytes + 1) - bytes - 1);
    buf_append(&search->found, bytes, 1 + (size_t)bytes[0]);
    return buf_status(&search->found);
}

/* A block whose checksum matches. *ended: what follows is no data any more. */
static status salvage_found(salvager *s, salvage_search *search, block_handle handle, bool *ended) {
    status st = STATUS_OK;
    table_block *b = NULL;
    filter_view filter;
    block_place at = table_place(&s->t, handle.offset);
    TRY(block_load_raw(&s->t.source, handle, &b));
    if (filter_view_init(&filter, block_raw(b)) || codec_dictionary_begins(block_raw(b)))
        goto out;
    if (!block_view_init(&b->view, block_raw(b))) {
        st = error_corruption_at(at.path, at.offset, "malformed block");
        goto out;
    }
    if (status_is_ok(salvage_take_ranges(s, b, at))) {
        b = NULL;
        goto out;
    }
    *ended = salvage_is_meta(s, search, b, at);
    if (!*ended) {
        st = salvage_block(s, b, at);
        /* Not entries of a later kind: some other block, whose keys are none. */
        if (status_is(st, FIRN_NOT_SUPPORTED))
            st = error_corruption_at(at.path, at.offset, "a block whose keys are no entries");
        TRY(st);
        TRY(salvage_note_found(search, handle));
    }
out:
    block_free(b);
    if (!salvage_is_damage(st))
        return st;
    return salvage_note_hole(s, handle.offset, handle.bytes + BLOCK_TRAILER_BYTES,
                             "a block holds no entries that follow");
}

static status salvage_by_search(salvager *s, slice file) {
    status st = STATUS_OK;
    salvage_search search = {.file = file, .effort = file.size * SALVAGE_EFFORT};
    uint64_t at = 0;
    bool ended = false;
    block_handle handle;
    while (!ended && at < file.size) {
        if (!salvage_find_at(s, &search, at, &handle)) {
            if (!salvage_find_plain(s, &search, at, &handle))
                break;
            TRY(salvage_note_hole(s, at, handle.offset - at, "no block begins here"));
        }
        TRY(salvage_found(s, &search, handle, &ended));
        at = handle.offset + handle.bytes + BLOCK_TRAILER_BYTES;
    }
    if (!ended)
        TRY(salvage_note_hole(s, at, file.size - at, "no more blocks can be found"));
    TRY(salvage_tell_hole(s, SLICE_UNSET));
out:
    buf_deinit(&search.found);
    return st;
}

/* What cannot be read counts as zeros: it will not validate. */
static status salvage_load_file(salvager *s, uint8_t **out) {
    uint64_t bytes = s->t.source.end;
    *out = memory_new((size_t)bytes + BLOCK_TRAILER_BYTES);
    if (!*out)
        return error_status(FIRN_NO_MEMORY, "%s: no memory to search its %llu bytes for blocks",
                            s->args->path, (unsigned long long)bytes);
    for (uint64_t at = 0; at < bytes; at += EXTENT_CHUNK_BYTES) {
        uint64_t left = bytes - at;
        size_t part = left < EXTENT_CHUNK_BYTES ? (size_t)left : EXTENT_CHUNK_BYTES, got = 0;
        status st = vfs_read(s->t.file, at, *out + at, part, &got);
        if (!status_is_ok(st))
            got = 0;
        memset(*out + at + got, 0, part - got);
    }
    return STATUS_OK;
}

/* --- the parts around the data --- */

/* A flipped bit in the format's number looks like a newer format at first. */
static bool salvage_footer_is_damaged(const salvager *s) {
    uint8_t bytes[TABLE_FOOTER_BYTES];
    return status_is_ok(vfs_read_exact(s->t.file, s->t.source.end, bytes, sizeof bytes)) &&
           table_footer_has_bad_format(bytes);
}

static status salvage_open(salvager *s) {
    status st = STATUS_OK;
    const table_salvage_args *args = s->args;
    table *t = &s->t;
    uint64_t bytes = 0;
    TRY(vfs_open(args->vfs, args->path, FIRN_VFS_READ, &t->file));
    TRY(vfs_get_size(t->file, &bytes));
    t->source = (block_source){.file = t->file, .end = bytes};
    s->out->properties.file_bytes = bytes;
    if (bytes >= TABLE_FOOTER_BYTES) {
        t->source.end = bytes - TABLE_FOOTER_BYTES;
        st = table_read_footer(&t->source, &t->footer);
        s->has_footer = status_is_ok(st);
        if (status_is(st, FIRN_NOT_SUPPORTED) && salvage_footer_is_damaged(s))
            st = STATUS_OK;
        if (!status_is_ok(st) && !salvage_is_damage(st))
            goto out;
        st = STATUS_OK;
    }
    if (!s->has_footer && !args->identity) {
        st = error_corruption_at(args->path, t->source.end,
                                 "the footer is damaged and nothing else knows the identity that "
                                 "seeds the table's checksums");
        goto out;
    }
    const uint8_t *identity = s->has_footer ? t->footer.identity : args->identity;
    if (args->identity && memcmp(identity, args->identity, 16) != 0) {
        st = error_corruption_at(args->path, t->source.end,
                                 "this is another table: unexpected identity");
        goto out;
    }
    if (!s->has_footer)
        t->source.end = bytes;
    memcpy(t->source.identity, identity, sizeof t->source.identity);
    memcpy(s->out->properties.identity, identity, sizeof t->source.identity);
out:
    return st;
}

static status salvage_read_properties(salvager *s) {
    status st = STATUS_OK;
    table_block *b = NULL;
    slice comparator;
    table_properties found = s->out->properties;
    TRY(block_load(&s->t.source, s->t.meta.properties, &b));
    TRY(properties_decode(&b->view, table_place(&s->t, s->t.meta.properties.offset), &found,
                          &comparator));
    if (!slice_equal(comparator, slice_from_string(key_order_name(s->t.order)))) {
        st = error_status(FIRN_INVALID_ARGUMENT, "%s: the table's keys are in another order",
                          s->args->path);
        goto out;
    }
    s->out->properties = found;
    s->out->has_properties = true;
out:
    block_free(b);
    return st;
}

/* The whole index into s->t.index. A partitioned one of which anything is damaged is none: the data
 * behind it is found by search. */
static status salvage_read_index(salvager *s) {
    status st = STATUS_OK;
    table_block *b = NULL;
    table *t = &s->t;
    block_place at = table_place(t, t->footer.index.offset);
    TRY(block_load(&t->source, t->footer.index, &b));
    if (t->footer.is_partitioned) {
        TRY(table_index_init_top(&t->top, b, t->order, at));
        t->data_end = t->top.count ? table_index_handle(&t->top, 0).offset : 0;
        b = NULL;
        TRY(index_partitions_join(t));
    } else {
        TRY(table_index_init(&t->index, b, t->order, at, at.offset));
        b = NULL;
    }
out:
    block_free(b);
    return st;
}

/* *usable: there is an index to go by. */
static status salvage_read_around(salvager *s, bool *usable) {
    status st = STATUS_OK;
    *usable = false;
    if (!s->has_footer)
        return STATUS_OK;
    st = table_read_meta(&s->t.source, s->t.footer.meta_index, &s->t.meta);
    if (status_is_ok(st)) {
        st = salvage_load_ranges(s);
        if (status_is_ok(st) || salvage_is_damage(st))
            st = table_open_dictionary(&s->t);
        if (status_is_ok(st) || salvage_is_damage(st))
            st = salvage_read_properties(s);
    }
    if (!status_is_ok(st) && !salvage_is_damage(st))
        goto out;
    st = salvage_read_index(s);
    *usable = status_is_ok(st);
    if (salvage_is_damage(st))
        st = STATUS_OK;
out:
    return st;
}

FIRN_INTERNAL status table_salvage_run(const table_salvage_args *args, table_salvage *out) {
    status st = STATUS_OK;
    bool has_index;
    uint8_t *bytes = NULL;
    *out = (table_salvage){0};
    salvager s = {.args = args, .out = out, .t.order = args->order};
    TRY(salvage_open(&s));
    TRY(salvage_read_around(&s, &has_index));
    if (has_index) {
        TRY(salvage_by_index(&s));
    } else {
        TRY(salvage_load_file(&s, &bytes));
        TRY(salvage_by_search(&s, slice_of(bytes, s.t.source.end)));
    }
    TRY(salvage_tell_ranges(&s));
out:
    table_index_deinit(&s.t.index);
    table_index_deinit(&s.t.top);
    codec_dictionary_free(s.t.dictionary);
    (void)vfs_close(s.t.file); /* only read */
    range_list_deinit(&s.ranges);
    block_free(s.range_block);
    block_run_deinit(&s.run);
    buf_deinit(&s.last_key);
    buf_deinit(&s.hole_after);
    memory_free(s.chunk);
    memory_free(bytes);
    return st;
}

#undef SALVAGE_BLOCK_BYTES_MAX
#undef SALVAGE_EFFORT
