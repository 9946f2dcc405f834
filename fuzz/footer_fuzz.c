/* Any bytes as a table's footer, as they are and with the checksum and the magic they deserve. What
 * decodes, encodes to the same bytes; no single changed bit of a good footer decodes. */
#include <stdint.h>
#include <string.h>

#include "table/footer.h"
#include "util/coding.h"
#include "util/crc32c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const block_place footer_fuzz_place = {"fuzz", 4096};

static bool footer_fuzz_decode(const uint8_t bytes[TABLE_FOOTER_BYTES]) {
    table_footer footer;
    uint8_t again[TABLE_FOOTER_BYTES];
    (void)table_footer_has_bad_format(bytes);
    status st = table_footer_decode(bytes, footer_fuzz_place, &footer);
    CHECK(status_is_ok(st) || status_is(st, FIRN_CORRUPTION) || status_is(st, FIRN_NOT_SUPPORTED));
    if (!status_is_ok(st))
        return false;
    CHECK(footer.format >= TABLE_FORMAT_FIRST && footer.format <= TABLE_FORMAT);
    CHECK(!footer.is_partitioned || footer.format == TABLE_FORMAT);
    table_footer_encode(&footer, again);
    CHECK(memcmp(again, bytes, sizeof again) == 0);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t bytes[TABLE_FOOTER_BYTES] = {0};
    memcpy(bytes, data, size < sizeof bytes ? size : sizeof bytes);
    (void)footer_fuzz_decode(bytes);
    memcpy(bytes + 64, "FIRN-SST", 8);
    uint32_t crc = crc32c_extend(crc32c_extend(0, bytes, 56), bytes + 60, 12);
    encode_fixed32(bytes + 56, crc);
    if (!footer_fuzz_decode(bytes) || size <= TABLE_FOOTER_BYTES)
        return 0;
    uint32_t bit = data[TABLE_FOOTER_BYTES] % 8 + 8 * (data[size - 1] % TABLE_FOOTER_BYTES);
    bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    CHECK(!footer_fuzz_decode(bytes));
    return 0;
}
