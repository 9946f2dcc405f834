#include "child.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process.h"
#include "run.h"

enum { CHILD_STOP = UINT32_MAX };

struct child {
    pid_t pid;
    int socket; /* -1: it has died */
};

/* All of `size` bytes, or false: the other side is gone. */
static bool child_send(int socket, const void *data, size_t size) {
    const char *at = data;
    while (size) {
        ssize_t sent = send(socket, at, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return false;
        at += sent;
        size -= (size_t)sent;
    }
    return true;
}

static bool child_receive(int socket, void *data, size_t size) {
    char *at = data;
    while (size) {
        ssize_t got = recv(socket, at, size, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        at += got;
        size -= (size_t)got;
    }
    return true;
}

static void child_main(const bench_config *config, const engine_methods *engine, uint32_t round,
                       int socket) {
    bench b = {.config = config, .engine = engine, .round = round};
    snprintf(b.path, sizeof b.path, "%s/%s", config->directory, engine->name);
    if (config->reuse) {
        b.filled = b.complete = b.uncertain = true;
        b.key_count = b.live_keys = config->keys;
        b.value_bytes = config->value_bytes;
    } else {
        bench_empty(&b);
    }
    step_result *result = bench_alloc(sizeof *result);
    uint32_t index;
    while (child_receive(socket, &index, sizeof index) && index != CHILD_STOP) {
        memset(result, 0, sizeof *result);
        snprintf(result->engine, sizeof result->engine, "%s", engine->name);
        memcpy(result->step, config->steps[index].name, sizeof result->step);
        result->round = round;
        result->threads = config->steps[index].threads;
        bench_run(&b, &config->steps[index], result);
        if (!child_send(socket, result, sizeof *result))
            break;
    }
    if (!config->exit_without_close)
        bench_close(&b);
    free(result);
    /* Not exit(): what the parent has buffered for its files is not ours to write. */
    _exit(0);
}

child *child_new(const bench_config *config, const engine_methods *engine, uint32_t round) {
    int sockets[2];
    child *c = bench_alloc(sizeof *c);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) != 0)
        bench_fail("socketpair: %s", strerror(errno));
    c->pid = fork();
    if (c->pid < 0)
        bench_fail("fork: %s", strerror(errno));
    if (c->pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(sockets[0]);
        child_main(config, engine, round, sockets[1]);
    }
    close(sockets[1]);
    c->socket = sockets[0];
    return c;
}

static void child_gone(child *c) {
    close(c->socket);
    c->socket = -1;
}

bool child_run(child *c, uint32_t index, step_result *out) {
    if (c->socket < 0)
        return false;
    if (child_send(c->socket, &index, sizeof index) && child_receive(c->socket, out, sizeof *out))
        return true;
    child_gone(c);
    return false;
}

bool child_free(child *c) {
    uint32_t stop = CHILD_STOP;
    int state = 0;
    bool good = c->socket >= 0 && child_send(c->socket, &stop, sizeof stop);
    while (waitpid(c->pid, &state, 0) < 0 && errno == EINTR) {
    }
    if (c->socket >= 0)
        child_gone(c);
    if (WIFSIGNALED(state))
        fprintf(stderr, "firn-bench: a child was ended by signal %d\n", WTERMSIG(state));
    free(c);
    return good && WIFEXITED(state) && WEXITSTATUS(state) == 0;
}
