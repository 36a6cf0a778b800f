/* SPDX-License-Identifier: MIT */
/*
 * The order: limits first, since they need prlimit(); then capabilities, which no-new-privs does not
 * take away; then files, which take open(); system calls last.
 */
#include "plugins/sdk/host/confine.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "policy/util/cleanup.h"

/* Descriptors, and processes of this uid. */
#define CONFINE_FILES 64
#define CONFINE_PROCESSES 256
/* A file that is written by a plugin with write= is for its notes. */
#define CONFINE_FILE_SIZE (UINT64_C(16) << 20)
/* Of a whole life: a decision takes some 20 us, so it takes millions of them, or a loop that a
 * thread was left in. Past it the process is ended and started again. */
#define CONFINE_CPU_SECONDS 60

static int confine_limit(__rlimit_resource_t resource, uint64_t value, const char *what) {
        struct rlimit now, limit = { value, value };

        if (getrlimit(resource, &now) == 0 && now.rlim_max < value)
                limit = (struct rlimit){ now.rlim_max, now.rlim_max };
        if (setrlimit(resource, &limit) == 0)
                return 0;
        (void) fprintf(stderr, "can't limit %s: %s\n", what, strerror(errno));
        return -errno;
}

static int confine_limits(const Confinement *c) {
        int r = 0;

        if (c->memory != UINT64_MAX)
                r = confine_limit(RLIMIT_AS, c->memory, "memory");
        if (r == 0)
                r = confine_limit(RLIMIT_NOFILE, CONFINE_FILES, "descriptors");
        if (r == 0)
                r = confine_limit(RLIMIT_NPROC, CONFINE_PROCESSES, "processes");
        if (r == 0)
                r = confine_limit(RLIMIT_FSIZE, CONFINE_FILE_SIZE, "the size of files");
        if (r == 0)
                r = confine_limit(RLIMIT_CPU, CONFINE_CPU_SECONDS, "CPU time");
        return r == 0 ? confine_limit(RLIMIT_CORE, 0, "core dumps") : r;
}

/* tocsind has none, but where it was started as root by hand. */
static int confine_capabilities(void) {
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {};

        for (int i = 0; prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1; i++)
                if (prctl(PR_CAPBSET_DROP, i, 0, 0, 0) < 0 && errno != EPERM)
                        return -errno;
        if (prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED, 0, 0, 0) < 0 &&
            errno != EPERM)
                return -errno;
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 && errno != EINVAL)
                return -errno;
        /* a filter may refuse it to who has none to give up */
        if (syscall(SYS_capset, &header, none) < 0 && errno != EPERM)
                return -errno;
        if (syscall(SYS_capget, &header, none) < 0)
                return -errno;
        return none[0].permitted | none[1].permitted ? -EPERM : 0;
}

int confine(const Confinement *c) {
        int r;

        /* a plugin that hangs would outlive a tocsind that was killed */
        if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 ||
            prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
                (void) fprintf(stderr, "no-new-privs: %s\n", strerror(errno));
                return -errno;
        }
        r = confine_limits(c);
        if (r < 0)
                return r;
        r = confine_capabilities();
        if (r < 0) {
                (void) fprintf(stderr, "can't give up capabilities: %s\n", strerror(-r));
                return r;
        }
        r = confine_files(c);
        return r < 0 ? r : confine_calls(c->is_program);
}
