#include "table/block.h"

#include "format/expiry.h"
#include "platform/error_detail.h"
#include "platform/memory.h"

#include "base/poison.h"

FIRN_INTERNAL bool block_view_init(block_view *view, slice raw) {
    *view = (block_view){0};
    if (raw.size < 4 || raw.size > BLOCK_RAW_BYTES_MAX)
        return false;
    size_t before_count = raw.size - 4;
    uint32_t restarts = decode_fixed32(raw.data + before_count);
    if (restarts > before_count / 4)
        return false;
    uint32_t entries_bytes = (uint32_t)(before_count - (size_t)restarts * 4);
    if ((restarts == 0) != (entries_bytes == 0))
        return false;
    *view = (block_view){raw.data, entries_bytes, restarts};
    return true;
}

FIRN_INTERNAL const uint8_t *block_entry_decode_slow(const uint8_t *p, const uint8_t *end,
                                                     block_entry *out) {
    *out = (block_entry){0};
    if (!(p = decode_varint32(p, end, &out->shared)) ||
        !(p = decode_varint32(p, end, &out->unshared)) ||
        !(p = decode_varint32(p, end, &out->value_bytes)))
        return NULL;
    uint64_t bytes = (uint64_t)out->unshared + out->value_bytes;
    if ((uint64_t)(end - p) < bytes)
        return NULL;
    out->suffix = p;
    return p + bytes;
}

FIRN_INTERNAL block_cursor block_cursor_first(const block_view *view) {
    return (block_cursor){view->data, view->data + view->entries_bytes};
}

FIRN_INTERNAL status block_cursor_next(block_cursor *cursor, block_place at, slice *key,
                                       slice *value) {
    *key = *value = SLICE_UNSET;
    if (cursor->next == cursor->end)
        return STATUS_OK;
    block_entry e;
    const uint8_t *next = block_entry_decode(cursor->next, cursor->end, &e);
    if (!next || e.shared != 0 || e.unshared > BLOCK_KEY_BYTES_MAX)
        return error_corruption_at(at.path, at.offset, "malformed entry in the block");
    cursor->next = next;
    *key = slice_of(e.suffix, e.unshared);
    *value = slice_of(e.suffix + e.unshared, e.value_bytes);
    return STATUS_OK;
}

/* Whether an entry can follow a key of `previous_bytes` bytes (0 in front of the first) and is an
 * internal key. The sum cannot overflow once both parts are bounded. */
static inline bool block_entry_is_sound(const block_entry *e, uint32_t previous_bytes) {
    return e->shared <= previous_bytes && e->unshared <= BLOCK_KEY_BYTES_MAX &&
           e->shared + e->unshared >= KEY_TRAILER_BYTES &&
           e->shared + e->unshared <= BLOCK_KEY_BYTES_MAX;
}

static COLD status block_malformed(block_place at) {
    return error_corruption_at(at.path, at.offset, "malformed entry in the data block");
}

static COLD status block_kind_unsupported(block_place at, uint8_t kind) {
    return error_status(FIRN_NOT_SUPPORTED,
                        "%s: the block at offset %llu holds an operation of kind %u, which this "
                        "build does not know; a newer build can read it",
                        at.path, (unsigned long long)at.offset, kind);
}

/* For the kinds that came later than the first format: whether this build knows it, whether it may
 * stand in a data block, and whether its value is long enough. */
static COLD status block_check_kind(block_place at, uint8_t kind, uint32_t value_bytes) {
    if (!op_kind_is_supported(kind))
        return block_kind_unsupported(at, kind);
    if (kind == OP_RANGE_DELETE || (kind == OP_PUT_EXPIRY && value_bytes < EXPIRY_BYTES))
        return block_malformed(at);
    return STATUS_OK;
}

/* The whole key at a restart point; false when there is none. */
static bool block_restart_key(const block_view *view, uint32_t restart, internal_key *out,
                              const uint8_t **position) {
    const uint8_t *restarts = view->data + view->entries_bytes;
    uint32_t offset = decode_fixed32(restarts + (size_t)restart * 4);
    if (UNLIKELY(offset >= view->entries_bytes))
        return false;
    *position = view->data + offset;
    block_entry e;
    if (UNLIKELY(!block_entry_decode(*position, restarts, &e) || !block_entry_is_sound(&e, 0)))
        return false;
    *out = (internal_key){slice_of(e.suffix, e.unshared)};
    return true;
}

