/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The process may do anything at any time: its bytes are read in pieces of bounded size, one piece a
 * turn, and the loop never waits for it, not even for its death: who kills it leaves its pidfd to the
 * loop, which reaps it. When its output closes it is killed at once; the status it then has tells
 * whether it had died already.
 */
#include "daemon/plugin/plugin-process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "daemon/kernel/fd.h"
#include "daemon/launch.h"
#include "daemon/report.h"
#include "policy/util/buffer.h"
#include "policy/util/moment.h"
#include "policy/util/size.h"

/* Read in one turn of the loop. */
#define PLUGIN_READ_SIZE 16384
/* Of stderr: a line in the log, lines in a window of time, and bytes in it before that is a failure. */
#define PLUGIN_LOG_LINE_MAX 512
#define PLUGIN_LOG_LINES 50
#define PLUGIN_LOG_BYTES ((size_t) 4 << 20)
#define PLUGIN_LOG_WINDOW_US (10 * USEC_PER_SEC)
/* Arguments of tocsin-plugin besides paths. */
#define PLUGIN_ARGUMENTS 4

struct PluginProcess {
        char *subject; /* "plugin NAME" */
        pid_t pid;
        int pidfd, in_fd, out_fd, log_fd; /* its stdin, stdout and stderr */
        sd_event *event;
        sd_event_source *writable, *readable, *log, *death;
        Buffer in, out, log_line;
        bool closing, output_closed, told;
        bool *gone; /* of a function that is to know whether it was freed meanwhile */
        uint64_t log_window_us;
        size_t log_bytes;
        unsigned log_lines;
        PluginProcessOps ops;
        void *userdata;
};

static uint64_t plugin_process_now(void) {
        struct timespec now;

        (void) clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t) now.tv_sec * USEC_PER_SEC + (uint64_t) now.tv_nsec / 1000;
}

pid_t plugin_process_get_pid(const PluginProcess *process) {
        return process->pid;
}

static void plugin_process_end(PluginProcess *p, const char *why) {
        if (p->told)
                return;
        p->told = true;
        p->ops.ended(why, p->userdata);
}

/* What is left of its bytes comes before its end. */
static int plugin_process_on_death(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        PluginProcess *p = userdata;
        siginfo_t info = {};
        char why[128];

        (void) sd_event_source_set_enabled(p->death, SD_EVENT_OFF);
        /* what it started goes too; the group has its number until the leader is reaped */
        (void) kill(-p->pid, SIGKILL);
        if (waitid(P_PIDFD, (id_t) p->pidfd, &info, WEXITED) < 0)
                (void) snprintf(why, sizeof(why), "it is gone: %s", strerror(errno));
        else if (info.si_code == CLD_EXITED)
                (void) snprintf(why, sizeof(why), "it exited with status %d", info.si_status);
        else if (p->output_closed && info.si_status == SIGKILL)
                (void) snprintf(why, sizeof(why), "it closed its output");
        else if (info.si_status == SIGXCPU)
                (void) snprintf(why, sizeof(why), "it used up its CPU time");
        else
                (void) snprintf(why,
                                sizeof(why),
                                "it was killed by SIG%s",
                                sigabbrev_np(info.si_status) ?: "?");
        p->pid = 0;
        plugin_process_end(p, why);
        return 0;
}

static void plugin_process_close_output(PluginProcess *p) {
        p->output_closed = true;
        (void) sd_event_source_set_enabled(p->readable, SD_EVENT_OFF);
        if (p->pid > 0)
                (void) kill(-p->pid, SIGKILL);
}

