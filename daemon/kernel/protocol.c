/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Packets of tocsin-kernel's socket. The one difficulty is what a peer may send that nobody asked
 * for: short, long, of another version, with NULs in its text, with descriptors.
 */
#include "daemon/kernel/protocol.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* A peer may attach more descriptors than the one we look for; all must be closed. The kernel
 * drops those for which there is no room here. */
#define PROTOCOL_FDS_MAX 4

static int protocol_parse(const void *data, size_t n, KernelPacket *ret) {
        KernelHeader header;

        if (n < sizeof(header))
                return KERNEL_E_MALFORMED;
        memcpy(&header, data, sizeof(header));
        if (header.version != KERNEL_PROTOCOL_VERSION)
                return KERNEL_E_MALFORMED;
        if (header.length > KERNEL_TEXT_MAX || header.length != n - sizeof(header))
                return KERNEL_E_MALFORMED;
        if (memchr((const char *) data + sizeof(header), '\0', header.length))
                return KERNEL_E_MALFORMED;

        ret->header = header;
        memcpy(ret->text, (const char *) data + sizeof(header), header.length);
        ret->text[header.length] = '\0';
        return 0;
}

int kernel_request_parse(const void *data, size_t n, KernelPacket *ret) {
        int r;

        r = protocol_parse(data, n, ret);
        if (r != 0)
                return r;
        if (ret->header.result != 0)
                return KERNEL_E_MALFORMED;
        if (ret->header.verb == 0 || ret->header.verb >= _KERNEL_VERB_MAX)
                return KERNEL_E_UNKNOWN_VERB;
        return 0;
}

int kernel_reply_parse(const void *data, size_t n, KernelPacket *ret) {
        int r;

        r = protocol_parse(data, n, ret);
        if (r != 0)
                return r;
        return ret->header.result > 0 ? KERNEL_E_MALFORMED : 0;
}

int kernel_packet_send(int socket, const KernelHeader *header, const char *text, int fd) {
        KernelHeader head = *header;
        size_t length = text ? strnlen(text, KERNEL_TEXT_MAX) : 0;
        struct iovec iov[] = {
                { .iov_base = &head, .iov_len = sizeof(head) },
                { .iov_base = (void *) (uintptr_t) text, .iov_len = length },
        };
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control = {};
        struct msghdr message = { .msg_iov = iov, .msg_iovlen = ELEMENTSOF(iov) };

        head.version = KERNEL_PROTOCOL_VERSION;
        head.length = (uint32_t) length;
        if (fd >= 0) {
                message.msg_control = &control;
                message.msg_controllen = sizeof(control);
                control.header.cmsg_level = SOL_SOCKET;
                control.header.cmsg_type = SCM_RIGHTS;
                control.header.cmsg_len = CMSG_LEN(sizeof(int));
                memcpy(CMSG_DATA(&control.header), &fd, sizeof(int));
        }
        if (sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
                return -errno;
        return 0;
}

/* Keeps the first descriptor and closes the others. */
static int protocol_take_fd(struct msghdr *message) {
        int first = -1;

        for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
                size_t n;

                if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
                        continue;
                n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                for (size_t i = 0; i < n; i++) {
                        int fd;

                        memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
                        if (first < 0)
                                first = fd;
                        else
                                (void) close(fd);
                }
        }
        return first;
}

int kernel_packet_receive(int socket, void *data, size_t size, size_t *ret_n, int *ret_fd) {
        struct iovec iov = { .iov_base = data, .iov_len = size };
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int) * PROTOCOL_FDS_MAX)];
        } control = {};
        struct msghdr message = { .msg_iov = &iov,
                                  .msg_iovlen = 1,
                                  .msg_control = &control,
                                  .msg_controllen = sizeof(control) };
        ssize_t n;
        int fd;

        n = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (n < 0)
                return -errno;
        fd = protocol_take_fd(&message);
        if (message.msg_flags & MSG_TRUNC) {
                if (fd >= 0)
                        (void) close(fd);
                return -EMSGSIZE;
        }
        *ret_n = (size_t) n;
        *ret_fd = fd;
        return 0;
}
