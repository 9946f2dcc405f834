#include "table/table_builder.h"

#include "format/expiry.h"
#include "format/filter.h"
#include "platform/error_detail.h"
#include "platform/memory.h"
#include "table/block_builder.h"
#include "table/footer.h"
#include "table/held_blocks.h"
#include "table/properties.h"
#include "table/table_internal.h"
#include "table/table_writer.h"
#include "util/hash.h"

#include "base/poison.h"

/* A block is cut when its keys, written out in full, reach this: far below what readers accept. */
enum { TABLE_BUILDER_KEYS_BYTES = 4 << 20 };

/* So many bytes of blocks for each byte of a dictionary. */
enum { TABLE_BUILDER_SAMPLE_FACTOR = 64 };

/* Per prefix, where whole keys have no filter to say how many. */
enum { TABLE_BUILDER_PREFIX_BITS = 10 };

/* A partition is read where a data block is not cached, so it should not be much larger than one;
 * the top has to name all of them. An index of a few partitions is held whole: less memory than the
 * table's buffers, and a search without the cache. */
enum { TABLE_BUILDER_PARTITION_BYTES = 8 << 10, TABLE_BUILDER_PARTITIONS_MIN = 8 };

typedef struct table_hashes {
    uint64_t *list;
    uint64_t count, capacity;
} table_hashes;

struct table_builder {
    table_builder_args args;
    table_writer output;
    block_builder data, index, range_tombstones;
    table_properties properties; /* the counts so far */
    uint64_t hidden_versions;
    expiry_range expiry;
    expiry_spread spread;
    uint32_t format; /* the first that has what was added */

    buf smallest,
        largest; /* of point keys until finish; then of the table. largest: the last key */
    buf last_range_tombstone;
    buf range_smallest, range_largest;

    block_handle pending; /* a block whose separator waits for the next key; bytes 0: none */
    bool is_holding;      /* data blocks go to `held` until there is a dictionary, or none */
    held_blocks held;
    buf dictionary; /* empty: none */
    codec_dictionary *packer;
    codec_id data_codec;
    buf separator;
    table_hashes keys, prefixes; /* for the filters */
    uint32_t prefix_bytes;       /* of the last key's prefix; 0: it has none */
    uint64_t charged;            /* to args.memory */
};

/* A chunk of a large value goes through the buffer whole. Several jobs at once, each of several
 * tables, are to leave most of a small budget to others, so they have no more than that there. */
static size_t table_builder_piece_bytes(const memory_budget *memory) {
    enum { SMALL = 64 << 20 };
    return memory && memory->limit < SMALL ? EXTENT_CHUNK_BYTES : TABLE_WRITER_BYTES_MAX;
}

static uint64_t table_builder_block_memory(const block_builder *block) {
    return block->data.capacity + block->restarts.capacity;
}

/* Charges what the builder holds by now, and `more` that it is about to take. */
static void table_builder_pay(table_builder *b, uint64_t more) {
    uint64_t held = b->output.piece_bytes + b->output.packed_capacity +
                    (b->keys.capacity + b->prefixes.capacity) * sizeof *b->keys.list +
                    table_builder_block_memory(&b->data) + table_builder_block_memory(&b->index) +
                    table_builder_block_memory(&b->range_tombstones) +
                    held_blocks_memory_bytes(&b->held) + b->dictionary.capacity +
                    codec_dictionary_memory_bytes(b->packer) + more;
    if (LIKELY(held == b->charged))
        return;
    memory_budget_adjust(b->args.memory, MEMORY_JOBS, b->charged, held);
    b->charged = held;
}

static COLD status table_builder_no_memory(const table_builder *b) {
    return error_status(FIRN_NO_MEMORY, "cannot write '%s': no memory", b->args.file->path);
}

