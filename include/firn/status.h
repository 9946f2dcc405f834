/* firn/status.h - what every call of Firn answers.
 *
 * A call returns one of the codes below. FIRN_OK is 0 and the values never change. When a call does
 * not return FIRN_OK, firn_error_detail() gives the calling thread a sentence about it: which file,
 * which offset, what the operating system said, and what to do next.
 *
 * FIRN_NOT_FOUND is a normal answer, not an error: it leaves the detail untouched. */
#ifndef FIRN_STATUS_H
#define FIRN_STATUS_H

#ifdef __cplusplus
extern "C" {
#endif

#ifndef FIRN_API
#define FIRN_API __attribute__((visibility("default")))
#endif

typedef enum firn_status {
    FIRN_OK = 0,
    FIRN_NOT_FOUND = 1,        /* no such key, or no such database */
    FIRN_CORRUPTION = 2,       /* bytes on disk are not what was written; detail names them */
    FIRN_IO_ERROR = 3,         /* the operating system refused; after a failed log write or sync the
                                  database answers every write with this until it is reopened */
    FIRN_INVALID_ARGUMENT = 4, /* the call itself is wrong */
    FIRN_BUSY = 5,             /* handles are still alive (firn_close) */
    FIRN_LOCKED = 6,           /* another open of the same directory holds it; detail has the pid */
    FIRN_NO_SPACE = 7,         /* disk, quota or disk_limit_bytes is full; reads go on, and writes
                                  work again by themselves when space returns */
    FIRN_READ_ONLY = 8,        /* a write on a database opened read-only */
    FIRN_NOT_SUPPORTED = 9,    /* a newer format, or a feature this build lacks */
    FIRN_TOO_LARGE = 10,       /* key over 65,535 bytes, value over 1 GiB, or batch over 2 GiB */
    FIRN_ABORTED = 11,         /* given up: cancelled, or the database is closing */
    FIRN_SNAPSHOT_TOO_OLD = 12, /* the data of that snapshot was dropped */
    FIRN_NO_MEMORY = 13,        /* allocation failed or memory_bytes is exhausted */
    FIRN_WOULD_BLOCK = 14       /* a cached-only read would have to touch the disk */
} firn_status;

/* A short name such as "NOT_FOUND"; a static string, for any value of `code`. Thread-safe. */
FIRN_API const char *firn_status_name(firn_status code);

/* Why the calling thread's last unsuccessful call failed, as one line of UTF-8 text. Never NULL, ""
 * when there is nothing to say. The text stays until the thread's next unsuccessful call. */
FIRN_API const char *firn_error_detail(void);

#ifdef __cplusplus
}
#endif
#endif
