#include "record/record.h"

#include <string.h>

#include "lib/test.h"
#include "util/coding.h"
#include "util/rng.h"

static segment_header example(segment_kind kind) {
    segment_header h = {.kind = kind,
                        .number = 12,
                        .epoch = 0x1122334455667788u,
                        .position = 4711 * 8,
                        .sequence = 99,
                        .predecessor = 11,
                        .predecessor_cut = 8192};
    memcpy(h.boot_id, "boot-boot-boot-1", 16);
    memcpy(h.database, "database-databas", 16);
    return h;
}

TEST(record, header_round_trips) {
    for (int kind = SEGMENT_LOG; kind <= SEGMENT_MANIFEST; kind++) {
        uint8_t page[SEGMENT_HEADER_BYTES], again[SEGMENT_HEADER_BYTES];
        segment_header in = example((segment_kind)kind), out;
        segment_header_encode(&in, page);
        assert_memory_equal(page, kind == SEGMENT_LOG ? "FIRN-LOG" : "FIRN-MAN", 8);
        ASSERT_OK(segment_header_decode(page, &out));
        assert_int_equal(out.kind, in.kind);
        assert_int_equal(out.number, in.number);
        assert_int_equal(out.epoch, in.epoch);
        assert_int_equal(out.position, in.position);
        assert_int_equal(out.sequence, in.sequence);
        assert_int_equal(out.predecessor, in.predecessor);
        assert_int_equal(out.predecessor_cut, in.predecessor_cut);
        segment_header_encode(&out, again);
        assert_memory_equal(page, again, sizeof page);
    }
}

TEST(record, header_with_any_flipped_bit_is_not_valid) {
    uint8_t page[SEGMENT_HEADER_BYTES];
    segment_header in = example(SEGMENT_LOG), out;
    segment_header_encode(&in, page);
    for (size_t at = 0; at < sizeof page; at++) {
        page[at] ^= 0x10;
        status st = segment_header_decode(page, &out);
        bool in_format = at >= 8 && at < 12;
        assert_int_equal(st.code, in_format ? FIRN_NOT_SUPPORTED : FIRN_NOT_FOUND);
        page[at] ^= 0x10;
    }
    memset(page, 0, sizeof page);
    ASSERT_CODE(segment_header_decode(page, &out), FIRN_NOT_FOUND);
}

TEST(record, header_of_a_newer_format_is_refused_even_if_its_checksum_moved) {
    uint8_t page[SEGMENT_HEADER_BYTES];
    segment_header in = example(SEGMENT_LOG), out;
    segment_header_encode(&in, page);
    encode_fixed32(page + 8, 2);
    ASSERT_CODE(segment_header_decode(page, &out), FIRN_NOT_SUPPORTED);
}

enum { OFFSET = SEGMENT_HEADER_BYTES + 40 };

/* A record of `payload` bytes at OFFSET; returns its size unpadded. */
static size_t seal(const segment_header *h, uint8_t *p, uint32_t payload, uint8_t type,
                   size_t checked) {
    record_head head = {payload, 5, 6, type};
    for (uint32_t i = 0; i < payload; i++)
        p[RECORD_HEADER_BYTES + i] = (uint8_t)(i * 31 + 1);
    if (type == RECORD_LARGE_BATCH)
        encode_fixed32(p + RECORD_HEADER_BYTES, (uint32_t)(checked - 4));
    record_seal(h, OFFSET, &head, checked, p);
    return RECORD_HEADER_BYTES + payload;
}

TEST(record, sealed_record_is_valid_at_its_own_place_only) {
    segment_header h = example(SEGMENT_LOG);
    uint8_t p[256];
    record_head head;
    slice checked;
    uint64_t need;
    for (uint32_t payload = 1; payload < 200; payload++) {
        size_t bytes = seal(&h, p, payload, RECORD_BATCH, payload);
        slice data = slice_of(p, bytes);
        assert_int_equal(record_judge(&h, OFFSET, data, OFFSET + bytes, &head, &checked, &need),
                         RECORD_VALID);
        assert_int_equal(head.bytes, payload);
        assert_int_equal(head.sequence_delta, 5);
        assert_int_equal(head.synced_distance, 6);
        assert_int_equal(head.type, RECORD_BATCH);
        assert_ptr_equal(checked.data, p + RECORD_HEADER_BYTES);
        assert_int_equal(checked.size, payload);
        segment_header other = h;
        other.epoch++;
        assert_int_equal(record_judge(&other, OFFSET, data, OFFSET + bytes, &head, &checked, &need),
                         RECORD_INVALID);
        other = h;
        other.number++;
        assert_int_equal(record_judge(&other, OFFSET, data, OFFSET + bytes, &head, &checked, &need),
                         RECORD_INVALID);
        assert_int_equal(record_judge(&h, OFFSET + 8, data, OFFSET + 8 + bytes, &head, &checked,
                                      &need),
                         RECORD_INVALID);
    }
}

