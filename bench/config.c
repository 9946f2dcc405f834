/* The command line. */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "values.h"
#include "workload.h"

static const char config_default_steps[] =
    "fillseq,readseq,fillrandom,overwrite,readrandom,readmissing,readhot,seekrandom,scanshort";

typedef enum option_kind {
    OPTION_NUMBER, /* with a suffix K, M or G; K is 1024 for bytes, see OPTION_COUNT */
    OPTION_COUNT,  /* the same, K is 1000 */
    OPTION_U32,
    OPTION_REAL,
    OPTION_TEXT,
    OPTION_FLAG,
    OPTION_CALL /* a function takes it */
} option_kind;

typedef struct option_row {
    const char *name;
    option_kind kind;
    size_t offset; /* in bench_config */
    void (*call)(bench_config *c, const char *value);
    const char *help;
} option_row;

static void config_add_engines(bench_config *c, const char *value) {
    char *copy = strdup(value);
    char *rest = copy;
    if (!copy)
        bench_fail("out of memory");
    for (char *name; (name = strsep(&rest, ","));) {
        const engine_methods *engine = engine_find(name);
        if (!engine)
            bench_fail("no engine \"%s\" in this build (--help lists them)", name);
        if (c->engine_count == ENGINES_MAX)
            bench_fail("at most %d engines", ENGINES_MAX);
        c->engines[c->engine_count++] = engine;
    }
    free(copy);
}

/* The number behind `mark` in `name`, `least` to `most`; 0: there is no mark. */
static uint32_t config_step_number(const char *name, char mark, uint32_t least, uint32_t most) {
    const char *at = strchr(name, mark);
    if (!at)
        return 0;
    unsigned long number = strtoul(at + 1, NULL, 10);
    if (number < least || number > most)
        bench_fail("\"%s\": the number behind %c is %u to %u", name, mark, least, most);
    return (uint32_t)number;
}

static void config_add_step(bench_config *c, const char *name) {
    char base[40];
    size_t size = strcspn(name, "@%");
    if (strlen(name) >= sizeof base || c->step_count == STEPS_MAX)
        bench_fail("benchmark \"%s\": name too long, or more than %d of them", name, STEPS_MAX);
    memcpy(base, name, size);
    base[size] = '\0';
    bench_step *step = &c->steps[c->step_count++];
    step->workload = workload_find(base);
    if (!step->workload)
        bench_fail("no benchmark \"%s\" (--help lists them)", base);
    step->threads = config_step_number(name, '@', 1, 64);
    step->percent = config_step_number(name, '%', 1, 100);
    if (step->percent && c->step_count < 2)
        bench_fail("\"%s\": put the same without %% in front of it", name);
    if (step->percent && step[-1].workload != step->workload)
        bench_fail("\"%s\": put %s in front of it", name, base);
    if (step->percent && (step[-1].percent || !(step->workload->flags & WORKLOAD_WRITES)))
        bench_fail("\"%s\": a share of the rate of writing, as measured just before", name);
    memcpy(step->name, name, strlen(name) + 1);
}

static void config_add_steps(bench_config *c, const char *value) {
    char *copy = strdup(value);
    char *rest = copy;
    if (!copy)
        bench_fail("out of memory");
    for (char *name; (name = strsep(&rest, ","));) {
        const char *group = workload_group(name);
        if (group)
            config_add_steps(c, group);
        else if (*name)
            config_add_step(c, name);
    }
    free(copy);
}

/* Given again, the later list wins. */
static void config_set_engines(bench_config *c, const char *value) {
    c->engine_count = 0;
    config_add_engines(c, value);
}

static void config_set_steps(bench_config *c, const char *value) {
    c->step_count = 0;
    config_add_steps(c, value);
}

static void config_set_baseline(bench_config *c, const char *value) {
    c->baseline = engine_find(value);
    if (!c->baseline)
        bench_fail("no engine \"%s\" in this build", value);
}

static void config_set_key_shape(bench_config *c, const char *value) {
    if (!key_shape_parse(value, &c->key.shape))
        bench_fail("--key-shape is binary, decimal or user, not \"%s\"", value);
}

static void config_add_option(bench_config *c, const char *value) {
    if (c->settings.extra_option_count == EXTRA_OPTIONS_MAX)
        bench_fail("at most %d --option", EXTRA_OPTIONS_MAX);
    c->extra_options[c->settings.extra_option_count++] = value;
}

static void config_set_directory(bench_config *c, const char *value) {
    if (strlen(value) >= sizeof c->directory)
        bench_fail("--dir is too long");
    memcpy(c->directory, value, strlen(value) + 1);
}

static void config_help(bench_config *c, const char *value);

