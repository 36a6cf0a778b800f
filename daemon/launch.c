/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/launch.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <unistd.h>

static int launch_add_fds(const Launch *what, posix_spawn_file_actions_t *actions) {
        int next = STDERR_FILENO + 1, r = 0;

        for (size_t i = 0; r == 0 && i < what->n_fds; i++) {
                const LaunchFd *fd = &what->fds[i];

                /* adddup2 clears close-on-exec even where both are the same */
                r = fd->from < 0
                            ? posix_spawn_file_actions_addopen(actions, fd->to, "/dev/null", O_RDONLY, 0)
                            : posix_spawn_file_actions_adddup2(actions, fd->from, fd->to);
                if (fd->to >= next)
                        next = fd->to + 1;
        }
        return r != 0 ? r : posix_spawn_file_actions_addclosefrom_np(actions, next);
}

/* The daemon blocks signals for its loop; a child would inherit that. */
static int launch_set_attributes(const Launch *what, posix_spawnattr_t *attributes) {
        short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
        sigset_t none, all;
        int r;

        (void) sigemptyset(&none);
        (void) sigfillset(&all);
        if (what->own_group)
                flags |= POSIX_SPAWN_SETPGROUP;
        r = posix_spawnattr_setsigmask(attributes, &none);
        if (r == 0)
                r = posix_spawnattr_setsigdefault(attributes, &all);
        return r != 0 ? r : posix_spawnattr_setflags(attributes, flags);
}

int launch(const Launch *what, pid_t *ret) {
        posix_spawn_file_actions_t actions;
        posix_spawnattr_t attributes;
        int r;

        r = posix_spawn_file_actions_init(&actions);
        if (r != 0)
                return -r;
        r = posix_spawnattr_init(&attributes);
        if (r != 0) {
                (void) posix_spawn_file_actions_destroy(&actions);
                return -r;
        }
        r = launch_set_attributes(what, &attributes);
        if (r == 0)
                r = launch_add_fds(what, &actions);
        if (r == 0)
                r = posix_spawn(ret,
                                what->path,
                                &actions,
                                &attributes,
                                (char **) (uintptr_t) what->argv,
                                what->environment ? (char **) (uintptr_t) what->environment
                                                  : environ);
        (void) posix_spawnattr_destroy(&attributes);
        (void) posix_spawn_file_actions_destroy(&actions);
        return -r;
}
