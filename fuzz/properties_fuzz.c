/* Any bytes as a table's properties block: what decodes, encodes to a block that decodes to the
 * same. */
#include <stdint.h>
#include <string.h>

#include "platform/memory.h"
#include "table/block_file.h"
#include "table/properties.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const block_place properties_fuzz_place = {"fuzz", 0};

static int properties_fuzz_line(void *context, const char *line) {
    *(size_t *)context += strlen(line);
    return 0;
}

static void properties_fuzz_again(const table_properties *p, slice comparator) {
    block_builder b;
    slice raw, name;
    block_view view;
    table_properties again = {0};
    size_t bytes = 0;
    char *text = memory_new_zeroed(comparator.size + 1);
    if (!text)
        return;
    slice_copy_to(comparator, text);
    block_builder_init(&b, 1);
    properties_encode(p, text, &b);
    if (status_is_ok(block_builder_finish(&b, &raw))) {
        CHECK(block_view_init(&view, raw));
        CHECK(status_is_ok(properties_decode(&view, properties_fuzz_place, &again, &name)));
        CHECK(slice_equal(name, slice_from_string(text))); /* up to a zero byte */
        CHECK(memcmp(p, &again, sizeof again) == 0);
        CHECK(prefix_rule_is_sound(p->prefix));
        CHECK(properties_print(p, properties_fuzz_line, &bytes) && bytes > 0);
    }
    block_builder_deinit(&b);
    memory_free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    block_view view;
    slice comparator;
    table_properties found = {0};
    if (!block_view_init(&view, slice_of(data, size)))
        return 0;
    status st = properties_decode(&view, properties_fuzz_place, &found, &comparator);
    CHECK(status_is_ok(st) || status_is(st, FIRN_CORRUPTION));
    if (status_is_ok(st))
        properties_fuzz_again(&found, comparator);
    return 0;
}
