/* What one client thread does between two operations: choosing keys, checking values, keeping pace.
 */
#include "run.h"

#include <unistd.h>

void worker_took_wrong(const worker *w, firn_slice key, firn_slice value) {
    char text[3 * 32 + 1] = "";
    for (size_t i = 0; i < key.size && i < 32; i++)
        snprintf(text + 3 * i, 4, "%02x ", key.data[i]);
    bench_fail("%s: %s: WRONG VALUE: key %s(%zu bytes) came with a value of %zu bytes that %s",
               w->engine->name, w->run->workload->name, text, key.size, value.size,
               w->run->workload->missing ? "nobody wrote" : "was not written under it");
}

static void worker_lost(const worker *w, firn_slice key) {
    char text[3 * 32 + 1] = "";
    for (size_t i = 0; i < key.size && i < 32; i++)
        snprintf(text + 3 * i, 4, "%02x ", key.data[i]);
    bench_fail("%s: %s: LOST: key %swas written and is not found", w->engine->name,
               w->run->workload->name, text);
}

bool worker_get(worker *w, firn_slice key) {
    firn_slice value;
    if (!w->engine->get(w->session, key, &value)) {
        if (w->run->must_find)
            worker_lost(w, key);
        return false;
    }
    worker_took(w, key, value, w->issued % 16 == 0);
    return true;
}

uint64_t worker_pick(worker *w) {
    run *r = w->run;
    switch (r->workload->order) {
    case ORDER_SEQUENTIAL:
    case ORDER_SHUFFLED:
    case ORDER_UNIFORM:
        return random_below(&w->random, r->key_count);
    case ORDER_HOT:
        return random_below(&w->random, r->key_count < 100 ? 1 : r->key_count / 100);
    case ORDER_ZIPFIAN:
        return permutation_at(&r->shuffle, zipfian_next(r->ranks, &w->random));
    case ORDER_LATEST:
        return atomic_load(&r->inserted) - 1 - zipfian_next(r->ranks, &w->random);
    }
    return 0;
}

void worker_pace(worker *w) {
    uint64_t due = w->start_ticks + ((w->issued * w->run->ticks_per_operation_q16) >> 16);
    uint64_t now = clock_ticks();
    if (now >= due) {
        w->last_ticks = due;
    } else {
        uint64_t ns = clock_ticks_to_ns(due - now);
        if (ns > 100000)
            usleep((useconds_t)((ns - 50000) / 1000));
        do {
            w->last_ticks = clock_ticks();
        } while (w->last_ticks < due);
    }
}

void worker_init(worker *w, run *r, uint32_t index, uint64_t budget) {
    const bench *b = r->bench;
    memset(w, 0, sizeof *w);
    w->run = r;
    w->engine = b->engine;
    w->index = index;
    w->budget = budget;
    w->random = random_mix(b->config->seed + ((uint64_t)b->generation << 32) + index);
    w->generation = b->generation;
    w->session = b->engine->session_new(b->db);
    if (!value_source_init(&w->values, b->value_bytes, b->config->compressible_to))
        bench_fail("out of memory");
}

void worker_deinit(worker *w) {
    w->engine->session_free(w->session);
    value_source_deinit(&w->values);
}
