#include "record/record.h"

#include <string.h>

#include "util/coding.h"
#include "util/crc32c.h"

#include "base/poison.h"

enum {
    RECORD_HEADER_FORMAT_AT = 8,
    RECORD_HEADER_FLAGS_AT = 12,
    RECORD_HEADER_NUMBER_AT = 16,
    RECORD_HEADER_EPOCH_AT = 24,
    RECORD_HEADER_POSITION_AT = 32,
    RECORD_HEADER_SEQUENCE_AT = 40,
    RECORD_HEADER_PREDECESSOR_AT = 48,
    RECORD_HEADER_CUT_AT = 56,
    RECORD_HEADER_BOOT_AT = 64,
    RECORD_HEADER_DATABASE_AT = 80,
    RECORD_HEADER_CRC_AT = SEGMENT_HEADER_BYTES - 4
};

static const char *record_magic(segment_kind kind) {
    return kind == SEGMENT_LOG ? "FIRN-LOG" : "FIRN-MAN";
}

FIRN_INTERNAL void segment_header_encode(const segment_header *h,
                                         uint8_t page[SEGMENT_HEADER_BYTES]) {
    memset(page, 0, SEGMENT_HEADER_BYTES);
    memcpy(page, record_magic(h->kind), 8);
    encode_fixed32(page + RECORD_HEADER_FORMAT_AT, SEGMENT_FORMAT);
    encode_fixed64(page + RECORD_HEADER_NUMBER_AT, h->number);
    encode_fixed64(page + RECORD_HEADER_EPOCH_AT, h->epoch);
    encode_fixed64(page + RECORD_HEADER_POSITION_AT, h->position);
    encode_fixed64(page + RECORD_HEADER_SEQUENCE_AT, h->sequence);
    encode_fixed64(page + RECORD_HEADER_PREDECESSOR_AT, h->predecessor);
    encode_fixed64(page + RECORD_HEADER_CUT_AT, h->predecessor_cut);
    memcpy(page + RECORD_HEADER_BOOT_AT, h->boot_id, sizeof h->boot_id);
    memcpy(page + RECORD_HEADER_DATABASE_AT, h->database, sizeof h->database);
    encode_fixed32(page + RECORD_HEADER_CRC_AT, crc32c_extend(0, page, RECORD_HEADER_CRC_AT));
}

FIRN_INTERNAL status segment_header_decode(const uint8_t page[SEGMENT_HEADER_BYTES],
                                           segment_header *out) {
    memset(out, 0, sizeof *out);
    bool is_log = memcmp(page, record_magic(SEGMENT_LOG), 8) == 0;
    if (!is_log && memcmp(page, record_magic(SEGMENT_MANIFEST), 8) != 0)
        return status_of(FIRN_NOT_FOUND, "segment header magic");
    /* Before the checksum: a later format may keep its checksum elsewhere, and must not be taken
     * for a torn page. A torn page of this format holds zeros here at worst. */
    if (decode_fixed32(page + RECORD_HEADER_FORMAT_AT) > SEGMENT_FORMAT)
        return status_of(FIRN_NOT_SUPPORTED, "segment format");
    if (decode_fixed32(page + RECORD_HEADER_CRC_AT) != crc32c_extend(0, page, RECORD_HEADER_CRC_AT))
        return status_of(FIRN_NOT_FOUND, "segment header checksum");
    if (decode_fixed32(page + RECORD_HEADER_FORMAT_AT) != SEGMENT_FORMAT)
        return status_of(FIRN_NOT_FOUND, "segment header format");
    if (decode_fixed32(page + RECORD_HEADER_FLAGS_AT) != 0)
        return status_of(FIRN_NOT_SUPPORTED, "segment header flags");
    out->kind = is_log ? SEGMENT_LOG : SEGMENT_MANIFEST;
    out->number = decode_fixed64(page + RECORD_HEADER_NUMBER_AT);
    out->epoch = decode_fixed64(page + RECORD_HEADER_EPOCH_AT);
    out->position = decode_fixed64(page + RECORD_HEADER_POSITION_AT);
    out->sequence = decode_fixed64(page + RECORD_HEADER_SEQUENCE_AT);
    out->predecessor = decode_fixed64(page + RECORD_HEADER_PREDECESSOR_AT);
    out->predecessor_cut = decode_fixed64(page + RECORD_HEADER_CUT_AT);
    memcpy(out->boot_id, page + RECORD_HEADER_BOOT_AT, sizeof out->boot_id);
    memcpy(out->database, page + RECORD_HEADER_DATABASE_AT, sizeof out->database);
    return STATUS_OK;
}

