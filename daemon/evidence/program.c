/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/evidence/program.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "daemon/kernel/fd.h"
#include "daemon/launch.h"
#include "policy/util/cleanup.h"

struct Program {
        const ProgramOps *ops;
        void *userdata;
        pid_t pid;
        int pidfd, out_fd;
        sd_event_source *exit, *out;
        char line[PROGRAM_LINE_MAX];
        size_t n_line;
};

static void program_take_line(Program *program) {
        char *space = strchr(program->line, ' ');
        char *rest = program->line + strlen(program->line);

        if (space) {
                *space = '\0';
                rest = space + 1;
        }
        program->ops->line(program, program->line, rest, program->userdata);
}

/* More than 0 while there is something, -EAGAIN when there is nothing now, 0 at the end. */
static ssize_t program_read(Program *program) {
        char *at = program->line + program->n_line, *end;
        ssize_t n;

        /* It makes no line that is longer; one that does is not listened to. */
        if (program->n_line == sizeof(program->line))
                return 0;
        n = read(program->out_fd, at, sizeof(program->line) - program->n_line);
        if (n < 0)
                return errno == EINTR ? -EAGAIN : -errno;
        program->n_line += (size_t) n;
        while ((end = memchr(program->line, '\n', program->n_line))) {
                char next[PROGRAM_LINE_MAX];

                *end = '\0';
                program->n_line -= (size_t) (end + 1 - program->line);
                memcpy(next, end + 1, program->n_line);
                program_take_line(program);
                memcpy(program->line, next, program->n_line);
        }
        return n;
}

static int program_dispatch_out(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Program *program = userdata;
        ssize_t n = program_read(program);

        if (n <= 0 && n != -EAGAIN)
                program->out = sd_event_source_disable_unref(program->out);
        return 0;
}

static int program_dispatch_exit(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Program *program = userdata;
        siginfo_t info = {};

        while (program_read(program) > 0)
                ;
        (void) waitid(P_PIDFD, (id_t) program->pidfd, &info, WEXITED | WNOHANG);
        program->pid = 0;
        program->exit = sd_event_source_disable_unref(program->exit);
        program->ops->ended(program, program->userdata);
        return 0;
}

int program_new(Program **ret,
                sd_event *event,
                const char *path,
                const char *const argv[],
                int stdin_fd,
                const ProgramOps *ops,
                void *userdata) {
        _cleanup_fd_ int out = -1;
        Program *program;
        int pipe_fds[2], r;

        program = calloc(1, sizeof(*program));
        if (!program)
                return -ENOMEM;
        program->ops = ops;
        program->userdata = userdata;
        program->pidfd = program->out_fd = -1;
        if (pipe2(pipe_fds, O_CLOEXEC) < 0) {
                r = -errno;
                goto fail;
        }
        program->out_fd = pipe_fds[0];
        out = pipe_fds[1];
        /* our end alone: the program may wait for us, not we for it */
        if (fcntl(program->out_fd, F_SETFL, O_NONBLOCK) < 0) {
                r = -errno;
                goto fail;
        }
        r = launch(&(Launch){ .path = path,
                              .argv = argv,
                              .environment = (const char *const[]){ NULL },
                              .fds = (const LaunchFd[]){ { stdin_fd, STDIN_FILENO },
                                                         { out, STDOUT_FILENO } },
                              .n_fds = 2 },
                   &program->pid);
        if (r < 0)
                goto fail;
        program->pidfd = pidfd_open(program->pid, 0);
        r = program->pidfd < 0 ? -errno : 0;
        if (r == 0)
                r = sd_event_add_io(event,
                                    &program->exit,
                                    program->pidfd,
                                    EPOLLIN,
                                    program_dispatch_exit,
                                    program);
        if (r >= 0)
                r = sd_event_add_io(
                        event, &program->out, program->out_fd, EPOLLIN, program_dispatch_out, program);
        if (r < 0)
                goto fail;
        *ret = program;
        return 0;
fail:
        program_free(program);
        return r;
}

void program_stop(Program *program) {
        if (program->pid > 0)
                (void) pidfd_send_signal(program->pidfd, SIGTERM, NULL, 0);
}

void program_kill(Program *program) {
        if (program->pid > 0)
                (void) pidfd_send_signal(program->pidfd, SIGKILL, NULL, 0);
}

Program *program_free(Program *program) {
        if (!program)
                return NULL;
        program_stop(program);
        sd_event_source_disable_unref(program->exit);
        sd_event_source_disable_unref(program->out);
        (void) fd_close(program->out_fd);
        (void) fd_close(program->pidfd);
        free(program);
        return NULL;
}
