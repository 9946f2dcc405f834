#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

FIRN_INTERNAL void check_failed(const char *file, int line, const char *expression) {
    fprintf(stderr, "firn: internal check failed: %s (%s:%d)\n", expression, file, line);
    abort();
}