FIRN_INTERNAL status table_builder_new(const table_builder_args *args, table_builder **out) {
    *out = NULL;
    table_builder *b = memory_new_zeroed(sizeof *b);
    if (!b)
        return error_status(FIRN_NO_MEMORY, "cannot write '%s': no memory", args->file->path);
    b->args = *args;
    block_builder_init(&b->data, args->restart_interval);
    block_builder_init(&b->index, 1);
    block_builder_init(&b->range_tombstones, 1);
    memcpy(b->properties.identity, args->identity, sizeof b->properties.identity);
    b->properties.keyspace = args->keyspace;
    b->properties.filter_bits_per_key = args->filter_bits_per_key;
    b->properties.prefix = args->prefix;
    DCHECK(prefix_rule_is_sound(args->prefix) && !(args->prefix && args->order.custom));
    b->properties.min_sequence = UINT64_MAX;
    b->format = args->prefix ? TABLE_FORMAT : TABLE_FORMAT_FIRST;
    status st = table_writer_init(&b->output, args->file, args->identity,
                                  table_builder_piece_bytes(args->memory));
    b->output.codec_level = args->codec_level;
    b->data_codec = args->codec;
    b->is_holding = args->dictionary_bytes > 0 && args->codec == CODEC_ZSTD;
    if (!status_is_ok(st)) {
        table_builder_free(b);
        return st;
    }
    table_builder_pay(b, 0);
    *out = b;
    return STATUS_OK;
}

FIRN_INTERNAL void table_builder_free(table_builder *b) {
    if (!b)
        return;
    table_writer_deinit(&b->output);
    block_builder_deinit(&b->data);
    block_builder_deinit(&b->index);
    block_builder_deinit(&b->range_tombstones);
    buf *bufs[] = {&b->smallest,       &b->largest,       &b->last_range_tombstone,
                   &b->range_smallest, &b->range_largest, &b->separator,
                   &b->dictionary};
    for (size_t i = 0; i < sizeof bufs / sizeof bufs[0]; i++)
        buf_deinit(bufs[i]);
    held_blocks_deinit(&b->held);
    codec_dictionary_free(b->packer);
    memory_unmap_pages(b->keys.list, b->keys.capacity * sizeof *b->keys.list);
    memory_unmap_pages(b->prefixes.list, b->prefixes.capacity * sizeof *b->prefixes.list);
    memory_budget_release(b->args.memory, MEMORY_JOBS, b->charged);
    memory_free(b);
}

static void table_builder_needs_format(table_builder *b, uint32_t format) {
    if (b->format < format)
        b->format = format;
}

/* Writes the block under construction; its index entry waits for the key after it. */
static status table_builder_cut_block(table_builder *b) {
    status st = STATUS_OK;
    slice contents;
    if (b->data.entries == 0)
        return STATUS_OK;
    TRY(block_builder_finish(&b->data, &contents));
    if (UNLIKELY(b->is_holding)) {
        TRY(held_blocks_add(&b->held, contents));
        b->pending = (block_handle){0, contents.size};
    } else {
        TRY(table_writer_block(&b->output, contents, b->data_codec, &b->pending));
    }
    block_builder_clear(&b->data);
    b->properties.data_blocks++;
    table_builder_pay(b, 0);
out:
    return st;
}

static void table_builder_index_add(table_builder *b, slice separator, block_handle block) {
    uint8_t handle[BLOCK_HANDLE_BYTES_MAX];
    uint8_t *end = block_handle_encode(block, handle);
    block_builder_add(&b->index, separator, 0, slice_of(handle, (size_t)(end - handle)));
}

