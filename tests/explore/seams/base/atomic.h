/* The explorer's twin of src/base/atomic.h: the same types and functions, each operation one of the
 * model's. Found first on the include path. */
#ifndef FIRN_BASE_ATOMIC_H
#define FIRN_BASE_ATOMIC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "explore/atomics.h"

#define FIRN_DEFINE_ATOMIC_INTEGER(name, type)                                                     \
    typedef struct name {                                                                          \
        type raw;                                                                                  \
    } name;                                                                                        \
    static inline void name##_init(name *a, type value) {                                          \
        explore_atomic_init(&a->raw, sizeof a->raw, value);                                        \
    }                                                                                              \
    static inline type name##_load(const name *a, memory_order order) {                            \
        return (type)explore_atomic_load(&a->raw, sizeof a->raw, order);                           \
    }                                                                                              \
    static inline void name##_store(name *a, type value, memory_order order) {                     \
        explore_atomic_store(&a->raw, sizeof a->raw, value, order);                                \
    }                                                                                              \
    static inline type name##_exchange(name *a, type value, memory_order order) {                  \
        return (type)explore_atomic_update(&a->raw, sizeof a->raw, UPDATE_EXCHANGE, value, order); \
    }                                                                                              \
    static inline bool name##_cas(name *a, type *expected, type desired, memory_order order) {     \
        uint64_t found = *expected;                                                                \
        bool swapped = explore_atomic_cas(&a->raw, sizeof a->raw, &found, desired, order);         \
        *expected = (type)found;                                                                   \
        return swapped;                                                                            \
    }                                                                                              \
    static inline type name##_add(name *a, type amount, memory_order order) {                      \
        return (type)explore_atomic_update(&a->raw, sizeof a->raw, UPDATE_ADD, amount, order);     \
    }                                                                                              \
    static inline type name##_sub(name *a, type amount, memory_order order) {                      \
        return (type)explore_atomic_update(&a->raw, sizeof a->raw, UPDATE_SUB, amount, order);     \
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
    void *raw;
} atomic_ptr;
static inline void atomic_ptr_init(atomic_ptr *a, void *value) {
    explore_atomic_init(&a->raw, sizeof a->raw, (uintptr_t)value);
}
static inline void *atomic_ptr_load(const atomic_ptr *a, memory_order order) {
    return (void *)(uintptr_t)explore_atomic_load(&a->raw, sizeof a->raw, order);
}
static inline void atomic_ptr_store(atomic_ptr *a, void *value, memory_order order) {
    explore_atomic_store(&a->raw, sizeof a->raw, (uintptr_t)value, order);
}
static inline void *atomic_ptr_exchange(atomic_ptr *a, void *value, memory_order order) {
    return (void *)(uintptr_t)explore_atomic_update(&a->raw, sizeof a->raw, UPDATE_EXCHANGE,
                                                    (uintptr_t)value, order);
}
static inline bool atomic_ptr_cas(atomic_ptr *a, void **expected, void *desired,
                                  memory_order order) {
    uint64_t found = (uintptr_t)*expected;
    bool swapped = explore_atomic_cas(&a->raw, sizeof a->raw, &found, (uintptr_t)desired, order);
    *expected = (void *)(uintptr_t)found;
    return swapped;
}

static inline void atomic_fence(memory_order order) {
    explore_atomic_fence(order);
}

/* So that traces name the line of the code under test. */
#define EXPLORE_AT_THIS_LINE(call) (explore_here(__FILE__, __LINE__), call)
#define atomic_u32_load(...)       EXPLORE_AT_THIS_LINE(atomic_u32_load(__VA_ARGS__))
#define atomic_u32_store(...)      EXPLORE_AT_THIS_LINE(atomic_u32_store(__VA_ARGS__))
#define atomic_u32_exchange(...)   EXPLORE_AT_THIS_LINE(atomic_u32_exchange(__VA_ARGS__))
#define atomic_u32_cas(...)        EXPLORE_AT_THIS_LINE(atomic_u32_cas(__VA_ARGS__))
#define atomic_u32_add(...)        EXPLORE_AT_THIS_LINE(atomic_u32_add(__VA_ARGS__))
#define atomic_u32_sub(...)        EXPLORE_AT_THIS_LINE(atomic_u32_sub(__VA_ARGS__))
#define atomic_u64_load(...)       EXPLORE_AT_THIS_LINE(atomic_u64_load(__VA_ARGS__))
#define atomic_u64_store(...)      EXPLORE_AT_THIS_LINE(atomic_u64_store(__VA_ARGS__))
#define atomic_u64_exchange(...)   EXPLORE_AT_THIS_LINE(atomic_u64_exchange(__VA_ARGS__))
#define atomic_u64_cas(...)        EXPLORE_AT_THIS_LINE(atomic_u64_cas(__VA_ARGS__))
#define atomic_u64_add(...)        EXPLORE_AT_THIS_LINE(atomic_u64_add(__VA_ARGS__))
#define atomic_u64_sub(...)        EXPLORE_AT_THIS_LINE(atomic_u64_sub(__VA_ARGS__))
#define atomic_flag32_load(...)    EXPLORE_AT_THIS_LINE(atomic_flag32_load(__VA_ARGS__))
#define atomic_flag32_store(...)   EXPLORE_AT_THIS_LINE(atomic_flag32_store(__VA_ARGS__))
#define atomic_ptr_load(...)       EXPLORE_AT_THIS_LINE(atomic_ptr_load(__VA_ARGS__))
#define atomic_ptr_store(...)      EXPLORE_AT_THIS_LINE(atomic_ptr_store(__VA_ARGS__))
#define atomic_ptr_exchange(...)   EXPLORE_AT_THIS_LINE(atomic_ptr_exchange(__VA_ARGS__))
#define atomic_ptr_cas(...)        EXPLORE_AT_THIS_LINE(atomic_ptr_cas(__VA_ARGS__))
#define atomic_fence(...)          EXPLORE_AT_THIS_LINE(atomic_fence(__VA_ARGS__))

#endif
