/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every fork, exec and exit of the host comes through here. What nobody wants is kept from waking us
 * in two ways: Linux 6.6 and newer are asked for exits alone, and a filter on the socket drops the
 * rest where they are not.
 */
#include "daemon/source/connector.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/filter.h>
#include <netlink/msg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>

/* linux/cn_proc.h of 6.6 */
#define CONNECTOR_NONZERO_EXIT 0x20000000U
#define CONNECTOR_EXIT 0x80000000U

typedef struct ConnectorRequest {
        struct cn_msg message;
        uint32_t op;
        uint32_t mask; /* not in the first request */
} __attribute__((packed)) ConnectorRequest;

/* Where the kernel puts them: behind a netlink header and a connector header. */
#define CONNECTOR_EVENT (NLMSG_HDRLEN + sizeof(struct cn_msg))
#define CONNECTOR_WHAT (CONNECTOR_EVENT + offsetof(struct proc_event, what))
#define CONNECTOR_EXIT_DATA (CONNECTOR_EVENT + offsetof(struct proc_event, event_data.exit))
#define CONNECTOR_PID (CONNECTOR_EXIT_DATA + offsetof(struct exit_proc_event, process_pid))
#define CONNECTOR_TGID (CONNECTOR_EXIT_DATA + offsetof(struct exit_proc_event, process_tgid))
#define CONNECTOR_CODE (CONNECTOR_EXIT_DATA + offsetof(struct exit_proc_event, exit_code))

static int connector_filter(int fd) {
        /* Words are loaded in network order. What is not an exit is the answer to LISTEN, 0. */
        struct sock_filter code[] = {
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, CONNECTOR_WHAT),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 7, 0),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(CONNECTOR_EXIT), 0, 7),
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, CONNECTOR_CODE),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 5, 0),
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, CONNECTOR_PID),
                BPF_STMT(BPF_MISC | BPF_TAX, 0),
                BPF_STMT(BPF_LD | BPF_W | BPF_ABS, CONNECTOR_TGID),
                BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_X, 0, 0, 1),
                BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
                BPF_STMT(BPF_RET | BPF_K, 0),
        };
        struct sock_fprog program = { .len = ELEMENTSOF(code), .filter = code };

        return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ? -errno
                                                                                           : 0;
}

/* The plain request first, which is answered; one with a mask is not, and is ignored before Linux 6.6. */
static int connector_listen(int fd, size_t size) {
        struct {
                struct nlmsghdr header;
                ConnectorRequest request;
        } packet = {
                .header = { .nlmsg_len = (uint32_t) (NLMSG_HDRLEN + size), .nlmsg_type = NLMSG_DONE },
                .request = { .message = { .id = { CN_IDX_PROC, CN_VAL_PROC },
                                          .len = (uint16_t) (size - sizeof(struct cn_msg)) },
                             .op = PROC_CN_MCAST_LISTEN,
                             .mask = CONNECTOR_EXIT | CONNECTOR_NONZERO_EXIT },
        };

        return send(fd, &packet, packet.header.nlmsg_len, 0) < 0 ? -errno : 0;
}

int connector_open(struct nl_sock **ret) {
        _cleanup_nl_ struct nl_sock *socket = NULL;
        int r, fd;

        r = netlink_open(NETLINK_CONNECTOR, CN_IDX_PROC, &socket);
        if (r < 0)
                return r;
        fd = nl_socket_get_fd(socket);
        r = connector_filter(fd);
        if (r == 0)
                r = connector_listen(fd, offsetof(ConnectorRequest, mask));
        if (r == 0)
                r = connector_listen(fd, sizeof(ConnectorRequest));
        if (r < 0)
                return r;
        *ret = TAKE_PTR(socket);
        return 0;
}
