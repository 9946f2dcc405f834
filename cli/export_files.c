/* firn export --files DIR: the way back from import --files.
 *
 * Keys decide where files go, so they are not trusted: DIR must be new or empty, a key must be a
 * plain relative path, and no file is written through a symbolic link (there are none in a tree
 * that only we made) or over another. Keys that are no such path are reported and left out. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "args.h"
#include "escape.h"
#include "export.h"
#include "output.h"
#include "util/buf.h"
#include "util/text.h"

typedef struct export_tree {
    cli_call *call;
    const char *root;
    int root_fd;
    uint64_t files, bytes, skipped;
    char made[PATH_MAX]; /* the folder made last, most often that of the next file too */
} export_tree;

/* One component: not empty, not "." or "..", not too long. */
static bool export_is_name(const char *name, size_t size) {
    if (size == 0 || size > NAME_MAX)
        return false;
    return !(name[0] == '.' && (size == 1 || (size == 2 && name[1] == '.')));
}

/* Copies the key to `path` if it is a relative path without tricks. */
static bool export_path(firn_slice key, char path[PATH_MAX]) {
    if (key.size == 0 || key.size >= PATH_MAX || memchr(key.data, '\0', key.size))
        return false;
    memcpy(path, key.data, key.size);
    path[key.size] = '\0';
    for (const char *name = path;;) {
        size_t size = strcspn(name, "/");
        if (!export_is_name(name, size))
            return false;
        if (name[size] == '\0')
            return true;
        name += size + 1;
    }
}

/* Makes the folders above `path`. 0 or errno. */
static int export_make_folders(export_tree *tree, char *path) {
    char *last = strrchr(path, '/');
    if (!last)
        return 0;
    *last = '\0';
    int failed = 0;
    if (strcmp(path, tree->made) != 0) {
        for (char *slash = path; slash && !failed;) {
            slash = strchr(slash + 1, '/');
            if (slash)
                *slash = '\0';
            if (mkdirat(tree->root_fd, path, 0777) != 0 && errno != EEXIST)
                failed = errno;
            if (slash)
                *slash = '/';
        }
        if (!failed)
            memcpy(tree->made, path, strlen(path) + 1);
    }
    *last = '/';
    return failed;
}

static int export_write_file(export_tree *tree, const char *path, firn_slice value) {
    int fd =
        openat(tree->root_fd, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (fd < 0)
        return errno;
    int failed = output_write_all(fd, value.data, value.size);
    if (close(fd) != 0 && !failed)
        failed = errno;
    return failed;
}

static void export_skip(export_tree *tree, firn_slice key, const char *why) {
    buf shown = {0};
    escape_append(&shown, key);
    cli_message(tree->call, "key %.*s: %s, skipped", (int)(shown.size > 200 ? 200 : shown.size),
                (const char *)buf_slice(&shown).data, why);
    buf_deinit(&shown);
    tree->skipped++;
}

static int export_file(void *context, const export_record *record) {
    export_tree *tree = context;
    char path[PATH_MAX];
    if (!export_path(record->key, path)) {
        export_skip(tree, record->key, "not a relative path");
        return CLI_OK;
    }
    int failed = export_make_folders(tree, path);
    if (!failed)
        failed = export_write_file(tree, path, record->value);
    /* These are the key's fault: another key is a folder or file of that name, or it is long. */
    if (failed == EEXIST || failed == ENOTDIR || failed == EISDIR || failed == ENAMETOOLONG) {
        export_skip(tree, record->key, strerror(failed));
        return CLI_OK;
    }
    if (failed)
        return cli_os_error(tree->call, path, failed);
    tree->files++;
    tree->bytes += record->value.size;
    return CLI_OK;
}

/* Opens DIR, made if missing, and insists that it is empty. */
static int export_open_root(export_tree *tree) {
    if (mkdir(tree->root, 0777) != 0 && errno != EEXIST)
        return cli_os_error(tree->call, tree->root, errno);
    tree->root_fd = open(tree->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int listing_fd = tree->root_fd < 0 ? -1 : dup(tree->root_fd);
    DIR *listing = listing_fd < 0 ? NULL : fdopendir(listing_fd);
    if (!listing) {
        int failed = errno;
        if (listing_fd >= 0)
            (void)close(listing_fd);
        return cli_os_error(tree->call, tree->root, failed);
    }
    int code = CLI_OK;
    for (struct dirent *entry; code == CLI_OK && (entry = readdir(listing)) != NULL;) {
        if (export_is_name(entry->d_name, strlen(entry->d_name))) {
            cli_message(tree->call, "%s is not empty; files are only written to a new folder",
                        tree->root);
            code = CLI_FAILED;
        }
    }
    (void)closedir(listing);
    return code;
}

static void export_summary(const export_tree *tree) {
    char count[32], bytes[16];
    if (!args_given(tree->call, "quiet"))
        cli_message(tree->call, "%s file%s, %s", cli_count(tree->files, count),
                    cli_plural(tree->files), text_bytes(tree->bytes, bytes));
    if (tree->skipped > 0)
        cli_message(tree->call, "%s key%s left out", cli_count(tree->skipped, count),
                    cli_plural(tree->skipped));
}

int export_files(cli_call *call, const char *root) {
    export_tree tree = {.call = call, .root = root, .root_fd = -1};
    int code = export_open_root(&tree);
    if (code == CLI_OK) {
        code = export_walk(call, !args_given(call, "quiet"), export_file, &tree);
        if (code == CLI_OK)
            export_summary(&tree);
    }
    if (tree.root_fd >= 0)
        (void)close(tree.root_fd);
    return code == CLI_OK && tree.skipped > 0 ? CLI_FAILED : code;
}
