/* base/atomic.h - the only door to C11 atomics.
 *
 * Every atomic of the library has one of the types below and is touched only through these
 * functions, so that an interleaving explorer can replace this header by instrumented twins. Each
 * call names its memory order; each order weaker than seq_cst names its partner in a comment at the
 * call. The functions are inlined to single instructions. */
#ifndef FIRN_BASE_ATOMIC_H
#define FIRN_BASE_ATOMIC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define FIRN_DEFINE_ATOMIC_INTEGER(name, type)                                                 \
    typedef struct name {                                                                      \
        _Atomic(type) raw;                                                                     \
    } name;                                                                                    \
    static inline void name##_init(name *a, type value) {                                      \
        atomic_init(&a->raw, value);                                                           \
    }                                                                                          \
    static inline type name##_load(const name *a, memory_order order) {                        \
        return atomic_load_explicit(&((name *)(uintptr_t)a)->raw, order);                      \
    }                                                                                          \
    static inline void name##_store(name *a, type value, memory_order order) {                 \
        atomic_store_explicit(&a->raw, value, order);                                          \
    }                                                                                          \
    static inline type name##_exchange(name *a, type value, memory_order order) {              \
        return atomic_exchange_explicit(&a->raw, value, order);                                \
    }                                                                                          \
    /* Strong; *expected receives what was found on failure (read with acquire). */            \
    static inline bool name##_cas(name *a, type *expected, type desired, memory_order order) { \
        return atomic_compare_exchange_strong_explicit(&a->raw, expected, desired, order,      \
                                                       memory_order_acquire);                  \
    }                                                                                          \
    static inline type name##_add(name *a, type amount, memory_order order) {                  \
        return atomic_fetch_add_explicit(&a->raw, amount, order);                              \
    }                                                                                          \
    static inline type name##_sub(name *a, type amount, memory_order order) {                  \
        return atomic_fetch_sub_explicit(&a->raw, amount, order);                              \
    }

FIRN_DEFINE_ATOMIC_INTEGER(atomic_u32, uint32_t)
FIRN_DEFINE_ATOMIC_INTEGER(atomic_u64, uint64_t)
#undef FIRN_DEFINE_ATOMIC_INTEGER

typedef struct atomic_flag32 {
    atomic_u32 word;
} atomic_flag32;
static inline bool atomic_flag32_load(const atomic_flag32 *a, memory_order order) {
    return atomic_u32_load(&a->word, order) != 0;
}
static inline void atomic_flag32_store(atomic_flag32 *a, bool value, memory_order order) {
    atomic_u32_store(&a->word, value ? 1 : 0, order);
}

typedef struct atomic_ptr {
    _Atomic(void *) raw;
} atomic_ptr;
static inline void atomic_ptr_init(atomic_ptr *a, void *value) {
    atomic_init(&a->raw, value);
}
static inline void *atomic_ptr_load(const atomic_ptr *a, memory_order order) {
    return atomic_load_explicit(&((atomic_ptr *)(uintptr_t)a)->raw, order);
}
static inline void atomic_ptr_store(atomic_ptr *a, void *value, memory_order order) {
    atomic_store_explicit(&a->raw, value, order);
}
static inline void *atomic_ptr_exchange(atomic_ptr *a, void *value, memory_order order) {
    return atomic_exchange_explicit(&a->raw, value, order);
}
static inline bool atomic_ptr_cas(atomic_ptr *a, void **expected, void *desired,
                                  memory_order order) {
    return atomic_compare_exchange_strong_explicit(&a->raw, expected, desired, order,
                                                   memory_order_acquire);
}

static inline void atomic_fence(memory_order order) {
    atomic_thread_fence(order);
}

#endif
