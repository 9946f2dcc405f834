/* db/inspect.h - describes files and verifies databases, by path (firn/inspect.h has the contract).
 */
#ifndef FIRN_DB_INSPECT_H
#define FIRN_DB_INSPECT_H

#include "db/config.h"
#include "firn/inspect.h"

FIRN_INTERNAL NODISCARD status inspect_file(const db_config *config, const char *path,
                                            firn_line_callback print, void *context);
FIRN_INTERNAL NODISCARD status verify_database(const db_config *config, const char *path,
                                               firn_verify_callback report, void *context);
#endif