#define AT(member) offsetof(bench_config, member)
/* clang-format off */
static const option_row config_options[] = {
    {"engine", OPTION_CALL, 0, config_set_engines, "engines, separated by commas (firn)"},
    {"benchmarks", OPTION_CALL, 0, config_set_steps, "in this order; name@4: with 4 threads; name%50: at half the rate just sustained"},
    {"rounds", OPTION_U32, AT(rounds), NULL, "how often; engines take turns within each (1)"},
    {"baseline", OPTION_CALL, 0, config_set_baseline, "the engine that ratios are relative to (rocksdb, or the first)"},
    {"num", OPTION_COUNT, AT(keys), NULL, "keys (2M)"},
    {"ops", OPTION_COUNT, AT(operations), NULL, "operations of what does not fill (as many as keys)"},
    {"duration", OPTION_REAL, AT(seconds), NULL, "seconds per workload instead of a count"},
    {"warmup", OPTION_COUNT, AT(warmup), NULL, "unmeasured reads before a reading workload (100K)"},
    {"threads", OPTION_U32, AT(threads), NULL, "workers of each workload (1)"},
    {"rate", OPTION_REAL, AT(rate), NULL, "at most so many operations per second"},
    {"key-shape", OPTION_CALL, 0, config_set_key_shape, "binary, decimal or user (binary)"},
    {"key-bytes", OPTION_NUMBER, AT(key.bytes), NULL, "16 to 1024 (16)"},
    {"value-bytes", OPTION_NUMBER, AT(value_bytes), NULL, "16 to 64M (100)"},
    {"compressible", OPTION_REAL, AT(compressible_to), NULL, "share of a value's bytes that is random (0.5)"},
    {"big-bytes", OPTION_NUMBER, AT(big_bytes), NULL, "what fill4k and fill64k write altogether (512M)"},
    {"recovery-bytes", OPTION_NUMBER, AT(recovery_bytes), NULL, "keys and values in the log to recover (200M)"},
    {"memtable", OPTION_NUMBER, AT(settings.memtable_bytes), NULL, "bytes of a memtable (64M)"},
    {"cache", OPTION_NUMBER, AT(settings.cache_bytes), NULL, "bytes of the block cache (256M)"},
    {"block", OPTION_U32, AT(settings.block_bytes), NULL, "bytes of a data block or page (4096)"},
    {"filter-bits", OPTION_U32, AT(settings.filter_bits), NULL, "filter bits per key, 0: none (10)"},
    {"compression", OPTION_TEXT, AT(settings.compression), NULL, "none, lz4, snappy, zstd: where the engine has it (none)"},
    {"background", OPTION_U32, AT(settings.background_threads), NULL, "background threads (2)"},
    {"map", OPTION_NUMBER, AT(settings.map_bytes), NULL, "largest file of engines that map one (16G)"},
    {"option", OPTION_CALL, 0, config_add_option, "engine:name=value: one of the engine's own options; repeatable"},
    {"seed", OPTION_NUMBER, AT(seed), NULL, "of everything random (1)"},
    {"trace-ms", OPTION_NUMBER, AT(trace_ms), NULL, "interval of the throughput trace (1000)"},
    {"dir", OPTION_CALL, 0, config_set_directory, "where the databases go (a new directory in $TMPDIR)"},
    {"json", OPTION_TEXT, AT(json_path), NULL, "write all results to this file"},
    {"keep", OPTION_FLAG, AT(keep), NULL, "do not remove the databases"},
    {"reuse", OPTION_FLAG, AT(reuse), NULL, "begin with the databases a run with --keep left, of the same --num"},
    {"exit-without-close", OPTION_FLAG, AT(exit_without_close), NULL, "leave as kill -9 would"},
    {"quiet", OPTION_FLAG, AT(quiet), NULL, "print nothing but errors"},
    {"help", OPTION_FLAG, 0, config_help, "this text"},
};
/* clang-format on */
#undef AT

static void config_help(bench_config *c, const char *value) {
    (void)c, (void)value;
    printf(
        "firn-bench [--OPTION=VALUE ...]: measures key-value engines with the same workloads.\n");
    printf("Counts take K, M, G (thousands), bytes take K, M, G (1024).\n\nOptions (default):\n");
    for (size_t i = 0; i < sizeof config_options / sizeof config_options[0]; i++)
        printf("  --%-20s %s\n", config_options[i].name, config_options[i].help);
    printf("\nBenchmarks:\n");
    for (const workload *w = workloads; w->name; w++)
        printf("  %-22s %s\n", w->name, w->does);
    printf("  fillbatch, bigvalues, ycsb: short for several\n");
    printf("\nEngines in this build:");
    for (const engine_methods *const *e = engine_list(); *e; e++)
        printf(" %s", (*e)->name);
    printf("\n");
    exit(0);
}

static uint64_t config_number(const option_row *row, const char *text) {
    uint64_t unit = row->kind == OPTION_COUNT ? 1000 : 1024;
    char *end;
    errno = 0;
    double number = strtod(text, &end);
    uint64_t scale = 1;
    switch (toupper((unsigned char)*end)) {
    case 'G':
        scale *= unit;
        __attribute__((fallthrough));
    case 'M':
        scale *= unit;
        __attribute__((fallthrough));
    case 'K':
        scale *= unit;
        end++;
        break;
    default:
        break;
    }
    if (end == text || *end || errno || !(number >= 0) || number * (double)scale > 1e18)
        bench_fail("--%s: \"%s\" is not a number", row->name, text);
    return (uint64_t)(number * (double)scale + 0.5);
}

