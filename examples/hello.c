/* hello.c - the example of the README. */
#include <firn/firn.h>
#include <stdio.h>

int main(void) {
    firn_db *db;
    firn_value value;
    if (firn_open("hello-db", NULL, &db) != FIRN_OK) {
        fprintf(stderr, "%s\n", firn_error_detail());
        return 1;
    }
    firn_status st = firn_put(db, NULL, FIRN_STR("greeting"), FIRN_STR("hello"));
    if (st == FIRN_OK)
        st = firn_get(db, NULL, FIRN_STR("greeting"), &value);
    if (st == FIRN_OK) {
        printf("%.*s\n", (int)value.size, (const char *)value.data);
        firn_value_release(&value);
    }
    return firn_close(db) == FIRN_OK && st == FIRN_OK ? 0 : 1;
}
