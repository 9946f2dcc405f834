#include "db/recovery_replay.h"

#include "memtable/key_rank.h"
#include "platform/error_detail.h"
#include "platform/memory.h"
#include "util/coding.h"

#include "base/poison.h"

#define REPLAY_KEYSPACES_MAX   64
#define REPLAY_HELPERS_MAX     3
#define REPLAY_CHUNKS          (2 * REPLAY_HELPERS_MAX)
#define REPLAY_CHUNK_BYTES_MAX (4u << 20)
#define REPLAY_CHUNK_BYTES_MIN (4u << 10)
#define REPLAY_AHEAD           8 /* operations, fetched before they are inserted */
/* In front of a batch in a chunk: u64 first sequence, u32 count, u32 bytes. */
#define REPLAY_HEAD_BYTES 16

typedef enum replay_chunk_state { REPLAY_FREE, REPLAY_READY, REPLAY_BUSY } replay_chunk_state;

/* One batch after the other, each behind its head. */
typedef struct replay_batches {
    buf bytes;
    size_t op_count; /* in all of them */
} replay_batches;

typedef struct replay_chunk {
    replay_batches batches;
    replay_chunk_state state; /* guarded */
} replay_chunk;

struct recovery_replay {
    /* Set at birth. */
    recovery_replay_args args;
    size_t chunk_bytes;
    uint32_t helpers_max;

    /* Owned by the caller; helpers read them while they insert, when they do not change. */
    uint32_t keyspace_count;
    uint32_t ids[REPLAY_KEYSPACES_MAX];
    seqno flushed_through[REPLAY_KEYSPACES_MAX]; /* by position in `ids`, as all below */
    memtable *active[REPLAY_KEYSPACES_MAX];      /* until the next flush */
    bool noted[REPLAY_KEYSPACES_MAX];            /* the version set knows of its first write */
    uint32_t unnoted;
    bool secured;

    replay_batches filling; /* owned by the caller */
    thread helpers[REPLAY_HELPERS_MAX];
    uint32_t helper_count;

    mutex guard; /* a leaf */
    cond changed;
    replay_chunk chunks[REPLAY_CHUNKS]; /* guarded: states; the batches of a busy one are its own */
    bool ending;                        /* guarded */
    status failure;                     /* guarded: the first */
    char detail[ERROR_DETAIL_BYTES];
};

static void replay_look_at_memtables(recovery_replay *r) {
    r->unnoted = 0;
    for (uint32_t k = 0; k < r->keyspace_count; k++) {
        r->active[k] = version_set_active(r->args.versions, r->ids[k]);
        r->noted[k] = memtable_entries(r->active[k]) > 0;
        r->unnoted += !r->noted[k];
    }
}

FIRN_INTERNAL status recovery_replay_new(const recovery_replay_args *args, recovery_replay **out) {
    *out = NULL;
    recovery_replay *r = memory_new_zeroed(sizeof *r);
    if (!r)
        return error_status(FIRN_NO_MEMORY, "no memory to replay the log");
    uint64_t bytes = args->db->config.memtable_bytes / 8;
    r->args = *args;
    r->chunk_bytes = bytes < REPLAY_CHUNK_BYTES_MIN   ? REPLAY_CHUNK_BYTES_MIN
                     : bytes > REPLAY_CHUNK_BYTES_MAX ? REPLAY_CHUNK_BYTES_MAX
                                                      : (size_t)bytes;
    uint32_t threads = args->db->config.threads;
    r->helpers_max = threads < 2                        ? 0
                     : threads - 1 < REPLAY_HELPERS_MAX ? threads - 1
                                                        : REPLAY_HELPERS_MAX;
    r->keyspace_count = version_set_keyspaces(args->versions, r->ids, REPLAY_KEYSPACES_MAX);
    for (uint32_t k = 0; k < r->keyspace_count; k++)
        r->flushed_through[k] = version_set_flushed_through(args->versions, r->ids[k]);
    replay_look_at_memtables(r);
    mutex_init(&r->guard);
    cond_init(&r->changed);
    *out = r;
    return STATUS_OK;
}

