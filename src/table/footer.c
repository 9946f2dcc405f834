#include "table/footer.h"

#include <inttypes.h>

#include "platform/error_detail.h"
#include "util/coding.h"
#include "util/crc32c.h"

#include "base/poison.h"

/* On disk: never renumber. */
enum { TABLE_INDEX_ONE_BLOCK = 1, TABLE_INDEX_PARTITIONED = 2 };

enum {
    TABLE_FOOTER_IDENTITY = 32,
    TABLE_FOOTER_INDEX_KIND = 48,
    TABLE_FOOTER_FLAGS = 52,
    TABLE_FOOTER_CRC = 56,
    TABLE_FOOTER_FORMAT = 60,
    TABLE_FOOTER_MAGIC = 64
};

static const char table_magic[8] = {'F', 'I', 'R', 'N', '-', 'S', 'S', 'T'};

static uint32_t table_footer_crc(const uint8_t *footer) {
    uint32_t crc = crc32c_extend(0, footer, TABLE_FOOTER_CRC);
    return crc32c_extend(crc, footer + TABLE_FOOTER_FORMAT,
                         TABLE_FOOTER_BYTES - TABLE_FOOTER_FORMAT);
}

FIRN_INTERNAL void table_footer_encode(const table_footer *footer,
                                       uint8_t out[TABLE_FOOTER_BYTES]) {
    encode_fixed64(out, footer->meta_index.offset);
    encode_fixed64(out + 8, footer->meta_index.bytes);
    encode_fixed64(out + 16, footer->index.offset);
    encode_fixed64(out + 24, footer->index.bytes);
    memcpy(out + TABLE_FOOTER_IDENTITY, footer->identity, sizeof footer->identity);
    encode_fixed32(out + TABLE_FOOTER_INDEX_KIND,
                   footer->is_partitioned ? TABLE_INDEX_PARTITIONED : TABLE_INDEX_ONE_BLOCK);
    encode_fixed32(out + TABLE_FOOTER_FLAGS, 0);
    encode_fixed32(out + TABLE_FOOTER_FORMAT, footer->format);
    memcpy(out + TABLE_FOOTER_MAGIC, table_magic, sizeof table_magic);
    encode_fixed32(out + TABLE_FOOTER_CRC, table_footer_crc(out));
}

FIRN_INTERNAL status table_footer_decode(const uint8_t in[TABLE_FOOTER_BYTES], block_place at,
                                         table_footer *out) {
    *out = (table_footer){0};
    if (memcmp(in + TABLE_FOOTER_MAGIC, table_magic, sizeof table_magic) != 0)
        return error_corruption_at(at.path, at.offset + TABLE_FOOTER_MAGIC,
                                   "this is not the end of a table: no magic");
    /* Before the checksum: a newer format may keep it elsewhere. */
    uint32_t format = decode_fixed32(in + TABLE_FOOTER_FORMAT);
    if (format > TABLE_FORMAT)
        return error_status(FIRN_NOT_SUPPORTED,
                            "%s: table format %" PRIu32 " is newer than this build's %d", at.path,
                            format, TABLE_FORMAT);
    if (format < TABLE_FORMAT_FIRST ||
        decode_fixed32(in + TABLE_FOOTER_CRC) != table_footer_crc(in))
        return error_corruption_at(at.path, at.offset, "checksum mismatch in the footer");
    uint32_t kind = decode_fixed32(in + TABLE_FOOTER_INDEX_KIND);
    uint32_t flags = decode_fixed32(in + TABLE_FOOTER_FLAGS);
    uint32_t newest_kind = format < TABLE_FORMAT ? TABLE_INDEX_ONE_BLOCK : TABLE_INDEX_PARTITIONED;
    if (kind < TABLE_INDEX_ONE_BLOCK || kind > newest_kind || flags != 0)
        return error_status(FIRN_NOT_SUPPORTED,
                            "%s: the table has %s (kind %" PRIu32 ", flags %" PRIu32
                            "), which this build does not know in format %" PRIu32,
                            at.path, flags ? "features" : "an index", kind, flags, format);
    out->meta_index = (block_handle){decode_fixed64(in), decode_fixed64(in + 8)};
    out->index = (block_handle){decode_fixed64(in + 16), decode_fixed64(in + 24)};
    out->format = format;
    out->is_partitioned = kind == TABLE_INDEX_PARTITIONED;
    memcpy(out->identity, in + TABLE_FOOTER_IDENTITY, sizeof out->identity);
    return STATUS_OK;
}

FIRN_INTERNAL bool table_footer_has_bad_format(const uint8_t in[TABLE_FOOTER_BYTES]) {
    uint8_t known[TABLE_FOOTER_BYTES];
    if (decode_fixed32(in + TABLE_FOOTER_FORMAT) <= TABLE_FORMAT)
        return false;
    memcpy(known, in, sizeof known);
    for (uint32_t format = 1; format <= TABLE_FORMAT; format++) {
        encode_fixed32(known + TABLE_FOOTER_FORMAT, format);
        if (decode_fixed32(in + TABLE_FOOTER_CRC) == table_footer_crc(known))
            return true;
    }
    return false;
}