static void config_set(bench_config *c, const option_row *row, const char *value) {
    char *field = (char *)c + row->offset;
    uint64_t number;
    switch (row->kind) {
    case OPTION_NUMBER:
    case OPTION_COUNT:
        number = config_number(row, value);
        memcpy(field, &number, sizeof number);
        break;
    case OPTION_U32:
        number = config_number(row, value);
        if (number > UINT32_MAX)
            bench_fail("--%s is too large", row->name);
        memcpy(field, &(uint32_t){(uint32_t)number}, sizeof(uint32_t));
        break;
    case OPTION_REAL: {
        char *end;
        double real = strtod(value, &end);
        if (end == value || *end || !(real >= 0))
            bench_fail("--%s: \"%s\" is not a number", row->name, value);
        memcpy(field, &real, sizeof real);
        break;
    }
    case OPTION_TEXT:
        memcpy(field, &value, sizeof value);
        break;
    case OPTION_FLAG:
        if (row->call)
            row->call(c, NULL);
        memcpy(field, &(bool){true}, sizeof(bool));
        break;
    case OPTION_CALL:
        row->call(c, value);
        break;
    }
}

/* Takes the option at argv[at]; gives how many arguments that were. */
static int config_take(bench_config *c, char **argv, int at, int argc) {
    const char *text = argv[at];
    if (strncmp(text, "--", 2) != 0)
        bench_fail("\"%s\" is not an option (try --help)", text);
    text += 2;
    size_t size = strcspn(text, "=");
    for (size_t i = 0; i < sizeof config_options / sizeof config_options[0]; i++) {
        const option_row *row = &config_options[i];
        if (strlen(row->name) != size || memcmp(row->name, text, size) != 0)
            continue;
        if (row->kind == OPTION_FLAG) {
            if (text[size])
                bench_fail("--%s takes no value", row->name);
            config_set(c, row, NULL);
            return 1;
        }
        if (text[size]) {
            config_set(c, row, text + size + 1);
            return 1;
        }
        if (at + 1 == argc)
            bench_fail("--%s needs a value", row->name);
        config_set(c, row, argv[at + 1]);
        return 2;
    }
    bench_fail("no option --%.*s (try --help)", (int)size, text);
}

static void config_check(const bench_config *c) {
    if (c->rounds < 1 || c->threads < 1 || c->threads > 64)
        bench_fail("--rounds is at least 1, --threads 1 to 64");
    if (c->keys < 1 || c->trace_ms < 10)
        bench_fail("--num is at least 1, --trace-ms at least 10");
    if (c->key.bytes < KEY_BYTES_MIN || c->key.bytes > KEY_BYTES_MAX)
        bench_fail("--key-bytes is %d to %d", KEY_BYTES_MIN, KEY_BYTES_MAX);
    if (c->value_bytes < VALUE_BYTES_MIN || c->value_bytes > VALUE_BYTES_MAX)
        bench_fail("--value-bytes is %d to %d", VALUE_BYTES_MIN, VALUE_BYTES_MAX);
    if (c->compressible_to > 1)
        bench_fail("--compressible is 0 to 1");
}

/* Fills in what depends on the other options. */
static void config_complete(bench_config *c) {
    if (c->engine_count == 0)
        config_add_engines(c, "firn");
    if (c->step_count == 0)
        config_add_steps(c, config_default_steps);
    for (size_t i = 0; i < c->step_count; i++) {
        if (c->steps[i].threads == 0)
            c->steps[i].threads = c->threads;
    }
    for (size_t i = 0; !c->baseline && i < c->engine_count; i++) {
        if (strcmp(c->engines[i]->name, "rocksdb") == 0)
            c->baseline = c->engines[i];
    }
    if (!c->baseline)
        c->baseline = c->engines[0];
    c->settings.extra_options = c->extra_options;
    if (!c->directory[0]) {
        const char *temporary = getenv("TMPDIR");
        int size = snprintf(c->directory, sizeof c->directory, "%s/firn-bench.%ld",
                            temporary ? temporary : "/tmp", (long)getpid());
        if (size < 0 || (size_t)size >= sizeof c->directory)
            bench_fail("$TMPDIR is too long");
    }
}

void config_parse(bench_config *out, int argc, char **argv) {
    memset(out, 0, sizeof *out);
    out->rounds = 1;
    out->threads = 1;
    out->keys = 2000000;
    out->warmup = 100000;
    out->big_bytes = 512 << 20;
    out->recovery_bytes = 200 << 20;
    out->key = (key_maker){.shape = KEY_BINARY, .bytes = 16};
    out->value_bytes = 100;
    out->compressible_to = 0.5;
    out->seed = 1;
    out->trace_ms = 1000;
    out->settings = (engine_settings){
        .memtable_bytes = 64 << 20,
        .cache_bytes = 256 << 20,
        .map_bytes = (uint64_t)16 << 30,
        .block_bytes = 4096,
        .filter_bits = 10,
        .background_threads = 2,
        .compression = "none",
    };
    for (int at = 1; at < argc;)
        at += config_take(out, argv, at, argc);
    config_complete(out);
    config_check(out);
}
