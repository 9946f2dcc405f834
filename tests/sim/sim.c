#include "sim/sim.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "platform/error_detail.h"
#include "sim/sim_internal.h"
#include "util/hash.h"

/* In this many steps one of each of the rare ones happens. */
enum { SIM_WHEEL = 100000 };

bool sim_fail(sim *s, const char *format, ...) {
    va_list arguments;
    if (s->result->failed)
        return false;
    s->result->failed = true;
    int size = snprintf(s->result->problem, sizeof s->result->problem,
                        "step %llu: ", (unsigned long long)s->step);
    va_start(arguments, format);
    vsnprintf(s->result->problem + size, sizeof s->result->problem - (size_t)size, format,
              arguments);
    va_end(arguments);
    return false;
}

void sim_note(sim *s, const char *format, ...) {
    va_list arguments;
    if (!s->options->trace)
        return;
    fprintf(s->options->trace, "%8llu ", (unsigned long long)s->step);
    va_start(arguments, format);
    vfprintf(s->options->trace, format, arguments);
    va_end(arguments);
    fputc('\n', s->options->trace);
}

bool sim_tolerates(sim *s, status st, const char *what) {
    if (status_is_ok(st))
        return true;
    if (s->is_strained && (status_is(st, FIRN_IO_ERROR) || status_is(st, FIRN_NO_SPACE) ||
                           status_is(st, FIRN_CORRUPTION)))
        return true;
    return sim_fail(s, "%s answers %s%s: %s", what, firn_status_name(st.code),
                    s->is_strained ? "" : ", though nothing is wrong with the disk",
                    error_detail_get());
}

/* A maintenance call under strain may have failed half-way. */
static bool sim_maintained(sim *s, status st, const char *what) {
    if (status_is_ok(st)) {
        sim_all_durable(s);
        return true;
    }
    s->sync_failed |= !status_is_ok(commit_check_writable(s->db));
    return sim_tolerates(s, st, what) &&
           (status_is_ok(commit_check_writable(s->db)) || sim_reopen(s));
}

/* --- writes --- */

/* Seconds, minutes, hours: what a clock that ticks, goes on in seconds and jumps by hours meets. */
static uint64_t sim_draw_ttl_ms(sim *s) {
    static const uint64_t most_ms[] = {5000, 600000, 10800000};
    return 1 + rng_below(&s->random, most_ms[rng_below(&s->random, 3)]);
}

static status sim_compose_put(sim *s, firn_batch *batch, uint32_t keyspace, uint32_t key) {
    bool expires = rng_below(&s->random, 5) == 0;
    uint64_t number = sim_new_number(s, expires ? sim_draw_ttl_ms(s) : 0);
    batch_expiring put = {sim_key(s, key), sim_value(s, number), sim_expiry_ms(number)};
    s->result->expiring += expires;
    sim_change(s, keyspace, key, number, s->puts[keyspace][key] + 1);
    return batch_put_expiring(batch, keyspace, &put, true);
}

static status sim_compose_range(sim *s, firn_batch *batch, uint32_t keyspace, uint32_t key) {
    uint32_t most = rng_below(&s->random, 12) ? 10 : SIM_KEYS;
    uint32_t end = key + (uint32_t)rng_below(&s->random, most);
    if (end >= SIM_KEYS)
        end = SIM_KEYS - 1;
    s->result->range_deletes++;
    for (uint32_t i = key; i < end; i++)
        sim_change(s, keyspace, i, 0, 0);
    return batch_delete_range(batch, keyspace, sim_key(s, key), sim_key(s, end));
}

/* Every third key is put once and removed by single-deletes, mostly; the others never by those. */
static status sim_compose_one(sim *s, firn_batch *batch, uint32_t keyspace) {
    uint32_t key = (uint32_t)rng_below(&s->random, SIM_KEYS);
    uint64_t what = rng_below(&s->random, 100);
    bool is_once = key % 3 == 0;
    if (what < 2)
        return sim_compose_range(s, batch, keyspace, key);
    if (is_once && what < 70 && s->puts[keyspace][key] == 1) {
        s->result->single_deletes++;
        sim_change(s, keyspace, key, 0, 0);
        return batch_single_delete(batch, keyspace, sim_key(s, key));
    }
    if (!is_once && what < 27) {
        sim_change(s, keyspace, key, 0, 0);
        return batch_delete(batch, keyspace, sim_key(s, key));
    }
    return sim_compose_put(s, batch, keyspace, key);
}

static void sim_compose(sim *s, firn_batch *batch, unsigned count) {
    uint32_t keyspace = (uint32_t)rng_below(&s->random, SIM_KEYSPACES);
    bool mixed = rng_below(&s->random, 2);
    for (unsigned i = 0; i < count; i++) {
        if (mixed)
            keyspace = (uint32_t)rng_below(&s->random, SIM_KEYSPACES);
        status st = sim_compose_one(s, batch, keyspace);
        CHECK(status_is_ok(st));
    }
    s->count++;
}

