#include "table/properties.h"

#include <inttypes.h>
#include <stdio.h>

#include "platform/error_detail.h"
#include "util/coding.h"

#include "base/poison.h"

static const char properties_comparator[] = "comparator";
static const char properties_prefix[] = "prefix"; /* only where there is a filter of prefixes */

/* The numbers, in the order of their names, which is the order on disk. */
static const struct {
    const char *name;
    uint32_t place;
    bool is_32_bits;
} properties_numbers[] = {
    {"data.blocks", offsetof(table_properties, data_blocks), false},
    {"entries", offsetof(table_properties, entries), false},
    {"entries.delete", offsetof(table_properties, deletes), false},
    {"expiry.max", offsetof(table_properties, max_expiry), false},
    {"expiry.min", offsetof(table_properties, min_expiry), false},
    {"filter.bits_per_key", offsetof(table_properties, filter_bits_per_key), true},
    {"keyspace", offsetof(table_properties, keyspace), true},
    {"large.bytes", offsetof(table_properties, large_bytes), false},
    {"large.count", offsetof(table_properties, large_count), false},
    {"range_tombstones", offsetof(table_properties, range_tombstones), false},
    {"raw.key_bytes", offsetof(table_properties, raw_key_bytes), false},
    {"raw.value_bytes", offsetof(table_properties, raw_value_bytes), false},
    {"sequence.max", offsetof(table_properties, max_sequence), false},
    {"sequence.min", offsetof(table_properties, min_sequence), false},
};
enum {
    PROPERTIES_NUMBERS = sizeof properties_numbers / sizeof properties_numbers[0],
    PROPERTIES_AFTER_PREFIX = 9 /* the first whose name comes after "prefix" */
};

static uint64_t properties_get(const table_properties *p, size_t i) {
    const uint8_t *place = (const uint8_t *)p + properties_numbers[i].place;
    uint32_t narrow = 0;
    uint64_t wide = 0;
    if (properties_numbers[i].is_32_bits)
        memcpy(&narrow, place, sizeof narrow);
    else
        memcpy(&wide, place, sizeof wide);
    return wide + narrow;
}

/* False: the number does not fit. */
static bool properties_set(table_properties *p, size_t i, uint64_t value) {
    uint8_t *place = (uint8_t *)p + properties_numbers[i].place;
    uint32_t narrow = (uint32_t)value;
    if (!properties_numbers[i].is_32_bits)
        memcpy(place, &value, sizeof value);
    else if (narrow == value)
        memcpy(place, &narrow, sizeof narrow);
    else
        return false;
    return true;
}

FIRN_INTERNAL void properties_encode(const table_properties *p, const char *comparator,
                                     block_builder *out) {
    block_builder_add(out, slice_from_string(properties_comparator), 0,
                      slice_from_string(comparator));
    for (size_t i = 0; i < PROPERTIES_NUMBERS; i++) {
        uint8_t bytes[VARINT64_BYTES_MAX];
        char rule[PREFIX_NAME_BYTES];
        if (p->prefix && i == PROPERTIES_AFTER_PREFIX)
            block_builder_add(out, slice_from_string(properties_prefix), 0,
                              slice_from_string(prefix_rule_name(p->prefix, rule)));
        uint8_t *end = encode_varint64(bytes, properties_get(p, i));
        block_builder_add(out, slice_from_string(properties_numbers[i].name), 0,
                          slice_of(bytes, (size_t)(end - bytes)));
    }
}

FIRN_INTERNAL status properties_decode(const block_view *view, block_place at,
                                       table_properties *out, slice *comparator) {
    status st = STATUS_OK;
    uint32_t seen = 0;
    slice name, value;
    *comparator = SLICE_UNSET;
    block_cursor cursor = block_cursor_first(view);
    for (;;) {
        TRY(block_cursor_next(&cursor, at, &name, &value));
        if (!slice_is_set(name))
            break;
        if (slice_equal(name, slice_from_string(properties_comparator)))
            *comparator = value;
        else if (slice_equal(name, slice_from_string(properties_prefix)) &&
                 !prefix_rule_parse(value, &out->prefix))
            continue; /* of a later build: its filter is left alone */
        for (size_t i = 0; i < PROPERTIES_NUMBERS; i++) {
            uint64_t number = 0;
            if (!slice_equal(name, slice_from_string(properties_numbers[i].name)))
                continue;
            if (!get_varint64(&value, &number) || value.size || !properties_set(out, i, number)) {
                st = error_corruption_at(at.path, at.offset, "malformed table property");
                goto out;
            }
            seen |= 1u << i;
            break;
        }
    }
    if (seen != (1u << PROPERTIES_NUMBERS) - 1 || !slice_is_set(*comparator))
        st = error_corruption_at(at.path, at.offset, "a table property is missing");
out:
    return st;
}

FIRN_INTERNAL bool properties_print(const table_properties *p, firn_line_callback print,
                                    void *context) {
    for (size_t i = 0; i < PROPERTIES_NUMBERS; i++) {
        char line[96];
        snprintf(line, sizeof line, "  %-20s %" PRIu64, properties_numbers[i].name,
                 properties_get(p, i));
        if (print(context, line))
            return false;
    }
    return true;
}