/* The last restart point whose key is < target, or the first: the interval to scan. */
static bool block_find_restart(const block_view *view, key_order order, internal_key target,
                               uint32_t *restart, const uint8_t **position) {
    uint32_t low = 0, high = view->restart_count - 1;
    internal_key key;
    while (low < high) {
        uint32_t middle = low + (high - low + 1) / 2;
        if (!block_restart_key(view, middle, &key, position))
            return false;
        if (key_order_compare(order, key, target) < 0)
            low = middle;
        else
            high = middle - 1;
    }
    *restart = low;
    return block_restart_key(view, low, &key, position);
}

static status block_hit_set(block_hit *out, block_place at, uint64_t trailer,
                            const block_entry *e) {
    if (UNLIKELY(!op_kind_is_first_format((uint8_t)trailer))) {
        status st = block_check_kind(at, (uint8_t)trailer, e->value_bytes);
        if (!status_is_ok(st))
            return st;
    }
    *out = (block_hit){true, trailer, slice_of(e->suffix + e->unshared, e->value_bytes)};
    return STATUS_OK;
}

/* The scan for any order: each key is put together in a buffer and compared whole. */
static status block_scan_whole_keys(const block_view *view, block_place at, const uint8_t *p,
                                    key_order order, internal_key target, block_hit *out) {
    status st = STATUS_OK;
    uint8_t inline_key[512];
    buf heap = {0};
    uint8_t *key = inline_key;
    size_t capacity = sizeof inline_key;
    uint32_t key_bytes = 0;
    const uint8_t *end = view->data + view->entries_bytes;
    while (p < end) {
        block_entry e;
        if (!(p = block_entry_decode(p, end, &e)) || !block_entry_is_sound(&e, key_bytes)) {
            st = block_malformed(at);
            goto out;
        }
        size_t needed = (size_t)e.shared + e.unshared;
        if (needed > capacity) {
            if (!heap.data)
                buf_append(&heap, key, key_bytes);
            heap.size = key_bytes;
            buf_reserve(&heap, needed - key_bytes);
            TRY(buf_status(&heap));
            key = heap.data;
            capacity = heap.capacity;
        }
        memcpy(key + e.shared, e.suffix, e.unshared);
        key_bytes = (uint32_t)needed;
        internal_key whole = {slice_of(key, key_bytes)};
        if (key_order_compare(order, whole, target) < 0)
            continue;
        if (slice_equal(internal_key_user(whole).s, internal_key_user(target).s))
            st = block_hit_set(out, at, internal_key_trailer(whole), &e);
        goto out;
    }
out:
    buf_deinit(&heap);
    return st;
}

/* Where skipping the entries before a target has led. */
typedef enum block_stop {
    BLOCK_STOP_FOUND,     /* the first entry >= target */
    BLOCK_STOP_END,       /* there is none before the end */
    BLOCK_STOP_UNSURE,    /* whole keys must be compared */
    BLOCK_STOP_MALFORMED, /* the bytes hold no entry */
} block_stop;

typedef struct block_skip {
    block_entry entry;
    const uint8_t *position; /* of the entry */
    uint64_t trailer;        /* only with the target's user key */
    bool same_user_key;
    bool begins_as_target; /* what it shares with its predecessor, the target's user key has too */
} block_skip;

/* Skips what lies before the target, in bytewise order, from restart point `start` on without
 * putting a key together. It knows how many bytes of the wanted user key the previous entry's key
 * begins with (`match`) and the byte that comes there instead (`follower`). An entry that shares
 * more than `match` bytes with its predecessor stands in the same relation to the wanted key, so
 * only entries that share at most `match` bytes are looked into. A match may run into a key's
 * trailer, for keys are compressed with their trailers; `user_bytes` guards that. */
