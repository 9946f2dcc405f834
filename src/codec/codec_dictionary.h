/* codec/codec_dictionary.h - Zstd with a dictionary: what the blocks of a table have in common.
 *
 * Purpose:  a block of 4 KiB is little to learn from; a dictionary trained on many of them lets
 * each begin where the others ended. It belongs to the frames: without it they do not expand.
 * Format:   the dictionary is Zstd's own (ZDICT); frames made with it carry neither its id nor
 *           their size, which the table knows.
 * Threads:  a dictionary may be used by many threads at once.
 * Lifetime: codec_dictionary_free when no call uses it. It copies the bytes it is made of. */
#ifndef FIRN_CODEC_CODEC_DICTIONARY_H
#define FIRN_CODEC_CODEC_DICTIONARY_H

#include "base/slice.h"
#include "base/status.h"
#include "util/buf.h"

typedef struct codec_dictionary codec_dictionary;

/* Whether this build can: NOT_SUPPORTED from all of them otherwise. */
FIRN_INTERNAL bool codec_dictionary_is_available(void);
/* Learns from `count` samples that follow each other at `samples`. *out has at most `most` bytes;
 * it stays empty where nothing was learned. */
FIRN_INTERNAL NODISCARD status codec_dictionary_train(const uint8_t *samples, const size_t *sizes,
                                                      uint32_t count, size_t most, buf *out);
/* What training takes beside the samples and the dictionary, however many they are. */
#define CODEC_DICTIONARY_TRAINING_BYTES (12u << 20)
/* Whether the bytes begin as a dictionary does. */
FIRN_INTERNAL bool codec_dictionary_begins(slice bytes);
/* To expand only. CORRUPTION: the bytes are no dictionary. */
FIRN_INTERNAL NODISCARD status codec_dictionary_new(slice bytes, codec_dictionary **out);
/* To compress only, at a level of codec_compress_at. */
FIRN_INTERNAL NODISCARD status codec_dictionary_new_packer(slice bytes, int level,
                                                           codec_dictionary **out);
FIRN_INTERNAL void codec_dictionary_free(codec_dictionary *d); /* NULL is fine */
FIRN_INTERNAL uint64_t codec_dictionary_memory_bytes(const codec_dictionary *d);
/* As codec_compress_at and codec_decompress, for CODEC_ZSTD_DICTIONARY. A frame made without the
 * dictionary must not be expanded with it: it could come out as something else. */
FIRN_INTERNAL NODISCARD status codec_dictionary_compress(const codec_dictionary *d, slice raw,
                                                         uint8_t *out, size_t *out_bytes);
FIRN_INTERNAL NODISCARD status codec_dictionary_decompress(const codec_dictionary *d, slice in,
                                                           uint8_t *out, size_t raw_bytes);
#endif
