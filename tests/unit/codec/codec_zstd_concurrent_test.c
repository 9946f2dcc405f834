/* The pools of contexts are shared by all threads. */
#include <string.h>

#include "codec/codec.h"
#include "codec_fixture.h"
#include "platform/thread.h"

enum { THREADS = 24 }; /* more than a pool has slots */

static void zstd_thread_run(void *context) {
    static const char text[] =
        "snow on snow on snow on snow on snow on snow on snow on snow on ice";
    uint8_t packed[sizeof text], back[sizeof text];
    size_t bytes;
    uint64_t *failures = context;
    for (uint64_t i = test_scaled(300); i > 0; i--) {
        slice raw = slice_of(text, sizeof text - i % 20);
        if (!status_is_ok(codec_compress(CODEC_ZSTD, raw, packed, &bytes)) || bytes == 0 ||
            !status_is_ok(codec_decompress(CODEC_ZSTD, slice_of(packed, bytes), back, raw.size)) ||
            memcmp(back, text, raw.size) != 0)
            ++*failures;
    }
}

TEST(codec_zstd, threads_share_contexts) {
    thread threads[THREADS];
    uint64_t failures[THREADS] = {0};
    if (!codec_is_available(CODEC_ZSTD))
        skip();
    for (int i = 0; i < THREADS; i++)
        ASSERT_OK(thread_start(&threads[i], "zstd", zstd_thread_run, &failures[i]));
    for (int i = 0; i < THREADS; i++) {
        thread_join(&threads[i]);
        assert_int_equal(failures[i], 0);
    }
}

TEST_MAIN(RUN(codec_zstd, threads_share_contexts))
