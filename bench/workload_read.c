/* Workloads that read, and those that mix reading with writing. */
#include "run.h"

#include <stdlib.h>

enum { SCAN_LAP_ENTRIES = 64 /* a clock per entry would cost as much as the entry */ };

void workload_read(worker *w) {
    if (w->run->workload->missing) {
        while (worker_next(w)) {
            firn_slice key =
                key_make_missing(&w->run->bench->config->key, worker_pick(w), w->key_buffer);
            firn_slice value;
            if (w->engine->get(w->session, key, &value))
                worker_took_wrong(w, key, value);
            worker_lap(w, LATENCY_READ, 1);
        }
        return;
    }
    while (worker_next(w)) {
        worker_get(w, worker_key(w, worker_pick(w)));
        worker_lap(w, LATENCY_READ, 1);
    }
}

static void read_portion(worker *w, const firn_slice *keys, size_t count) {
    firn_slice values[ENGINE_MANY];
    if (!w->engine->get_many) {
        for (size_t i = 0; i < count; i++)
            worker_get(w, keys[i]);
        return;
    }
    w->engine->get_many(w->session, keys, values, count);
    for (size_t i = 0; i < count; i++) {
        if (values[i].data)
            worker_took(w, keys[i], values[i], i == 0);
        else if (w->run->must_find)
            bench_fail("%s: LOST: a key that was written is not found", w->engine->name);
    }
}

void workload_read_many(worker *w) {
    const key_maker *maker = &w->run->bench->config->key;
    uint8_t *bytes = bench_alloc((size_t)ENGINE_MANY * (maker->bytes + 8));
    firn_slice keys[ENGINE_MANY];
    while (worker_next(w)) {
        uint64_t left = w->budget - w->issued;
        size_t count = left < ENGINE_MANY ? (size_t)left : ENGINE_MANY;
        for (size_t i = 0; i < count; i++)
            keys[i] = key_make(maker, worker_pick(w), bytes + i * (maker->bytes + 8));
        read_portion(w, keys, count);
        worker_lap(w, LATENCY_READ, count);
    }
    free(bytes);
}

void workload_read_beside_writer(worker *w) {
    if (w->index != 0) {
        workload_read(w);
        return;
    }
    while (!atomic_load(&w->run->readers_done)) {
        worker_put(w, worker_key(w, random_below(&w->random, w->run->key_count)), false);
        worker_lap(w, LATENCY_WRITE, 1);
    }
}

void workload_scan_all(worker *w) {
    bool backward = w->run->workload->backward;
    const engine_methods *engine = w->engine;
    bool (*step)(void *, engine_entry *) = backward ? engine->iter_prev : engine->iter_next;
    engine_entry entry;
    while (worker_next(w)) {
        /* Fewer entries than operations asked for: once more from the start. */
        void *iter = engine->iter_new(w->session);
        uint64_t pending = 0;
        uint64_t before = w->issued;
        bool valid = backward ? engine->iter_last(iter, &entry) : engine->iter_first(iter, &entry);
        for (; valid; valid = step(iter, &entry)) {
            worker_took(w, entry.key, entry.value, pending == 0);
            if (++pending == SCAN_LAP_ENTRIES) {
                worker_lap(w, LATENCY_READ, pending);
                pending = 0;
            }
            if (w->issued + pending >= w->budget || w->stopped)
                break;
        }
        engine->iter_free(iter);
        if (pending)
            worker_lap(w, LATENCY_READ, pending);
        if (w->issued == before) /* an empty database has nothing to scan */
            return;
    }
}

/* Seeks `key` and steps on, at most `steps` entries. */
static void read_scan(worker *w, firn_slice key, uint64_t steps) {
    engine_entry entry;
    void *iter = w->engine->iter_new(w->session);
    bool valid = w->engine->iter_seek(iter, key, &entry);
    for (uint64_t i = 0; valid; i++) {
        worker_took(w, entry.key, entry.value, i == 0);
        if (i == steps)
            break;
        valid = w->engine->iter_next(iter, &entry);
    }
    w->engine->iter_free(iter);
}

void workload_seek(worker *w) {
    uint64_t steps = w->run->workload->scan_steps;
    while (worker_next(w)) {
        read_scan(w, worker_key(w, worker_pick(w)), steps);
        worker_lap(w, LATENCY_READ, 1);
    }
}

void workload_mix(worker *w) {
    run *r = w->run;
    const workload *mix = r->workload;
    uint64_t updates = mix->updates;
    uint64_t inserts = updates + mix->inserts;
    uint64_t scans = inserts + mix->scans;
    uint64_t modifies = scans + mix->modifies;
    while (worker_next(w)) {
        uint64_t dice = random_below(&w->random, 100);
        int kind = LATENCY_WRITE;
        if (dice < updates) {
            worker_put(w, worker_key(w, worker_pick(w)), false);
        } else if (dice < inserts) {
            worker_put(w, worker_key(w, atomic_fetch_add(&r->inserted, 1)), false);
        } else if (dice < scans) {
            uint64_t steps = random_below(&w->random, 100);
            read_scan(w, worker_key(w, worker_pick(w)), steps);
            kind = LATENCY_READ;
        } else if (dice < modifies) {
            firn_slice key = worker_key(w, worker_pick(w));
            worker_get(w, key);
            worker_put(w, key, false);
        } else {
            worker_get(w, worker_key(w, worker_pick(w)));
            kind = LATENCY_READ;
        }
        worker_lap(w, kind, 1);
    }
}

/* A queue that is as long all the time: put at the tail, look for the head from the very first key
 * on, delete it. Whoever walks over the deletes in front of the head every time gets slower and
 * slower. */
void workload_queue(worker *w) {
    enum { QUEUE_LENGTH = 100 };
    uint64_t head = w->index;
    while (worker_next(w)) {
        worker_put(w, worker_key(w, w->issued * w->run->threads + w->index), false);
        if (w->issued >= QUEUE_LENGTH) {
            read_scan(w, firn_slice_of("", 0), 0);
            firn_slice key = worker_key(w, head);
            w->engine->remove(w->session, key, false);
            w->result.user_bytes_written += key.size;
            head += w->run->threads;
        }
        worker_lap(w, LATENCY_WRITE, 1);
    }
}