FIRN_INTERNAL void recovery_replay_free(recovery_replay *r) {
    if (!r)
        return;
    mutex_lock(&r->guard);
    r->ending = true;
    cond_broadcast(&r->changed);
    mutex_unlock(&r->guard);
    for (uint32_t i = 0; i < r->helper_count; i++)
        thread_join(&r->helpers[i]);
    for (uint32_t i = 0; i < REPLAY_CHUNKS; i++)
        buf_deinit(&r->chunks[i].batches.bytes);
    buf_deinit(&r->filling.bytes);
    cond_deinit(&r->changed);
    mutex_deinit(&r->guard);
    memory_free(r);
}

/* --- inserting: by anybody --- */

static status replay_find_keyspace(const recovery_replay *r, uint32_t id, uint32_t *k) {
    for (*k = 0; *k < r->keyspace_count; ++*k) {
        if (r->ids[*k] == id)
            return STATUS_OK;
    }
    return error_status(FIRN_CORRUPTION, "%s: the log writes to keyspace %u, which does not exist",
                        r->args.db->directory, id);
}

/* An operation, and where it goes. */
typedef struct replay_op {
    batch_op op;
    seqno sequence;
    memtable *target; /* NULL: it is in tables already */
} replay_op;

/* Gives the operations of a batch, and how many. */
static status replay_decode_batch(const recovery_replay *r, const uint8_t *head, replay_op *out,
                                  size_t *count) {
    status st = STATUS_OK;
    seqno first = decode_fixed64(head);
    slice ops = slice_of(head + REPLAY_HEAD_BYTES, decode_fixed32(head + 12));
    *count = decode_fixed32(head + 8);
    for (size_t i = 0; i < *count; i++) {
        uint32_t k;
        if (!batch_op_decode(&ops, &out[i].op)) {
            st = error_status(FIRN_CORRUPTION, "%s: malformed batch %llu in the log",
                              r->args.db->directory, (unsigned long long)first);
            goto out;
        }
        TRY(replay_find_keyspace(r, out[i].op.keyspace, &k));
        out[i].sequence = first + i;
        out[i].target = out[i].sequence > r->flushed_through[k] ? r->active[k] : NULL;
    }
out:
    return st;
}

/* Puts places[] in the order of their upper halves, 24 bits, by way of `other`: counting, from the
 * lowest byte on. Returns where they are then. */
static uint64_t *replay_sort(uint64_t *places, uint64_t *other, size_t count) {
    for (uint32_t shift = 32; shift < 56; shift += 8) {
        size_t starts[257] = {0};
        for (size_t i = 0; i < count; i++)
            starts[1 + (places[i] >> shift & 0xff)]++;
        for (size_t b = 1; b < 257; b++)
            starts[b] += starts[b - 1];
        for (size_t i = 0; i < count; i++)
            other[starts[places[i] >> shift & 0xff]++] = places[i];
        uint64_t *sorted = other;
        other = places;
        places = sorted;
    }
    return places;
}

/* The indexes of the operations, roughly in the order of their keys: by 24 bits of what is behind
 * their common prefix. Neighbours in a memtable are found one after the other then, while the way
 * to them is still in the processor's cache. `places` has room for twice as many; returns where in
 * it they are. */
static uint64_t *replay_order(const replay_op *ops, size_t count, uint64_t *places) {
    slice prefix = count ? ops[0].op.key.s : slice_of("", 0);
    uint64_t least = UINT64_MAX, most = 0;
    for (size_t i = 1; i < count; i++) {
        slice key = ops[i].op.key.s;
        size_t same = 0, limit = key.size < prefix.size ? key.size : prefix.size;
        while (same < limit && key.data[same] == prefix.data[same])
            same++;
        prefix.size = same;
    }
    for (size_t i = 0; i < count; i++) {
        places[i] = key_rank(ops[i].op.key.s, prefix);
        least = places[i] < least ? places[i] : least;
        most = places[i] > most ? places[i] : most;
    }
    uint32_t shift = 0;
    while (count && (most - least) >> shift >> 24)
        shift++;
    for (size_t i = 0; i < count; i++)
        places[i] = (places[i] - least) >> shift << 32 | i;
    return replay_sort(places, places + count, count);
}