/* Trains the dictionary and writes the blocks that waited for it. */
static status table_builder_let_go(table_builder *b) {
    status st = STATUS_OK;
    const held_blocks *h = &b->held;
    size_t contents_skip = 0, separator_skip = 0;
    table_builder_pay(b, held_blocks_training_bytes(h));
    TRY(held_blocks_train(h, b->args.dictionary_bytes, b->args.codec_level, &b->dictionary));
    if (b->dictionary.size) {
        TRY(codec_dictionary_new_packer(buf_slice(&b->dictionary), b->args.codec_level,
                                        &b->packer));
        b->output.dictionary = b->packer;
        b->data_codec = CODEC_ZSTD_DICTIONARY;
        table_builder_needs_format(b, TABLE_FORMAT);
    }
    for (uint32_t i = 0; i < h->count; i++) {
        block_handle handle;
        slice contents = slice_of(h->contents.data + contents_skip, h->list[i].bytes);
        slice separator = slice_of(h->separators.data + separator_skip, h->list[i].separator_bytes);
        TRY(table_writer_block(&b->output, contents, b->data_codec, &handle));
        table_builder_index_add(b, separator, handle);
        contents_skip += contents.size;
        separator_skip += separator.size;
    }
    b->is_holding = false;
    held_blocks_deinit(&b->held);
    table_builder_pay(b, 0);
out:
    return status_is(st, FIRN_NO_MEMORY) ? table_builder_no_memory(b) : st;
}

/* A held block has its separator; enough of them are let go. */
static status table_builder_hold_pending(table_builder *b) {
    status st = held_blocks_set_separator(&b->held, buf_slice(&b->separator));
    size_t enough = (size_t)b->args.dictionary_bytes * TABLE_BUILDER_SAMPLE_FACTOR;
    b->pending = (block_handle){0};
    if (status_is_ok(st) && held_blocks_bytes(&b->held) >= enough)
        st = table_builder_let_go(b);
    return st;
}

/* Gives the pending block its index entry: a key >= its last and, if one follows, < `next`. */
static status table_builder_index_pending(table_builder *b, const internal_key *next) {
    internal_key last = {buf_slice(&b->largest)};
    buf_clear(&b->separator);
    if (next)
        internal_key_append_separator(b->args.order, last, *next, &b->separator);
    else
        buf_append_slice(&b->separator, last.s);
    if (UNLIKELY(b->is_holding))
        return b->separator.out_of_memory ? buf_status(&b->separator)
                                          : table_builder_hold_pending(b);
    table_builder_index_add(b, buf_slice(&b->separator), b->pending);
    b->pending = (block_handle){0};
    return buf_status(&b->separator);
}

static bool table_hashes_grow(table_hashes *h) {
    uint64_t capacity = h->capacity ? h->capacity * 2 : 4096;
    uint64_t *list =
        memory_grow_pages(h->list, h->capacity * sizeof *list, capacity * sizeof *list);
    if (!list)
        return false;
    h->list = list;
    h->capacity = capacity;
    return true;
}

static inline bool table_hashes_push(table_hashes *h, slice bytes) {
    if (UNLIKELY(h->count == h->capacity) && !table_hashes_grow(h))
        return false;
    h->list[h->count++] = hash64(bytes.data, bytes.size);
    return true;
}

/* Keys with the same prefix follow each other; `shared` bytes are those of the last key too. */
static bool table_builder_note_prefix(table_builder *b, slice user, uint32_t shared) {
    slice prefix = prefix_of(b->args.prefix, user);
    bool is_new = prefix.size > 0 && (prefix.size != b->prefix_bytes || shared < prefix.size);
    b->prefix_bytes = (uint32_t)prefix.size;
    return !is_new || table_hashes_push(&b->prefixes, prefix);
}

/* What the filters will know of a user key that was not there before. */
static bool table_builder_note_key(table_builder *b, slice user, uint32_t shared) {
    if (b->args.prefix && !table_builder_note_prefix(b, user, shared))
        return false;
    return !b->args.filter_bits_per_key || table_hashes_push(&b->keys, user);
}

/* Checks that `key` comes after the last one. What both begin with, found for the prefix
 * compression anyway, decides the bytewise order. */
static inline uint32_t table_builder_check_order(const table_builder *b, internal_key key,
                                                 bool *same_user_key) {
    slice last = buf_slice(&b->largest);
    *same_user_key = false;
    if (last.size == 0)
        return 0;
    size_t limit = last.size < key.s.size ? last.size : key.s.size;
    uint32_t shared = block_common_prefix(last.data, key.s.data, (uint32_t)limit);
    size_t last_user = last.size - KEY_TRAILER_BYTES, user = key.s.size - KEY_TRAILER_BYTES;
    *same_user_key = last_user == user && shared >= user;
    if (*same_user_key)
        CHECK(internal_key_trailer((internal_key){last}) > internal_key_trailer(key));
    else if (b->args.order.custom)
        CHECK(key_order_compare(b->args.order, (internal_key){last}, key) < 0);
    else if (shared < last_user && shared < user)
        CHECK(last.data[shared] < key.s.data[shared]);
    else
        CHECK(last_user < user);
    return shared;
}

