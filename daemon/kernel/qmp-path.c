/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Connecting to a configured path with privilege. The one difficulty: the folders on the way may
 * belong to anybody (a QEMU of user bob listens below /home/bob), and who owns a folder can put a
 * symbolic link to any other service's socket there, in the moment between check and use.
 *
 * So the path is walked component by component with O_PATH descriptors. A symbolic link is followed
 * only where root made it (/var/run leads to /run), and never as the last component. What is found
 * there is checked and connected to through the same descriptor, so nothing can be exchanged in
 * between.
 */
#include "daemon/kernel/qmp-path.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/kernel/fd.h"
#include "policy/util/cleanup.h"
#include "policy/util/glob.h"

/* Links that root made, on one path; the kernel's own limit is 40. */
#define QMP_PATH_LINKS_MAX 8

bool qmp_path_is_normal(const char *path) {
        unsigned n_components = 0;

        if (path[0] != '/' || strnlen(path, PATH_MAX) >= PATH_MAX)
                return false;
        while (*path) {
                size_t n;

                path++; /* the slash */
                n = strcspn(path, "/");
                if (n == 0 || n > NAME_MAX || ++n_components > QMP_PATH_COMPONENTS_MAX)
                        return false;
                if (path[0] == '.' && (n == 1 || (n == 2 && path[1] == '.')))
                        return false;
                path += n;
        }
        return n_components > 0;
}

bool qmp_path_component_matches(const char *pattern, const char *name) {
        if (name[0] == '.' && pattern[0] != '.')
                return false;
        return glob_match(pattern, name);
}

bool qmp_path_matches(const char *glob, const char *path) {
        char pattern[NAME_MAX + 1], name[NAME_MAX + 1];

        while (*glob == '/' && *path == '/') {
                size_t n_pattern, n_name;

                glob++;
                path++;
                n_pattern = strcspn(glob, "/");
                n_name = strcspn(path, "/");
                if (n_pattern > NAME_MAX || n_name > NAME_MAX)
                        return false;
                memcpy(pattern, glob, n_pattern);
                pattern[n_pattern] = '\0';
                memcpy(name, path, n_name);
                name[n_name] = '\0';
                if (!qmp_path_component_matches(pattern, name))
                        return false;
                glob += n_pattern;
                path += n_name;
        }
        return *glob == '\0' && *path == '\0';
}

/* Sets the words and passes the code on. */
static int qmp_path_fail(int r, char **ret_error, const char *path, const char *why) {
        char *text;

        *ret_error = asprintf(&text, "%s: %s", path, why) < 0 ? NULL : text;
        return r;
}

/* What is left to walk, and where from. */
typedef struct QmpPathWalk {
        int directory;
        unsigned n_links;
        char rest[2 * PATH_MAX]; /* a link's target in front of what was left */
} QmpPathWalk;

static int qmp_path_follow(QmpPathWalk *walk, int link, const char *rest) {
        char joined[sizeof(walk->rest)], target[PATH_MAX];
        ssize_t n;
        int k;

        if (++walk->n_links > QMP_PATH_LINKS_MAX)
                return -ELOOP;
        n = readlinkat(link, "", target, sizeof(target) - 1);
        if (n < 0)
                return -errno;
        target[n] = '\0';
        k = snprintf(joined, sizeof(joined), "%s%s", target, rest);
        if (k < 0 || (size_t) k >= sizeof(joined))
                return -ENAMETOOLONG;
        memcpy(walk->rest, joined, (size_t) k + 1);

        if (target[0] == '/') {
                int root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

                if (root < 0)
                        return -errno;
                (void) close(walk->directory);
                walk->directory = root;
        }
        return 0;
}

/* One component. 0, or 1 when *ret_fd is what the path leads to. */
static int qmp_path_step(QmpPathWalk *walk, int *ret_fd, const char **ret_why) {
        _cleanup_fd_ int fd = -1;
        char name[NAME_MAX + 1], *start, *rest;
        struct stat st;
        size_t n;

        start = walk->rest + strspn(walk->rest, "/");
        n = strcspn(start, "/");
        if (n > NAME_MAX)
                return -ENAMETOOLONG;
        memcpy(name, start, n);
        name[n] = '\0';
        rest = start + n;

        fd = openat(walk->directory, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (rest[strspn(rest, "/")] == '\0') {
                if (S_ISLNK(st.st_mode)) {
                        *ret_why = "is a symbolic link; configure where it leads";
                        return -EPERM;
                }
                if (!S_ISSOCK(st.st_mode))
                        return -ENOTSOCK;
                *ret_fd = TAKE_FD(fd);
                return 1;
        }
        if (S_ISLNK(st.st_mode)) {
                if (st.st_uid != 0) {
                        *ret_why = "leads over a symbolic link that is not root's";
                        return -EPERM;
                }
                return qmp_path_follow(walk, fd, rest);
        }
        (void) close(walk->directory);
        walk->directory = TAKE_FD(fd);
        memmove(walk->rest, rest, strlen(rest) + 1);
        return 0;
}

static int qmp_path_open(const char *path, int *ret_fd, char **ret_error) {
        QmpPathWalk walk = { .directory = -1 };
        const char *why = NULL;
        int r = 0;

        walk.directory = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (walk.directory < 0)
                return qmp_path_fail(-errno, ret_error, path, strerror(errno));
        memcpy(walk.rest, path, strlen(path) + 1);

        while (r == 0)
                r = qmp_path_step(&walk, ret_fd, &why);
        (void) fd_close(walk.directory);
        if (r < 0)
                return qmp_path_fail(r, ret_error, path, why ? why : strerror(-r));
        return 0;
}

int qmp_path_connect(const char *path, int *ret_fd, char **ret_error) {
        _cleanup_fd_ int inode = -1, fd = -1;
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int r;

        if (!qmp_path_is_normal(path))
                return qmp_path_fail(-EPERM, ret_error, path, "is not an absolute, plain path");
        r = qmp_path_open(path, &inode, ret_error);
        if (r < 0)
                return r;

        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return qmp_path_fail(-errno, ret_error, path, strerror(errno));
        /* the inode that was checked, whatever has that name by now; and longer paths than
         * sun_path has room for */
        (void) snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d", inode);
        if (connect(fd, (const struct sockaddr *) &address, sizeof(address)) < 0) {
                r = -errno;
                /* a local stream socket never says EINPROGRESS: with a full queue it says this */
                if (r == -EAGAIN)
                        return qmp_path_fail(r,
                                             ret_error,
                                             path,
                                             "another client has this QEMU's only seat");
                if (r == -ECONNREFUSED)
                        return qmp_path_fail(r, ret_error, path, "nobody listens there");
                return qmp_path_fail(r, ret_error, path, strerror(-r));
        }
        *ret_fd = TAKE_FD(fd);
        return 0;
}