static status replay_insert(const recovery_replay *r, replay_batches *batches) {
    status st = STATUS_OK;
    size_t count = batches->op_count, decoded = 0, one;
    replay_op *ops = memory_new((count + 1) * sizeof *ops);
    uint64_t *places = memory_new((2 * count + 1) * sizeof *places);
    if (!ops || !places) {
        st = error_status(FIRN_NO_MEMORY, "no memory to replay the log");
        goto out;
    }
    for (slice rest = buf_slice(&batches->bytes); rest.size > 0; decoded += one) {
        TRY(replay_decode_batch(r, rest.data, ops + decoded, &one));
        rest = slice_skip(rest, REPLAY_HEAD_BYTES + decode_fixed32(rest.data + 12));
    }
    DCHECK(decoded == count);
    const uint64_t *order = replay_order(ops, count, places);
    for (size_t i = 0; i < count; i++) {
        /* The chunk is larger than the nearer caches, and is gone over in another order. */
        if (i + 2 * REPLAY_AHEAD < count) {
            __builtin_prefetch(&ops[(uint32_t)order[i + 2 * REPLAY_AHEAD]]);
            const batch_op *soon = &ops[(uint32_t)order[i + REPLAY_AHEAD]].op;
            __builtin_prefetch(soon->key.s.data);
            __builtin_prefetch(soon->value.data + soon->value.size / 2);
        }
        const replay_op *o = &ops[(uint32_t)order[i]];
        if (o->target)
            TRY(memtable_add(o->target, o->sequence, o->op.kind, o->op.key, o->op.value));
    }
out:
    memory_free(places);
    memory_free(ops);
    buf_clear(&batches->bytes);
    batches->op_count = 0;
    return st;
}

/* --- helpers --- */

/* Inserts a chunk that was handed out; false: there is none. The guard is given up meanwhile. */
static bool replay_work_locked(recovery_replay *r) {
    mutex_assert_held(&r->guard);
    for (uint32_t i = 0; i < REPLAY_CHUNKS; i++) {
        replay_chunk *chunk = &r->chunks[i];
        if (chunk->state != REPLAY_READY)
            continue;
        chunk->state = REPLAY_BUSY;
        mutex_unlock(&r->guard);
        status st = replay_insert(r, &chunk->batches);
        mutex_lock(&r->guard);
        chunk->state = REPLAY_FREE;
        if (!status_is_ok(st) && status_is_ok(r->failure)) {
            r->failure = st;
            strncpy(r->detail, error_detail_get(), sizeof r->detail - 1);
        }
        cond_broadcast(&r->changed);
        return true;
    }
    return false;
}

static void replay_help(void *context) {
    recovery_replay *r = context;
    mutex_lock(&r->guard);
    while (!r->ending) {
        if (!replay_work_locked(r))
            cond_wait(&r->changed, &r->guard);
    }
    mutex_unlock(&r->guard);
}

/* As few as there are, for a short log needs none. */
static void replay_start_helper(recovery_replay *r) {
    if (r->helper_count < r->helpers_max &&
        status_is_ok(thread_start(&r->helpers[r->helper_count], "firn-replay", replay_help, r)))
        r->helper_count++;
    else
        r->helpers_max = r->helper_count; /* no more threads to be had */
}

static status replay_failure_locked(const recovery_replay *r) {
    mutex_assert_held(&r->guard);
    if (!status_is_ok(r->failure))
        error_detail_set("%s", r->detail);
    return r->failure;
}

/* Gives `filling` to the helpers, or inserts it where all chunks are full. */
static status replay_hand_out(recovery_replay *r) {
    replay_chunk *free_chunk = NULL;
    if (r->helper_count < r->helpers_max)
        replay_start_helper(r);
    mutex_lock(&r->guard);
    status st = replay_failure_locked(r);
    for (uint32_t i = 0; i < REPLAY_CHUNKS && r->helper_count > 0 && !free_chunk; i++) {
        if (r->chunks[i].state == REPLAY_FREE)
            free_chunk = &r->chunks[i];
    }
    if (free_chunk) {
        replay_batches other = free_chunk->batches;
        free_chunk->batches = r->filling;
        free_chunk->state = REPLAY_READY;
        r->filling = other;
        cond_signal(&r->changed);
    }
    mutex_unlock(&r->guard);
    if (free_chunk || !status_is_ok(st))
        return st;
    return replay_insert(r, &r->filling);
}

FIRN_INTERNAL status recovery_replay_finish(recovery_replay *r) {
    status st = replay_insert(r, &r->filling);
    bool is_busy = true;
    mutex_lock(&r->guard);
    while (is_busy) {
        while (replay_work_locked(r))
            continue;
        is_busy = false;
        for (uint32_t i = 0; i < REPLAY_CHUNKS; i++)
            is_busy |= r->chunks[i].state != REPLAY_FREE;
        if (is_busy)
            cond_wait(&r->changed, &r->guard);
    }
    if (status_is_ok(st))
        st = replay_failure_locked(r);
    mutex_unlock(&r->guard);
    return st;
}