/* False: it was freed. */
static bool plugin_process_take_lines(PluginProcess *p) {
        bool gone = false;

        while (!gone && buffer_length(&p->in) > 0) {
                char *line = p->in.data + p->in.start;
                size_t length = buffer_length(&p->in);
                char *end = memchr(line, '\n', length);
                _cleanup_free_ char *copy = NULL;

                if (!end && length < PLUGIN_LINE_MAX)
                        return true;
                p->gone = &gone;
                if (!end) {
                        plugin_process_end(p, "it wrote a line without end");
                } else {
                        *end = '\0';
                        copy = strdup(line);
                        buffer_consume(&p->in, (size_t) (end - line) + 1);
                        if (copy)
                                p->ops.line(copy, p->userdata);
                }
                if (gone || !end)
                        return false;
                p->gone = NULL;
        }
        return !gone;
}

static void plugin_process_flush(PluginProcess *p) {
        while (p->in_fd >= 0 && buffer_length(&p->out) > 0) {
                ssize_t n = write(p->in_fd, buffer_content(&p->out), buffer_length(&p->out));

                if (n < 0 && errno == EAGAIN)
                        break;
                /* one that reads no more shows by its deadline, or its death */
                buffer_consume(&p->out, n < 0 ? buffer_length(&p->out) : (size_t) n);
        }
        if (p->writable)
                (void) sd_event_source_set_enabled(p->writable,
                                                   buffer_length(&p->out) > 0 ? SD_EVENT_ON
                                                                              : SD_EVENT_OFF);
        if (!p->closing || p->in_fd < 0 || buffer_length(&p->out) > 0)
                return;
        p->writable = sd_event_source_disable_unref(p->writable);
        (void) close(p->in_fd);
        p->in_fd = -1;
}

static int plugin_process_on_writable(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        plugin_process_flush(userdata);
        return 0;
}

static int plugin_process_on_readable(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        PluginProcess *p = userdata;
        ssize_t n;

        if (buffer_reserve(&p->in, PLUGIN_READ_SIZE) < 0) {
                plugin_process_end(p, "there is no memory for what it wrote");
                return 0;
        }
        n = read(fd, p->in.data + p->in.end, PLUGIN_READ_SIZE);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n <= 0) {
                plugin_process_close_output(p);
                return 0;
        }
        buffer_advance(&p->in, (size_t) n);
        (void) plugin_process_take_lines(p);
        return 0;
}

static void plugin_process_log_line(PluginProcess *p, const char *line, size_t n) {
        p->log_lines++;
        if (p->log_lines < PLUGIN_LOG_LINES)
                report(LOG_INFO,
                       p->subject,
                       "%.*s",
                       (int) (n < PLUGIN_LOG_LINE_MAX ? n : PLUGIN_LOG_LINE_MAX),
                       line);
        else if (p->log_lines == PLUGIN_LOG_LINES)
                report(LOG_WARNING,
                       p->subject,
                       "it says too much: the rest of these ten seconds is left out");
}

static int plugin_process_on_log(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        PluginProcess *p = userdata;
        char bytes[4096], *end;
        uint64_t now_us = plugin_process_now();
        ssize_t n = read(fd, bytes, sizeof(bytes));

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n <= 0)
                return sd_event_source_set_enabled(p->log, SD_EVENT_OFF);
        if (now_us - p->log_window_us >= PLUGIN_LOG_WINDOW_US) {
                p->log_window_us = now_us;
                p->log_lines = 0;
                p->log_bytes = 0;
        }
        p->log_bytes += (size_t) n;
        if (p->log_bytes > PLUGIN_LOG_BYTES) {
                plugin_process_end(p, "it wrote to stderr without end");
                return 0;
        }
        /* of a line that is too long the beginning is kept */
        (void) buffer_append(&p->log_line, bytes, (size_t) n);
        while (buffer_length(&p->log_line) > 0) {
                const char *line = buffer_content(&p->log_line);
                size_t length = buffer_length(&p->log_line);

                end = memchr(line, '\n', length);
                if (!end && length < PLUGIN_LINE_MAX - sizeof(bytes))
                        break;
                plugin_process_log_line(p, line, end ? (size_t) (end - line) : length);
                buffer_consume(&p->log_line, end ? (size_t) (end - line) + 1 : length);
        }
        return 0;
}

