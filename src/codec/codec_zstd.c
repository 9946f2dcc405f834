/* Zstd frames, one per block.
 *
 * Making a context costs ten times as much as expanding a block of 4 KiB, so idle contexts wait in
 * two small pools. They belong to the process, not to a database, come from the library's own
 * allocator, and stay until the process ends: some 100 KB per thread that used one at a time. */
#include <zdict.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "base/atomic.h"
#include "codec/codec_methods.h"
#include "platform/thread.h"

#include "base/poison.h"

enum {
    CODEC_ZSTD_LEVEL = 3,
    CODEC_ZSTD_SLOTS = 16,
    CODEC_ZSTD_KEPT_BYTES_MAX = 1 << 20 /* what a large block made larger is not kept */
};

typedef struct codec_zstd_pool {
    atomic_ptr slots[CODEC_ZSTD_SLOTS];
} codec_zstd_pool;

static codec_zstd_pool codec_zstd_packers, codec_zstd_expanders;

/* An idle context, or NULL. Threads begin at different slots, so that they seldom meet. */
static void *codec_zstd_take(codec_zstd_pool *pool) {
    uint64_t first = thread_number();
    for (uint64_t i = 0; i < CODEC_ZSTD_SLOTS; i++) {
        atomic_ptr *slot = &pool->slots[(first + i) % CODEC_ZSTD_SLOTS];
        /* relaxed: only a look whether the exchange is worth it. */
        if (!atomic_ptr_load(slot, memory_order_relaxed))
            continue;
        /* acquire: pairs with the release in codec_zstd_give; the context is as it was left. */
        void *context = atomic_ptr_exchange(slot, NULL, memory_order_acquire);
        if (context)
            return context;
    }
    return NULL;
}

/* False: no room; the context remains the caller's. */
static bool codec_zstd_give(codec_zstd_pool *pool, void *context) {
    uint64_t first = thread_number();
    for (uint64_t i = 0; i < CODEC_ZSTD_SLOTS; i++) {
        void *none = NULL;
        /* release: pairs with the acquire in codec_zstd_take. */
        if (atomic_ptr_cas(&pool->slots[(first + i) % CODEC_ZSTD_SLOTS], &none, context,
                           memory_order_release))
            return true;
    }
    return false;
}

static ZSTD_CCtx *codec_zstd_packer(void) {
    ZSTD_CCtx *context = codec_zstd_take(&codec_zstd_packers);
    return context ? context : ZSTD_createCCtx();
}

static void codec_zstd_packer_done(ZSTD_CCtx *context) {
    if (ZSTD_sizeof_CCtx(context) > CODEC_ZSTD_KEPT_BYTES_MAX ||
        !codec_zstd_give(&codec_zstd_packers, context))
        ZSTD_freeCCtx(context);
}

/* What the library says of a compression. */
static status codec_zstd_packed(size_t bytes, size_t *out_bytes) {
    *out_bytes = 0;
    if (!ZSTD_isError(bytes))
        *out_bytes = bytes;
    else if (ZSTD_getErrorCode(bytes) == ZSTD_error_memory_allocation)
        return status_of(FIRN_NO_MEMORY, "Zstd compression");
    return STATUS_OK; /* an error, such as too little room: stored as it is */
}

static status codec_zstd_compress(slice raw, int level, uint8_t *out, size_t most,
                                  size_t *out_bytes) {
    ZSTD_CCtx *context = codec_zstd_packer();
    *out_bytes = 0;
    if (!context)
        return status_of(FIRN_NO_MEMORY, "Zstd context");
    size_t bytes =
        ZSTD_compressCCtx(context, out, most, raw.data, raw.size, level ? level : CODEC_ZSTD_LEVEL);
    codec_zstd_packer_done(context);
    return codec_zstd_packed(bytes, out_bytes);
}

