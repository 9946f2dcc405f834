/* firn/repair.h - make a damaged database usable again, keeping everything that is undamaged.
 *
 * What it does, in this order: finds out what is wrong (missing or damaged CURRENT, manifest,
 * tables, logs); writes what can be read of damaged tables to new ones, and of a damaged log too;
 * describes the result in a new manifest, which takes effect in one step. Originals that the new
 * state does without are first copied to DB/lost/repair-N. It may be killed at any moment: until
 * the last step the database is as it was, and the next repair begins anew. A database in which
 * nothing is wrong is left alone.
 *
 * What is lost is reported, never guessed: in the key ranges named, writes are missing, and a value
 * that they had replaced or deleted may show again. docs/durability.md has the whole list. */
#ifndef FIRN_REPAIR_H
#define FIRN_REPAIR_H

#include "firn/options.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum firn_repair_kind {
    FIRN_REPAIR_PROBLEM = 1, /* what is wrong with a file */
    FIRN_REPAIR_LOSS = 2,    /* what cannot be had back */
    FIRN_REPAIR_ACTION = 3   /* what is done about it (or would be, of a plan) */
} firn_repair_kind;

/* One step of the report, valid during the call. */
typedef struct firn_repair_step {
    size_t size; /* sizeof(firn_repair_step) */
    firn_repair_kind kind;
    const char *file;       /* path */
    const char *text;       /* one line, without newline, that says it all */
    uint64_t offset;        /* where in the file; FIRN_NONE: not a place */
    uint64_t bytes;         /* how many of it; FIRN_NONE: not known */
    uint64_t entries;       /* lost, or kept by the action; FIRN_NONE: not known */
    firn_slice from, to;    /* of a loss: user keys, both included; unset: from the first, to the
                               last */
    uint64_t from_sequence; /* of a loss in the log: writes after this one .. */
    uint64_t to_sequence;   /* .. and before this one; both 0: not a loss in the log */
} firn_repair_step;

/* Return non-zero to stop: nothing has been changed then that matters. */
typedef int (*firn_repair_callback)(void *context, const firn_repair_step *step);

/* Repairs the database at `path`; with `plan_only` FIRN_YES it only reports what that would do and
 * lose, writing nothing (but the pid in LOCK). `options` as for firn_open (comparator and vfs
 * matter); `report` may be NULL.
 *
 * OK: it is whole now, or always was, or the plan is complete. LOCKED: somebody has it open.
 * NOT_FOUND: no files of a database there. NOT_SUPPORTED: written by a newer Firn, or with a
 * feature that repair does not know. ABORTED: `report` stopped it. IO_ERROR, NO_SPACE (originals
 * are copied), NO_MEMORY: as it was before. */
FIRN_API firn_status firn_repair(const char *path, const firn_options *options,
                                 firn_choice plan_only, firn_repair_callback report, void *context);

#ifdef __cplusplus
}
#endif
#endif
