/* Reads, each against the model as of its time. */
#include <string.h>

#include "sim/sim_internal.h"

/* What a get gives for a key whose value should be `expected`, 0 for none. */
static bool sim_check_get(sim *s, firn_db *db, const firn_snapshot *snapshot, uint32_t keyspace,
                          uint32_t key, uint64_t expected) {
    firn_value value;
    firn_read_options options = FIRN_READ_OPTIONS_INIT;
    options.snapshot = snapshot;
    uint64_t number = 0;
    s->result->operations++;
    s->result->reads++;
    status st = db_get(db, keyspace, &options, sim_key(s, key), &value);
    if (status_is_ok(st))
        number = sim_number_of(s, slice_of(value.data, value.size), value.expiry_ms);
    db_value_release(&value);
    if (!status_is_ok(st) && !status_is(st, FIRN_NOT_FOUND))
        return sim_tolerates(s, st, "get");
    if (number != expected)
        return sim_fail(s, "get of keyspace %u key %u%s gives value %llx instead of %llx", keyspace,
                        key, snapshot ? " by a snapshot" : "", (unsigned long long)number,
                        (unsigned long long)expected);
    return true;
}

bool sim_get(sim *s) {
    uint32_t keyspace = (uint32_t)rng_below(&s->random, SIM_KEYSPACES);
    uint32_t key = (uint32_t)rng_below(&s->random, SIM_KEYS);
    sim_note(s, "get %u/%u", keyspace, key);
    uint64_t number = s->model[keyspace][key];
    return sim_check_get(s, s->db, NULL, keyspace, key,
                         sim_is_alive(number, s->wall_ms) ? number : 0);
}

