/* The table of verbs: everything the tool can do, with its options and its help. */
#include "verbs.h"

#include <limits.h>
#include <string.h>

#define OPTION_RANGE                                        \
    {"from", "KEY", "start at KEY, included", 0},           \
        {"to", "KEY", "end before KEY, not included", 0}, { \
        "prefix", "P", "only keys that begin with P", 'p'   \
    }
#define OPTION_QUIET \
    { "quiet", NULL, "no progress bar and no summary", 'q' }
#define OPTION_END \
    { NULL, NULL, NULL, 0 }

static const cli_option put_options[] = {
    {"file", "FILE", "the value is the content of FILE", 'f'},
    {"raw", NULL, "take KEY and VALUE as they stand, backslashes too", 'r'},
    {"sync", NULL, "return only once the write is on stable storage", 's'},
    {"ttl", "SPAN", "the value expires after 500ms, 30s, 15m, 2h, 7d (seconds without unit)", 0},
    OPTION_END};

static const cli_option get_options[] = {
    {"with-expiry", NULL, "a line before the value: when it expires, or \"never\"", 0},
    {"format", "F", "raw (default), text (escaped, with a newline) or hex", 0},
    OPTION_END};

static const cli_option explain_options[] = {{"json", NULL, "one JSON object, for programs", 'j'},
                                             {"cached-only", NULL,
                                              "stop where the disk would have to be touched", 0},
                                             OPTION_END};

static const cli_option delete_options[] = {
    {"single", NULL, "each KEY was put once since it was last deleted", 0},
    {"raw", NULL, "take KEY as it stands, backslashes too", 'r'},
    {"sync", NULL, "return only once the deletion is on stable storage", 's'},
    OPTION_END};

static const cli_option delete_range_options[] = {
    {"raw", NULL, "take the keys as they stand, backslashes too", 'r'},
    {"sync", NULL, "return only once the deletion is on stable storage", 's'},
    OPTION_END};

static const cli_option scan_options[] = {OPTION_RANGE,
                                          {"limit", "N", "at most N entries", 'n'},
                                          {"reverse", NULL, "from the last key to the first", 'r'},
                                          {"keys-only", NULL, "no values", 'k'},
                                          {"format", "F", "text (default), json, hex or raw", 0},
                                          OPTION_END};

static const cli_option import_options[] = {
    {"format", "F", "tsv (default) or jsonl", 0},
    {"files", "DIR", "import the files below DIR instead of records", 0},
    {"prefix", "P", "with --files: put P before every key", 'p'},
    {"ack", "FILE", "keep the number of acknowledged records in FILE", 'a'},
    OPTION_QUIET,
    OPTION_END};

static const cli_option export_options[] = {
    {"format", "F", "tsv (default) or jsonl", 0},
    {"files", "DIR", "write each value to the file below DIR that its key names", 0},
    OPTION_RANGE,
    OPTION_QUIET,
    OPTION_END};

static const cli_option stats_options[] = {{"json", NULL, "one JSON object, for programs", 'j'},
                                           OPTION_END};

static const cli_option compact_options[] = {OPTION_RANGE, OPTION_QUIET, OPTION_END};

static const cli_option verify_options[] = {OPTION_QUIET, OPTION_END};

static const cli_option repair_options[] = {
    {"plan", NULL, "say what would be done and lost, and change nothing", 0},
    {"json", NULL, "one JSON object per line, for programs", 'j'},
    OPTION_QUIET,
    OPTION_END};

static const cli_option shell_options[] = {{"read-only", NULL,
                                            "open for reading only, also beside a writer", 0},
                                           {"keep-going", NULL, "a script goes on after an error",
                                            'k'},
                                           OPTION_END};