/* Makes `key` the last key, with slack behind it; the first `shared` bytes are there already. */
static inline status table_builder_keep_last(table_builder *b, internal_key key, uint32_t shared) {
    size_t rest = key.s.size - shared;
    if (UNLIKELY(b->properties.entries == 0))
        buf_append_slice(&b->smallest, key.s);
    b->largest.size = shared;
    uint8_t *to = buf_reserve(&b->largest, rest + BLOCK_SLACK_BYTES);
    if (UNLIKELY(!to || b->smallest.out_of_memory))
        return table_builder_no_memory(b);
    memcpy(to, key.s.data + shared, rest);
    b->largest.size += rest;
    return STATUS_OK;
}

static inline void table_builder_count_sequence(table_builder *b, uint64_t sequence) {
    table_properties *p = &b->properties;
    if (sequence < p->min_sequence)
        p->min_sequence = sequence;
    if (sequence > p->max_sequence)
        p->max_sequence = sequence;
}

/* What every entry counts for. */
static inline void table_builder_count(table_builder *b, internal_key key, slice value) {
    table_properties *p = &b->properties;
    op_kind kind = internal_key_kind(key);
    p->entries++;
    p->raw_key_bytes += key.s.size;
    p->raw_value_bytes += value.size;
    table_builder_count_sequence(b, internal_key_sequence(key));
    expiry_range_note(&b->expiry, kind, value);
    if (LIKELY(kind == OP_PUT))
        return;
    uint64_t expiry_ms = expiry_of_version(kind, value);
    if (expiry_ms)
        expiry_spread_note(&b->spread, expiry_ms);
    p->deletes += op_kind_is_delete(kind);
    if (!op_kind_is_first_format((uint8_t)kind))
        table_builder_needs_format(b, TABLE_FORMAT_KINDS);
}

static inline status table_builder_append(table_builder *b, internal_key key, slice value) {
    status st = STATUS_OK;
    bool same_user_key;
    DCHECK(key.s.size >= KEY_TRAILER_BYTES && key.s.size <= BLOCK_KEY_BYTES_MAX);
    DCHECK(value.size < LARGE_VALUE_BYTES);
    uint32_t shared = table_builder_check_order(b, key, &same_user_key);
    if (b->pending.bytes)
        TRY(table_builder_index_pending(b, &key));
    if (!same_user_key && UNLIKELY(!table_builder_note_key(b, internal_key_user(key).s, shared))) {
        st = table_builder_no_memory(b);
        goto out;
    }
    TRY(table_builder_keep_last(b, key, shared));
    block_builder_add_slack(&b->data, buf_slice(&b->largest), shared, value);
    b->hidden_versions += same_user_key;
    table_builder_count(b, key, value);
    if (block_builder_bytes(&b->data) >= b->args.block_bytes ||
        b->data.key_bytes >= TABLE_BUILDER_KEYS_BYTES)
        TRY(table_builder_cut_block(b));
out:
    return st;
}

FIRN_INTERNAL status table_builder_add(table_builder *b, internal_key key, slice value) {
    DCHECK(internal_key_kind(key) != OP_PUT_LARGE);
    return table_builder_append(b, key, value);
}

