/* base/attributes.h - compiler attributes the whole library uses.
 *
 * FIRN_INTERNAL marks every function that crosses a file but not the library's border. It is hidden
 * in the ordinary build; the amalgamation (firn.c) redefines it to static, so every such name must
 * be unique across the library. */
#ifndef FIRN_BASE_ATTRIBUTES_H
#define FIRN_BASE_ATTRIBUTES_H

#ifndef FIRN_INTERNAL
#define FIRN_INTERNAL __attribute__((visibility("hidden")))
#endif

#define NODISCARD __attribute__((warn_unused_result))
#define PRINTF_LIKE(format_index, first_index) \
    __attribute__((format(printf, format_index, first_index)))
#define MAYBE_UNUSED        __attribute__((unused))
#define COLD                __attribute__((cold))
#define LIKELY(condition)   __builtin_expect(!!(condition), 1)
#define UNLIKELY(condition) __builtin_expect(!!(condition), 0)

/* Bytes the machine moves between caches at once; structs written by different threads keep
 * this distance. */
#define CACHE_LINE_BYTES 64

#endif
