/* version/manifest_salvage.h - what can still be read of a manifest, damaged or not.
 *
 * Threads: none. */
#ifndef FIRN_VERSION_MANIFEST_SALVAGE_H
#define FIRN_VERSION_MANIFEST_SALVAGE_H

#include "platform/vfs.h"
#include "version/version_edit.h"

typedef struct manifest_salvage {
    bool is_whole; /* nothing is damaged: the edits are the state of the database */
    uint8_t database[16];
    uint32_t edits;         /* handed out */
    uint64_t bad_offset;    /* of the first damage, unless whole */
    bool starts_with_state; /* the first edit, which begins as a snapshot, was among them */
} manifest_salvage;

/* Hands out every edit that validates, those behind damage too, in the order they were written.
 * CORRUPTION: the header page is damaged, so that nothing can be validated. */
FIRN_INTERNAL NODISCARD status manifest_salvage_run(
    const firn_vfs *vfs, const char *path, uint64_t number,
    status (*apply)(void *context, const version_edit *edit), void *context, manifest_salvage *out);
/* Whether a CURRENT that NOT_SUPPORTED was said of is a damaged one of this format. */
FIRN_INTERNAL bool manifest_current_has_bad_format(const firn_vfs *vfs, const char *directory);
#endif
