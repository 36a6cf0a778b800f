/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ctl/input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int input_read(int fd, size_t limit, Buffer *ret) {
        ret->limit = limit;
        for (;;) {
                char piece[65536];
                ssize_t n = read(fd, piece, sizeof(piece));
                int r;

                if (n == 0)
                        return 0;
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                r = buffer_append(ret, piece, (size_t) n);
                if (r < 0)
                        return r;
        }
}

int input_read_file(const char *path, size_t limit, Buffer *ret) {
        struct stat st;
        int fd, r;

        /* opening a FIFO would wait for who writes */
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0)
                r = -errno;
        else
                r = S_ISREG(st.st_mode) ? input_read(fd, limit, ret) : -EINVAL;
        (void) close(fd);
        return r;
}

const char *input_say(int r) {
        switch (r) {
        case -ENOBUFS:
                return "too long";
        case -EINVAL:
                return "not a file";
        default:
                return strerror(-r);
        }
}
