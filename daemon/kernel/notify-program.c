/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one difficulty is that we are root. So nobody but root may have had a hand in what is run, and
 * that is asked of every folder on the resolved way to it: then there is also nobody who could exchange
 * it between the question and the start. What comes from tocsind reaches the program as words that were
 * checked (notify-request.h) and as bytes to be read, never as an argument.
 */
#include "daemon/kernel/notify-program.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/kernel/fd.h"

_Static_assert(NOTIFY_PATH_SIZE >= PATH_MAX, "realpath() fills in so much");

/* Groups of one user. */
#define NOTIFY_GROUPS_MAX 64
/* What a shell says when it can't execute something. */
#define NOTIFY_EXIT_NOT_EXECUTED 127

/* As whom it runs. */
typedef struct NotifyUser {
        uid_t uid;
        gid_t gid;
        gid_t groups[NOTIFY_GROUPS_MAX];
        int n_groups;
        char *name, *home;
} NotifyUser;

typedef struct NotifyStart {
        char path[NOTIFY_PATH_SIZE];
        NotifyUser user;
        bool changes_user;
        char **environment;
        int input, output;
} NotifyStart;

static int notify_program_fail(char **ret_error, int r, const char *format, ...) _printf_(3, 4);

/* Sets the words and passes the code on. */
static int notify_program_fail(char **ret_error, int r, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        if (vasprintf(ret_error, format, ap) < 0)
                *ret_error = NULL;
        va_end(ap);
        return r;
}

static int notify_program_check_one(const char *path, uid_t owner, bool is_last, char **ret_error) {
        struct stat st;

        if (lstat(path, &st) < 0)
                return notify_program_fail(ret_error, -errno, "%s: %s", path, strerror(errno));
        if (st.st_uid != 0 && st.st_uid != owner)
                return notify_program_fail(
                        ret_error, -EPERM, "%s belongs to uid %u, not to root", path, st.st_uid);
        if (((st.st_mode & S_IWOTH) || ((st.st_mode & S_IWGRP) && st.st_gid != 0)) &&
            (is_last || !(st.st_mode & S_ISVTX)))
                return notify_program_fail(ret_error,
                                           -EPERM,
                                           "%s can be written to by others than root",
                                           path);
        if (is_last && (!S_ISREG(st.st_mode) || !(st.st_mode & S_IXUSR)))
                return notify_program_fail(ret_error, -EACCES, "%s is no program", path);
        return 0;
}

int notify_program_check(const char *path,
                         uid_t owner,
                         char ret[static NOTIFY_PATH_SIZE],
                         char **ret_error) {
        char resolved[NOTIFY_PATH_SIZE], part[NOTIFY_PATH_SIZE];
        int r;

        if (!realpath(path, resolved))
                return notify_program_fail(ret_error, -errno, "%s: %s", path, strerror(errno));
        r = notify_program_check_one("/", owner, false, ret_error);
        for (const char *end = resolved; r == 0 && *end;) {
                end = end + 1 + strcspn(end + 1, "/");
                memcpy(part, resolved, (size_t) (end - resolved));
                part[end - resolved] = '\0';
                r = notify_program_check_one(part, owner, *end == '\0', ret_error);
        }
        if (r == 0)
                memcpy(ret, resolved, sizeof(resolved));
        return r;
}

static int notify_user_find(const char *name, NotifyUser *ret, char **ret_error) {
        const struct passwd *entry;

        errno = 0;
        entry = name ? getpwnam(name) : getpwuid(geteuid());
        if (!entry)
                return notify_program_fail(ret_error,
                                           errno != 0 ? -errno : -ENOENT,
                                           "there is no user '%s' to run it",
                                           name ? name : "of this uid");
        ret->uid = entry->pw_uid;
        ret->gid = entry->pw_gid;
        ret->n_groups = NOTIFY_GROUPS_MAX;
        if (getgrouplist(entry->pw_name, entry->pw_gid, ret->groups, &ret->n_groups) < 0)
                return notify_program_fail(ret_error,
                                           -E2BIG,
                                           "user '%s' is in too many groups",
                                           entry->pw_name);
        ret->name = strdup(entry->pw_name);
        ret->home = strdup(entry->pw_dir);
        return ret->name && ret->home ? 0 : -ENOMEM;
}

static char **notify_environment_free(char **environment) {
        for (char **e = environment; e && *e; e++)
                free(*e);
        free(environment);
        return NULL;
}

static int notify_environment_add(char **at, const char *name, const char *value) {
        if (asprintf(at, "%s=%s", name, value) < 0) {
                *at = NULL;
                return -ENOMEM;
        }
        return 0;
}

