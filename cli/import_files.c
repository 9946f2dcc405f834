/* firn import --files DIR: key = the path below DIR, value = the content.
 *
 * The tree is listed first and sorted by key. So the progress bar knows the whole, keys arrive in
 * order, and "N acknowledged" means the first N files of the sorted list, which a script can
 * compare. Symbolic links are not followed; sockets, devices and pipes are passed over. */
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "args.h"
#include "import.h"
#include "util/buf.h"
#include "util/text.h"

/* No value is larger than 1 GiB. */
static const size_t import_file_bytes_max = (size_t)1 << 30;

typedef struct import_file {
    char *path; /* below the root */
} import_file;

typedef struct import_tree {
    cli_call *call;
    import_file *files;
    size_t count, capacity;
    uint64_t total_bytes;
    uint64_t skipped;      /* reported already */
    dev_t database_device; /* the database itself, should it lie inside the tree */
    ino_t database_inode;
} import_tree;

static void import_tree_skip(import_tree *tree, const char *path, const char *why) {
    cli_message(tree->call, "%s: %s, skipped", path, why);
    tree->skipped++;
}

static int import_tree_add(import_tree *tree, const char *path, uint64_t bytes) {
    if (tree->count == tree->capacity) {
        size_t capacity = tree->capacity ? tree->capacity * 2 : 1024;
        import_file *files = reallocarray(tree->files, capacity, sizeof *files);
        if (!files)
            return cli_no_memory(tree->call);
        tree->files = files;
        tree->capacity = capacity;
    }
    char *copy = strdup(path);
    if (!copy)
        return cli_no_memory(tree->call);
    tree->files[tree->count++].path = copy;
    tree->total_bytes += bytes;
    return CLI_OK;
}

static bool import_tree_is_database(const import_tree *tree, const struct stat *st) {
    return st->st_ino == tree->database_inode && st->st_dev == tree->database_device;
}

static int import_tree_visit(import_tree *tree, FTS *walk, FTSENT *entry, size_t root_size) {
    const char *below;
    switch (entry->fts_info) {
    case FTS_D:
        if (import_tree_is_database(tree, entry->fts_statp))
            (void)fts_set(walk, entry, FTS_SKIP);
        return CLI_OK;
    case FTS_F:
        below = entry->fts_path + root_size;
        while (*below == '/')
            below++;
        return import_tree_add(tree, below, (uint64_t)entry->fts_statp->st_size);
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
        import_tree_skip(tree, entry->fts_path, strerror(entry->fts_errno));
        return CLI_OK;
    default:
        return CLI_OK;
    }
}

static int import_file_compare(const void *a, const void *b) {
    return strcmp(((const import_file *)a)->path, ((const import_file *)b)->path);
}

static int import_tree_read(import_tree *tree, const char *root) {
    char *roots[] = {(char *)(uintptr_t)root, NULL};
    int code = CLI_OK;
    FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, NULL);
    if (!walk)
        return cli_os_error(tree->call, root, errno);
    FTSENT *entry;
    while (code == CLI_OK && (errno = 0, entry = fts_read(walk)) != NULL)
        code = import_tree_visit(tree, walk, entry, strlen(root));
    if (code == CLI_OK && errno != 0)
        code = cli_os_error(tree->call, root, errno);
    (void)fts_close(walk);
    if (tree->count > 0)
        qsort(tree->files, tree->count, sizeof *tree->files, import_file_compare);
    return code;
}

