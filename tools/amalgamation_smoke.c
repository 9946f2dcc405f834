/* Opens, puts, gets and closes through the two-file build; argv[1] is an empty directory. */
#include "firn.h"

#include <stdio.h>

int main(int argc, char **argv) {
    firn_options options = FIRN_OPTIONS_INIT;
    firn_db *db = NULL;
    firn_value value;
    if (argc != 2 || firn_open(argv[1], &options, &db) != FIRN_OK ||
        firn_put(db, NULL, FIRN_STR("key"), FIRN_STR("value")) != FIRN_OK ||
        firn_get(db, NULL, FIRN_STR("key"), &value) != FIRN_OK || value.size != 5 ||
        memcmp(value.data, "value", 5) != 0) {
        fprintf(stderr, "amalgamation: %s\n", firn_error_detail());
        return 1;
    }
    firn_value_release(&value);
    return firn_close(db) == FIRN_OK ? 0 : 1;
}
