/* format/prefix.h - which beginning of a key is its prefix: a rule that tables are written under.
 *
 * Purpose: a table that knows the prefixes of its keys by a filter need not be looked into for keys
 *          that begin otherwise.
 * Format:  a rule is stored by name, docs/format/table.md, "Properties". Names never change their
 *          meaning: a reader that does not know one does without the filter.
 * Threads: pure functions. */
#ifndef FIRN_FORMAT_PREFIX_H
#define FIRN_FORMAT_PREFIX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/attributes.h"
#include "base/slice.h"

/* As in firn_options.prefix_filter: 0: none; 1 to 255: that many bytes; PREFIX_UNTIL + b: up to and
 * including the first byte b. */
typedef uint32_t prefix_rule;
#define PREFIX_UNTIL      256u
#define PREFIX_RULE_MAX   (PREFIX_UNTIL + 255u)
#define PREFIX_NAME_BYTES 16

static inline bool prefix_rule_is_sound(prefix_rule rule) {
    return rule <= PREFIX_RULE_MAX;
}
/* The beginning of `key` that the rule names; unset when the key has none: it is too short, or
 * lacks the byte. Whatever follows a key that has one changes nothing, so that all keys which begin
 * like `key` have its prefix. */
FIRN_INTERNAL slice prefix_of(prefix_rule rule, slice key);
/* "first:8", "until:2f", "none". Returns `name`. */
FIRN_INTERNAL const char *prefix_rule_name(prefix_rule rule, char name[PREFIX_NAME_BYTES]);
/* False: no rule has that name. */
FIRN_INTERNAL NODISCARD bool prefix_rule_parse(slice name, prefix_rule *out);
#endif
