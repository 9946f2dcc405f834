#include "db/space_reserve.h"

#include <stdio.h>

#include "format/file_name.h"
#include "platform/error_detail.h"
#include "platform/vfs.h"

#include "base/poison.h"

#define SPACE_RESERVE_PART     16 /* of what the tables take */
#define SPACE_RESERVE_EXCESS   2  /* times too large: given back; less is soon needed again */
#define SPACE_RESERVE_RETRY_NS 100000000u

FIRN_INTERNAL void space_reserve_init(space_reserve *r) {
    *r = (space_reserve){0};
    atomic_u32_init(&r->is_short, 0);
    atomic_u64_init(&r->held_bytes, 0);
    atomic_u64_init(&r->shared_bytes, 0);
    mutex_init(&r->guard);
}

FIRN_INTERNAL void space_reserve_deinit(space_reserve *r) {
    mutex_deinit(&r->guard);
}

/* relaxed, here and below: numbers that order nothing. */
FIRN_INTERNAL uint64_t space_reserve_held_bytes(const space_reserve *r) {
    return atomic_u64_load(&r->held_bytes, memory_order_relaxed);
}

FIRN_INTERNAL uint64_t space_reserve_log_bytes(const space_reserve *r) {
    uint64_t shared = atomic_u64_load(&r->shared_bytes, memory_order_relaxed); /* relaxed: above */
    return shared > 0 ? shared / 2 : UINT64_MAX; /* nothing to share: the file system decides */
}

static void space_reserve_set_held_locked(space_reserve *r, uint64_t bytes) {
    mutex_assert_held(&r->guard);
    atomic_u64_store(&r->held_bytes, bytes, memory_order_relaxed); /* relaxed: as above */
}

static uint64_t space_reserve_wanted(const space_reserve *r, const space_used *used) {
    uint64_t wanted = used->table_bytes / SPACE_RESERVE_PART;
    wanted = wanted < used->unflushed_bytes ? used->unflushed_bytes : wanted;
    wanted = wanted < r->args.least ? r->args.least : wanted;
    return wanted < r->args.most ? wanted : r->args.most;
}

static void space_reserve_report(const space_reserve *r, const char *state, uint64_t bytes) {
    event e = event_begin(r->args.events, "space-reserve");
    event_string(&e, "state", state);
    event_u64(&e, "bytes", bytes);
    event_end(&e);
}

/* --- the file; the mutex is held --- */

/* Straight to the vtable: the error detail belongs to whoever found no space. A file that stays is
 * taken over by the next open. */
static void space_reserve_remove_locked(space_reserve *r) {
    char path[FILE_PATH_BYTES];
    mutex_assert_held(&r->guard);
    (void)r->args.vfs->remove(r->args.vfs, file_path(path, r->args.directory, FILE_RESERVE, 0));
    space_reserve_set_held_locked(r, 0);
}

/* Asked first: an attempt to reserve takes all the space there is for a moment, which others then
 * do not find. */
static bool space_reserve_has_room(const space_reserve *r, uint64_t more) {
    uint64_t free_bytes;
    return r->args.vfs->free_bytes(r->args.vfs, r->args.directory, &free_bytes) != 0 ||
           free_bytes >= more;
}

/* Makes the file `bytes` long, all of it backed by space, or leaves it as it was. */
static status space_reserve_set_size_locked(space_reserve *r, uint64_t bytes) {
    status st = STATUS_OK;
    char path[FILE_PATH_BYTES];
    vfs_file *file = NULL;
    uint64_t held = space_reserve_held_bytes(r);
    mutex_assert_held(&r->guard);
    TRY(vfs_open(r->args.vfs, file_path(path, r->args.directory, FILE_RESERVE, 0),
                 FIRN_VFS_WRITE | FIRN_VFS_CREATE, &file));
    TRY(vfs_reserve(file, 0, bytes));
    TRY(vfs_truncate(file, bytes)); /* what an earlier open left may be longer */
    space_reserve_set_held_locked(r, bytes);
out:
    if (!status_is_ok(st) && (held == 0 || !file || !status_is_ok(vfs_truncate(file, held))))
        space_reserve_remove_locked(r);
    (void)vfs_close(file); /* nothing was written */
    return st;
}

