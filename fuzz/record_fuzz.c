/* The framing of logs and manifests: any page as a header, any bytes as a record; and bytes sealed
 * as a record must be judged valid, until one of them changes. */
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "record/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_header(const uint8_t *data, size_t size) {
    uint8_t page[SEGMENT_HEADER_BYTES] = {0}, once[SEGMENT_HEADER_BYTES],
            twice[SEGMENT_HEADER_BYTES];
    segment_header h, h2;
    memcpy(page, data, size < sizeof page ? size : sizeof page);
    status st = segment_header_decode(page, &h);
    CHECK(status_is_ok(st) || status_is(st, FIRN_NOT_FOUND) || status_is(st, FIRN_NOT_SUPPORTED));
    if (!status_is_ok(st))
        return;
    segment_header_encode(&h, once);
    CHECK(status_is_ok(segment_header_decode(once, &h2)));
    segment_header_encode(&h2, twice);
    CHECK(memcmp(once, twice, sizeof once) == 0);
}

static void fuzz_judge(const segment_header *h, const uint8_t *data, size_t size) {
    for (uint64_t file_bytes = SEGMENT_HEADER_BYTES; file_bytes <= SEGMENT_HEADER_BYTES + size + 64;
         file_bytes += 1 + size / 4) {
        record_head head;
        slice checked;
        uint64_t need;
        record_verdict verdict = record_judge(h, SEGMENT_HEADER_BYTES, slice_of(data, size),
                                              file_bytes, &head, &checked, &need);
        if (verdict == RECORD_VALID)
            CHECK(checked.size <= head.bytes && checked.data + checked.size <= data + size);
        if (verdict == RECORD_CUT_OFF)
            CHECK(need > size && need <= file_bytes - SEGMENT_HEADER_BYTES);
    }
}

static void fuzz_seal(const segment_header *h, const uint8_t *data, size_t size) {
    if (size == 0 || size > 4096)
        return;
    uint8_t p[RECORD_HEADER_BYTES + 4096];
    record_head head = {.bytes = (uint32_t)size,
                        .sequence_delta = data[0],
                        .synced_distance = data[size / 2],
                        .type = RECORD_BATCH},
                judged;
    slice checked;
    uint64_t need, end = SEGMENT_HEADER_BYTES + RECORD_HEADER_BYTES + size;
    memcpy(p + RECORD_HEADER_BYTES, data, size);
    record_seal(h, SEGMENT_HEADER_BYTES, &head, size, p);
    slice record = slice_of(p, RECORD_HEADER_BYTES + size);
    CHECK(record_judge(h, SEGMENT_HEADER_BYTES, record, end, &judged, &checked, &need) ==
          RECORD_VALID);
    CHECK(judged.bytes == head.bytes && judged.sequence_delta == head.sequence_delta &&
          judged.synced_distance == head.synced_distance && judged.type == head.type);
    p[data[size - 1] % record.size] ^= (uint8_t)(1 + data[0] % 255);
    CHECK(record_judge(h, SEGMENT_HEADER_BYTES, record, end, &judged, &checked, &need) !=
          RECORD_VALID);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    segment_header h = {.kind = SEGMENT_LOG, .number = 1, .epoch = 7};
    fuzz_header(data, size);
    fuzz_judge(&h, data, size);
    fuzz_seal(&h, data, size);
    return 0;
}
