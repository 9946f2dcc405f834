/* Checksums, hashes and varints over memory that a core's own cache holds. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "micro.h"
#include "util/coding.h"
#include "util/crc32c.h"
#include "util/hash.h"

enum { BYTES_TOTAL = 64 << 20, BYTES_BUFFER = 1 << 20 };

/* Keeps results from being optimised away. */
static volatile uint64_t bytes_sink;

static void bytes_checksums(const uint8_t *data, size_t piece) {
    char what[64];
    uint64_t sum = 0, started = micro_cpu_ns();
    snprintf(what, sizeof what, "crc32c, %zu B pieces: bytes", piece);
    for (size_t done = 0; done < BYTES_TOTAL / 16; done += piece)
        sum += crc32c_extend_table(0, data + done % (BYTES_BUFFER - piece), piece);
    micro_note(what, "tables", BYTES_TOTAL / 16, micro_cpu_ns() - started);
    started = micro_cpu_ns();
    for (size_t done = 0; done < BYTES_TOTAL; done += piece)
        sum += crc32c_extend(0, data + done % (BYTES_BUFFER - piece), piece);
    micro_note(what, "crc32c", BYTES_TOTAL, micro_cpu_ns() - started);
    snprintf(what, sizeof what, "hash64, %zu B pieces: bytes", piece);
    started = micro_cpu_ns();
    for (size_t done = 0; done < BYTES_TOTAL; done += piece)
        sum += hash64(data + done % (BYTES_BUFFER - piece), piece);
    micro_note(what, "XXH3", BYTES_TOTAL, micro_cpu_ns() - started);
    bytes_sink += sum;
}

static void bytes_varints(uint8_t *data) {
    uint8_t *end = data;
    uint64_t count = 0, sum = 0;
    for (; end < data + BYTES_BUFFER / 4; count++) /* 1 to 3 bytes, as sizes and deltas are */
        end = encode_varint32(end, (uint32_t)(count * 2654435761u) >> (11 + count % 3 * 7));
    uint64_t started = micro_cpu_ns(), bytes = 0;
    for (uint32_t round = 0; round < 64; round++) {
        const uint8_t *p = data;
        uint32_t value;
        while (p && p < end) {
            p = decode_varint32(p, end, &value);
            sum += value;
        }
        bytes += (uint64_t)(end - data);
    }
    micro_note("varint decode, 1-3 B: bytes", "varint", (double)bytes, micro_cpu_ns() - started);
    bytes_sink += sum;
}

void micro_bytes(const micro_config *config) {
    if (!micro_wants(config, "bytes"))
        return;
    uint8_t *data = malloc(BYTES_BUFFER);
    if (!data) {
        fprintf(stderr, "firn-micro: no memory\n");
        exit(1);
    }
    for (size_t i = 0; i < BYTES_BUFFER; i++)
        data[i] = (uint8_t)(i * 131 + (i >> 8));
    bytes_checksums(data, 16);
    bytes_checksums(data, 128);
    bytes_checksums(data, 4096);
    bytes_checksums(data, 65536);
    bytes_varints(data);
    free(data);
}
