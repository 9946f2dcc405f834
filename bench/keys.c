#include "keys.h"

#include <math.h>
#include <stdlib.h>

static const char *const key_shape_names[] = {
    [KEY_BINARY] = "binary", [KEY_DECIMAL] = "decimal", [KEY_USER] = "user"};

bool key_shape_parse(const char *name, key_shape *out) {
    for (int i = KEY_BINARY; i <= KEY_USER; i++) {
        if (strcmp(name, key_shape_names[i]) == 0) {
            *out = (key_shape)i;
            return true;
        }
    }
    return false;
}

const char *key_shape_name(key_shape shape) {
    return key_shape_names[shape];
}

static void key_make_binary(uint64_t index, uint8_t *out, size_t bytes) {
    uint64_t big_endian = __builtin_bswap64(index);
    memcpy(out, &big_endian, 8);
    memset(out + 8, '0', bytes - 8);
}

static void key_make_decimal(uint64_t index, uint8_t *out, size_t bytes) {
    size_t at = bytes;
    while (index >= 100) {
        unsigned pair = (unsigned)(index % 100);
        index /= 100;
        out[--at] = (uint8_t)('0' + pair % 10);
        out[--at] = (uint8_t)('0' + pair / 10);
    }
    out[--at] = (uint8_t)('0' + index % 10);
    if (index >= 10)
        out[--at] = (uint8_t)('0' + index / 10);
    memset(out, '0', at);
}

/* A bijection of 48-bit numbers, so that two indexes never share a key. */
static uint64_t key_scatter(uint64_t index) {
    const uint64_t mask = ((uint64_t)1 << 48) - 1;
    uint64_t x = index & mask;
    x = (x * 0x5851f42d4c957f2du) & mask;
    x ^= x >> 23;
    x = (x * 0x14057b7ef767814fu) & mask;
    return x ^ (x >> 25);
}

static void key_make_user(uint64_t index, uint8_t *out, size_t bytes) {
    uint64_t hash = key_scatter(index);
    memcpy(out, "user", 4);
    for (int i = 15; i >= 4; i--) {
        out[i] = (uint8_t) "0123456789abcdef"[hash & 15];
        hash >>= 4;
    }
    memset(out + 16, '0', bytes - 16);
}

firn_slice key_make(const key_maker *maker, uint64_t index, uint8_t *out) {
    switch (maker->shape) {
    case KEY_BINARY:
        key_make_binary(index, out, maker->bytes);
        break;
    case KEY_DECIMAL:
        key_make_decimal(index, out, maker->bytes);
        break;
    case KEY_USER:
        key_make_user(index, out, maker->bytes);
        break;
    }
    return firn_slice_of(out, maker->bytes);
}

firn_slice key_make_missing(const key_maker *maker, uint64_t index, uint8_t *out) {
    firn_slice key = key_make(maker, index, out);
    out[key.size] = '.';
    return firn_slice_of(out, key.size + 1);
}

void permutation_init(permutation *p, uint64_t count, uint64_t seed) {
    unsigned bits = 2;
    while (((uint64_t)1 << bits) < count)
        bits++;
    p->count = count;
    p->mask = ((uint64_t)1 << bits) - 1;
    p->shift = (bits + 1) / 2;
    for (int i = 0; i < 3; i++)
        p->multiplier[i] = random_next(&seed) | 1;
}

enum { ZIPFIAN_CELL_BITS = 14, ZIPFIAN_CELLS = 1 << ZIPFIAN_CELL_BITS };

struct zipfian {
    uint64_t rank[ZIPFIAN_CELLS + 1]; /* the rank at quantile i / ZIPFIAN_CELLS */
};

/* Sum of 1 / i^theta for i = 1 .. count: exact where terms matter, an integral beyond. */
static double zipfian_zeta(uint64_t count, double theta) {
    const uint64_t exact = 1000000;
    double sum = 0;
    uint64_t i = 1;
    for (; i <= count && i <= exact; i++)
        sum += 1 / pow((double)i, theta);
    if (i <= count)
        sum +=
            (pow((double)count + 0.5, 1 - theta) - pow((double)i - 0.5, 1 - theta)) / (1 - theta);
    return sum;
}

zipfian *zipfian_new(uint64_t count) {
    const double theta = 0.99;
    zipfian *z = malloc(sizeof *z);
    if (!z)
        return NULL;
    double n = (double)count;
    double zeta = zipfian_zeta(count, theta);
    double zeta_two = 1 + pow(0.5, theta);
    double alpha = 1 / (1 - theta);
    double eta = (1 - pow(2 / n, 1 - theta)) / (1 - zeta_two / zeta);
    for (int i = 0; i <= ZIPFIAN_CELLS; i++) {
        double u = (double)i / ZIPFIAN_CELLS;
        double rank;
        if (u * zeta < 1)
            rank = 0;
        else if (u * zeta < zeta_two)
            rank = 1;
        else
            rank = n * pow(eta * u - eta + 1, alpha);
        z->rank[i] = rank < n ? (uint64_t)rank : count;
    }
    return z;
}

void zipfian_free(zipfian *z) {
    free(z);
}

uint64_t zipfian_next(const zipfian *z, uint64_t *random_state) {
    uint64_t bits = random_next(random_state);
    size_t cell = (size_t)(bits >> (64 - ZIPFIAN_CELL_BITS));
    uint64_t low = z->rank[cell];
    uint64_t width = z->rank[cell + 1] - low;
    return low + (width ? random_scale(bits << ZIPFIAN_CELL_BITS, width) : 0);
}