static const cli_verb verbs_table[] = {
    {.name = "put",
     .alias = "set",
     .summary = "set a key to a value",
     .usage = "DB KEY VALUE | DB KEY - | DB KEY --file FILE",
     .help =
         "KEY and VALUE may hold \\\\ \\t \\n \\r \\0 \\xHH for any bytes. A VALUE of \"-\" is\n"
         "read from standard input, as it is. The database is created if it is missing.",
     .options = put_options,
     .positional_min = 2,
     .positional_max = 3,
     .engine_options = true,
     .in_shell = true,
     .run = verb_put},
    {.name = "get",
     .summary = "write a key's value to standard output",
     .usage = "DB KEY...",
     .help = "The value's bytes and nothing else, no newline added. Exit status 1 if there is no\n"
             "such key. In the shell the value is shown as text. Several keys are read at one\n"
             "moment and shown as text, a line each, in the order given.",
     .options = get_options,
     .positional_min = 2,
     .positional_max = INT_MAX,
     .engine_options = true,
     .in_shell = true,
     .run = verb_get},
    {.name = "explain",
     .summary = "show what reading a key does: places asked, filters, blocks, time",
     .usage = "DB KEY [--json]",
     .help =
         "Asks as get does and tells each memtable and table on the way: what its filter said,\n"
         "whether blocks came from the cache or the file, and how long it took. Tables whose\n"
         "range cannot hold the key are not asked.",
     .options = explain_options,
     .positional_min = 2,
     .positional_max = 2,
     .engine_options = true,
     .in_shell = true,
     .run = verb_explain},
    {.name = "delete",
     .alias = "del",
     .summary = "remove keys",
     .usage = "DB KEY...",
     .help = "Whether or not they were there. Several keys are removed together: all or none.",
     .options = delete_options,
     .positional_min = 2,
     .positional_max = INT_MAX,
     .engine_options = true,
     .in_shell = true,
     .run = verb_delete},
    {.name = "delete-range",
     .summary = "remove all keys between two",
     .usage = "DB FROM TO",
     .help = "FROM is removed, TO is not. One small write, however many keys there are.",
     .options = delete_range_options,
     .positional_min = 3,
     .positional_max = 3,
     .engine_options = true,
     .in_shell = true,
     .run = verb_delete_range},
    {.name = "scan",
     .summary = "list entries in key order",
     .usage = "DB [OPTIONS]",
     .help = "Formats, one entry a line:\n"
             "  text  key, tab, value, both escaped as they can be typed (and imported)\n"
             "  json  {\"key\":..,\"value\":..}; key_b64, value_b64 where it is not UTF-8\n"
             "  hex   key, tab, value in hexadecimal\n"
             "  raw   key, tab, value, newline as they are",
     .options = scan_options,
     .positional_min = 1,
     .positional_max = 1,
     .engine_options = true,
     .in_shell = true,
     .run = verb_scan},
    {.name = "import",
     .summary = "read records, or a tree of files, into a database",
     .usage = "DB [FILE|-] [OPTIONS] | DB --files DIR [OPTIONS]",
     .help =
         "tsv    key, tab, value on a line, with \\\\ \\t \\n \\r \\0 \\xHH as escapes\n"
         "jsonl  {\"key\":\"..\",\"value\":\"..\"} on a line, or key_b64 and value_b64\n"
         "A value that expires has the time behind it, in milliseconds since 1970: behind\n"
         "another tab, or as \"expires_at_ms\":1700000000000.\n"
         "A malformed line stops the import; the lines before it are imported.\n\n"
         "--files takes every regular file below DIR, in the order of the keys: the key is P\n"
         "(--prefix) and the path below DIR, the value is the content. Symbolic links are not\n"
         "followed. What cannot be read is reported and skipped, and the exit status is 3.\n\n"
         "--ack FILE always holds how many records are acknowledged, in the order of the input.\n"
         "After a kill at any moment so many are safe. A database that is missing is created.",
     .options = import_options,
     .positional_min = 1,
     .positional_max = 2,
     .engine_options = true,
     .run = verb_import},
    {.name = "export",
     .summary = "write all records, or files, so that import takes them back",
     .usage = "DB [OPTIONS]",
     .help = "Records go to standard output, as of one moment, with the time at which a value\n"
             "expires. --files DIR is the way back from import --files, and leaves that time out;\n"
             "DIR must be new or empty. A key that is no plain relative path is reported and left\n"
             "out, and the exit status is 3.",
     .options = export_options,
     .positional_min = 1,
     .positional_max = 1,
     .engine_options = true,
     .in_shell = true,
     .run = verb_export},
    {.name = "stats",
     .summary = "show sizes, counters and a picture of the levels",
     .usage = "DB [--json]",
     .options = stats_options,
     .positional_min = 1,
     .positional_max = 1,
     .engine_options = true,
     .in_shell = true,
     .run = verb_stats},
    {.name = "sync",
     .summary = "put everything written so far on stable storage",
     .usage = "DB",
     .positional_min = 1,
     .positional_max = 1,
     .engine_options = true,
     .in_shell = true,
     .run = verb_sync},
    {.name = "flush",
     .summary = "write the memtable to a table file",
     .usage = "DB",
     .positional_min = 1,
     .positional_max = 1,
     .engine_options = true,
     .in_shell = true,
     .run = verb_flush},
    {.name = "compact",
     .summary = "merge the tables down, dropping what is overwritten and deleted",
     .usage = "DB [OPTIONS]",
     .help = "With --from, --to or --prefix only the tables that overlap that range.",
     .options = compact_options,
     .positional_min = 1,
     .positional_max = 1,
     .engine_options = true,
     .in_shell = true,
     .run = verb_compact},
    {.name = "pause",
     .summary = "in the shell: start no more compactions by itself",
     .usage = "DB",
     .help = "Those that run go on to their end, flushes and compact work as ever. For a while of\n"
             "much writing, or of much reading; resume ends it.",
     .positional_min = 1,
     .positional_max = 1,
     .engine_options = true,
     .in_shell = true,
     .run = verb_pause},
    {.name = "resume",
     .summary = "in the shell: compactions start by themselves again",
     .usage = "DB",
     .help = "Once for each pause.",
     .positional_min = 1,
     .positional_max = 1,
     .engine_options = true,
     .in_shell = true,
     .run = verb_resume},
    {.name = "wait",
     .summary = "in the shell: wait until no flush or compaction runs or is due",
     .usage = "DB",
     .help = "stats shows what runs, how far it is and how long it will take.",
     .positional_min = 1,
     .positional_max = 1,
     .engine_options = true,
     .in_shell = true,
     .run = verb_wait},
    {.name = "verify",
     .summary = "read and check every byte of every file",
     .usage = "DB",
     .help = "Checksums, key order, counts and bounds. Each problem is one line that names the\n"
             "file and the offset; with problems the exit status is 3. Changes nothing.",
     .options = verify_options,
     .positional_min = 1,
     .positional_max = 1,
     .engine_options = true,
     .run = verb_verify},
    {.name = "repair",
     .summary = "make a damaged database usable again",
     .usage = "DB [OPTIONS]",
     .help = "Keeps what is undamaged, and says what is lost: files, offsets, key ranges.\n"
             "Originals that were damaged are copied to DB/lost/repair-N first. Nobody may have\n"
             "the database open. Look at --plan before: its exit status is 4 where there is\n"
             "something to repair.",
     .options = repair_options,
     .positional_min = 1,
     .positional_max = 1,
     .engine_options = true,
     .run = verb_repair},
    {.name = "inspect",
     .summary = "show what is in a log, table or manifest file",
     .usage = "FILE",
     .positional_min = 1,
     .positional_max = 1,
     .engine_options = true,
     .run = verb_inspect},
    {.name = "shell",
     .summary = "work on an open database interactively, or run a script",
     .usage = "DB [OPTIONS]",
     .help = "Knows put, get, delete, scan, stats and most other verbs, without DB. Words are\n"
             "separated by blanks; quotes keep blanks, # starts a comment. On a terminal lines\n"
             "can be edited and are remembered in ~/.firn_history. Otherwise standard input is\n"
             "a script, which ends at the first error with that exit status.",
     .options = shell_options,
     .positional_min = 1,
     .positional_max = 1,
     .engine_options = true,
     .run = verb_shell},
    {.name = "options",
     .summary = "list the engine options that -o takes",
     .usage = "",
     .run = verb_options},
    {.name = "help",
     .summary = "tell about the verbs, or one of them",
     .usage = "[VERB]",
     .positional_max = 1,
     .run = verb_help},
    {.name = "version", .summary = "say which version this is", .usage = "", .run = verb_version},
};

