/* custom_comparator.c - keys in an order of your own.
 *
 * Shows: decimal numbers sorted by value ("9" before "10"), and that a database refuses to open
 * with another order than the one it was made with. Often the better way is to write keys so that
 * their bytes sort right (zero-padded, or big-endian): a custom order costs the engine some of its
 * shortcuts. Makes "example-custom-comparator". */
#include <firn/firn.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(firn_status code, const char *what) {
    if (code == FIRN_OK)
        return;
    fprintf(stderr, "%s: %s: %s\n", what, firn_status_name(code), firn_error_detail());
    exit(1);
}

static firn_slice skip_zeros(firn_slice digits) {
    while (digits.size > 1 && digits.data[0] == '0') {
        digits.data++;
        digits.size--;
    }
    return digits;
}

/* By value: without leading zeros the longer number is the larger. "7" and "07" are different keys,
 * so they must not compare as equal: the bytes decide then. */
static int compare_decimal(void *context, firn_slice a, firn_slice b) {
    (void)context;
    firn_slice x = skip_zeros(a), y = skip_zeros(b);
    if (x.size != y.size)
        return x.size < y.size ? -1 : 1;
    int order = x.size ? memcmp(x.data, y.data, x.size) : 0;
    if (order != 0)
        return order;
    return (a.size > b.size) - (a.size < b.size);
}

/* Static: it must outlive every database opened with it. */
static const firn_comparator decimal_order = {"example.decimal", NULL, compare_decimal};

int main(void) {
    static const char *const numbers[] = {"100", "9", "10", "07", "7", "1000", "99"};
    firn_options options = FIRN_OPTIONS_INIT;
    options.comparator = &decimal_order;

    firn_db *db;
    must(firn_open("example-custom-comparator", &options, &db), "open");
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        must(firn_put(db, NULL, firn_slice_str(numbers[i]), FIRN_STR("")), "put");

    firn_iter *it;
    must(firn_iter_new(db, NULL, &it), "iterator");
    printf("by value:");
    for (firn_iter_seek_first(it); firn_iter_valid(it); firn_iter_next(it)) {
        firn_slice key = firn_iter_key(it);
        printf(" %.*s", (int)key.size, (const char *)key.data);
    }
    printf("\n");
    must(firn_iter_status(it), "iterate");
    firn_iter_free(it);
    must(firn_close(db), "close");

    firn_db *wrong;
    firn_status code = firn_open("example-custom-comparator", NULL, &wrong);
    if (code != FIRN_INVALID_ARGUMENT) {
        fprintf(stderr, "opening in bytewise order: %s\n", firn_status_name(code));
        return 1;
    }
    printf("in bytewise order: %s\n", firn_error_detail());
    return 0;
}