/* The caller's error detail stays. */
static status space_reserve_grow_locked(space_reserve *r, uint64_t bytes) {
    char detail[ERROR_DETAIL_BYTES];
    mutex_assert_held(&r->guard);
    if (!space_reserve_has_room(r, bytes - space_reserve_held_bytes(r)))
        return status_of(FIRN_NO_SPACE, "keeping space aside");
    snprintf(detail, sizeof detail, "%s", error_detail_get());
    status st = space_reserve_set_size_locked(r, bytes);
    r->tried_ns = status_is_ok(st) ? 0 : time_monotonic_ns(r->args.clock);
    if (!status_is_ok(st))
        error_detail_set("%s", detail);
    return st;
}

/* --- the state --- */

static void space_reserve_set_short_locked(space_reserve *r, bool is_short) {
    mutex_assert_held(&r->guard);
    if (is_short == space_reserve_is_short(r))
        return;
    /* relaxed, both: as where they are loaded. */
    atomic_u64_store(&r->shared_bytes, space_reserve_held_bytes(r), memory_order_relaxed);
    atomic_u32_store(&r->is_short, is_short, memory_order_relaxed);
    space_reserve_report(r, is_short ? "short" : "whole", space_reserve_held_bytes(r));
}

static bool space_reserve_is_recent(const space_reserve *r, uint64_t then_ns) {
    return then_ns != 0 && time_monotonic_ns(r->args.clock) - then_ns < SPACE_RESERVE_RETRY_NS;
}

/* Where the file cannot be had for another reason than space, the database does without. */
FIRN_INTERNAL void space_reserve_keep(space_reserve *r, const space_used *used) {
    mutex_lock(&r->guard);
    uint64_t wanted = space_reserve_wanted(r, used);
    bool is_whole = space_reserve_held_bytes(r) >= wanted;
    if (!is_whole && !space_reserve_is_recent(r, r->tried_ns)) {
        status st = space_reserve_grow_locked(r, wanted);
        is_whole = !status_is(st, FIRN_NO_SPACE);
        if (!is_whole)
            space_reserve_set_short_locked(r, true);
    }
    if (is_whole)
        space_reserve_set_short_locked(r, false);
    if (space_reserve_held_bytes(r) / SPACE_RESERVE_EXCESS > wanted)
        (void)!status_is_ok(space_reserve_set_size_locked(r, wanted));
    mutex_unlock(&r->guard);
}

FIRN_INTERNAL void space_reserve_open(space_reserve *r, const space_reserve_args *args,
                                      const space_used *used) {
    char path[FILE_PATH_BYTES];
    uint64_t found = 0;
    bool is_directory;
    mutex_lock(&r->guard);
    r->args = *args;
    uint64_t wanted = space_reserve_wanted(r, used);
    status st = vfs_stat(args->vfs, file_path(path, args->directory, FILE_RESERVE, 0), &found,
                         &is_directory);
    /* It may be a copy, without the space. */
    if (status_is_ok(st) && wanted > 0)
        (void)!status_is_ok(space_reserve_set_size_locked(r, found < wanted ? found : wanted));
    else if (status_is_ok(st))
        space_reserve_remove_locked(r); /* an earlier open wanted one */
    mutex_unlock(&r->guard);
    space_reserve_keep(r, used);
}

FIRN_INTERNAL bool space_reserve_spend(space_reserve *r) {
    mutex_lock(&r->guard);
    uint64_t held = space_reserve_held_bytes(r);
    if (r->args.most > 0) {
        space_reserve_set_short_locked(r, true);
        r->tried_ns = time_monotonic_ns(r->args.clock);
    }
    if (held > 0) {
        space_reserve_remove_locked(r);
        space_reserve_report(r, "spent", held);
        r->spent_ns = time_monotonic_ns(r->args.clock);
    }
    bool helped = space_reserve_is_recent(r, r->spent_ns);
    mutex_unlock(&r->guard);
    return helped;
}

#undef SPACE_RESERVE_PART
#undef SPACE_RESERVE_EXCESS
#undef SPACE_RESERVE_RETRY_NS
