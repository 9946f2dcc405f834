/* snapshot.c - read the database as it was a moment ago, while it changes.
 *
 * Shows: a snapshot costs next to nothing to take, reads through it do not move, and it must be
 * released before the database is closed. Makes "example-snapshot". */
#include <firn/firn.h>

#include <stdio.h>
#include <stdlib.h>

static void must(firn_status code, const char *what) {
    if (code == FIRN_OK)
        return;
    fprintf(stderr, "%s: %s: %s\n", what, firn_status_name(code), firn_error_detail());
    exit(1);
}

/* `snapshot` NULL reads the present. */
static void show(firn_db *db, const firn_snapshot *snapshot, const char *when) {
    firn_read_options options = FIRN_READ_OPTIONS_INIT;
    options.snapshot = snapshot;

    firn_value value;
    firn_status code = firn_get(db, &options, FIRN_STR("depth"), &value);
    if (code == FIRN_NOT_FOUND) {
        printf("%-8s no depth\n", when);
    } else {
        must(code, "get");
        printf("%-8s depth %.*s cm\n", when, (int)value.size, (const char *)value.data);
    }
    firn_value_release(&value);
}

int main(void) {
    firn_db *db;
    const firn_snapshot *morning;
    must(firn_open("example-snapshot", NULL, &db), "open");

    must(firn_put(db, NULL, FIRN_STR("depth"), FIRN_STR("12")), "put");
    must(firn_snapshot_new(db, &morning), "snapshot");

    must(firn_put(db, NULL, FIRN_STR("depth"), FIRN_STR("47")), "put");
    show(db, morning, "morning:");
    show(db, NULL, "now:");

    /* Neither a deletion nor a compaction takes away what a snapshot can see. */
    must(firn_delete(db, NULL, FIRN_STR("depth")), "delete");
    must(firn_compact_range(db, (firn_slice){NULL, 0}, (firn_slice){NULL, 0}), "compact");
    show(db, morning, "morning:");
    show(db, NULL, "now:");

    /* Closing with a live snapshot is refused and closes nothing. */
    firn_status early = firn_close(db);
    if (early != FIRN_BUSY) {
        fprintf(stderr, "close beside a snapshot: %s\n", firn_status_name(early));
        return 1;
    }
    printf("close:   %s\n", firn_error_detail());

    firn_snapshot_release(db, morning);
    must(firn_close(db), "close");
    return 0;
}