FIRN_INTERNAL bool segment_header_has_bad_format(const uint8_t page[SEGMENT_HEADER_BYTES]) {
    if (decode_fixed32(page + RECORD_HEADER_FORMAT_AT) <= SEGMENT_FORMAT)
        return false;
    for (uint32_t format = 1; format <= SEGMENT_FORMAT; format++) {
        uint8_t bytes[4];
        encode_fixed32(bytes, format);
        uint32_t crc = crc32c_extend(0, page, RECORD_HEADER_FORMAT_AT);
        crc = crc32c_extend(crc, bytes, sizeof bytes);
        crc = crc32c_extend(crc, page + RECORD_HEADER_FORMAT_AT + sizeof bytes,
                            RECORD_HEADER_CRC_AT - RECORD_HEADER_FORMAT_AT - sizeof bytes);
        if (decode_fixed32(page + RECORD_HEADER_CRC_AT) == crc)
            return true;
    }
    return false;
}

static uint32_t record_checksum(const segment_header *segment, uint64_t offset, const uint8_t *p,
                                size_t checked_bytes) {
    uint32_t seed = crc32c_seed_segment(segment->epoch, segment->number, offset);
    return crc32c_extend(seed, p + 4, RECORD_HEADER_BYTES - 4 + checked_bytes);
}

FIRN_INTERNAL void record_seal(const segment_header *segment, uint64_t offset,
                               const record_head *head, size_t checked_bytes, uint8_t *p) {
    DCHECK(offset % RECORD_ALIGNMENT == 0 && offset >= SEGMENT_HEADER_BYTES);
    DCHECK(head->bytes > 0 && checked_bytes <= head->bytes);
    encode_fixed32(p + 4, head->bytes);
    encode_fixed32(p + 8, head->sequence_delta);
    encode_fixed32(p + 12, head->synced_distance);
    p[16] = head->type;
    uint32_t checksum = record_checksum(segment, offset, p, checked_bytes);
    /* The record may be in a mapped file: a process that dies between two stores should leave no
     * checksum without what it covers. Its stores land in the order of the instructions, so keeping
     * the compiler from moving them is enough. */
    __asm__ volatile("" ::: "memory");
    encode_fixed32(p, checksum);
}

FIRN_INTERNAL record_verdict record_peek(slice data, uint64_t room, record_head *head,
                                         uint64_t *checked_bytes) {
    memset(head, 0, sizeof *head);
    *checked_bytes = 0;
    if (room < RECORD_HEADER_BYTES)
        return RECORD_END;
    DCHECK(data.size >= RECORD_PEEK_BYTES || data.size >= room);
    const uint8_t *p = data.data;
    head->bytes = decode_fixed32(p + 4);
    head->sequence_delta = decode_fixed32(p + 8);
    head->synced_distance = decode_fixed32(p + 12);
    head->type = p[16];
    if (head->bytes == 0)
        return RECORD_END;
    if (head->bytes > room - RECORD_HEADER_BYTES)
        return RECORD_INVALID;
    if (head->type == RECORD_BATCH || head->type == RECORD_EDIT) {
        *checked_bytes = head->bytes;
        return RECORD_VALID;
    }
    if (head->type != RECORD_LARGE_BATCH || head->bytes < 4)
        return RECORD_INVALID;
    uint32_t operation_bytes = decode_fixed32(p + RECORD_HEADER_BYTES);
    if (operation_bytes == 0 || operation_bytes > head->bytes - 4)
        return RECORD_INVALID;
    *checked_bytes = 4 + (uint64_t)operation_bytes;
    return RECORD_VALID;
}

FIRN_INTERNAL record_verdict record_judge(const segment_header *segment, uint64_t offset,
                                          slice data, uint64_t file_bytes, record_head *head,
                                          slice *checked, uint64_t *need) {
    uint64_t room = offset < file_bytes ? file_bytes - offset : 0, checked_bytes;
    *checked = SLICE_UNSET;
    *need = room < RECORD_PEEK_BYTES ? room : RECORD_PEEK_BYTES;
    if (room >= RECORD_HEADER_BYTES && data.size < *need) {
        memset(head, 0, sizeof *head);
        return RECORD_CUT_OFF;
    }
    record_verdict verdict = record_peek(data, room, head, &checked_bytes);
    if (verdict != RECORD_VALID)
        return verdict;
    *need = RECORD_HEADER_BYTES + checked_bytes;
    if (data.size < *need)
        return RECORD_CUT_OFF;
    if (decode_fixed32(data.data) !=
        record_checksum(segment, offset, data.data, (size_t)checked_bytes))
        return RECORD_INVALID;
    *checked = slice_of(data.data + RECORD_HEADER_BYTES, (size_t)checked_bytes);
    return RECORD_VALID;
}
