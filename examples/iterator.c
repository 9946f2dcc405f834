/* iterator.c - entries in key order: all of them, a prefix, a range, forwards and backwards.
 *
 * Shows: bounds and prefixes, seeking, and why the status is asked for at the end of each loop.
 * Makes "example-iterator". */
#include <firn/firn.h>

#include <stdio.h>
#include <stdlib.h>

static void must(firn_status code, const char *what) {
    if (code == FIRN_OK)
        return;
    fprintf(stderr, "%s: %s: %s\n", what, firn_status_name(code), firn_error_detail());
    exit(1);
}

static void print_entry(firn_iter *it) {
    firn_slice key = firn_iter_key(it);
    firn_slice value = firn_iter_value(it);
    printf("  %.*s = %.*s\n", (int)key.size, (const char *)key.data, (int)value.size,
           (const char *)value.data);
}

static void list(firn_db *db, const char *title, const firn_read_options *options) {
    firn_iter *it;
    printf("%s\n", title);
    must(firn_iter_new(db, options, &it), "iterator");
    for (firn_iter_seek_first(it); firn_iter_valid(it); firn_iter_next(it))
        print_entry(it);
    /* Not valid means the end, or an error: only the status tells. */
    must(firn_iter_status(it), "iterate");
    firn_iter_free(it);
}

static void list_backwards(firn_db *db, const char *title) {
    firn_iter *it;
    printf("%s\n", title);
    must(firn_iter_new(db, NULL, &it), "iterator");
    for (firn_iter_seek_last(it); firn_iter_valid(it); firn_iter_prev(it))
        print_entry(it);
    must(firn_iter_status(it), "iterate");
    firn_iter_free(it);
}

static void find_nearest(firn_db *db, const char *key) {
    firn_iter *it;
    must(firn_iter_new(db, NULL, &it), "iterator");
    printf("the first key from \"%s\" on, and the last one before it\n", key);
    firn_iter_seek(it, firn_slice_str(key));
    if (firn_iter_valid(it)) {
        print_entry(it);
        firn_iter_prev(it);
    }
    if (firn_iter_valid(it))
        print_entry(it);
    must(firn_iter_status(it), "seek");
    firn_iter_free(it);
}

int main(void) {
    static const char *const entries[][2] = {
        {"peak/eiger", "3967"},         {"peak/jungfrau", "4158"}, {"peak/moench", "4110"},
        {"river/aare", "288"},          {"river/rhone", "812"},    {"town/interlaken", "5700"},
        {"town/lauterbrunnen", "2400"},
    };
    firn_db *db;
    must(firn_open("example-iterator", NULL, &db), "open");
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++)
        must(firn_put(db, NULL, firn_slice_str(entries[i][0]), firn_slice_str(entries[i][1])),
             "put");

    firn_read_options peaks = FIRN_READ_OPTIONS_INIT;
    peaks.prefix = FIRN_STR("peak/");
    list(db, "every peak", &peaks);

    firn_read_options range = FIRN_READ_OPTIONS_INIT;
    range.lower = FIRN_STR("peak/moench");
    range.upper = FIRN_STR("town/"); /* not included */
    list(db, "from peak/moench up to the towns", &range);

    list_backwards(db, "all, backwards");
    find_nearest(db, "peak/k");

    must(firn_close(db), "close");
    return 0;
}
