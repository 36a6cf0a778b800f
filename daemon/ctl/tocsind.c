/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ctl/tocsind.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "policy/util/buffer.h"
#include "policy/util/cleanup.h"

#define TOCSIND "tocsind"
/* Effective configurations are a few kilobytes; ten thousand rules are two megabytes. */
#define TOCSIND_OUTPUT_MAX (16 << 20)

/* From the folder of this tocsinctl: where both are installed, and where both are built. */
static const char *const tocsind_places[] = { "../sbin/" TOCSIND, "../" TOCSIND };

/* Returns when there is none, else never. */
static void tocsind_exec_neighbour(const char *what, const char *file) {
        char self[PATH_MAX];
        ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
        char *slash;

        if (n < 0)
                return;
        self[n] = '\0';
        slash = strrchr(self, '/');
        for (size_t i = 0; slash && i < ELEMENTSOF(tocsind_places); i++) {
                _cleanup_free_ char *path = NULL;

                if (asprintf(&path, "%.*s/%s", (int) (slash - self), self, tocsind_places[i]) < 0)
                        return;
                (void) execl(path, TOCSIND, what, file ? "--config" : NULL, file, NULL);
        }
}

int tocsind_exec(const char *what, const char *file) {
        int r;

        tocsind_exec_neighbour(what, file);
        (void) execlp(TOCSIND, TOCSIND, what, file ? "--config" : NULL, file, NULL);
        r = -errno;
        perror("tocsinctl: " TOCSIND);
        return r;
}

static int tocsind_collect(int fd, char **ret) {
        _cleanup_(buffer_deinit) Buffer output = { .limit = TOCSIND_OUTPUT_MAX };
        char part[4096];
        ssize_t n;
        int r = 0;

        while (r == 0 && (n = read(fd, part, sizeof(part))) != 0) {
                if (n > 0)
                        r = buffer_append(&output, part, (size_t) n);
                else if (errno != EINTR)
                        r = -errno;
        }
        if (r < 0)
                return r;
        *ret = buffer_take_string(&output);
        return *ret ? 0 : -ENOMEM;
}

int tocsind_read(const char *what, const char *file, char **ret) {
        _cleanup_free_ char *output = NULL;
        int fds[2], status, r;
        pid_t pid;

        if (pipe(fds) < 0)
                return -errno;
        pid = fork();
        if (pid == 0) {
                (void) dup2(fds[1], STDOUT_FILENO);
                (void) close(fds[0]);
                (void) close(fds[1]);
                (void) tocsind_exec(what, file);
                _exit(127);
        }
        r = pid < 0 ? -errno : 0;
        (void) close(fds[1]);
        if (r == 0)
                r = tocsind_collect(fds[0], &output);
        (void) close(fds[0]);
        if (pid > 0)
                while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
                        ;
        if (r < 0)
                return r;
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
                return 1;
        *ret = TAKE_PTR(output);
        return 0;
}