int plugin_process_send(PluginProcess *p, const char *line, size_t n) {
        int r;

        r = buffer_append(&p->out, line, n);
        if (r < 0)
                return r;
        plugin_process_flush(p);
        return 0;
}

void plugin_process_close_input(PluginProcess *p) {
        p->closing = true;
        plugin_process_flush(p);
}

/* "--read=PATH" and the like, to be freed. */
static int plugin_process_add_argument(char **argv, size_t *n, const char *option, const char *value) {
        if (asprintf(&argv[*n], "%s%s", option, value) < 0) {
                argv[*n] = NULL;
                return -ENOMEM;
        }
        (*n)++;
        return 0;
}

static int plugin_process_make_arguments(const char *host, const PluginConfig *config, char ***ret) {
        size_t n = 0, n_max = PLUGIN_ARGUMENTS;
        char number[24], **argv;
        int r;

        for (char **path = config->reads; path && *path; path++)
                n_max++;
        for (char **path = config->writes; path && *path; path++)
                n_max++;
        argv = calloc(n_max + 1, sizeof(*argv));
        if (!argv)
                return -ENOMEM;
        r = plugin_process_add_argument(argv, &n, host, "");
        if (r == 0 && config->memory != UINT64_MAX) {
                (void) snprintf(number, sizeof(number), "%llu", (unsigned long long) config->memory);
                r = plugin_process_add_argument(argv, &n, "--memory=", number);
        }
        for (char **path = config->reads; r == 0 && path && *path; path++)
                r = plugin_process_add_argument(argv, &n, "--read=", *path);
        for (char **path = config->writes; r == 0 && path && *path; path++)
                r = plugin_process_add_argument(argv, &n, "--write=", *path);
        if (r == 0)
                r = plugin_process_add_argument(argv,
                                                &n,
                                                config->module ? "--module=" : "--program=",
                                                config->module ?: config->program);
        *ret = argv;
        return r;
}

/* `fds` become its stdin, stdout and stderr. */
static int plugin_process_spawn(PluginProcess *p, char **argv, const int fds[static 3]) {
        /* nothing of tocsind's own environment is a plugin's business */
        static const char *const environment[] = { "PATH=/usr/bin:/bin:/usr/sbin:/sbin",
                                                   "LANG=C.UTF-8",
                                                   "PYTHONDONTWRITEBYTECODE=1",
                                                   NULL };
        const LaunchFd stdio[] = { { fds[0], STDIN_FILENO },
                                   { fds[1], STDOUT_FILENO },
                                   { fds[2], STDERR_FILENO } };
        int r;

        r = launch(&(Launch){ .path = argv[0],
                              .argv = (const char *const *) argv,
                              .environment = environment,
                              .fds = stdio,
                              .n_fds = ELEMENTSOF(stdio),
                              .own_group = true },
                   &p->pid);
        if (r < 0)
                p->pid = 0;
        return r;
}

