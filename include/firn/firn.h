/* firn/firn.h - everything of Firn's public API.
 *
 *   firn_options o = FIRN_OPTIONS_INIT;
 *   firn_db *db;
 *   if (firn_open("data", &o, &db) != FIRN_OK)
 *       puts(firn_error_detail());
 *   firn_put(db, NULL, FIRN_STR("key"), FIRN_STR("value"));
 *   firn_close(db);
 *
 * Link with -lfirn -lpthread, or use `pkg-config --cflags --libs firn`. */
#ifndef FIRN_FIRN_H
#define FIRN_FIRN_H

#include "firn/batch.h"
#include "firn/comparator.h"
#include "firn/db.h"
#include "firn/filter.h"
#include "firn/inspect.h"
#include "firn/iterator.h"
#include "firn/options.h"
#include "firn/repair.h"
#include "firn/slice.h"
#include "firn/snapshot.h"
#include "firn/stats.h"
#include "firn/status.h"
#include "firn/version.h"
#include "firn/vfs.h"

#endif
