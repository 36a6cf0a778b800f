/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What tocsin-kernel keeps of root: CAP_DAC_OVERRIDE, because a QEMU's socket and the folder it lies
 * in belong to the QEMU's user (connecting asks for write permission); CAP_KILL, because so does its
 * process; CAP_SETUID and CAP_SETGID, because a [notify] program is to have less; CAP_NET_ADMIN and
 * CAP_SYS_PTRACE, to hear how processes end and to see what they hold open. Each later verb that needs
 * more adds its line here.
 */
#include "daemon/kernel/privilege.h"

#include <cap-ng.h>
#include <errno.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "policy/util/cleanup.h"

static const unsigned privilege_kept[] = {
        CAP_DAC_OVERRIDE, /* connect-qmp */
        CAP_KILL,         /* kill; to end a program of notify */
        CAP_SETUID,       /* notify: a program runs as its user= */
        CAP_SETGID,       /* the same */
        CAP_NET_ADMIN,    /* open-connector, before Linux 6.6 */
        CAP_SYS_PTRACE,   /* find-holders */
};

int privilege_drop(void) {
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return -errno;
        if (geteuid() != 0)
                return 0;

        capng_clear(CAPNG_SELECT_ALL);
        for (size_t i = 0; i < ELEMENTSOF(privilege_kept); i++)
                if (capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, privilege_kept[i]) < 0)
                        return -EINVAL;
        /* the bounding set too: what is executed from here gets no more */
        if (capng_apply(CAPNG_SELECT_ALL) < 0)
                return -EPERM;
        return 0;
}
