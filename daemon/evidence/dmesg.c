/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * makedumpfile parses memory that a guest has filled, and is no program of ours: so it runs as a plugin
 * does, with the dump to read and /tmp to write to, where it wants a file of its own and can't be told
 * otherwise; under systemd that is tocsind's private one. What it writes and says goes to a folder there,
 * which is thrown away.
 */
#include "daemon/evidence/dmesg.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/evidence/confine.h"
#include "daemon/kernel/fd.h"
#include "plugins/sdk/host/confine.h"

#define DMESG_PROGRAM "makedumpfile"
#define DMESG_LOG "dmesg.txt"
#define DMESG_SAID "said"
/* Bitmaps of a guest's pages: 64 MiB for 1 TiB of memory. */
#ifndef CONFINE_MEMORY
#define DMESG_MEMORY (UINT64_C(512) << 20)
#else
#define DMESG_MEMORY UINT64_MAX
#endif
#define DMESG_NOT_FOUND 127

typedef struct Scratch {
        char path[32];
        int fd;
} Scratch;

static void scratch_deinit(Scratch *scratch) {
        DIR *dir = scratch->fd >= 0 ? fdopendir(scratch->fd) : NULL;
        struct dirent *entry;

        while (dir && (entry = readdir(dir)))
                if (entry->d_name[0] != '.')
                        (void) unlinkat(dirfd(dir), entry->d_name, 0);
        if (dir)
                (void) closedir(dir);
        if (scratch->fd >= 0)
                (void) rmdir(scratch->path);
}

static int scratch_init(Scratch *scratch) {
        (void) strcpy(scratch->path, "/tmp/tocsin-log-XXXXXX");
        if (!mkdtemp(scratch->path))
                return -errno;
        scratch->fd = open(scratch->path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        return scratch->fd < 0 ? -errno : 0;
}

/* In the child: does not return. */
static void dmesg_run(const char *dump_path, const Scratch *scratch) __attribute__((__noreturn__));

static void dmesg_run(const char *dump_path, const Scratch *scratch) {
        const char *reads[] = { dump_path }, *writes[] = { "/tmp" };
        char *const environment[] = { (char[]){ "PATH=/usr/sbin:/usr/bin:/sbin:/bin" },
                                      (char[]){ "LANG=C" },
                                      NULL };
        const Confinement confinement = {
                .file = "/usr/bin/" DMESG_PROGRAM,
                .is_program = true,
                .memory = DMESG_MEMORY,
                .reads = reads,
                .n_reads = 1,
                .writes = writes,
                .n_writes = 1,
        };
        int null = open("/dev/null", O_RDONLY | O_CLOEXEC), said;

        said = openat(scratch->fd, DMESG_SAID, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (null < 0 || said < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(said, STDOUT_FILENO) < 0 ||
            dup2(said, STDERR_FILENO) < 0 || fchdir(scratch->fd) < 0 || confine(&confinement) < 0)
                _exit(EXIT_FAILURE);
        (void) signal(SIGPIPE, SIG_DFL);
        (void) execvpe(DMESG_PROGRAM,
                       (char *const[]){ (char[]){ DMESG_PROGRAM },
                                        (char[]){ "--dump-dmesg" },
                                        strdup(dump_path),
                                        (char[]){ DMESG_LOG },
                                        NULL },
                       environment);
        _exit(errno == ENOENT ? DMESG_NOT_FOUND : EXIT_FAILURE);
}

/* Its exit status, or negative. */
static int dmesg_wait(pid_t pid, bool (*is_stopped)(void)) {
        int status;

        while (waitpid(pid, &status, 0) < 0) {
                if (errno != EINTR)
                        return -errno;
                if (is_stopped())
                        (void) kill(pid, SIGKILL);
        }
        if (is_stopped())
                return -EINTR;
        return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}

/* The last line it said that says anything: what follows is "makedumpfile Failed.", always. */
static void dmesg_quote(const Scratch *scratch, char ret[static DMESG_PROBLEM_SIZE]) {
        _cleanup_fd_ int fd = openat(scratch->fd, DMESG_SAID, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        char text[4096], *at = text, *line, *last = NULL;
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
        bool no_symbols;

        text[n > 0 ? n : 0] = '\0';
        while ((line = strsep(&at, "\n")))
                if (*line && strncmp(line, "makedumpfile ", strlen("makedumpfile ")) != 0)
                        last = line;
        for (char *p = last; p && *p; p++)
                if (*p < 0x20 || *p > 0x7e)
                        *p = '?';
        /* what it says when the dump has no vmcoreinfo, which tells where the log is */
        no_symbols = last && strstr(last, "symbols for log_buf");
        (void) snprintf(ret,
                        DMESG_PROBLEM_SIZE,
                        "%smakedumpfile%s%.200s",
                        no_symbols ? "the guest offers no vmcoreinfo, or is no Linux of this architecture: "
                                   : "",
                        last ? ": " : " failed",
                        last ? last : "");
}

static int dmesg_fail(int r, const char *words, char problem[static DMESG_PROBLEM_SIZE]) {
        (void) snprintf(problem, DMESG_PROBLEM_SIZE, "%s", words ? words : strerror(-r));
        return r;
}

int dmesg_extract(const char *dump_path,
                  bool (*is_stopped)(void),
                  int *ret_fd,
                  char problem[static DMESG_PROBLEM_SIZE]) {
        _cleanup_(scratch_deinit) Scratch scratch = { .fd = -1 };
        pid_t pid;
        int r;

        r = scratch_init(&scratch);
        if (r < 0)
                return dmesg_fail(r, NULL, problem);
        pid = fork();
        if (pid < 0)
                return dmesg_fail(-errno, NULL, problem);
        if (pid == 0)
                dmesg_run(dump_path, &scratch);
        r = dmesg_wait(pid, is_stopped);
        if (r < 0)
                return dmesg_fail(r, NULL, problem);
        if (r == DMESG_NOT_FOUND)
                return dmesg_fail(-ENOENT, DMESG_PROGRAM " is not installed", problem);
        if (r != 0) {
                dmesg_quote(&scratch, problem);
                return -ENODATA;
        }
        *ret_fd = openat(scratch.fd, DMESG_LOG, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        return *ret_fd < 0 ? dmesg_fail(-errno, NULL, problem) : 0;
}
