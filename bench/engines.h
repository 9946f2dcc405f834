/* bench/engines.h - every engine there is a file for; which of them are built, CMake decides. */
#ifndef FIRN_BENCH_ENGINES_H
#define FIRN_BENCH_ENGINES_H

#include "engine.h"

extern const engine_methods engine_firn;
extern const engine_methods engine_rocksdb;
extern const engine_methods engine_leveldb;
extern const engine_methods engine_lmdb;
extern const engine_methods engine_wiredtiger;     /* its B-tree */
extern const engine_methods engine_wiredtiger_lsm; /* its log-structured merge tree */
extern const engine_methods engine_sqlite;
extern const engine_methods engine_bare;
extern const engine_methods engine_none;

#endif
