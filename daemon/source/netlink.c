/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one difficulty is who speaks: whoever may send to a group can pretend to be the kernel in all
 * but the address it comes from, which is 0 for the kernel alone.
 */
#include "daemon/source/netlink.h"

#include <errno.h>
#include <netlink/errno.h>
#include <netlink/socket.h>

/* A storm of 10,000 uevents; as far as net.core.rmem_max allows. */
#define NETLINK_BUFFER_SIZE (4 << 20)
/* The largest message of the groups we listen to: a uevent is less than 8 KiB. */
#define NETLINK_MESSAGE_SIZE (16 << 10)

static int netlink_errno(int r) {
        switch (-r) {
        case NLE_NOMEM: /* ENOBUFS too, which is what a receiver sees */
                return -ENOBUFS;
        case NLE_AGAIN:
                return -EAGAIN;
        case NLE_PERM:
        case NLE_NOACCESS:
                return -EPERM;
        case NLE_AF_NOSUPPORT:
        case NLE_OBJ_NOTFOUND:
                return -EPROTONOSUPPORT;
        default:
                return -EIO;
        }
}

static int netlink_prepare(struct nl_sock *socket) {
        int r = nl_socket_set_nonblocking(socket);

        nl_socket_disable_msg_peek(socket);
        if (r == 0)
                r = nl_socket_set_msg_buf_size(socket, NETLINK_MESSAGE_SIZE);
        if (r == 0)
                (void) nl_socket_set_buffer_size(socket, NETLINK_BUFFER_SIZE, 0);
        return r < 0 ? netlink_errno(r) : 0;
}

int netlink_open(int protocol, unsigned group, struct nl_sock **ret) {
        _cleanup_nl_ struct nl_sock *socket = nl_socket_alloc();
        int r;

        if (!socket)
                return -ENOMEM;
        r = nl_connect(socket, protocol);
        if (r == 0)
                r = nl_socket_add_membership(socket, (int) group);
        if (r < 0)
                return netlink_errno(r);
        r = netlink_prepare(socket);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(socket);
        return 0;
}

int netlink_take(int protocol, int fd, struct nl_sock **ret) {
        _cleanup_nl_ struct nl_sock *socket = nl_socket_alloc();
        int r;

        if (!socket)
                return -ENOMEM;
        r = nl_socket_set_fd(socket, protocol, fd);
        if (r < 0)
                return netlink_errno(r);
        r = netlink_prepare(socket);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(socket);
        return 0;
}

int netlink_receive(struct nl_sock *socket, void **ret, size_t *ret_n) {
        struct sockaddr_nl from = {};
        unsigned char *data = NULL;
        int n;

        n = nl_recv(socket, &from, &data, NULL);
        if (n <= 0)
                return n < 0 ? netlink_errno(n) : -EAGAIN;
        if (from.nl_pid != 0) {
                free(data);
                return -EPERM;
        }
        *ret = data;
        *ret_n = (size_t) n;
        return 0;
}