/* Until the end of the file, whatever its size was when it was listed. 0 or errno. */
static int import_read_all(int fd, buf *content) {
    enum { READ_BYTES = 256 * 1024 };
    buf_clear(content);
    for (;;) {
        uint8_t *to = buf_reserve(content, READ_BYTES);
        if (!to)
            return ENOMEM;
        ssize_t got = read(fd, to, READ_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return errno;
        if (got == 0)
            return 0;
        content->size += (size_t)got;
        if (content->size > import_file_bytes_max)
            return EFBIG;
    }
}

/* NULL, or why the file cannot be taken. */
static const char *import_read_file(int root_fd, const char *path, buf *content) {
    struct stat st;
    int fd = openat(root_fd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0)
        return strerror(errno);
    const char *why = NULL;
    if (fstat(fd, &st) != 0)
        why = strerror(errno);
    else if (!S_ISREG(st.st_mode))
        why = "no longer a regular file";
    else if (st.st_size > (off_t)import_file_bytes_max)
        why = "larger than a value can be (1 GiB)";
    if (!why) {
        int os_errno = import_read_all(fd, content);
        why = os_errno ? strerror(os_errno) : NULL;
    }
    (void)close(fd);
    return why;
}

static int import_tree_store(import_tree *tree, import_sink *sink, int root_fd, buf *prefix) {
    size_t prefix_size = prefix->size;
    uint64_t bytes = 0;
    buf content = {0};
    int code = CLI_OK;
    for (size_t i = 0; i < tree->count && code == CLI_OK; i++) {
        const char *path = tree->files[i].path;
        prefix->size = prefix_size;
        buf_append(prefix, path, strlen(path));
        if (prefix->out_of_memory) {
            code = cli_no_memory(tree->call);
            break;
        }
        const char *why = prefix->size > UINT16_MAX ? "the path is longer than a key can be"
                                                    : import_read_file(root_fd, path, &content);
        if (why) {
            import_tree_skip(tree, path, why);
            continue;
        }
        bytes += content.size;
        code = import_sink_put(sink, buf_slice(prefix), buf_slice(&content), 0);
        progress_update(&sink->bar, i + 1, bytes);
    }
    buf_deinit(&content);
    int flushed = import_sink_flush(sink);
    return code == CLI_OK ? flushed : code;
}

static void import_tree_summary(const import_tree *tree, const import_sink *sink, double seconds) {
    char count[32], bytes[16];
    if (!args_given(tree->call, "quiet"))
        cli_message(tree->call, "%s file%s, %s in %.1f s", cli_count(sink->acknowledged, count),
                    cli_plural(sink->acknowledged), text_bytes(sink->acknowledged_bytes, bytes),
                    seconds);
    if (tree->skipped > 0)
        cli_message(tree->call, "%s file%s or folder%s could not be read",
                    cli_count(tree->skipped, count), cli_plural(tree->skipped),
                    cli_plural(tree->skipped));
}

static int import_tree_run(import_tree *tree, const char *root, int root_fd, buf *prefix) {
    struct stat st;
    import_sink sink;
    int code = import_sink_open(&sink, tree->call);
    /* After the open, for it may have created the directory. */
    if (stat(tree->call->positional[0], &st) == 0) {
        tree->database_device = st.st_dev;
        tree->database_inode = st.st_ino;
    }
    if (code == CLI_OK)
        code = import_tree_read(tree, root);
    if (code == CLI_OK) {
        progress_start(&sink.bar, !args_given(tree->call, "quiet"), "files", tree->total_bytes);
        code = import_tree_store(tree, &sink, root_fd, prefix);
        double seconds = progress_seconds(&sink.bar);
        code = import_sink_close(&sink, code);
        import_tree_summary(tree, &sink, seconds);
    } else {
        code = import_sink_close(&sink, code);
    }
    return code == CLI_OK && tree->skipped > 0 ? CLI_FAILED : code;
}

int import_files(cli_call *call) {
    const char *root = args_text(call, "files");
    const char *typed_prefix = args_text(call, "prefix");
    import_tree tree = {.call = call};
    buf prefix = {0};
    int code = args_bytes(call, "prefix", typed_prefix ? typed_prefix : "", &prefix);
    int root_fd = -1;
    if (code == CLI_OK) {
        root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        code = root_fd < 0 ? cli_os_error(call, root, errno)
                           : import_tree_run(&tree, root, root_fd, &prefix);
    }
    for (size_t i = 0; i < tree.count; i++)
        free(tree.files[i].path);
    free(tree.files);
    buf_deinit(&prefix);
    if (root_fd >= 0)
        (void)close(root_fd);
    return code;
}
