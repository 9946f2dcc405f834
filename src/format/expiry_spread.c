#include "format/expiry_spread.h"

#include <string.h>

#include "base/check.h"

#include "base/poison.h"

/* Makes the buckets as wide as it takes to span least_ms .. most_ms. */
static void expiry_spread_widen(expiry_spread *s) {
    uint64_t before[EXPIRY_SPREAD_BUCKETS];
    uint32_t shift = s->shift;
    while ((s->most_ms >> shift) - (s->least_ms >> shift) >= EXPIRY_SPREAD_BUCKETS)
        shift++;
    uint64_t first = s->least_ms >> shift;
    memcpy(before, s->buckets, sizeof before);
    memset(s->buckets, 0, sizeof s->buckets);
    for (uint32_t i = 0; i < EXPIRY_SPREAD_BUCKETS; i++) {
        if (before[i])
            s->buckets[((s->first + i) >> (shift - s->shift)) - first] += before[i];
    }
    s->first = first;
    s->shift = shift;
}

FIRN_INTERNAL void expiry_spread_note(expiry_spread *s, uint64_t expiry_ms) {
    if (s->count++ == 0) {
        s->least_ms = s->most_ms = s->first = expiry_ms;
    } else if (expiry_ms < s->least_ms || expiry_ms > s->most_ms) {
        s->least_ms = expiry_ms < s->least_ms ? expiry_ms : s->least_ms;
        s->most_ms = expiry_ms > s->most_ms ? expiry_ms : s->most_ms;
        expiry_spread_widen(s);
    }
    uint64_t bucket = (expiry_ms >> s->shift) - s->first;
    DCHECK(bucket < EXPIRY_SPREAD_BUCKETS);
    s->buckets[bucket]++;
}

FIRN_INTERNAL void expiry_spread_parts(const expiry_spread *s, uint64_t parts[EXPIRY_PARTS]) {
    uint64_t seen = 0;
    uint32_t part = 0;
    memset(parts, 0, EXPIRY_PARTS * sizeof *parts);
    for (uint64_t i = 0; i < EXPIRY_SPREAD_BUCKETS && s->count; i++) {
        seen += s->buckets[i];
        uint64_t last_ms = ((s->first + i + 1) << s->shift) - 1; /* of the bucket */
        if (last_ms > s->most_ms)
            last_ms = s->most_ms;
        /* Divided, not multiplied: counts may be of any size. */
        while (part < EXPIRY_PARTS &&
               seen >= s->count / EXPIRY_PARTS * (part + 1) +
                           (s->count % EXPIRY_PARTS * (part + 1) + EXPIRY_PARTS - 1) / EXPIRY_PARTS)
            parts[part++] = last_ms;
    }
}
