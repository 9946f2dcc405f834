/* firn: the command-line tool. Finds the verb, runs it, and answers for standard output. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "args.h"
#include "verbs.h"

/* A database file must never be given descriptor 0, 1 or 2 by a caller who closed them: the next
 * message would be written into it. The stand-ins refuse what the closed ones would have refused.
 */
static void main_occupy_standard_descriptors(void) {
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
}

int cli_run(const cli_verb *verb, const cli_setting *setting, int argc, char **argv) {
    cli_call call = {
        .verb = verb,
        .label = setting->label,
        .out = setting->out,
        .engine = FIRN_OPTIONS_INIT,
        .session = setting->session,
    };
    int code = args_parse(&call, argc, argv);
    if (code != CLI_OK)
        return code;
    if (call.wants_help) {
        verb_print_help(call.out, verb);
        return CLI_OK;
    }
    return verb->run(&call);
}

static int main_unknown_verb(const char *name) {
    const cli_verb *nearest = cli_verb_nearest(name);
    (void)fprintf(stderr, "firn: there is no verb \"%s\"", name);
    if (nearest)
        (void)fprintf(stderr, "; did you mean \"%s\"?\n", nearest->name);
    else
        (void)fprintf(stderr, "; \"firn help\" lists them\n");
    return CLI_USAGE;
}

static const char *main_verb_name(const char *word) {
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        return "help";
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0)
        return "version";
    return word;
}

static int main_run(output *out, int argc, char **argv) {
    char label[32];
    const cli_verb *verb = cli_verb_find(main_verb_name(argv[0]));
    if (!verb)
        return main_unknown_verb(argv[0]);
    (void)snprintf(label, sizeof label, "firn %s", verb->name);
    int code = cli_run(verb, &(cli_setting){label, out, NULL}, argc, argv);
    bool written = output_finish(out);
    int os_errno = out->os_errno;
    /* Some file systems only say at the close that there was no room. */
    if (written && os_errno == 0 && close(out->fd) != 0) {
        os_errno = errno;
        written = false;
    }
    if (written)
        return code;
    (void)fprintf(stderr, "%s: standard output: %s\n", label, strerror(os_errno));
    return CLI_FAILED;
}

int main(int argc, char **argv) {
    static output out = {.fd = STDOUT_FILENO};
    static char help[] = "help";
    char *overview[] = {help, NULL};
    main_occupy_standard_descriptors();
    /* A reader that goes away shows as EPIPE and a file size limit as EFBIG, so that the database
     * is closed in good order. */
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN);
    if (argc < 2) {
        out.fd = STDERR_FILENO;
        (void)main_run(&out, 1, overview);
        return CLI_USAGE;
    }
    return main_run(&out, argc - 1, argv + 1);
}
