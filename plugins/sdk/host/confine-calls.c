/* SPDX-License-Identifier: MIT */
/*
 * The system calls a plugin may make: what a C library, Python and a shell need to start, to read
 * files and to compute. Everything else is refused with EPERM, so that a library that merely tries
 * goes on; what no list can name, calls of another architecture, ends the process.
 */
#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "plugins/sdk/host/confine.h"
#include "policy/util/cleanup.h"

#define CONFINE_NAMESPACES                                                                         \
        (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |             \
         CLONE_NEWPID | CLONE_NEWNET)

/* A name a kernel or a libseccomp does not know is not needed there. */
static const char *const confine_allowed[] = {
        /* memory */
        "brk",
        "madvise",
        "membarrier",
        "mincore",
        "mlock",
        "mmap",
        "mprotect",
        "mremap",
        "msync",
        "munlock",
        "munmap",
        /* files, within what Landlock and permissions leave */
        "access",
        "chdir",
        "close",
        "close_range",
        "copy_file_range",
        "creat",
        "dup",
        "dup2",
        "dup3",
        "faccessat",
        "faccessat2",
        "fadvise64",
        "fallocate",
        "fchdir",
        "fcntl",
        "fdatasync",
        "flock",
        "fstat",
        "fstatfs",
        "fsync",
        "ftruncate",
        "getcwd",
        "getdents",
        "getdents64",
        "lseek",
        "lstat",
        "mkdir",
        "mkdirat",
        "newfstatat",
        "open",
        "openat",
        "pread64",
        "preadv",
        "pwrite64",
        "pwritev",
        "read",
        "readlink",
        "readlinkat",
        "readv",
        "rename",
        "renameat",
        "renameat2",
        "rmdir",
        "sendfile",
        "stat",
        "statfs",
        "statx",
        "truncate",
        "umask",
        "unlink",
        "unlinkat",
        "write",
        "writev",
        /* waiting, inotify for a table that is edited, pipes */
        "epoll_create",
        "epoll_create1",
        "epoll_ctl",
        "epoll_pwait",
        "epoll_pwait2",
        "epoll_wait",
        "eventfd",
        "eventfd2",
        "inotify_add_watch",
        "inotify_init",
        "inotify_init1",
        "inotify_rm_watch",
        "pipe",
        "pipe2",
        "poll",
        "ppoll",
        "pselect6",
        "select",
        "timerfd_create",
        "timerfd_gettime",
        "timerfd_settime",
        /* time */
        "clock_getres",
        "clock_gettime",
        "clock_nanosleep",
        "gettimeofday",
        "nanosleep",
        "time",
        "times",
        /* itself */
        "arch_prctl",
        "exit",
        "exit_group",
        "getegid",
        "geteuid",
        "getgid",
        "getgroups",
        "getpgid",
        "getpgrp",
        "getpid",
        "getppid",
        "getpriority",
        "getrandom",
        "getresgid",
        "getresuid",
        "getrlimit",
        "getrusage",
        "getsid",
        "gettid",
        "getuid",
        "s390_guarded_storage",
        "sched_getaffinity",
        "sched_getparam",
        "sched_getscheduler",
        "sched_yield",
        "sysinfo",
        "uname",
        /* threads and signals */
        "futex",
        "futex_wait",
        "futex_waitv",
        "futex_wake",
        "get_robust_list",
        "restart_syscall",
        "rseq",
        "rt_sigaction",
        "rt_sigpending",
        "rt_sigprocmask",
        "rt_sigreturn",
        "rt_sigsuspend",
        "rt_sigtimedwait",
        "set_robust_list",
        "set_tid_address",
        "setitimer",
        "alarm",
        "pause",
        "sigaltstack",
        "sigreturn",
};

/* What a program may do besides: start others. */
static const char *const confine_allowed_program[] = { "execve", "execveat", "fork",
                                                       "vfork",  "wait4",    "waitid" };

static int confine_allow(scmp_filter_ctx filter, const char *const *names, size_t n) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < n; i++) {
                int number = seccomp_syscall_resolve_name(names[i]);

                if (number >= 0)
                        r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
        }
        return r;
}

/* What depends on its arguments. */
static int confine_allow_some(scmp_filter_ctx filter, bool is_program) {
        static const unsigned long terminal[] = { TCGETS, FIONREAD, FIOCLEX, FIONCLEX, TIOCGWINSZ };
        static const int names[] = { PR_SET_NAME,
                                     PR_GET_NAME,
                                     PR_GET_DUMPABLE,
                                     0x53564d41 /* PR_SET_VMA */ };
        pid_t self = getpid();
        uint64_t flags = is_program ? CONFINE_NAMESPACES : CONFINE_NAMESPACES | CLONE_THREAD;
        uint64_t wanted = is_program ? 0 : CLONE_THREAD;
        int r = 0;

        for (size_t i = 0; r == 0 && i < ELEMENTSOF(terminal); i++)
                r = seccomp_rule_add(filter,
                                     SCMP_ACT_ALLOW,
                                     SCMP_SYS(ioctl),
                                     1,
                                     SCMP_A1(SCMP_CMP_EQ, terminal[i]));
        for (size_t i = 0; r == 0 && i < ELEMENTSOF(names); i++)
                r = seccomp_rule_add(filter,
                                     SCMP_ACT_ALLOW,
                                     SCMP_SYS(prctl),
                                     1,
                                     SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t) names[i]));
        /* limits may be read; raising one takes an argument */
        if (r == 0)
                r = seccomp_rule_add(
                        filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1, SCMP_A2(SCMP_CMP_EQ, 0));
        /* abort(); others of this uid, tocsind among them, are nobody's to signal */
        if (r == 0)
                r = seccomp_rule_add(filter,
                                     SCMP_ACT_ALLOW,
                                     SCMP_SYS(tgkill),
                                     1,
                                     SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t) self));
        if (r == 0)
                r = seccomp_rule_add(filter,
                                     SCMP_ACT_ALLOW,
                                     SCMP_SYS(kill),
                                     1,
                                     SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t) self));
        /* The flags of clone3 lie in memory, where no filter sees them: libc then takes clone. Its flags
         * are the second argument on s390 and the first elsewhere. */
        if (r == 0)
                r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
        if (r == 0 && seccomp_arch_native() == SCMP_ARCH_S390X)
                r = seccomp_rule_add(filter,
                                     SCMP_ACT_ALLOW,
                                     SCMP_SYS(clone),
                                     1,
                                     SCMP_A1(SCMP_CMP_MASKED_EQ, flags, wanted));
        else if (r == 0)
                r = seccomp_rule_add(filter,
                                     SCMP_ACT_ALLOW,
                                     SCMP_SYS(clone),
                                     1,
                                     SCMP_A0(SCMP_CMP_MASKED_EQ, flags, wanted));
        return r;
}

int confine_calls(bool is_program) {
        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
        int r;

        if (!filter)
                return -ENOMEM;
        r = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
        /* a tree in place of a list: some ten comparisons for each call, not a hundred */
        if (r == 0)
                r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
        if (r == 0)
                r = confine_allow(filter, confine_allowed, ELEMENTSOF(confine_allowed));
        if (r == 0 && is_program)
                r = confine_allow(filter,
                                  confine_allowed_program,
                                  ELEMENTSOF(confine_allowed_program));
        if (r == 0)
                r = confine_allow_some(filter, is_program);
        if (r == 0)
                r = seccomp_load(filter);
        seccomp_release(filter);
        if (r < 0)
                (void) fprintf(stderr, "seccomp: %s\n", strerror(-r));
        return r;
}