/* Copies the value's chunks into the file through the output's own buffer, collecting checksums. */
static status table_builder_stream(table_builder *b, const large_ref *ref,
                                   const large_source *source, buf *crcs) {
    status st = STATUS_OK;
    table_writer *o = &b->output;
    extent_seed seed = {.in_table = true};
    memcpy(seed.identity, b->args.identity, sizeof seed.identity);
    uint64_t left = ref->bytes;
    for (uint64_t i = 0; left > 0; i++) {
        size_t wanted = left < EXTENT_CHUNK_BYTES ? (size_t)left : EXTENT_CHUNK_BYTES, got = 0;
        TRY(source->read_chunk(source->context, i, o->buffer, &got));
        if (got != wanted) {
            st = error_status(FIRN_CORRUPTION,
                              "cannot write '%s': a chunk of a large value has %zu bytes, not %zu",
                              b->args.file->path, got, wanted);
            goto out;
        }
        put_fixed32(crcs, extent_chunk_crc(&seed, table_writer_bytes(o), slice_of(o->buffer, got)));
        o->used = got;
        TRY(table_writer_flush(o));
        left -= wanted;
    }
    TRY(buf_status(crcs));
out:
    return st;
}

FIRN_INTERNAL status table_builder_add_large(table_builder *b, internal_key key,
                                             const large_ref *ref, const large_source *source) {
    status st = STATUS_OK;
    buf crcs = {0};
    uint8_t encoded[LARGE_REF_BYTES_MAX];
    large_ref placed = *ref;
    DCHECK(internal_key_kind(key) == OP_PUT_LARGE && ref->bytes > 0);
    TRY(table_writer_flush(&b->output));
    placed.place = LARGE_IN_TABLE;
    placed.file = 0;
    placed.offset = table_writer_bytes(&b->output);
    TRY(table_builder_stream(b, ref, source, &crcs));
    TRY(table_writer_append(&b->output, buf_slice(&crcs)));
    uint8_t *end = large_ref_encode(&placed, encoded);
    b->properties.large_count++;
    b->properties.large_bytes += ref->bytes;
    st = table_builder_append(b, key, slice_of(encoded, (size_t)(end - encoded)));
out:
    buf_deinit(&crcs);
    return st;
}

FIRN_INTERNAL status table_builder_add_range_tombstone(table_builder *b, internal_key start,
                                                       user_key end) {
    key_order order = b->args.order;
    internal_key last = {buf_slice(&b->last_range_tombstone)};
    DCHECK(internal_key_kind(start) == OP_RANGE_DELETE);
    CHECK(last.s.size == 0 || key_order_compare(order, last, start) < 0);
    buf_clear(&b->last_range_tombstone);
    buf_append_slice(&b->last_range_tombstone, start.s);
    if (b->range_smallest.size == 0)
        buf_append_slice(&b->range_smallest, start.s);
    /* The end is exclusive: the bound sorts before every version of that key. */
    internal_key largest = {buf_slice(&b->range_largest)};
    if (largest.s.size == 0 || key_order_compare_user(order, internal_key_user(largest), end) < 0) {
        buf_clear(&b->range_largest);
        internal_key_append(&b->range_largest, end, SEQNO_MAX, OP_SEEK);
    }
    block_builder_add(&b->range_tombstones, start.s, 0, end.s);
    b->properties.range_tombstones++;
    table_builder_needs_format(b, TABLE_FORMAT_KINDS);
    b->properties.raw_key_bytes += start.s.size;
    b->properties.raw_value_bytes += end.s.size;
    table_builder_count_sequence(b, internal_key_sequence(start));
    if (b->last_range_tombstone.out_of_memory || b->range_smallest.out_of_memory ||
        b->range_largest.out_of_memory)
        return table_builder_no_memory(b);
    return STATUS_OK;
}

FIRN_INTERNAL uint64_t table_builder_file_bytes(const table_builder *b) {
    return table_writer_bytes(&b->output) + held_blocks_bytes(&b->held) +
           (b->data.entries ? block_builder_bytes(&b->data) : 0);
}

FIRN_INTERNAL uint64_t table_builder_entries(const table_builder *b) {
    return b->properties.entries;
}

