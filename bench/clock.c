#include "clock.h"

uint64_t clock_ns_per_tick_q32 = (uint64_t)1 << 32;

void clock_start(void) {
    enum { CALIBRATION_NS = 20000000 };
    uint64_t ns = clock_ns();
    uint64_t ticks = clock_ticks();
    uint64_t ns_end;
    do
        ns_end = clock_ns();
    while (ns_end - ns < CALIBRATION_NS);
    uint64_t ticks_end = clock_ticks();
    clock_ns_per_tick_q32 =
        (uint64_t)(((unsigned __int128)(ns_end - ns) << 32) / (ticks_end - ticks));
}