#undef OPTION_RANGE
#undef OPTION_QUIET
#undef OPTION_END

enum { VERB_COUNT = sizeof verbs_table / sizeof verbs_table[0] };

const cli_verb *cli_verb_at(size_t position) {
    return position < VERB_COUNT ? &verbs_table[position] : NULL;
}

const cli_verb *cli_verb_find(const char *name) {
    for (size_t i = 0; i < VERB_COUNT; i++) {
        const cli_verb *verb = &verbs_table[i];
        if (strcmp(verb->name, name) == 0 || (verb->alias && strcmp(verb->alias, name) == 0))
            return verb;
    }
    return NULL;
}

/* Edits (insert, drop, replace) from `a` to `b`: Levenshtein's distance, one row at a time. */
static size_t verbs_distance(const char *a, const char *b) {
    enum { NAME_BYTES_MAX = 15 };
    size_t row[NAME_BYTES_MAX + 1], b_size = strlen(b);
    if (strlen(a) > NAME_BYTES_MAX || b_size > NAME_BYTES_MAX)
        return SIZE_MAX;
    for (size_t j = 0; j <= b_size; j++)
        row[j] = j;
    for (size_t i = 0; a[i]; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 0; j < b_size; j++) {
            size_t replaced = diagonal + (a[i] != b[j]);
            size_t dropped = row[j + 1] + 1, inserted = row[j] + 1;
            diagonal = row[j + 1];
            row[j + 1] = dropped < inserted ? dropped : inserted;
            if (replaced < row[j + 1])
                row[j + 1] = replaced;
        }
    }
    return row[b_size];
}

const cli_verb *cli_verb_nearest(const char *name) {
    const cli_verb *nearest = NULL;
    size_t least = 3;
    for (size_t i = 0; i < VERB_COUNT; i++) {
        size_t distance = verbs_distance(name, verbs_table[i].name);
        if (distance < least && distance < strlen(verbs_table[i].name)) {
            least = distance;
            nearest = &verbs_table[i];
        }
    }
    return nearest;
}