static status table_builder_write_filter(table_builder *b, const table_hashes *hashes,
                                         uint32_t bits, block_handle *out) {
    *out = (block_handle){0};
    if (bits == 0)
        return STATUS_OK;
    size_t bytes = filter_bytes(hashes->count, bits);
    table_builder_pay(b, bytes);
    uint8_t *filter = memory_new(bytes);
    if (!filter)
        return table_builder_no_memory(b);
    filter_build(hashes->list, hashes->count, bits, filter);
    status st = table_writer_block(&b->output, slice_of(filter, bytes), CODEC_NONE, out);
    memory_free(filter);
    table_builder_pay(b, 0);
    return st;
}

static status table_builder_write_block(table_builder *b, block_builder *contents, codec_id codec,
                                        block_handle *out) {
    slice raw;
    *out = (block_handle){0};
    status st = block_builder_finish(contents, &raw);
    return status_is_ok(st) ? table_writer_block(&b->output, raw, codec, out) : st;
}

static status table_builder_write_properties(table_builder *b, block_handle *out) {
    block_builder entries;
    block_builder_init(&entries, 1);
    properties_encode(&b->properties, key_order_name(b->args.order), &entries);
    status st = table_builder_write_block(b, &entries, CODEC_NONE, out);
    block_builder_deinit(&entries);
    return st;
}

static status table_builder_write_meta_index(table_builder *b, const table_meta_index *meta,
                                             block_handle *out) {
    /* In the order of the names. */
    const struct {
        const char *name;
        block_handle handle;
    } parts[] = {
        {TABLE_META_DICTIONARY, meta->dictionary},
        {TABLE_META_FILTER, meta->filter},
        {TABLE_META_PREFIX_FILTER, meta->prefix_filter},
        {TABLE_META_PROPERTIES, meta->properties},
        {TABLE_META_RANGE_TOMBSTONES, meta->range_tombstones},
    };
    block_builder entries;
    block_builder_init(&entries, 1);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (parts[i].handle.bytes == 0)
            continue;
        uint8_t handle[BLOCK_HANDLE_BYTES_MAX];
        uint8_t *end = block_handle_encode(parts[i].handle, handle);
        block_builder_add(&entries, slice_from_string(parts[i].name), 0,
                          slice_of(handle, (size_t)(end - handle)));
    }
    status st = table_builder_write_block(b, &entries, CODEC_NONE, out);
    block_builder_deinit(&entries);
    return st;
}

/* Writes the partition under construction and gives it an entry of the top. */
static status table_builder_cut_partition(table_builder *b, block_builder *partition,
                                          slice separator, block_builder *top) {
    block_handle handle;
    uint8_t value[BLOCK_HANDLE_BYTES_MAX + VARINT32_BYTES_MAX];
    uint32_t blocks = partition->entries;
    status st = table_builder_write_block(b, partition, b->args.codec, &handle);
    if (!status_is_ok(st))
        return st;
    uint8_t *end = encode_varint32(block_handle_encode(handle, value), blocks);
    block_builder_add(top, separator, 0, slice_of(value, (size_t)(end - value)));
    block_builder_clear(partition);
    return STATUS_OK;
}

/* Writes the index as partitions and their top. */
static status table_builder_write_partitions(table_builder *b, size_t partition_bytes, slice whole,
                                             block_handle *out) {
    status st = STATUS_OK;
    block_builder partition, top;
    block_view view;
    slice separator, handle, last = SLICE_UNSET;
    block_place at = {b->args.file->path, table_writer_bytes(&b->output)};
    block_builder_init(&partition, 1);
    block_builder_init(&top, 1);
    CHECK(block_view_init(&view, whole));
    block_cursor cursor = block_cursor_first(&view);
    for (;;) {
        TRY(block_cursor_next(&cursor, at, &separator, &handle));
        if (!slice_is_set(separator))
            break;
        block_builder_add(&partition, separator, 0, handle);
        last = separator;
        if (block_builder_bytes(&partition) >= partition_bytes)
            TRY(table_builder_cut_partition(b, &partition, separator, &top));
    }
    if (partition.entries)
        TRY(table_builder_cut_partition(b, &partition, last, &top));
    TRY(table_builder_write_block(b, &top, b->args.codec, out));
out:
    block_builder_deinit(&partition);
    block_builder_deinit(&top);
    return st;
}