static int notify_environment_new(char ***ret, const NotifyRequest *request, const NotifyUser *user) {
        char incident[32];
        const struct {
                const char *name, *value;
        } variables[] = {
                { "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
                { "LANG", "C.UTF-8" },
                { "USER", user->name },
                { "HOME", user->home },
                { "TOCSIN_NOTIFY", request->section },
                { "TOCSIN_INCIDENT", incident },
                { "TOCSIN_MACHINE", request->machine },
                { "TOCSIN_KIND", incident_kind_to_string(request->kind) },
                { "TOCSIN_STATUS", incident_status_to_string(request->status) },
                { "TOCSIN_ACTION", request->has_action ? action_to_string(request->action) : NULL },
        };
        char **environment = calloc(ELEMENTSOF(variables) + 1, sizeof(*environment));
        size_t n = 0;
        int r = environment ? 0 : -ENOMEM;

        (void) snprintf(incident, sizeof(incident), "%" PRIu64, request->incident);
        for (size_t i = 0; r == 0 && i < ELEMENTSOF(variables); i++)
                if (variables[i].value)
                        r = notify_environment_add(&environment[n++],
                                                   variables[i].name,
                                                   variables[i].value);
        if (r < 0) {
                notify_environment_free(environment);
                return r;
        }
        *ret = environment;
        return 0;
}

/* The record as a file nobody can change: it waits for no reader, and its end is its end. */
static int notify_input_new(const NotifyRequest *request, int *ret) {
        _cleanup_fd_ int fd = memfd_create("incident", MFD_CLOEXEC | MFD_ALLOW_SEALING);
        ssize_t n;

        if (fd < 0)
                return -errno;
        n = write(fd, request->record, request->n_record);
        if (n != (ssize_t) request->n_record)
                return n < 0 ? -errno : -EIO;
        if (lseek(fd, 0, SEEK_SET) < 0 ||
            fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
                return -errno;
        *ret = TAKE_FD(fd);
        return 0;
}

/* The child, between fork and exec. Where it fails, what it prints goes into the record. */
static void notify_program_exec(const NotifyStart *start) __attribute__((__noreturn__));

static void notify_program_exec(const NotifyStart *start) {
        char *argv[] = { (char *) (uintptr_t) start->path, NULL };
        const NotifyUser *user = &start->user;
        sigset_t none;

        (void) sigemptyset(&none);
        if (setsid() < 0 || dup2(start->input, STDIN_FILENO) < 0 ||
            dup2(start->output, STDOUT_FILENO) < 0 || dup2(start->output, STDERR_FILENO) < 0 ||
            close_range(STDERR_FILENO + 1, ~0U, 0) < 0 || chdir("/") < 0)
                goto fail;
        if (start->changes_user && (setgroups((size_t) user->n_groups, user->groups) < 0 ||
                                    setresgid(user->gid, user->gid, user->gid) < 0 ||
                                    setresuid(user->uid, user->uid, user->uid) < 0))
                goto fail;
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                goto fail;
        /* should we crash, nobody is left who knows its deadline */
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void) sigprocmask(SIG_SETMASK, &none, NULL);
        (void) execve(start->path, argv, start->environment);
fail:
        (void) dprintf(STDERR_FILENO, "it can't be executed: %s", strerror(errno));
        _exit(NOTIFY_EXIT_NOT_EXECUTED);
}

static int notify_program_prepare(NotifyStart *start,
                                  const NotifyConfig *config,
                                  const NotifyRequest *request,
                                  char **ret_error) {
        int r;

        start->changes_user = geteuid() == 0;
        r = notify_program_check(config->program, geteuid(), start->path, ret_error);
        if (r == 0)
                r = notify_user_find(start->changes_user ? config->user : NULL,
                                     &start->user,
                                     ret_error);
        if (r == 0)
                r = notify_environment_new(&start->environment, request, &start->user);
        if (r == 0)
                r = notify_input_new(request, &start->input);
        return r;
}

int notify_program_start(const NotifyConfig *config,
                         const NotifyRequest *request,
                         pid_t *ret_pid,
                         int *ret_output,
                         char **ret_error) {
        NotifyStart start = { .input = -1, .output = -1 };
        int r, pipe_fds[2] = { -1, -1 };
        pid_t pid = -1;

        r = notify_program_prepare(&start, config, request, ret_error);
        if (r == 0 && pipe2(pipe_fds, O_CLOEXEC) < 0)
                r = -errno;
        /* our end alone: the program may wait for us, not we for it */
        if (r == 0 && fcntl(pipe_fds[0], F_SETFL, O_NONBLOCK) < 0)
                r = -errno;
        if (r == 0) {
                start.output = pipe_fds[1];
                pid = fork();
                if (pid == 0)
                        notify_program_exec(&start);
                r = pid < 0 ? -errno : 0;
        }
        if (r == 0) {
                *ret_pid = pid;
                *ret_output = TAKE_FD(pipe_fds[0]);
        } else if (!*ret_error) {
                (void) notify_program_fail(ret_error, r, "it can't be started: %s", strerror(-r));
        }
        (void) fd_close(pipe_fds[0]);
        (void) fd_close(pipe_fds[1]);
        (void) fd_close(start.input);
        notify_environment_free(start.environment);
        free(start.user.name);
        free(start.user.home);
        return r;
}
