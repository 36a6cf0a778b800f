/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Listening to one netlink group of the kernel's, through libnl-3. */
#include <netlink/netlink.h>

#include "policy/util/cleanup.h"

DEFINE_CLEANUP(struct nl_sock *, nl_socket_free);
#define _cleanup_nl_ _cleanup_(nl_socket_freep)

/* 0 or a negative errno. */
int netlink_open(int protocol, unsigned group, struct nl_sock **ret);
/* The same around a socket that was bound elsewhere; it is taken when that succeeds. */
int netlink_take(int protocol, int fd, struct nl_sock **ret);
/* One message of the kernel: its bytes, to be freed, and 0. -EAGAIN: there is none; -ENOBUFS: some were lost;
 * -EPERM: it was not the kernel who sent it; or another negative errno. */
int netlink_receive(struct nl_sock *socket, void **ret, size_t *ret_n);
