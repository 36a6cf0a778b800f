/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An address holds 107 characters, and a guest's name alone may have 80. A longer path is reached
 * through a descriptor of its folder; not every path, since the kernel shows in /proc/net/unix and
 * ss(8) what was bound to, and that should say something.
 */
#include "daemon/kernel/socket-path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "daemon/kernel/fd.h"

int socket_path_bind(int fd, const char *path) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        const char *name = strrchr(path, '/');
        _cleanup_free_ char *folder = NULL;
        _cleanup_fd_ int folder_fd = -1;
        int n;

        if (!name)
                return -EINVAL;
        n = snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
        if (n < 0 || (size_t) n >= sizeof(address.sun_path)) {
                folder = strndup(path, (size_t) (name - path) + 1);
                if (!folder)
                        return -ENOMEM;
                folder_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
                if (folder_fd < 0)
                        return -errno;
                n = snprintf(address.sun_path,
                             sizeof(address.sun_path),
                             "/proc/self/fd/%d%s",
                             folder_fd,
                             name);
                if (n < 0 || (size_t) n >= sizeof(address.sun_path))
                        return -ENAMETOOLONG;
        }
        return bind(fd, (const struct sockaddr *) &address, sizeof(address)) < 0 ? -errno : 0;
}
