/* Workloads that write. Of N workers, worker i takes every Nth position, beginning with the ith. */
#include "run.h"

/* The index that the next write of this worker goes to. */
static uint64_t write_index(worker *w) {
    uint64_t position = w->issued * w->run->threads + w->index;
    if (w->run->workload->order == ORDER_SEQUENTIAL)
        return position;
    return permutation_at(&w->run->shuffle, position);
}

void workload_fill(worker *w) {
    bool sync = w->run->workload->sync;
    while (worker_next(w)) {
        worker_put(w, worker_key(w, write_index(w)), sync);
        worker_lap(w, LATENCY_WRITE, 1);
    }
}

void workload_fill_batch(worker *w) {
    uint64_t batch = w->run->workload->batch;
    while (worker_next(w)) {
        uint64_t first = w->issued;
        uint64_t count = w->budget - first < batch ? w->budget - first : batch;
        for (uint64_t i = 0; i < count; i++) {
            w->issued = first + i;
            firn_slice key = worker_key(w, write_index(w));
            firn_slice value = value_make(&w->values, key_hash(key), w->generation);
            w->engine->batch_put(w->session, key, value);
            w->result.user_bytes_written += key.size + value.size;
        }
        w->issued = first;
        w->engine->batch_commit(w->session, false);
        worker_lap(w, LATENCY_WRITE, count);
    }
}

void workload_overwrite(worker *w) {
    while (worker_next(w)) {
        worker_put(w, worker_key(w, worker_pick(w)), false);
        worker_lap(w, LATENCY_WRITE, 1);
    }
}

static void write_delete(worker *w, uint64_t index) {
    firn_slice key = worker_key(w, index);
    w->engine->remove(w->session, key, false);
    w->result.user_bytes_written += key.size;
}

void workload_delete(worker *w) {
    while (worker_next(w)) {
        write_delete(w, write_index(w));
        worker_lap(w, LATENCY_WRITE, 1);
    }
}

void workload_delete_most(worker *w) {
    while (worker_next(w)) {
        uint64_t index = write_index(w);
        if (index % 100 != 0)
            write_delete(w, index);
        worker_lap(w, LATENCY_WRITE, 1);
    }
}

void workload_delete_middle(worker *w) {
    while (worker_next(w)) {
        uint64_t index = write_index(w);
        if (index != 0 && index != w->run->key_count - 1)
            write_delete(w, index);
        worker_lap(w, LATENCY_WRITE, 1);
    }
}
