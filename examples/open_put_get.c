/* open_put_get.c - open a database, write a key, read it, delete it, close.
 *
 * Shows: the status of every call and the detail behind it, values that must be released, absence
 * as a normal answer. Makes the directory "example-open-put-get" where it is run. */
#include <firn/firn.h>

#include <stdio.h>
#include <stdlib.h>

/* What a real program does with an error is its own choice; an example stops. */
static void must(firn_status code, const char *what) {
    if (code == FIRN_OK)
        return;
    fprintf(stderr, "%s: %s: %s\n", what, firn_status_name(code), firn_error_detail());
    exit(1);
}

static void show(firn_db *db, const char *key) {
    firn_value value;
    firn_status code = firn_get(db, NULL, firn_slice_str(key), &value);
    if (code == FIRN_NOT_FOUND) {
        printf("%-6s is not there\n", key);
    } else {
        must(code, "get");
        printf("%-6s is \"%.*s\"\n", key, (int)value.size, (const char *)value.data);
    }
    firn_value_release(&value);
}

int main(void) {
    firn_options options = FIRN_OPTIONS_INIT;
    options.memory_bytes = 64 << 20;
    options.durability = FIRN_SYNC_EVERY_COMMIT; /* each write survives a power cut */

    firn_db *db;
    must(firn_open("example-open-put-get", &options, &db), "open");

    must(firn_put(db, NULL, FIRN_STR("colour"), FIRN_STR("white")), "put");
    show(db, "colour");

    must(firn_put(db, NULL, FIRN_STR("colour"), FIRN_STR("blue")), "put");
    show(db, "colour");

    must(firn_delete(db, NULL, FIRN_STR("colour")), "delete");
    show(db, "colour");

    /* Any bytes are a key, and any bytes are a value, none at all included. */
    must(firn_put(db, NULL, firn_slice_of("\0\1\2", 3), FIRN_STR("")), "put");
    must(firn_put(db, NULL, FIRN_STR("kept"), FIRN_STR("until the next run")), "put");

    must(firn_close(db), "close");

    options.create_if_missing = FIRN_NO;
    must(firn_open("example-open-put-get", &options, &db), "open again");
    show(db, "kept");
    must(firn_close(db), "close");
    return 0;
}
