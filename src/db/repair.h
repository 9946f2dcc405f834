/* db/repair.h - repairs databases, by path (firn/repair.h has the contract). */
#ifndef FIRN_DB_REPAIR_H
#define FIRN_DB_REPAIR_H

#include "db/config.h"
#include "firn/repair.h"

FIRN_INTERNAL NODISCARD status repair_database(const db_config *config, const char *path,
                                               bool plan_only, firn_repair_callback report,
                                               void *context);
#endif
