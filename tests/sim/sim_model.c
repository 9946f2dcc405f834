/* What the database should hold. */
#include <stdlib.h>
#include <string.h>

#include "format/key.h"
#include "sim/sim_internal.h"
#include "util/hash.h"

enum { SIM_LARGE_BYTES = 1 << 20, SIM_VALUE_BYTES_MAX = SIM_LARGE_BYTES + 100000 };

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

uint64_t sim_number_of(sim *s, slice value) {
    uint64_t number;
    if (value.size < sizeof number)
        return UINT64_MAX;
    memcpy(&number, value.data, sizeof number);
    if (number == 0 || number >= s->next_value || !slice_equal(sim_value(s, number), value))
        return UINT64_MAX;
    return number;
}

void sim_change(sim *s, uint32_t keyspace, uint32_t key, uint64_t number) {
    if (s->undo_count == s->undo_capacity) {
        s->undo_capacity = s->undo_capacity ? 2 * s->undo_capacity : 1024;
        s->undo = realloc(s->undo, s->undo_capacity * sizeof *s->undo);
        CHECK(s->undo != NULL);
    }
    s->undo[s->undo_count++] = (sim_undo){s->count, keyspace, key, s->model[keyspace][key]};
    s->model[keyspace][key] = number;
}

static void sim_undo_one(sim *s) {
    const sim_undo *u = &s->undo[--s->undo_count];
    s->model[u->keyspace][u->key] = u->before;
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

bool sim_settle(sim *s, sim_state found, size_t least) {
    size_t most = s->count;
    for (;;) {
        if (memcmp(found, s->model, sizeof(sim_state)) == 0) {
            sim_note(s, "  settled after write %zu of %zu, %zu had to be there", s->count, most,
                     least);
            sim_all_durable(s);
            return true;
        }
        if (s->count == least)
            break;
        sim_take_back(s);
    }
    uint32_t k = 0, key = 0;
    while (found[k][key] == s->model[k][key]) {
        if (++key == SIM_KEYS) {
            key = 0;
            k++;
        }
    }
    return sim_fail(s,
                    "reopened with a state that cannot be: writes %zu to %zu may be the last; "
                    "against the first of them keyspace %u key %u has value %llu instead of %llu",
                    least, most, k, key, (unsigned long long)found[k][key],
                    (unsigned long long)s->model[k][key]);
}
