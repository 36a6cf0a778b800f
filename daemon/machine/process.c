/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one difficulty is that numbers of processes are used again: between reading /proc and opening
 * the pidfd a process may end and another take its number. So the pidfd comes first, and what is
 * read counts only if the process still lived after it was read.
 */
#include "daemon/machine/process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

#include "daemon/kernel/fd.h"

/* /proc/PID/status is about 1.5 KiB, stat less than 0.5. */
#define PROCESS_TEXT_MAX 8192

/* linux/pidfd.h of 6.15, which no libc header has yet */
typedef struct ProcessPidfdInfo {
        uint64_t mask;
        uint64_t cgroupid;
        uint32_t ids[11];
        int32_t exit_code; /* as wait(2) returns it */
} ProcessPidfdInfo;

#define PROCESS_PIDFD_INFO_EXIT (UINT64_C(1) << 3)
#define PROCESS_PIDFD_GET_INFO _IOWR(0xFF, 11, ProcessPidfdInfo)

int process_parse_status(const char *text, pid_t *ret_tgid, uid_t *ret_euid, bool *ret_nested) {
        const char *tgid = strstr(text, "\nTgid:"), *uid = strstr(text, "\nUid:");
        const char *numbers = strstr(text, "\nNSpid:");
        int pid;
        unsigned euid;

        if (!tgid || sscanf(tgid, "\nTgid: %d", &pid) != 1 || pid <= 0)
                return -EINVAL;
        if (!uid || sscanf(uid, "\nUid: %*u %u", &euid) != 1)
                return -EINVAL;
        *ret_tgid = pid;
        *ret_euid = euid;
        /* one number for each namespace, from ours inwards */
        *ret_nested = numbers && sscanf(numbers, "\nNSpid: %*d%*[ \t]%d", &pid) == 1;
        return 0;
}

int process_parse_stat(const char *text, uint64_t *ret_start_time, uint64_t *ret_cpu_ticks) {
        const char *p = strrchr(text, ')'); /* the name before it may hold anything, even this */
        uint64_t utime, stime, start;

        /* fields 3 to 22 of proc(5) */
        if (!p || sscanf(p + 1,
                         " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64
                         " %*d %*d %*d %*d %*d %*d %" SCNu64,
                         &utime,
                         &stime,
                         &start) != 3)
                return -EINVAL;
        *ret_start_time = start;
        *ret_cpu_ticks = utime + stime;
        return 0;
}

static int process_read(const char *path, char text[static PROCESS_TEXT_MAX]) {
        _cleanup_fd_ int fd = -1;
        ssize_t n;

        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? -ESRCH : -errno;
        n = read(fd, text, PROCESS_TEXT_MAX - 1);
        if (n < 0)
                return -errno;
        text[n] = '\0';
        return 0;
}

static int process_read_status(pid_t tid, Process *ret) {
        char path[64], text[PROCESS_TEXT_MAX];
        int r;

        (void) snprintf(path, sizeof(path), "/proc/%d/status", tid);
        r = process_read(path, text);
        return r < 0 ? r : process_parse_status(text, &ret->pid, &ret->uid, &ret->nested);
}

static int process_read_stat(const char *path, uint64_t *ret_start_time, uint64_t *ret_cpu_ticks) {
        char text[PROCESS_TEXT_MAX];
        int r;

        r = process_read(path, text);
        return r < 0 ? r : process_parse_stat(text, ret_start_time, ret_cpu_ticks);
}

bool process_has_ended(const Process *process) {
        struct pollfd p = { .fd = process->pidfd, .events = POLLIN };

        return poll(&p, 1, 0) != 0;
}

int process_open(pid_t tid, Process *ret) {
        _cleanup_fd_ int pidfd = -1;
        Process process = PROCESS_NULL, again;
        uint64_t ticks;
        char path[64];
        int r;

        if (tid <= 0)
                return -ESRCH;
        r = process_read_status(tid, &process);
        if (r < 0)
                return r;
        pidfd = pidfd_open(process.pid, 0);
        if (pidfd < 0)
                return -errno;
        /* still that thread's process, now that it is held? */
        again = process;
        r = process_read_status(tid, &again);
        if (r < 0)
                return r;
        (void) snprintf(path, sizeof(path), "/proc/%d/stat", process.pid);
        r = process_read_stat(path, &process.start_time, &ticks);
        if (r < 0)
                return r;
        process.uid = again.uid;
        process.pidfd = pidfd;
        if (again.pid != process.pid || process_has_ended(&process))
                return -ESRCH;

        TAKE_FD(pidfd);
        *ret = process;
        return 0;
}

void process_deinit(Process *process) {
        process->pidfd = fd_close(process->pidfd);
}

int process_get_run_id(const Process *process, char ret[static PROCESS_RUN_ID_SIZE]) {
        char boot_id[PROCESS_TEXT_MAX];
        int r;

        r = process_read("/proc/sys/kernel/random/boot_id", boot_id);
        if (r < 0)
                return r;
        (void) snprintf(ret,
                        PROCESS_RUN_ID_SIZE,
                        "%.8s-%d-%" PRIu64,
                        boot_id,
                        process->pid,
                        process->start_time);
        return 0;
}

int process_get_main_ticks(pid_t pid, uint64_t *ret) {
        uint64_t start_time;
        char path[64];

        (void) snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, pid);
        return process_read_stat(path, &start_time, ret);
}

bool process_is_crash(int signal) {
        static const int crashes[] = { SIGBUS, SIGSEGV, SIGABRT, SIGILL, SIGFPE, SIGTRAP, SIGSYS };

        for (size_t i = 0; i < ELEMENTSOF(crashes); i++)
                if (crashes[i] == signal)
                        return true;
        return false;
}

int process_get_end_signal(const Process *process) {
        ProcessPidfdInfo info = { .mask = PROCESS_PIDFD_INFO_EXIT };

        /* known from Linux 6.15 on, and only when its parent has asked before us */
        if (ioctl(process->pidfd, PROCESS_PIDFD_GET_INFO, &info) < 0)
                return 0;
        if (!(info.mask & PROCESS_PIDFD_INFO_EXIT) || !WIFSIGNALED(info.exit_code))
                return 0;
        return WTERMSIG(info.exit_code);
}
