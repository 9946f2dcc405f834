/* util/crc32c.h - CRC-32C (Castagnoli, polynomial 0x1EDC6F41 reflected; RFC 3720 appendix B.4).
 *
 * Uses the processor's instruction where there is one, chosen once at run time, else tables; both
 * give the same answers. */
#ifndef FIRN_UTIL_CRC32C_H
#define FIRN_UTIL_CRC32C_H

#include <stddef.h>
#include <stdint.h>

#include "base/attributes.h"

/* The checksum of what `crc` covers followed by `size` more bytes; start with 0. */
FIRN_INTERNAL uint32_t crc32c_extend(uint32_t crc, const void *data, size_t size);
/* The table twin, for tests and machines without the instruction. */
FIRN_INTERNAL uint32_t crc32c_extend_table(uint32_t crc, const void *data, size_t size);

/* The one by instructions of 64 bits, for tests and machines without wide ones; tables where there
 * are none at all. */
FIRN_INTERNAL uint32_t crc32c_extend_narrow(uint32_t crc, const void *data, size_t size);

/* Seeds: a checksum started from these only validates in its own place. Each is the CRC-32C of the
 * arguments in this order, little-endian. */
FIRN_INTERNAL uint32_t crc32c_seed_segment(uint64_t epoch, uint64_t number, uint64_t offset);
FIRN_INTERNAL uint32_t crc32c_seed_table(const uint8_t identity[16], uint64_t offset);
#endif
