/* What the database should hold. */
#include <stdlib.h>
#include <string.h>

#include "format/key.h"
#include "sim/sim_internal.h"
#include "util/hash.h"

enum { SIM_LARGE_BYTES = 1 << 20, SIM_VALUE_BYTES_MAX = SIM_LARGE_BYTES + 100000 };

/* A number is a serial one, and above it the time of expiry, 0 for never. */
enum { SIM_SERIAL_BITS = 36, SIM_EXPIRY_UNIT_MS = 100 };
static const uint64_t sim_wall_start_ms = 1700000000000u;
static const uint64_t sim_expiry_zero_ms = 1699000000000u; /* no clock is set back so far */

static int sim_compare_keys(const void *a, const void *b) {
    return strcmp(a, b);
}

/* Short and long ones, with beginnings in common. */
void sim_make_keys(sim *s) {
    static const char *const prefixes[] = {"", "user", "user:long:prefix:", "\xff\xfe"};
    for (uint32_t i = 0; i < SIM_KEYS; i++) {
        snprintf(s->keys[i], SIM_KEY_BYTES, "%s%0*u", prefixes[i % 4], i % 40 == 0 ? 300 : 4, i);
    }
    qsort(s->keys, SIM_KEYS, SIM_KEY_BYTES, sim_compare_keys);
    s->scratch = malloc(SIM_VALUE_BYTES_MAX);
}

slice sim_key(const sim *s, uint32_t key) {
    return slice_from_string(s->keys[key]);
}

size_t sim_value_bytes(uint64_t number) {
    uint64_t dice = hash64(&number, sizeof number);
    if (dice % 20000 == 0)
        return SIM_LARGE_BYTES + dice / 20000 % 90000;
    return 8 + (dice % 24 == 0 ? dice / 24 % 3000 : dice / 24 % 160);
}

slice sim_value(sim *s, uint64_t number) {
    size_t bytes = sim_value_bytes(number);
    uint64_t word = number;
    for (size_t at = 0; at < bytes; at += 8) {
        memcpy(s->scratch + at, &word, bytes - at < 8 ? bytes - at : 8);
        word = word * 6364136223846793005u + 1442695040888963407u;
    }
    return slice_of(s->scratch, bytes);
}

uint64_t sim_new_number(sim *s, uint64_t ttl_ms) {
    uint64_t serial = s->next_value++, units = 0;
    if (ttl_ms > 0)
        units = (s->wall_ms + ttl_ms - sim_expiry_zero_ms) / SIM_EXPIRY_UNIT_MS;
    CHECK(serial >> SIM_SERIAL_BITS == 0 && units >> (64 - SIM_SERIAL_BITS) == 0);
    return serial | units << SIM_SERIAL_BITS;
}

uint64_t sim_expiry_ms(uint64_t number) {
    uint64_t units = number >> SIM_SERIAL_BITS;
    return units ? sim_expiry_zero_ms + units * SIM_EXPIRY_UNIT_MS : 0;
}

bool sim_is_alive(uint64_t number, uint64_t now_ms) {
    uint64_t expiry_ms = sim_expiry_ms(number);
    return number != 0 && (expiry_ms == 0 || expiry_ms > now_ms);
}

void sim_set_wall(sim *s, bool process_is_new) {
    uint64_t now =
        (uint64_t)((int64_t)(sim_wall_start_ms + s->now_ns / 1000000) + s->wall_shift_ms);
    if (process_is_new || now > s->wall_ms)
        s->wall_ms = now;
    if (s->wall_ms > s->most_ms)
        s->most_ms = s->wall_ms;
}

uint64_t sim_number_of(sim *s, slice value, uint64_t expiry_ms) {
    uint64_t number;
    if (value.size < sizeof number)
        return UINT64_MAX;
    memcpy(&number, value.data, sizeof number);
    uint64_t serial = number & (((uint64_t)1 << SIM_SERIAL_BITS) - 1);
    if (serial == 0 || serial >= s->next_value || expiry_ms != sim_expiry_ms(number) ||
        !slice_equal(sim_value(s, number), value))
        return UINT64_MAX;
    return number;
}

void sim_change(sim *s, uint32_t keyspace, uint32_t key, uint64_t number, uint32_t puts) {
    if (s->undo_count == s->undo_capacity) {
        s->undo_capacity = s->undo_capacity ? 2 * s->undo_capacity : 1024;
        s->undo = realloc(s->undo, s->undo_capacity * sizeof *s->undo);
        CHECK(s->undo != NULL);
    }
    s->undo[s->undo_count++] =
        (sim_undo){s->count, keyspace, key, s->model[keyspace][key], s->puts[keyspace][key]};
    s->model[keyspace][key] = number;
    s->puts[keyspace][key] = puts;
}

static void sim_undo_one(sim *s) {
    const sim_undo *u = &s->undo[--s->undo_count];
    s->model[u->keyspace][u->key] = u->before;
    s->puts[u->keyspace][u->key] = u->puts_before;
}

void sim_take_back(sim *s) {
    size_t last = s->count - 1;
    while (s->undo_count > 0 && s->undo[s->undo_count - 1].write == last)
        sim_undo_one(s);
    s->count = last;
}

void sim_all_durable(sim *s) {
    s->count = s->acknowledged = s->durable = 0;
    s->undo_count = 0;
}

/* A value that a former process, whose clock was ahead, had seen expired may be gone or not. */
static bool sim_agrees(const sim *s, uint64_t found, uint64_t number) {
    if (found == 0)
        return !sim_is_alive(number, s->most_ms);
    return found == number && sim_is_alive(number, s->wall_ms);
}

bool sim_find_difference(const sim *s, sim_state found, uint32_t *keyspace, uint32_t *key) {
    for (*keyspace = 0; *keyspace < SIM_KEYSPACES; ++*keyspace) {
        for (*key = 0; *key < SIM_KEYS; ++*key) {
            if (!sim_agrees(s, found[*keyspace][*key], s->model[*keyspace][*key]))
                return true;
        }
    }
    return false;
}

/* What should be alive and is not was removed for good when the clock was ahead. */
static void sim_forget_removed(sim *s, sim_state found) {
    for (uint32_t k = 0; k < SIM_KEYSPACES; k++) {
        for (uint32_t key = 0; key < SIM_KEYS; key++) {
            if (found[k][key] == 0 && sim_is_alive(s->model[k][key], s->wall_ms))
                s->model[k][key] = 0;
        }
    }
}

bool sim_settle(sim *s, sim_state found, size_t least) {
    size_t most = s->count;
    uint32_t k, key;
    while (sim_find_difference(s, found, &k, &key)) {
        if (s->count > least) {
            sim_take_back(s);
            continue;
        }
        return sim_fail(
            s,
            "reopened with a state that cannot be: writes %zu to %zu may be the last; "
            "against the first of them keyspace %u key %u has value %llx instead of %llx",
            least, most, k, key, (unsigned long long)found[k][key],
            (unsigned long long)s->model[k][key]);
    }
    sim_note(s, "  settled after write %zu of %zu, %zu had to be there", s->count, most, least);
    sim_forget_removed(s, found);
    sim_all_durable(s);
    return true;
}