static inline block_stop block_skip_before(const uint8_t *start, const uint8_t *end,
                                           internal_key target, block_skip *out) {
    const slice want = internal_key_user(target).s;
    const uint64_t want_trailer = internal_key_trailer(target);
    const uint32_t want_bytes = (uint32_t)want.size;
    uint32_t match = 0, key_bytes = 0;
    uint8_t follower = 0;
    bool previous_equal = false; /* the previous entry has the wanted user key and this trailer */
    bool begins_as_target;
    uint64_t trailer = 0;
    block_entry e;
    const uint8_t *p, *next;
    for (p = start; p < end; p = next) {
        next = block_entry_decode(p, end, &e);
        if (UNLIKELY(!next || !block_entry_is_sound(&e, key_bytes)))
            return BLOCK_STOP_MALFORMED;
        key_bytes = e.shared + e.unshared;
        uint32_t user_bytes = key_bytes - KEY_TRAILER_BYTES;
        begins_as_target = e.shared <= match;
        if (begins_as_target) {
            uint32_t left = want_bytes - e.shared;
            match = e.shared + block_common_prefix(e.suffix, want.data + e.shared,
                                                   e.unshared < left ? e.unshared : left);
            follower = match < key_bytes ? e.suffix[match - e.shared] : 0;
        }
        if (match < user_bytes && match < want_bytes) {
            previous_equal = false;
            if (follower < want.data[match])
                continue;
            goto found;
        }
        if (user_bytes != want_bytes) {
            previous_equal = false;
            if (user_bytes < want_bytes)
                continue;
            goto found;
        }
        if (LIKELY(e.unshared >= KEY_TRAILER_BYTES)) {
            trailer = decode_fixed64(e.suffix + e.unshared - KEY_TRAILER_BYTES);
        } else if (previous_equal) {
            /* An older version: the low bytes of the trailer stand in the version before. */
            uint8_t bytes[KEY_TRAILER_BYTES];
            encode_fixed64(bytes, trailer);
            memcpy(bytes + KEY_TRAILER_BYTES - e.unshared, e.suffix, e.unshared);
            trailer = decode_fixed64(bytes);
        } else {
            return BLOCK_STOP_UNSURE;
        }
        previous_equal = true;
        if (trailer <= want_trailer)
            goto found;
    }
    return BLOCK_STOP_END;
found:
    *out = (block_skip){e, p, trailer, previous_equal, begins_as_target};
    return BLOCK_STOP_FOUND;
}

static status block_scan_bytewise(const block_view *view, block_place at, const uint8_t *start,
                                  internal_key target, block_hit *out) {
    block_skip skip;
    switch (block_skip_before(start, view->data + view->entries_bytes, target, &skip)) {
    case BLOCK_STOP_FOUND:
        return skip.same_user_key ? block_hit_set(out, at, skip.trailer, &skip.entry) : STATUS_OK;
    case BLOCK_STOP_END:
        return STATUS_OK;
    case BLOCK_STOP_UNSURE:
        return block_scan_whole_keys(view, at, start, (key_order){NULL}, target, out);
    default:
        return block_malformed(at);
    }
}

/* Entries' headers follow from each other, so without this each costs a miss of its own. */
FIRN_INTERNAL void block_fetch_piece(const block_view *view, block_piece piece) {
    enum { LINES_MAX = 32 };
    const uint8_t *p = view->data + piece.begin, *end = view->data + piece.end;
    for (int i = 0; i < LINES_MAX && p < end; i++, p += CACHE_LINE_BYTES)
        __builtin_prefetch(p);
}

/* The interval from restart point `restart`, at `start`, on. */
static inline block_piece block_interval(const block_view *view, uint32_t restart,
                                         const uint8_t *start) {
    const uint8_t *restarts = view->data + view->entries_bytes;
    block_piece piece = {(uint32_t)(start - view->data), view->entries_bytes};
    if (restart + 1 < view->restart_count)
        piece.end = decode_fixed32(restarts + ((size_t)restart + 1) * 4);
    return piece;
}

FIRN_INTERNAL bool block_piece_around(const block_view *view, key_order order, internal_key target,
                                      block_piece *out) {
    uint32_t restart;
    const uint8_t *position;
    *out = block_piece_whole(view);
    if (view->restart_count == 0)
        return true;
    if (UNLIKELY(!block_find_restart(view, order, target, &restart, &position)))
        return false;
    *out = block_interval(view, restart, position);
    return LIKELY(out->begin < out->end && out->end <= view->entries_bytes);
}