static uint32_t sim_find_key(const sim *s, slice key) {
    uint32_t low = 0, high = SIM_KEYS;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (slice_compare(sim_key(s, middle), key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low < SIM_KEYS && slice_equal(sim_key(s, low), key) ? low : SIM_KEYS;
}

bool sim_read_all(sim *s, firn_db *db, sim_state found) {
    memset(found, 0, sizeof(sim_state));
    for (uint32_t k = 0; k < SIM_KEYSPACES; k++) {
        firn_iter *it;
        status st = db_iter_new(db, k, NULL, &it);
        if (!status_is_ok(st))
            return sim_fail(s, "no iterator over keyspace %u: %s", k, error_detail_get());
        uint32_t before = 0;
        for (db_iter_seek_first(it); db_iter_valid(it); db_iter_next(it)) {
            uint32_t key = sim_find_key(s, db_iter_key(it));
            if (key == SIM_KEYS || key < before)
                return sim_fail(s, "a scan of keyspace %u gives a strange key", k);
            before = key + 1;
            found[k][key] = sim_number_of(s, db_iter_value(it), db_iter_expiry_ms(it));
            s->result->operations++;
        }
        st = db_iter_status(it);
        db_iter_free(it);
        if (!status_is_ok(st))
            return sim_fail(s, "a scan of keyspace %u fails: %s", k, error_detail_get());
    }
    return true;
}

/* --- readers that stay --- */

static sim_reader *sim_pick_reader(sim *s) {
    return &s->readers[rng_below(&s->random, SIM_READERS)];
}

static void sim_close_reader(sim *s, sim_reader *r) {
    if (r->it)
        db_iter_free(r->it);
    if (r->snapshot)
        db_snapshot_release(s->db, r->snapshot);
    r->it = NULL;
    r->snapshot = NULL;
}

void sim_close_readers(sim *s) {
    for (int i = 0; i < SIM_READERS; i++)
        sim_close_reader(s, &s->readers[i]);
}

bool sim_open_reader(sim *s) {
    sim_reader *r = sim_pick_reader(s);
    status st;
    sim_close_reader(s, r);
    if (rng_below(&s->random, 3) == 0) {
        sim_note(s, "reader %d closes", (int)(r - s->readers));
        return true;
    }
    memcpy(r->seen, s->model, sizeof r->seen);
    r->at_ms = s->wall_ms;
    if (rng_below(&s->random, 2)) {
        st = db_snapshot_new(s->db, NULL, &r->snapshot);
        sim_note(s, "reader %d: a snapshot", (int)(r - s->readers));
    } else {
        r->keyspace = (uint32_t)rng_below(&s->random, SIM_KEYSPACES);
        r->at = SIM_KEYS;
        st = db_iter_new(s->db, r->keyspace, NULL, &r->it);
        sim_note(s, "reader %d: an iterator over %u", (int)(r - s->readers), r->keyspace);
    }
    if (status_is_ok(st))
        return true;
    r->it = NULL;
    r->snapshot = NULL;
    return sim_tolerates(s, st, "new reader");
}

static bool sim_sees(const sim_reader *r, uint32_t keyspace, uint32_t key) {
    return sim_is_alive(r->seen[keyspace][key], r->at_ms);
}

static uint32_t sim_seen_from(const sim_reader *r, uint32_t key) {
    while (key < SIM_KEYS && !sim_sees(r, r->keyspace, key))
        key++;
    return key;
}

static uint32_t sim_seen_until(const sim_reader *r, uint32_t key) {
    uint32_t end = key + 1;
    while (end > 0 && !sim_sees(r, r->keyspace, end - 1))
        end--;
    return end > 0 ? end - 1 : SIM_KEYS;
}

/* Moves the iterator and says where the model goes. */
static uint32_t sim_move(sim *s, sim_reader *r) {
    uint32_t key = (uint32_t)rng_below(&s->random, SIM_KEYS);
    switch (rng_below(&s->random, 8)) {
    case 0:
        db_iter_seek_first(r->it);
        return sim_seen_from(r, 0);
    case 1:
        db_iter_seek_last(r->it);
        return sim_seen_until(r, SIM_KEYS - 1);
    case 2:
    case 3:
        db_iter_seek(r->it, sim_key(s, key));
        return sim_seen_from(r, key);
    case 4:
        db_iter_seek_for_prev(r->it, sim_key(s, key));
        return sim_seen_until(r, key);
    case 5:
        if (r->at == SIM_KEYS)
            return SIM_KEYS;
        db_iter_prev(r->it);
        return r->at > 0 ? sim_seen_until(r, r->at - 1) : SIM_KEYS;
    default:
        if (r->at == SIM_KEYS)
            return SIM_KEYS;
        db_iter_next(r->it);
        return sim_seen_from(r, r->at + 1);
    }
}

static bool sim_use_iterator(sim *s, sim_reader *r) {
    uint32_t was = r->at;
    uint32_t at = sim_move(s, r);
    s->result->operations++;
    s->result->reads++;
    sim_note(s, "reader %d moves from %u to %u", (int)(r - s->readers), was, at);
    r->at = at;
    bool valid = db_iter_valid(r->it);
    slice value = valid ? db_iter_value(r->it) : SLICE_UNSET;
    status st = db_iter_status(r->it);
    if (!status_is_ok(st)) {
        bool good = sim_tolerates(s, st, "iterator");
        sim_close_reader(s, r);
        return good;
    }
    if (valid != (at < SIM_KEYS))
        return sim_fail(s, "an iterator of keyspace %u is %svalid where key %u should be",
                        r->keyspace, valid ? "" : "not ", at);
    if (!valid)
        return true;
    uint32_t key = sim_find_key(s, db_iter_key(r->it));
    uint64_t number = sim_number_of(s, value, db_iter_expiry_ms(r->it));
    if (key != at || number != r->seen[r->keyspace][at])
        return sim_fail(s, "an iterator of keyspace %u shows key %u value %llx instead of %u, %llx",
                        r->keyspace, key, (unsigned long long)number, at,
                        (unsigned long long)r->seen[r->keyspace][at]);
    return true;
}

bool sim_use_reader(sim *s) {
    sim_reader *r = sim_pick_reader(s);
    if (r->it)
        return sim_use_iterator(s, r);
    if (!r->snapshot)
        return sim_open_reader(s);
    uint32_t keyspace = (uint32_t)rng_below(&s->random, SIM_KEYSPACES);
    uint32_t key = (uint32_t)rng_below(&s->random, SIM_KEYS);
    sim_note(s, "reader %d gets %u/%u", (int)(r - s->readers), keyspace, key);
    return sim_check_get(s, s->db, r->snapshot, keyspace, key,
                         sim_sees(r, keyspace, key) ? r->seen[keyspace][key] : 0);
}
