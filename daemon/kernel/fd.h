/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Descriptors that close themselves: -1 is none. */
#include <unistd.h>

#include "policy/util/cleanup.h"

/* Returns -1, so that `fd = fd_close(fd)` leaves no dangling number. */
static inline int fd_close(int fd) {
        if (fd >= 0)
                (void) close(fd);
        return -1;
}

static inline void fd_closep(int *fd) {
        (void) fd_close(*fd);
}

#define _cleanup_fd_ _cleanup_(fd_closep)

#define TAKE_FD(fd)                                                                                \
        ({                                                                                         \
                int *_take_fd_at_ = &(fd);                                                         \
                int _take_fd_value_ = *_take_fd_at_;                                               \
                *_take_fd_at_ = -1;                                                                \
                _take_fd_value_;                                                                   \
        })
