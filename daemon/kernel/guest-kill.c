/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one difficulty is what a tocsind that fell to an attacker could show instead of a connection to
 * a guest. SO_PEERCRED names the process that listened (where we called), or that called us, and
 * nobody can forge it. What is left is to connect to some other service, so the address must be one
 * that is configured:
 *
 * - Where we called, the peer's address is the one it listens at, which it always has. It must be a
 *   configured monitor. Sockets that libvirt makes and hands to its QEMUs don't count: until QEMU
 *   calls listen() too, who listens there is libvirt.
 * - Who called us has no address. Ours must be that of attach.sock then, and the caller one of
 *   `[attach] users=`. (We could have given this address to a socket that called somebody; but then
 *   the peer has an address, and that is no configured one.)
 *
 * So at worst guests are killed that tocsind could have told to quit.
 */
#include "daemon/kernel/guest-kill.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "daemon/kernel/fd.h"
#include "daemon/machine/process.h"

/* asm-generic/socket.h of Linux 6.5, which not every libc header has yet */
#define GUEST_KILL_SO_PEERPIDFD 77

/* The longest path a socket address holds, and a NUL. */
#define GUEST_KILL_PATH_SIZE (sizeof(((struct sockaddr_un *) NULL)->sun_path) + 1)

static int guest_kill_fail(char **ret_error, int r, const char *format, ...) _printf_(3, 4);

/* Sets the words and passes the code on. */
static int guest_kill_fail(char **ret_error, int r, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        if (vasprintf(ret_error, format, ap) < 0)
                *ret_error = NULL;
        va_end(ap);
        return r;
}

int guest_kill_parse(const char *text, GuestKillClaim *ret) {
        uint64_t pid, start_time;
        char *end;

        if (text[0] < '1' || text[0] > '9')
                return -EINVAL;
        errno = 0;
        pid = strtoull(text, &end, 10);
        if (errno != 0 || pid > INT32_MAX || end[0] != ' ' || end[1] < '0' || end[1] > '9')
                return -EINVAL;
        start_time = strtoull(end + 1, &end, 10);
        if (errno != 0 || end[0] != '\0')
                return -EINVAL;
        *ret = (GuestKillClaim){ .pid = (pid_t) pid, .start_time = start_time };
        return 0;
}

/* The path of an address; "" when it has none, or one that is no path. */
static int guest_kill_get_path(int fd,
                               int (*get)(int, struct sockaddr *, socklen_t *),
                               char ret[static GUEST_KILL_PATH_SIZE]) {
        struct sockaddr_un address = {};
        socklen_t size = sizeof(address);

        if (get(fd, (struct sockaddr *) &address, &size) < 0)
                return -errno;
        if (address.sun_family != AF_UNIX)
                return -EPROTOTYPE;
        if (size > sizeof(address))
                size = sizeof(address);
        memset(ret, 0, GUEST_KILL_PATH_SIZE);
        if (size > offsetof(struct sockaddr_un, sun_path))
                memcpy(ret, address.sun_path, size - offsetof(struct sockaddr_un, sun_path));
        /* an abstract name begins with a NUL, and must not pass for a peer without any */
        if (size > offsetof(struct sockaddr_un, sun_path) && ret[0] == '\0')
                return -EPROTOTYPE;
        return 0;
}

/* Who is at the other end, and does it count as a guest? */
static int guest_kill_find_peer(int fd,
                                const GuestKillOps *ops,
                                void *userdata,
                                struct ucred *ret,
                                char **ret_error) {
        char path[GUEST_KILL_PATH_SIZE], own[GUEST_KILL_PATH_SIZE];
        struct pollfd p = { .fd = fd, .events = POLLRDHUP };
        socklen_t size = sizeof(*ret);
        int r;

        if (fd < 0)
                return guest_kill_fail(ret_error, -EPERM, "no connection to it was shown");
        r = guest_kill_get_path(fd, getpeername, path);
        if (r == 0)
                r = guest_kill_get_path(fd, getsockname, own);
        if (r == 0 && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ret, &size) < 0)
                r = -errno;
        if (r < 0)
                return guest_kill_fail(ret_error,
                                       -EPERM,
                                       "what was shown is no connection to a guest: %s",
                                       strerror(-r));
        /* a number that was freed could be somebody else's by now */
        if (poll(&p, 1, 0) != 0)
                return guest_kill_fail(ret_error, -ESRCH, "its connection has ended");
        if (path[0] != '\0' ? ops->is_monitor(path, userdata)
                            : ops->is_caller(own, ret->uid, userdata))
                return 0;
        return guest_kill_fail(ret_error,
                               -EPERM,
                               "who is at %s does not count as a guest",
                               path[0] != '\0' ? path : own);
}

/* The process of the number, held; and where the kernel tells, the very one it noted. */
static int guest_kill_open(int fd, pid_t pid, Process *ret) {
        _cleanup_(process_deinit) Process process = PROCESS_NULL;
        socklen_t size = sizeof(int);
        int r, peer = -1;

        r = process_open(pid, &process);
        if (r < 0)
                return r;
        if (getsockopt(fd, SOL_SOCKET, GUEST_KILL_SO_PEERPIDFD, &peer, &size) == 0) {
                (void) fd_close(process.pidfd);
                process.pidfd = peer;
        } else if (errno != ENOPROTOOPT) {
                return -ESRCH;
        }
        *ret = process;
        process.pidfd = -1;
        return 0;
}

int guest_kill(const GuestKillClaim *claim,
               int connection,
               const GuestKillOps *ops,
               void *userdata,
               char **ret_error) {
        _cleanup_(process_deinit) Process process = PROCESS_NULL;
        struct ucred peer;
        int r;

        r = guest_kill_find_peer(connection, ops, userdata, &peer, ret_error);
        if (r < 0)
                return r;
        /* 0: a process this PID namespace does not have; 1: a socket made by systemd */
        if (peer.pid <= 1 || peer.pid != claim->pid)
                return guest_kill_fail(ret_error,
                                       -EPERM,
                                       "its monitor is that of process %d, not %d",
                                       peer.pid,
                                       claim->pid);
        r = guest_kill_open(connection, peer.pid, &process);
        if (r < 0)
                return guest_kill_fail(ret_error, r, "process %d: %s", peer.pid, strerror(-r));
        if (process.pid != claim->pid || process.start_time != claim->start_time)
                return guest_kill_fail(ret_error,
                                       -ESRCH,
                                       "process %d is another one by now: it was started at %" PRIu64
                                       ", not %" PRIu64,
                                       claim->pid,
                                       process.start_time,
                                       claim->start_time);
        if (pidfd_send_signal(process.pidfd, SIGKILL, NULL, 0) < 0)
                return guest_kill_fail(ret_error,
                                       -errno,
                                       "process %d can't be killed: %s",
                                       claim->pid,
                                       strerror(errno));
        return 0;
}
