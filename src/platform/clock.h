/* platform/clock.h - what time it is, replaceable.
 *
 * A time_source is injected into everything that needs time; NULL functions never occur. wall_ms
 * may jump and never runs backwards as seen through time_wall_ms(); monotonic_ns never does. */
#ifndef FIRN_PLATFORM_CLOCK_H
#define FIRN_PLATFORM_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"

typedef struct time_source {
    void *context;
    uint64_t (*monotonic_ns)(void *context);
    uint64_t (*wall_ms)(void *context); /* since 1970 */
} time_source;

FIRN_INTERNAL const time_source *time_source_system(void);
static inline uint64_t time_monotonic_ns(const time_source *t) {
    return t->monotonic_ns(t->context);
}
static inline uint64_t time_wall_ms(const time_source *t) {
    return t->wall_ms(t->context);
}
/* 16 bytes that differ at every boot of the machine; zeros where the system does not say. */
FIRN_INTERNAL void boot_id_read(uint8_t out[16]);
/* Unpredictable bytes from the system: seeds and identities. */
FIRN_INTERNAL void entropy_read(void *out, size_t bytes);
#endif
