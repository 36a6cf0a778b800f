/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/source/proc-event.h"

#include <errno.h>
#include <linux/cn_proc.h>
#include <linux/connector.h>
#include <linux/netlink.h>
#include <stdint.h>
#include <string.h>

/* linux/cn_proc.h, where its enumerators belong to the struct in some versions, to nothing in others */
#define PROC_EVENT_WHAT_EXIT 0x80000000U

int proc_event_parse(const void *data, size_t n, pid_t *ret_died, int *ret_status) {
        const size_t payload = NLMSG_HDRLEN + sizeof(struct cn_msg);
        struct proc_event event = {};
        struct nlmsghdr header;
        struct cn_msg message;
        size_t size;

        if (n < payload + offsetof(struct proc_event, event_data))
                return -EBADMSG;
        memcpy(&header, data, sizeof(header));
        memcpy(&message, (const char *) data + NLMSG_HDRLEN, sizeof(message));
        if (header.nlmsg_len < payload || header.nlmsg_len > n || message.id.idx != CN_IDX_PROC ||
            message.id.val != CN_VAL_PROC || message.len > n - payload)
                return -EBADMSG;
        /* newer kernels may say more than this header knows, older ones less */
        size = message.len < sizeof(event) ? message.len : sizeof(event);
        memcpy(&event, (const char *) data + payload, size);
        *ret_died = 0;
        *ret_status = 0;
        if ((unsigned) event.what != PROC_EVENT_WHAT_EXIT)
                return 0;
        if (size < offsetof(struct proc_event, event_data) + 4 * sizeof(uint32_t))
                return -EBADMSG;
        /* the other threads of a process end before it, and alone */
        if (event.event_data.exit.process_pid != event.event_data.exit.process_tgid)
                return 0;
        *ret_died = event.event_data.exit.process_pid;
        *ret_status = (int) event.event_data.exit.exit_code;
        return 0;
}
