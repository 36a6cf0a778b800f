/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Starts a program of ours as a child: with nothing of the daemon's but what is named here. */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

typedef struct LaunchFd {
        int from; /* -1: /dev/null, to be read */
        int to;
} LaunchFd;

typedef struct Launch {
        const char *path;
        const char *const *argv;        /* NULL-terminated, as path's own */
        const char *const *environment; /* NULL-terminated; NULL: ours */
        const LaunchFd *fds; /* in rising order of `to`; stdio not named here is inherited */
        size_t n_fds;
        bool own_group; /* a process group of its own, to be ended whole */
} Launch;

/* Signals are as at exec by a shell: none blocked, all default. Descriptors above stdio that are not named
 * are closed. 0, or a negative errno: that of exec() too. */
int launch(const Launch *what, pid_t *ret);