/* With the dictionary of an expander, or without one. */
static status codec_zstd_expand(const ZSTD_DDict *dictionary, slice in, uint8_t *out,
                                size_t raw_bytes) {
    ZSTD_DCtx *context = codec_zstd_take(&codec_zstd_expanders);
    if (!context)
        context = ZSTD_createDCtx();
    if (!context)
        return status_of(FIRN_NO_MEMORY, "Zstd context");
    size_t bytes = dictionary ? ZSTD_decompress_usingDDict(context, out, raw_bytes, in.data,
                                                           in.size, dictionary)
                              : ZSTD_decompressDCtx(context, out, raw_bytes, in.data, in.size);
    if (!codec_zstd_give(&codec_zstd_expanders, context))
        ZSTD_freeDCtx(context);
    if (ZSTD_isError(bytes) && ZSTD_getErrorCode(bytes) == ZSTD_error_memory_allocation)
        return status_of(FIRN_NO_MEMORY, "Zstd decompression");
    if (bytes != raw_bytes) /* an error is a larger number than any size */
        return status_of(FIRN_CORRUPTION, "Zstd block");
    return STATUS_OK;
}

static status codec_zstd_decompress(slice in, uint8_t *out, size_t raw_bytes) {
    return codec_zstd_expand(NULL, in, out, raw_bytes);
}

static const codec_methods codec_zstd_table = {
    .compress = codec_zstd_compress,
    .decompress = codec_zstd_decompress,
};

FIRN_INTERNAL const codec_methods *codec_zstd_methods(void) {
    return &codec_zstd_table;
}

/* --- with a dictionary --- */

static size_t codec_zstd_train(uint8_t *out, size_t most, const uint8_t *samples,
                               const size_t *sizes, uint32_t count) {
    size_t bytes = ZDICT_trainFromBuffer(out, most, samples, sizes, count);
    return ZDICT_isError(bytes) ? 0 : bytes;
}

static status codec_zstd_new_packer(slice bytes, int level, void **out, uint64_t *memory) {
    ZSTD_CDict *d = ZSTD_createCDict(bytes.data, bytes.size, level ? level : CODEC_ZSTD_LEVEL);
    *out = d;
    *memory = ZSTD_sizeof_CDict(d);
    return d ? STATUS_OK : status_of(FIRN_NO_MEMORY, "Zstd dictionary");
}

/* The library does not tell bytes that are no dictionary from a lack of memory; bytes that only
 * begin like one are the likelier reason. */
static status codec_zstd_new_expander(slice bytes, void **out, uint64_t *memory) {
    ZSTD_DDict *d = ZSTD_createDDict(bytes.data, bytes.size);
    *out = d;
    *memory = ZSTD_sizeof_DDict(d);
    return d ? STATUS_OK : status_of(FIRN_CORRUPTION, "Zstd dictionary");
}

static void codec_zstd_release(void *packer, void *expander) {
    (void)ZSTD_freeCDict(packer);
    (void)ZSTD_freeDDict(expander);
}

static status codec_zstd_compress_with(const void *packer, slice raw, uint8_t *out, size_t most,
                                       size_t *out_bytes) {
    ZSTD_CCtx *context = codec_zstd_packer();
    *out_bytes = 0;
    if (!context)
        return status_of(FIRN_NO_MEMORY, "Zstd context");
    size_t bytes = ZSTD_CCtx_refCDict(context, packer);
    if (!ZSTD_isError(bytes))
        bytes = ZSTD_CCtx_setParameter(context, ZSTD_c_dictIDFlag, 0);
    if (!ZSTD_isError(bytes))
        bytes = ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
    if (!ZSTD_isError(bytes))
        bytes = ZSTD_compress2(context, out, most, raw.data, raw.size);
    /* The context goes back to the pool as it came. */
    (void)ZSTD_CCtx_reset(context, ZSTD_reset_session_and_parameters);
    codec_zstd_packer_done(context);
    return codec_zstd_packed(bytes, out_bytes);
}

static status codec_zstd_decompress_with(const void *expander, slice in, uint8_t *out,
                                         size_t raw_bytes) {
    return codec_zstd_expand(expander, in, out, raw_bytes);
}

static const codec_dictionary_methods codec_zstd_dictionary_table = {
    .train = codec_zstd_train,
    .new_packer = codec_zstd_new_packer,
    .new_expander = codec_zstd_new_expander,
    .release = codec_zstd_release,
    .compress = codec_zstd_compress_with,
    .decompress = codec_zstd_decompress_with,
};

FIRN_INTERNAL const codec_dictionary_methods *codec_zstd_dictionary_methods(void) {
    return &codec_zstd_dictionary_table;
}