static status table_builder_write_index(table_builder *b, table_footer *footer) {
    status st = STATUS_OK;
    slice whole;
    size_t partition_bytes = b->args.index_partition_bytes ? b->args.index_partition_bytes
                                                           : TABLE_BUILDER_PARTITION_BYTES;
    TRY(block_builder_finish(&b->index, &whole));
    if (whole.size < partition_bytes * TABLE_BUILDER_PARTITIONS_MIN) {
        TRY(table_writer_block(&b->output, whole, b->args.codec, &footer->index));
    } else {
        TRY(table_builder_write_partitions(b, partition_bytes, whole, &footer->index));
        footer->is_partitioned = true;
        table_builder_needs_format(b, TABLE_FORMAT);
    }
out:
    return st;
}

/* The bounds of the whole table, range tombstones included. */
static void table_builder_bounds(const table_builder *b, table_summary *out) {
    slice unset = SLICE_UNSET;
    out->smallest.s = b->smallest.size ? buf_slice(&b->smallest) : unset;
    out->largest.s = b->largest.size ? buf_slice(&b->largest) : unset;
    if (b->range_tombstones.entries == 0)
        return;
    internal_key smallest = {buf_slice(&b->range_smallest)};
    internal_key largest = {buf_slice(&b->range_largest)};
    CHECK(slice_is_set(smallest.s) && slice_is_set(largest.s));
    if (!slice_is_set(out->smallest.s) ||
        key_order_compare(b->args.order, smallest, out->smallest) < 0)
        out->smallest = smallest;
    if (!slice_is_set(out->largest.s) ||
        key_order_compare(b->args.order, largest, out->largest) > 0)
        out->largest = largest;
}

FIRN_INTERNAL status table_builder_finish(table_builder *b, table_summary *out) {
    status st = STATUS_OK;
    table_meta_index meta = {0};
    table_footer footer = {0};
    uint8_t footer_bytes[TABLE_FOOTER_BYTES];
    *out = (table_summary){0};
    TRY(table_builder_cut_block(b));
    if (b->pending.bytes)
        TRY(table_builder_index_pending(b, NULL));
    if (b->is_holding)
        TRY(table_builder_let_go(b));
    if (b->dictionary.size)
        TRY(table_writer_block(&b->output, buf_slice(&b->dictionary), CODEC_NONE,
                               &meta.dictionary));
    if (b->properties.min_sequence == UINT64_MAX)
        b->properties.min_sequence = 0;
    b->properties.min_expiry = b->expiry.least_ms;
    b->properties.max_expiry = expiry_range_end(&b->expiry);
    uint32_t bits = b->args.filter_bits_per_key;
    TRY(table_builder_write_filter(b, &b->keys, bits, &meta.filter));
    if (b->args.prefix)
        TRY(table_builder_write_filter(b, &b->prefixes, bits ? bits : TABLE_BUILDER_PREFIX_BITS,
                                       &meta.prefix_filter));
    if (b->range_tombstones.entries)
        TRY(table_builder_write_block(b, &b->range_tombstones, b->args.codec,
                                      &meta.range_tombstones));
    TRY(table_builder_write_properties(b, &meta.properties));
    TRY(table_builder_write_index(b, &footer));
    TRY(table_builder_write_meta_index(b, &meta, &footer.meta_index));
    footer.format = b->format;
    memcpy(footer.identity, b->args.identity, sizeof footer.identity);
    table_footer_encode(&footer, footer_bytes);
    TRY(table_writer_append(&b->output, slice_of(footer_bytes, sizeof footer_bytes)));
    TRY(table_writer_flush(&b->output));
    b->properties.file_bytes = table_writer_bytes(&b->output);
    out->properties = b->properties;
    out->hidden_versions = b->hidden_versions;
    out->expiring = b->spread.count;
    expiry_spread_parts(&b->spread, out->expiry_parts);
    table_builder_bounds(b, out);
out:
    return st;
}