/* --- flushing --- */

static status replay_flush_all(recovery_replay *r) {
    status st = STATUS_OK;
    bool found = true;
    for (uint32_t i = 0; i < r->keyspace_count; i++) {
        TRY(version_set_seal(r->args.versions, r->ids[i]));
        do
            TRY(background_flush_one(r->args.db, &found));
        while (found);
    }
out:
    return st;
}

FIRN_INTERNAL status recovery_replay_flush(recovery_replay *r, bool if_room) {
    status st = STATUS_OK;
    if (if_room && !r->args.may_flush)
        return STATUS_OK;
    if (!r->secured)
        TRY(r->args.secure(r->args.context));
    r->secured = true;
    st = replay_flush_all(r);
    replay_look_at_memtables(r);
    if (if_room && status_is(st, FIRN_NO_SPACE)) {
        r->args.may_flush = false;
        st = STATUS_OK;
    }
out:
    return st;
}

FIRN_INTERNAL bool recovery_replay_is_secured(const recovery_replay *r) {
    return r->secured;
}

FIRN_INTERNAL void recovery_replay_set_secured(recovery_replay *r) {
    r->secured = true;
}

static bool replay_is_full(const recovery_replay *r) {
    for (uint32_t k = 0; k < r->keyspace_count; k++) {
        if (memtable_bytes(r->active[k]) >= r->args.db->config.memtable_bytes)
            return true;
    }
    return false;
}

/* --- the reader of the log --- */

/* Tells the version set where memtables begin, before anything is in them. */
static status replay_note_first_writes(recovery_replay *r, seqno first, slice ops,
                                       uint64_t position) {
    status st = STATUS_OK;
    batch_op op;
    for (seqno sequence = first; batch_op_decode(&ops, &op); sequence++) {
        uint32_t k;
        TRY(replay_find_keyspace(r, op.keyspace, &k));
        if (r->noted[k] || sequence <= r->flushed_through[k])
            continue;
        version_set_note_first_write(r->args.versions, op.keyspace, position,
                                     time_monotonic_ns(r->args.db->config.clock));
        r->noted[k] = true;
        r->unnoted--;
    }
out:
    return st;
}

FIRN_INTERNAL status recovery_replay_batch(void *context, seqno first, uint32_t count, slice ops,
                                           uint64_t position) {
    status st = STATUS_OK;
    recovery_replay *r = context;
    seqno last = first + count - 1;
    if (UNLIKELY(r->unnoted > 0))
        TRY(replay_note_first_writes(r, first, ops, position));
    buf *bytes = &r->filling.bytes;
    uint8_t *head = buf_reserve(bytes, REPLAY_HEAD_BYTES + ops.size);
    if (!head) {
        bytes->out_of_memory = false;
        st = error_status(FIRN_NO_MEMORY, "no memory to replay the log");
        goto out;
    }
    encode_fixed64(head, first);
    encode_fixed32(head + 8, count);
    encode_fixed32(head + 12, (uint32_t)ops.size);
    slice_copy_to(ops, head + REPLAY_HEAD_BYTES);
    bytes->size += REPLAY_HEAD_BYTES + ops.size;
    r->filling.op_count += count;
    version_set_note_sequence(r->args.versions, last);
    if (LIKELY(bytes->size < r->chunk_bytes))
        goto out;
    TRY(replay_hand_out(r));
    if (r->args.may_flush && replay_is_full(r)) {
        TRY(recovery_replay_finish(r));
        /* Readers of the snapshot list see everything replayed so far. release: pairs with their
         * acquire. */
        atomic_u64_store(&r->args.db->visible, last, memory_order_release);
        TRY(recovery_replay_flush(r, true));
    }
out:
    return st;
}

#undef REPLAY_KEYSPACES_MAX
#undef REPLAY_HELPERS_MAX
#undef REPLAY_CHUNKS
#undef REPLAY_CHUNK_BYTES_MAX
#undef REPLAY_CHUNK_BYTES_MIN
#undef REPLAY_AHEAD
#undef REPLAY_HEAD_BYTES
