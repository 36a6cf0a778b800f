/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * Ending the process of a guest that does not answer. tocsind names it, and is not believed: it has
 * to show its connection to the guest's monitor, and what the kernel noted of that connection when it
 * was made says whose it is.
 */
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct GuestKillClaim {
        pid_t pid;
        uint64_t start_time; /* as in /proc/PID/stat */
} GuestKillClaim;

typedef struct GuestKillOps {
        /* Does who listens at `path` count as a guest? */
        bool (*is_monitor)(const char *path, void *userdata);
        /* Does a caller of the socket `path`, with that uid? */
        bool (*is_caller)(const char *path, uid_t uid, void *userdata);
} GuestKillOps;

/* "PID START-TIME", two decimal numbers. 0 or -EINVAL. Pure. */
int guest_kill_parse(const char *text, GuestKillClaim *ret);

/*
 * 0: SIGKILL was sent to the claimed process, which is the one at the other end of `connection` (-1:
 * none was shown). -EPERM: it is no guest, or another one; -ESRCH: it has ended; with *ret_error,
 * words to be freed (NULL when out of memory).
 */
int guest_kill(const GuestKillClaim *claim,
               int connection,
               const GuestKillOps *ops,
               void *userdata,
               char **ret_error);
