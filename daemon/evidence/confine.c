/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/evidence/confine.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "policy/util/cleanup.h"

/* Buffers are 1 MiB; the rest are libraries, and the list of dumps that are kept. */
#ifndef CONFINE_MEMORY
#define CONFINE_MEMORY (UINT64_C(256) << 20)
#endif
#define CONFINE_FILES 32

int confine_process(uint64_t file_bytes) {
        const struct {
                int resource;
                rlim_t limit;
        } limits[] = {
                { RLIMIT_FSIZE, file_bytes },
                { RLIMIT_AS, CONFINE_MEMORY },
                { RLIMIT_NOFILE, CONFINE_FILES },
                { RLIMIT_CORE, 0 }, /* it would hold memory of the guest */
                { RLIMIT_NPROC, 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(limits); i++) {
                struct rlimit limit = { limits[i].limit, limits[i].limit };

                if (setrlimit(limits[i].resource, &limit) < 0)
                        return -errno;
        }
        /* a file that is too large is an error of write(), to be said in words */
        if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR || prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 ||
            prctl(PR_SET_DUMPABLE, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return -errno;
        return 0;
}
