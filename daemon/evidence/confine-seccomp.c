/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The filter kills: whatever calls something else is no longer our program. */
#include <errno.h>
#include <seccomp.h>

#include "daemon/evidence/confine.h"
#include "policy/util/cleanup.h"

int confine_syscalls(void) {
        static const int calls[] = {
                SCMP_SYS(brk),
                SCMP_SYS(clock_gettime),
                SCMP_SYS(close),
                SCMP_SYS(exit),
                SCMP_SYS(exit_group),
                SCMP_SYS(fcntl),
                SCMP_SYS(fdatasync),
                SCMP_SYS(flock),
                SCMP_SYS(fstat),
                SCMP_SYS(fstatfs),
                SCMP_SYS(fsync),
                SCMP_SYS(ftruncate),
                SCMP_SYS(getdents64),
                SCMP_SYS(getrandom),
                SCMP_SYS(lseek),
                SCMP_SYS(madvise),
                SCMP_SYS(mmap),
                SCMP_SYS(mremap),
                SCMP_SYS(munmap),
                SCMP_SYS(newfstatat),
                SCMP_SYS(openat),
                SCMP_SYS(pwrite64),
                SCMP_SYS(read),
                SCMP_SYS(renameat),
                SCMP_SYS(restart_syscall),
                SCMP_SYS(rt_sigreturn),
                SCMP_SYS(statx),
                SCMP_SYS(unlinkat),
                SCMP_SYS(write),
                SCMP_SYS(mkdirat),
                SCMP_SYS(renameat2),
                SCMP_SYS(rt_sigprocmask),
        };
        scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
        int r = filter ? 0 : -ENOMEM;

        for (size_t i = 0; r == 0 && i < ELEMENTSOF(calls); i++)
                r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
        if (r == 0)
                r = seccomp_load(filter);
        seccomp_release(filter);
        return r;
}
