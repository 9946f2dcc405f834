/* firn/filter.h - look at entries while compactions rewrite them: keep, remove or change them.
 *
 *   static firn_filter_verdict forget_sessions(void *context, const firn_filter_entry *e,
 *                                              firn_slice *changed) {
 *       return is_old_session(e->key, e->value) ? FIRN_FILTER_REMOVE : FIRN_FILTER_KEEP;
 *   }
 *   firn_compaction_filter filter = {"sessions", NULL, forget_sessions};
 *   options.compaction_filter = &filter;
 *
 * What it sees: the newest version of a key, when a compaction rewrites it and no snapshot can see
 * it. When that happens, if ever, is the engine's business: tables that only change their level are
 * not rewritten, and flushes do not ask. firn_compact_range() asks for everything in its range. An
 * entry may be shown many times. Deletes and expired values are not shown.
 *
 * What readers see: the verdict takes effect when the compaction ends, all at once for its range. A
 * snapshot taken while it runs may see the entry before and the verdict after.
 *
 * Threads: decide() is called by background threads and by firn_compact_range(), from several at
 * once. It must not call functions of the database it filters, and it holds up the compaction. The
 * struct and what it points to are kept: they must outlive the database. */
#ifndef FIRN_FILTER_H
#define FIRN_FILTER_H

#include <stdint.h>

#include "firn/slice.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum firn_filter_verdict {
    FIRN_FILTER_KEEP = 0,
    FIRN_FILTER_REMOVE = 1, /* as if the key had been deleted when the entry was written */
    FIRN_FILTER_CHANGE = 2, /* *changed is its new value; the expiry stays */
    FIRN_FILTER_FAIL = 3 /* the compaction fails and changes nothing; it is tried again later, and
                            writers may have to wait for it */
} firn_filter_verdict;

typedef struct firn_filter_entry {
    uint32_t keyspace;
    uint32_t level;     /* where the entry goes */
    firn_slice key;     /* valid during the call, as is the value */
    firn_slice value;   /* {NULL, size} for values of 1 MiB and more, which are not read */
    uint64_t expiry_ms; /* milliseconds since 1970; 0: never */
} firn_filter_entry;

typedef struct firn_compaction_filter {
    const char *name; /* for the event log */
    void *context;    /* yours, handed to decide */
    /* With FIRN_FILTER_CHANGE *changed must hold less than 1 MiB - 8 bytes and stay as it is until
     * the next call on the same thread. */
    firn_filter_verdict (*decide)(void *context, const firn_filter_entry *entry,
                                  firn_slice *changed);
} firn_compaction_filter;

#ifdef __cplusplus
}
#endif
#endif