/* One end is ours and never blocks. */
static int plugin_process_pipe(int *ret_read, int *ret_write, bool we_read) {
        int ends[2];

        if (pipe2(ends, O_CLOEXEC) < 0)
                return -errno;
        *ret_read = ends[0];
        *ret_write = ends[1];
        return fcntl(ends[we_read ? 0 : 1], F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

static int plugin_process_start(PluginProcess *p, const char *host, const PluginConfig *config) {
        _cleanup_fd_ int in = -1, out = -1, log = -1;
        char **argv = NULL;
        int r;

        r = plugin_process_pipe(&in, &p->in_fd, false);
        if (r == 0)
                r = plugin_process_pipe(&p->out_fd, &out, true);
        if (r == 0)
                r = plugin_process_pipe(&p->log_fd, &log, true);
        if (r == 0)
                r = plugin_process_make_arguments(host, config, &argv);
        if (r == 0)
                r = plugin_process_spawn(p, argv, (const int[]){ in, out, log });
        for (char **word = argv; word && *word; word++)
                free(*word);
        free(argv);
        if (r < 0)
                return r;
        p->pidfd = pidfd_open(p->pid, 0);
        return p->pidfd < 0 ? -errno : 0;
}

int plugin_process_new(PluginProcess **ret,
                       sd_event *event,
                       const char *host,
                       const PluginConfig *config,
                       const PluginProcessOps *ops,
                       void *userdata) {
        _cleanup_(plugin_process_freep) PluginProcess *p = calloc(1, sizeof(*p));
        int r;

        if (!p)
                return -ENOMEM;
        p->in_fd = p->out_fd = p->log_fd = p->pidfd = -1;
        p->event = sd_event_ref(event);
        p->ops = *ops;
        p->userdata = userdata;
        p->in.limit = PLUGIN_LINE_MAX + PLUGIN_READ_SIZE;
        p->log_line.limit = PLUGIN_LINE_MAX;
        p->out.limit = PLUGIN_QUEUE_MAX;
        if (asprintf(&p->subject, "plugin %s", config->name) < 0) {
                p->subject = NULL;
                return -ENOMEM;
        }
        r = plugin_process_start(p, host, config);
        if (r >= 0)
                r = sd_event_add_io(
                        event, &p->readable, p->out_fd, EPOLLIN, plugin_process_on_readable, p);
        if (r >= 0)
                r = sd_event_add_io(
                        event, &p->writable, p->in_fd, EPOLLOUT, plugin_process_on_writable, p);
        if (r >= 0)
                r = sd_event_source_set_enabled(p->writable, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_add_io(event, &p->log, p->log_fd, EPOLLIN, plugin_process_on_log, p);
        if (r >= 0)
                r = sd_event_add_io(event, &p->death, p->pidfd, EPOLLIN, plugin_process_on_death, p);
        /* what it wrote last is read before its death is told */
        if (r >= 0)
                r = sd_event_source_set_priority(p->death, SD_EVENT_PRIORITY_IDLE);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(p);
        return 0;
}

static int plugin_process_on_reap(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        siginfo_t info;

        (void) waitid(P_PIDFD, (id_t) fd, &info, WEXITED);
        (void) sd_event_source_set_floating(source, false);
        sd_event_source_disable_unref(source);
        return 0;
}

/* Its end is near, and the loop's to wait for. */
static void plugin_process_reap(PluginProcess *p) {
        sd_event_source *source;

        (void) kill(-p->pid, SIGKILL);
        (void) kill(p->pid, SIGKILL); /* before it has become the leader of its group */
        if (p->pidfd < 0 ||
            sd_event_add_io(p->event, &source, p->pidfd, EPOLLIN, plugin_process_on_reap, NULL) < 0)
                return;
        (void) sd_event_source_set_io_fd_own(source, true);
        (void) sd_event_source_set_floating(source, true);
        p->pidfd = -1;
}

PluginProcess *plugin_process_free(PluginProcess *p) {
        if (!p)
                return NULL;
        if (p->gone)
                *p->gone = true;
        sd_event_source_disable_unref(p->readable);
        sd_event_source_disable_unref(p->writable);
        sd_event_source_disable_unref(p->log);
        sd_event_source_disable_unref(p->death);
        if (p->pid > 0)
                plugin_process_reap(p);
        if (p->pidfd >= 0)
                (void) close(p->pidfd);
        if (p->in_fd >= 0)
                (void) close(p->in_fd);
        if (p->out_fd >= 0)
                (void) close(p->out_fd);
        if (p->log_fd >= 0)
                (void) close(p->log_fd);
        sd_event_unref(p->event);
        buffer_deinit(&p->in);
        buffer_deinit(&p->out);
        buffer_deinit(&p->log_line);
        free(p->subject);
        free(p);
        return NULL;
}
