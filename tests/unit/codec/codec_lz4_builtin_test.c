/* Our own LZ4 in every build, against liblz4 where that is what CODEC_LZ4 stands for. */
#include "codec/codec.h"

#include "codec_fixture.h"

#include "codec/codec_lz4_builtin.c"

TEST(codec_lz4_builtin, round_trips_all_sizes_and_contents) {
    codec_fixture_round_trips(codec_lz4_builtin_methods(), codec_lz4_builtin_methods());
}

TEST(codec_lz4_builtin, the_library_reads_what_we_write) {
    codec_fixture_round_trips(codec_lz4_builtin_methods(), codec_methods_of(CODEC_LZ4));
}

TEST(codec_lz4_builtin, we_read_what_the_library_writes) {
    codec_fixture_round_trips(codec_methods_of(CODEC_LZ4), codec_lz4_builtin_methods());
}

TEST(codec_lz4_builtin, noise_does_not_pay) {
    codec_fixture_noise_does_not_pay(codec_lz4_builtin_methods());
}

TEST(codec_lz4_builtin, wrong_sizes_are_corruption) {
    codec_fixture_wrong_sizes_are_corruption(codec_lz4_builtin_methods());
}

TEST(codec_lz4_builtin, garbage_stays_in_bounds) {
    codec_fixture_garbage_stays_in_bounds(codec_lz4_builtin_methods());
}

/* A block by hand: "firn", 20 more bytes of it, "snow!". */
static const uint8_t lz4_by_hand[] = {0x4f, 'f',  'i', 'r', 'n', 4,   0,
                                      1,    0x50, 's', 'n', 'o', 'w', '!'};
#define BY_HAND_TEXT "firnfirnfirnfirnfirnfirnsnow!"

TEST(codec_lz4_builtin, expands_a_block_written_by_hand) {
    uint8_t out[sizeof BY_HAND_TEXT - 1];
    ASSERT_OK(codec_lz4_builtin_methods()->decompress(slice_of(lz4_by_hand, sizeof lz4_by_hand),
                                                      out, sizeof out));
    assert_memory_equal(out, BY_HAND_TEXT, sizeof out);
}

TEST(codec_lz4_builtin, writes_the_block_as_by_hand) {
    uint8_t out[64];
    size_t bytes;
    ASSERT_OK(codec_lz4_builtin_methods()->compress(slice_from_string(BY_HAND_TEXT), 0, out,
                                                    sizeof out, &bytes));
    assert_int_equal(bytes, sizeof lz4_by_hand);
    assert_memory_equal(out, lz4_by_hand, bytes);
}

static void expect_refused(const char *why, slice in, size_t raw_bytes) {
    uint8_t out[64];
    status st = codec_lz4_builtin_methods()->decompress(in, out, raw_bytes);
    if (!status_is(st, FIRN_CORRUPTION))
        fail_msg("not refused: %s", why);
}

TEST(codec_lz4_builtin, each_broken_rule_is_corruption) {
    static const struct {
        const char *why;
        uint8_t in[16];
        size_t in_bytes, raw_bytes;
    } cases[] = {
        {"offset 0", {0x40, 'f', 'i', 'r', 'n', 0, 0, 0x80, 1, 2, 3, 4, 5, 6, 7, 8}, 16, 16},
        {"offset before the start",
         {0x40, 'f', 'i', 'r', 'n', 5, 0, 0x80, 1, 2, 3, 4, 5, 6, 7, 8},
         16,
         16},
        {"a match in the last twelve bytes",
         {0x40, 'f', 'i', 'r', 'n', 4, 0, 0x60, 1, 2, 3, 4, 5, 6},
         14,
         14},
        {"a match over the last five bytes",
         {0x48, 'f', 'i', 'r', 'n', 4, 0, 0x40, 1, 2, 3, 4},
         12,
         20},
        {"the end inside an offset", {0x40, 'f', 'i', 'r', 'n', 4}, 6, 20},
        {"the end inside a length", {0xf0, 255, 255}, 3, 64},
        {"more literals than input", {0xf0, 5, 1, 2, 3}, 5, 20},
        {"more literals than room", {0x80, 1, 2, 3, 4, 5, 6, 7, 8}, 9, 7},
        {"fewer bytes than promised", {0x80, 1, 2, 3, 4, 5, 6, 7, 8}, 9, 9},
        {"a match longer than the room",
         {0x4f, 'f', 'i', 'r', 'n', 4, 0, 255, 255, 0, 0x50, 1, 2, 3, 4, 5},
         16,
         40},
        {"an end after a match", {0x48, 'f', 'i', 'r', 'n', 4, 0}, 7, 16},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_refused(cases[i].why, slice_of(cases[i].in, cases[i].in_bytes), cases[i].raw_bytes);
}

/* Lengths made of many bytes of 255 are cut off as soon as they exceed the room. */
TEST(codec_lz4_builtin, endless_lengths_are_refused_early) {
    static uint8_t in[1 << 20];
    memset(in, 255, sizeof in);
    expect_refused("endless literals", slice_of(in, sizeof in), 64);
    memcpy(in,
           "\x4f"
           "firn\4",
           7);
    expect_refused("an endless match", slice_of(in, sizeof in), 64);
}

TEST_MAIN(RUN(codec_lz4_builtin, round_trips_all_sizes_and_contents),
          RUN(codec_lz4_builtin, the_library_reads_what_we_write),
          RUN(codec_lz4_builtin, we_read_what_the_library_writes),
          RUN(codec_lz4_builtin, noise_does_not_pay),
          RUN(codec_lz4_builtin, wrong_sizes_are_corruption),
          RUN(codec_lz4_builtin, garbage_stays_in_bounds),
          RUN(codec_lz4_builtin, expands_a_block_written_by_hand),
          RUN(codec_lz4_builtin, writes_the_block_as_by_hand),
          RUN(codec_lz4_builtin, each_broken_rule_is_corruption),
          RUN(codec_lz4_builtin, endless_lengths_are_refused_early))
