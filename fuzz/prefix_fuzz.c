/* The name of a prefix rule, up to the first line's end, and a key after it: a name that is
 * understood is the one the rule is printed by; the key's prefix begins it, and is that of every
 * key which begins with the prefix. */
#include <stdint.h>
#include <string.h>

#include "format/prefix.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const uint8_t *line_end = size ? memchr(data, '\n', size) : NULL;
    size_t name_bytes = line_end ? (size_t)(line_end - data) : size;
    slice name = slice_of(data, name_bytes);
    slice key = line_end ? slice_of(line_end + 1, size - name_bytes - 1) : slice_of(data, size);
    prefix_rule rule;
    char printed[PREFIX_NAME_BYTES];
    if (!prefix_rule_parse(name, &rule)) {
        CHECK(rule == 0 && !slice_is_set(prefix_of(rule, key)));
        return 0;
    }
    CHECK(rule > 0 && prefix_rule_is_sound(rule));
    CHECK(slice_equal(name, slice_from_string(prefix_rule_name(rule, printed))));
    slice prefix = prefix_of(rule, key);
    if (!slice_is_set(prefix))
        return 0;
    CHECK(prefix.size > 0 && slice_starts_with(key, prefix));
    for (size_t bytes = 0; bytes <= key.size; bytes++) {
        slice part = prefix_of(rule, slice_of(key.data, bytes));
        CHECK(slice_is_set(part) == (bytes >= prefix.size));
        CHECK(!slice_is_set(part) || slice_equal(part, prefix));
    }
    return 0;
}
