/* tests/unit/version/version_fixture.h - tables that exist only as descriptions. */
#ifndef FIRN_TESTS_VERSION_FIXTURE_H
#define FIRN_TESTS_VERSION_FIXTURE_H

#include "version/version_edit.h"

/* One reference, for the caller. */
table_meta *fixture_table(uint64_t number, uint32_t keyspace, const char *smallest,
                          const char *largest, seqno sequence);
/* Adds such a table to an edit. */
void fixture_add(version_edit *e, uint32_t level, uint64_t number, const char *smallest,
                 const char *largest);
#endif