static bool sim_write(sim *s) {
    static const unsigned sizes[] = {1, 1, 1, 1, 2, 3, 5, 20};
    unsigned count = sizes[rng_below(&s->random, 8)];
    bool sync = rng_below(&s->random, 40) == 0;
    firn_batch batch;
    batch_init(&batch);
    sim_compose(s, &batch, count);
    batch_view view = batch_get_view(&batch);
    sim_note(s, "write of %u operations%s", count, sync ? ", synced" : "");
    status st = db_write(s->db, &view, sync ? FIRN_YES : FIRN_DEFAULT);
    batch_deinit(&batch);
    s->result->operations += count;
    s->result->writes++;
    if (status_is_ok(st)) {
        s->acknowledged = s->count;
        if (sync || s->config.durability == FIRN_SYNC_EVERY_COMMIT)
            sim_all_durable(s);
        return true;
    }
    sim_note(s, "  refused: %s: %s", firn_status_name(st.code), error_detail_get());
    if (!sim_tolerates(s, st, "write"))
        return false;
    if (status_is_ok(commit_check_writable(s->db))) {
        sim_take_back(s); /* refused without a trace */
        return true;
    }
    /* Poisoned: nobody knows whether it is there; a reopen tells. */
    s->sync_failed = true;
    return sim_reopen(s);
}

/* --- the wheel --- */

static bool sim_background(sim *s) {
    s->result->background++;
    bool did = db_step(s->db);
    sim_note(s, "background work: %s", did ? "done" : "none");
    /* Flushes sync the log and the manifest, and may poison. */
    return status_is_ok(commit_check_writable(s->db)) || !s->is_strained
               ? true
               : (s->sync_failed = true, sim_reopen(s));
}

static bool sim_jump(sim *s) {
    s->result->clock_jumps++;
    if (rng_below(&s->random, 2))
        s->now_ns += rng_below(&s->random, 3600) * 1000000000u;
    else
        s->wall_shift_ms += (int64_t)rng_below(&s->random, 7200000) - 3600000;
    sim_note(s, "the clock jumps");
    return true;
}

static bool sim_sync(sim *s) {
    s->result->syncs++;
    sim_note(s, "sync");
    return sim_maintained(s, db_sync(s->db), "sync");
}

static bool sim_flush(sim *s) {
    s->result->flushes++;
    sim_note(s, "flush");
    return sim_maintained(s, db_flush(s->db), "flush");
}

static bool sim_compact(sim *s) {
    s->result->compactions++;
    uint32_t from = (uint32_t)rng_below(&s->random, SIM_KEYS);
    bool all = rng_below(&s->random, 2);
    sim_note(s, "compact %s", all ? "all" : s->keys[from]);
    return sim_maintained(
        s, db_compact_range(s->db, all ? SLICE_UNSET : sim_key(s, from), SLICE_UNSET), "compact");
}

typedef struct sim_spoke {
    uint32_t share; /* of SIM_WHEEL */
    bool (*step)(sim *s);
} sim_spoke;

static bool sim_step(sim *s) {
    static const sim_spoke wheel[] = {{200, sim_sync},         {60, sim_flush},
                                      {10, sim_compact},       {60, sim_reopen},
                                      {40, sim_crash},         {120, sim_strain},
                                      {400, sim_relax},        {60, sim_jump},
                                      {6, sim_beside},         {3, sim_verify},
                                      {800, sim_open_reader},  {12000, sim_background},
                                      {16000, sim_use_reader}, {30000, sim_get}};
    uint64_t seed[] = {s->options->seed, s->step};
    rng_init(&s->random, hash64(seed, sizeof seed));
    sim_set_wall(s, false);
    uint64_t at = rng_below(&s->random, SIM_WHEEL);
    for (size_t i = 0; i < sizeof wheel / sizeof *wheel; i++) {
        if (at < wheel[i].share)
            return wheel[i].step(s);
        at -= wheel[i].share;
    }
    return sim_write(s);
}

bool sim_run(const sim_options *options, sim_result *result) {
    sim *s = calloc(1, sizeof *s);
    CHECK(s != NULL);
    memset(result, 0, sizeof *result);
    s->options = options;
    s->result = result;
    bool good = sim_begin(s);
    for (; good && s->step < options->steps; s->step++) {
        if (!options->skipped || !options->skipped[s->step])
            good = sim_step(s);
    }
    result->steps = s->step;
    result->simulated_seconds = s->now_ns / 1000000000;
    if (good)
        good = sim_relax(s) && sim_crash(s) && sim_verify(s);
    if (good) {
        sim_end(s);
        free(s);
    }
    return good;
}