FIRN_INTERNAL status block_search(const block_view *view, block_place at, key_order order,
                                  internal_key target, block_hit *out) {
    *out = (block_hit){0};
    const uint8_t *start = NULL;
    uint32_t restart;
    if (view->restart_count == 0)
        return STATUS_OK;
    if (UNLIKELY(!block_find_restart(view, order, target, &restart, &start)))
        return error_corruption_at(at.path, at.offset, "malformed restart point in the data block");
    block_piece interval = block_interval(view, restart, start);
    if (LIKELY(interval.end <= view->entries_bytes))
        block_fetch_piece(view, interval);
    if (UNLIKELY(order.custom != NULL))
        return block_scan_whole_keys(view, at, start, order, target, out);
    return block_scan_bytewise(view, at, start, target, out);
}

static bool block_run_grow_entries(block_run *run) {
    uint32_t capacity = run->capacity ? run->capacity * 2 : 64;
    iter_entry *entries = memory_resize(run->entries, capacity * sizeof *entries);
    if (!entries)
        return false;
    run->entries = entries;
    run->capacity = capacity;
    return true;
}

/* Makes room for `extra` more bytes of keys and moves the entries that point into the old ones. */
static bool block_run_grow_keys(block_run *run, size_t extra) {
    size_t capacity = run->keys_capacity ? run->keys_capacity * 2 : 8192;
    while (capacity < run->keys_bytes + extra)
        capacity *= 2;
    uint8_t *keys = memory_new(capacity);
    if (!keys)
        return false;
    if (run->keys_bytes)
        memcpy(keys, run->keys, run->keys_bytes);
    uintptr_t old = (uintptr_t)run->keys;
    for (uint32_t i = 0; i < run->count; i++) {
        uintptr_t key = (uintptr_t)run->entries[i].key;
        if (key >= old && key < old + run->keys_bytes)
            run->entries[i].key = keys + (key - old);
    }
    memory_free(run->keys);
    run->keys = keys;
    run->keys_capacity = capacity;
    return true;
}

/* Copies `bytes` bytes, or more of them up to BLOCK_SLACK_BYTES: a fixed-size move is several times
 * cheaper than a call for the lengths keys have. What is written too much is overwritten next. */
static inline void block_copy_short(uint8_t *to, const uint8_t *from, uint32_t bytes) {
    if (LIKELY(bytes <= BLOCK_SLACK_BYTES)) {
        uint8_t moved[BLOCK_SLACK_BYTES]; /* the two places may overlap in their slack */
        memcpy(moved, from, sizeof moved);
        memcpy(to, moved, sizeof moved);
    } else {
        memcpy(to, from, bytes);
    }
}

static COLD status block_run_no_memory(block_place at) {
    return error_status(FIRN_NO_MEMORY, "%s: no memory to decode the block at offset %llu", at.path,
                        (unsigned long long)at.offset);
}

/* Whether an entry has the user key of the one before. Keys share as much as they can but at
 * restart points, so that mostly the first byte tells. */
static inline bool block_entry_repeats(const block_entry *e, const uint8_t *previous,
                                       uint32_t previous_bytes) {
    uint32_t user_bytes = e->shared + e->unshared - KEY_TRAILER_BYTES;
    if (LIKELY(user_bytes + KEY_TRAILER_BYTES != previous_bytes))
        return false;
    if (e->shared >= user_bytes)
        return true;
    return e->suffix[0] == previous[e->shared] &&
           memcmp(e->suffix, previous + e->shared, user_bytes - e->shared) == 0;
}