TEST(record, any_flipped_bit_is_noticed) {
    segment_header h = example(SEGMENT_LOG);
    uint8_t p[64];
    record_head head;
    slice checked;
    uint64_t need;
    size_t bytes = seal(&h, p, 30, RECORD_BATCH, 30);
    for (size_t bit = 0; bit < bytes * 8; bit++) {
        p[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(record_judge(&h, OFFSET, slice_of(p, bytes), OFFSET + bytes, &head,
                                          &checked, &need),
                             RECORD_VALID);
        p[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

TEST(record, asks_for_more_exactly_until_the_checked_part_is_there) {
    segment_header h = example(SEGMENT_LOG);
    uint8_t p[4096];
    record_head head;
    slice checked;
    uint64_t need;
    size_t bytes = seal(&h, p, 3000, RECORD_LARGE_BATCH, 104), end = RECORD_HEADER_BYTES + 104;
    for (size_t have = 0; have < end; have++) {
        assert_int_equal(record_judge(&h, OFFSET, slice_of(p, have), OFFSET + bytes, &head,
                                      &checked, &need),
                         RECORD_CUT_OFF);
        assert_int_equal(need, have < RECORD_PEEK_BYTES ? RECORD_PEEK_BYTES : end);
    }
    assert_int_equal(record_judge(&h, OFFSET, slice_of(p, end), OFFSET + bytes, &head, &checked,
                                  &need),
                     RECORD_VALID);
    assert_int_equal(checked.size, 104);
    assert_int_equal(head.bytes, 3000);
}

TEST(record, zero_length_and_end_of_file_are_the_end) {
    segment_header h = example(SEGMENT_LOG);
    uint8_t p[64] = {0};
    record_head head;
    slice checked;
    uint64_t need;
    slice all = slice_of(p, sizeof p);
    assert_int_equal(record_judge(&h, OFFSET, all, OFFSET + 64, &head, &checked, &need),
                     RECORD_END);
    for (uint64_t room = 0; room < RECORD_HEADER_BYTES; room++)
        assert_int_equal(record_judge(&h, OFFSET, slice_of(p, (size_t)room), OFFSET + room, &head,
                                      &checked, &need),
                         RECORD_END);
    assert_int_equal(record_judge(&h, OFFSET, slice_of(p, 0), OFFSET - 8, &head, &checked, &need),
                     RECORD_END);
}

TEST(record, implausible_heads_are_invalid_without_reading_on) {
    segment_header h = example(SEGMENT_LOG);
    uint8_t p[128];
    record_head head;
    slice checked;
    uint64_t need;
    size_t bytes = seal(&h, p, 50, RECORD_BATCH, 50);
    slice data = slice_of(p, RECORD_PEEK_BYTES);
    /* The file ends before the record does. */
    assert_int_equal(record_judge(&h, OFFSET, data, OFFSET + bytes - 1, &head, &checked, &need),
                     RECORD_INVALID);
    p[16] = 0;
    assert_int_equal(record_judge(&h, OFFSET, data, OFFSET + bytes, &head, &checked, &need),
                     RECORD_INVALID);
    p[16] = 4;
    assert_int_equal(record_judge(&h, OFFSET, data, OFFSET + bytes, &head, &checked, &need),
                     RECORD_INVALID);
    /* Operations of a large batch that would not fit its payload. */
    p[16] = RECORD_LARGE_BATCH;
    encode_fixed32(p + RECORD_HEADER_BYTES, 47);
    assert_int_equal(record_judge(&h, OFFSET, data, OFFSET + bytes, &head, &checked, &need),
                     RECORD_INVALID);
}

TEST(record, random_bytes_are_never_valid) {
    segment_header h = example(SEGMENT_LOG);
    rng r;
    rng_init(&r, test_seed());
    for (int round = 0; round < 20000; round++) {
        uint8_t p[64];
        record_head head;
        slice checked;
        uint64_t need;
        for (size_t i = 0; i < sizeof p; i++)
            p[i] = (uint8_t)rng_next(&r);
        p[16] = (uint8_t)(1 + rng_below(&r, 3));
        encode_fixed32(p + 4, (uint32_t)rng_below(&r, 60));
        size_t have = (size_t)rng_below(&r, sizeof p + 1);
        assert_int_not_equal(record_judge(&h, OFFSET, slice_of(p, have), OFFSET + sizeof p, &head,
                                          &checked, &need),
                             RECORD_VALID);
    }
}

TEST_MAIN(RUN(record, header_round_trips), RUN(record, header_with_any_flipped_bit_is_not_valid),
          RUN(record, header_of_a_newer_format_is_refused_even_if_its_checksum_moved),
          RUN(record, sealed_record_is_valid_at_its_own_place_only),
          RUN(record, any_flipped_bit_is_noticed),
          RUN(record, asks_for_more_exactly_until_the_checked_part_is_there),
          RUN(record, zero_length_and_end_of_file_are_the_end),
          RUN(record, implausible_heads_are_invalid_without_reading_on),
          RUN(record, random_bytes_are_never_valid))
