#include "result.h"

void worker_result_merge(worker_result *into, const worker_result *from) {
    into->found += from->found;
    into->checksum += from->checksum;
    into->user_bytes_written += from->user_bytes_written;
    into->user_bytes_read += from->user_bytes_read;
    into->cpu_ns += from->cpu_ns;
    for (int kind = 0; kind < 2; kind++)
        histogram_merge(&into->latency[kind], &from->latency[kind]);
}