/* Decodes a piece; its first entry's key begins with the `before_bytes` bytes in run->keys. */
static status block_run_decode_behind(block_run *run, const block_view *view, block_piece piece,
                                      uint32_t before_bytes, block_place at) {
    const uint8_t *p = view->data + piece.begin, *end = view->data + piece.end;
    const uint8_t *previous = run->keys;
    uint32_t previous_bytes = before_bytes;
    /* An earlier key whose first base_bytes bytes the previous has too. */
    const uint8_t *base = previous;
    uint32_t base_bytes = before_bytes;
    uint32_t count = run->count = 0;
    bool plain = true;
    run->keys_bytes = before_bytes;
    while (p < end) {
        block_entry e;
        p = block_entry_decode(p, end, &e);
        if (UNLIKELY(!p || !block_entry_is_sound(&e, previous_bytes)))
            return block_malformed(at);
        uint32_t key_bytes = e.shared + e.unshared;
        if (UNLIKELY(count == run->capacity) && !block_run_grow_entries(run))
            return block_run_no_memory(at);
        const uint8_t *key = e.suffix;
        if (e.shared) {
            size_t needed = (size_t)key_bytes + BLOCK_SLACK_BYTES;
            if (UNLIKELY(run->keys_capacity - run->keys_bytes < needed)) {
                if (run->keys_bytes + key_bytes > BLOCK_ALL_KEYS_BYTES_MAX)
                    return error_corruption_at(at.path, at.offset,
                                               "more key bytes than a block may expand to");
                run->count = count; /* growing moves the keys of those */
                if (!block_run_grow_keys(run, needed))
                    return block_run_no_memory(at);
                previous = count ? run->entries[count - 1].key : run->keys;
                base_bytes = 0; /* it may have moved */
            }
            /* Where an older key will do, it is copied: the previous one was stored just now in two
             * pieces, and loading across them would wait until both stores are done. */
            if (base_bytes < e.shared)
                base = previous;
            base_bytes = e.shared;
            uint8_t *to = run->keys + run->keys_bytes;
            block_copy_short(to, base, e.shared);
            block_copy_short(to + e.shared, e.suffix, e.unshared);
            run->keys_bytes += key_bytes;
            key = to;
        } else {
            base = key;
            base_bytes = key_bytes;
        }
        uint8_t kind = key[key_bytes - KEY_TRAILER_BYTES];
        if (UNLIKELY(!op_kind_is_first_format(kind))) {
            status st = block_check_kind(at, kind, e.value_bytes);
            if (!status_is_ok(st))
                return st;
        }
        plain &= kind == OP_PUT && !block_entry_repeats(&e, previous, previous_bytes);
        run->entries[count++] = (iter_entry){key, e.suffix + e.unshared, key_bytes, e.value_bytes};
        previous = key;
        previous_bytes = key_bytes;
    }
    run->count = count;
    run->plain = plain;
    return STATUS_OK;
}

FIRN_INTERNAL status block_run_decode(block_run *run, const block_view *view, block_piece piece,
                                      block_place at) {
    return block_run_decode_behind(run, view, piece, 0, at);
}

FIRN_INTERNAL status block_run_seek(block_run *run, const block_view *view, block_piece *piece,
                                    const block_target *target) {
    block_skip skip;
    block_stop stop = BLOCK_STOP_UNSURE;
    run->count = 0;
    if (LIKELY(!target->order.custom))
        stop = block_skip_before(view->data + piece->begin, view->data + piece->end, target->key,
                                 &skip);
    if (stop == BLOCK_STOP_END) {
        piece->begin = piece->end;
        return STATUS_OK;
    }
    if (UNLIKELY(stop != BLOCK_STOP_FOUND || !skip.begins_as_target))
        return block_run_decode_behind(run, view, *piece, 0, target->at);
    piece->begin = (uint32_t)(skip.position - view->data);
    uint32_t shared = skip.entry.shared;
    if (UNLIKELY(run->keys_capacity < (size_t)shared + BLOCK_SLACK_BYTES) &&
        !block_run_grow_keys(run, (size_t)shared + BLOCK_SLACK_BYTES))
        return block_run_no_memory(target->at);
    if (shared)
        memcpy(run->keys, target->key.s.data, shared);
    return block_run_decode_behind(run, view, *piece, shared, target->at);
}

FIRN_INTERNAL uint32_t block_run_find(const block_run *run, key_order order, internal_key target) {
    uint32_t low = 0, high = run->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const iter_entry *e = &run->entries[middle];
        internal_key key = {slice_of(e->key, e->key_bytes)};
        if (key_order_compare(order, key, target) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

FIRN_INTERNAL void block_run_deinit(block_run *run) {
    memory_free(run->entries);
    memory_free(run->keys);
    *run = (block_run){0};
}
