/* db/option_table.h - every engine option by name, with type, default and effect. */
#ifndef FIRN_DB_OPTION_TABLE_H
#define FIRN_DB_OPTION_TABLE_H

#include "base/status.h"
#include "firn/options.h"

FIRN_INTERNAL bool option_table_at(size_t position, firn_option_info *out);
FIRN_INTERNAL NODISCARD status option_table_set(firn_options *options, const char *name,
                                                const char *value);
#endif
