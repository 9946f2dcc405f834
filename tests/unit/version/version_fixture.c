#include "unit/version/version_fixture.h"

#include "lib/test.h"

table_meta *fixture_table(uint64_t number, uint32_t keyspace, const char *smallest,
                          const char *largest, seqno sequence) {
    table_meta *made;
    buf small = {0}, large = {0};
    table_meta fields = {.keyspace = keyspace,
                         .entries = 10,
                         .deletes = 1,
                         .raw_key_bytes = 200,
                         .raw_value_bytes = 300,
                         .min_sequence = sequence,
                         .max_sequence = sequence};
    fields.where = (table_locator){.number = number, .file_bytes = 1000};
    memset(fields.where.identity, (int)(number & 0xff), sizeof fields.where.identity);
    internal_key_append(&small, user_key_of(slice_from_string(smallest)), sequence, OP_PUT);
    internal_key_append(&large, user_key_of(slice_from_string(largest)), sequence, OP_PUT);
    fields.smallest.s = buf_slice(&small);
    fields.largest.s = buf_slice(&large);
    ASSERT_OK(table_meta_new(&fields, &made));
    buf_deinit(&small);
    buf_deinit(&large);
    return made;
}

void fixture_add(version_edit *e, uint32_t level, uint64_t number, const char *smallest,
                 const char *largest) {
    table_meta *t = fixture_table(number, 0, smallest, largest, number);
    ASSERT_OK(version_edit_add_table(e, level, t));
    table_meta_unref(t);
}
