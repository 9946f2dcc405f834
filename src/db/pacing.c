#include "db/pacing.h"

#include "db/db_internal.h"

#include "base/poison.h"

#define PACING_LOOK_BYTES   (64u << 10) /* between looks at the pressure */
#define PACING_SKIP_LEAST   64u         /* in one go; fewer are not worth counting */
#define PACING_SKIP_MOST    (1u << 18)  /* some milliseconds: more than a small flush */
#define PACING_SEAL_DELETES 512u

FIRN_INTERNAL void pacing_init(pacing *p) {
    *p = (pacing){.pace = {PACE_FREE, UINT64_MAX}};
    atomic_u64_init(&p->rate_allowed, UINT64_MAX);
}

/* --- the leader --- */

/* relaxed, here and below: hints between jobs and writers; nothing else is published by them. */
static uint64_t pacing_load(const atomic_u64 *value) {
    return atomic_u64_load(value, memory_order_relaxed); /* no partner */
}

FIRN_INTERNAL bool pacing_is_free(const firn_db *db) {
    /* relaxed: no partner; a hint that is refreshed after every job. */
    return !db->pacing.watching && !atomic_u32_load(&db->pacing.behind, memory_order_relaxed);
}

FIRN_INTERNAL void pacing_note_seal(firn_db *db) {
    db->pacing.watching = true;
    db->pacing.unseen_bytes = PACING_LOOK_BYTES;                    /* look at the next commit */
    atomic_u64_store(&db->pacing.skipped, 0, memory_order_relaxed); /* no partner: a hint */
}

FIRN_INTERNAL bool pacing_has_skipped_much(const firn_db *db) {
    return pacing_load(&db->pacing.skipped) >= PACING_SKIP_MOST;
}

FIRN_INTERNAL void pacing_note_skipped(firn_db *db, uint64_t entries) {
    if (entries < PACING_SKIP_LEAST)
        return;
    /* relaxed: no partner; a hint. */
    atomic_u64_add(&db->pacing.skipped, entries, memory_order_relaxed);
    if (UNLIKELY(pacing_has_skipped_much(db)) && db->workers)
        workers_wake(db->workers);
}

FIRN_INTERNAL bool pacing_wants_seal(const firn_db *db, const memtable *active) {
    return UNLIKELY(pacing_has_skipped_much(db)) && memtable_deletes(active) >= PACING_SEAL_DELETES;
}

/* For how long L0 has been waiting for a job out of it to end. */
static uint64_t pacing_undrained_ns(firn_db *db) {
    uint64_t from = pacing_load(&db->pacing.waits_from);
    uint64_t drained = pacing_load(&db->pacing.drained_at);
    if (from == 0)
        return 0;
    from = drained > from ? drained : from;
    uint64_t now = time_monotonic_ns(db->config.clock);
    return now > from ? now - from : 0;
}

/* Of many keyspaces only one memtable's worth is counted that is not sealed yet: that much is
 * always there, however fast flushes are. */
static write_pressure pacing_look(firn_db *db, uint64_t *sealed) {
    pacing *p = &db->pacing;
    write_pressure now = {.memtable_bytes = db->config.memtable_bytes,
                          .debt_bytes = pacing_load(&p->debt_bytes),
                          .total_bytes = pacing_load(&db->disk_bytes),
                          .flush_rate = pacing_load(&p->flush_rate),
                          .drain_rate = pacing_load(&p->drain_rate),
                          .drained_bytes = pacing_load(&p->drained_bytes),
                          .undrained_ns = pacing_undrained_ns(db)};
    uint64_t active, written = background_flushed_bytes(db);
    *sealed = version_set_sealed_bytes(db->versions, &active);
    if (active > now.memtable_bytes)
        active = now.memtable_bytes;
    now.unflushed_bytes = active + (*sealed > written ? *sealed - written : 0);
    /* relaxed: no partner. */
    now.backlog_tables = atomic_u32_load(&db->l0_tables, memory_order_relaxed);
    return now;
}

static void pacing_refresh(firn_db *db) {
    uint64_t sealed;
    write_pressure now = pacing_look(db, &sealed);
    db->pacing.unseen_bytes = 0;
    db->pacing.pace = write_pace_of(&db->config.tree, &now);
    db->pacing.watching = sealed > 0;
    /* relaxed: no partner; for people. */
    atomic_u64_store(&db->pacing.rate_allowed, db->pacing.pace.bytes_per_second,
                     memory_order_relaxed);
}

static write_wait pacing_wait_cause(pace_cause cause) {
    switch (cause) {
    case PACE_FLUSH:
        return WRITE_WAIT_FLUSH_DELAY;
    case PACE_DEBT:
        return WRITE_WAIT_DEBT_DELAY;
    default:
        return WRITE_WAIT_DELAY;
    }
}

FIRN_INTERNAL void pacing_charge(firn_db *db) {
    pacing *p = &db->pacing;
    if (LIKELY(pacing_is_free(db) && p->pace.cause == PACE_FREE))
        return;
    uint64_t written = pacing_load(&db->commit_user_bytes), bytes = written - p->charged_bytes;
    p->charged_bytes = written;
    if (p->pace.cause == PACE_FREE && bytes > PACING_LOOK_BYTES)
        bytes = PACING_LOOK_BYTES; /* what was written while all was well costs nothing */
    p->unseen_bytes += bytes;
    if (p->unseen_bytes >= PACING_LOOK_BYTES)
        pacing_refresh(db);
    uint64_t now = p->pace.cause == PACE_FREE ? 0 : time_monotonic_ns(db->config.clock);
    uint64_t owed = write_bucket_charge(&p->bucket, &p->pace, bytes, now);
    if (owed == 0)
        return;
    thread_sleep_ns(owed);
    write_waits_add(&db->waits, db->events, pacing_wait_cause(p->pace.cause), owed);
    p->unseen_bytes = PACING_LOOK_BYTES; /* time has passed: look again */
}

/* --- background jobs --- */

static void pacing_note_rate(atomic_u64 *rate, uint64_t bytes, uint64_t elapsed_ns) {
    rate_meter m = {pacing_load(rate)};
    rate_meter_note(&m, bytes, elapsed_ns);
    /* relaxed: two jobs that end at once may lose one measurement. */
    atomic_u64_store(rate, m.bytes_per_second, memory_order_relaxed);
}

FIRN_INTERNAL void pacing_note_flush(firn_db *db, uint64_t bytes, uint64_t elapsed_ns) {
    pacing_note_rate(&db->pacing.flush_rate, bytes, elapsed_ns);
}

FIRN_INTERNAL void pacing_note_drain(firn_db *db, uint64_t bytes, uint64_t started_ns,
                                     bool under_pressure) {
    uint64_t now = time_monotonic_ns(db->config.clock);
    uint64_t before = pacing_load(&db->pacing.drained_at), from = started_ns;
    /* While L0 is behind, what other levels took of the time counts as well: that is the rate at
     * which writers are relieved. */
    if (under_pressure && before && before < started_ns)
        from = before;
    pacing_note_rate(&db->pacing.drain_rate, bytes, now - from);
    atomic_u64_store(&db->pacing.drained_at, now, memory_order_relaxed);      /* no partner */
    atomic_u64_store(&db->pacing.drained_bytes, bytes, memory_order_relaxed); /* no partner */
}

/* L0 begins to wait when it has tables enough for a job. */
static void pacing_note_l0(firn_db *db, uint32_t backlog_tables) {
    atomic_u64 *from = &db->pacing.waits_from;
    /* relaxed: two jobs that end at once may lose a moment of waiting; no partner. */
    if (backlog_tables < db->config.tree.l0_trigger)
        atomic_u64_store(from, 0, memory_order_relaxed); /* no partner */
    else if (pacing_load(from) == 0)
        atomic_u64_store(from, time_monotonic_ns(db->config.clock),
                         memory_order_relaxed); /* no partner */
}

FIRN_INTERNAL void pacing_note_tree(firn_db *db, uint32_t backlog_tables, uint64_t debt_bytes,
                                    uint64_t total_bytes) {
    write_pressure now = {.memtable_bytes = db->config.memtable_bytes,
                          .backlog_tables = backlog_tables,
                          .debt_bytes = debt_bytes,
                          .total_bytes = total_bytes};
    bool behind = write_pace_of(&db->config.tree, &now).cause != PACE_FREE;
    pacing_note_l0(db, backlog_tables);
    /* relaxed, all of them: no partner; hints. */
    atomic_u32_store(&db->l0_tables, backlog_tables, memory_order_relaxed);
    atomic_u64_store(&db->disk_bytes, total_bytes, memory_order_relaxed);
    atomic_u64_store(&db->pacing.debt_bytes, debt_bytes, memory_order_relaxed);
    atomic_u32_store(&db->pacing.behind, behind, memory_order_relaxed);
}

#undef PACING_LOOK_BYTES
#undef PACING_SKIP_LEAST
#undef PACING_SKIP_MOST
#undef PACING_SEAL_DELETES
