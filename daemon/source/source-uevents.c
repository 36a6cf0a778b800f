/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Uevents of the kernel itself: KVM guests coming and going. The one difficulty is that some may be
 * lost, and that guests were there before us: then the helper looks for processes that hold a
 * virtual machine.
 */
#include <errno.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <syslog.h>

#include "daemon/kernel/fd.h"
#include "daemon/kernel/holders.h"
#include "daemon/source/netlink.h"
#include "daemon/source/source.h"
#include "daemon/source/uevent.h"

/* Of kobject_uevent.c: 1 is the kernel's, 2 is udevd's. */
#define UEVENTS_GROUP 1
/* In one turn of the loop. */
#define UEVENTS_TURN 64

typedef struct UeventsState {
        struct nl_sock *socket;
        sd_event_source *io;
        bool scanning;
} UeventsState;

static void uevents_take_holder(const Holder *holder, void *userdata) {
        const SourcesOps *ops = source_get_ops(userdata, &userdata);

        ops->guest_opened(holder->pid, userdata);
}

static void uevents_scanned(int r, int fd, const char *text, void *userdata) {
        _cleanup_fd_ int owned = fd;
        Source *source = userdata;
        UeventsState *state = source->state;

        state->scanning = false;
        if (r == 0)
                r = holders_read(fd, uevents_take_holder, source);
        if (r < 0)
                source_report(source,
                              LOG_NOTICE,
                              "guests that run already can't be looked for: %s",
                              text ? text : strerror(-r));
}

static void uevents_scan(Source *source) {
        UeventsState *state = source->state;

        if (state->scanning)
                return;
        state->scanning = kernel_client_find_holders(source_get_kernel(source),
                                                     HOLDERS_KVM,
                                                     uevents_scanned,
                                                     source) == 0;
}

static void uevents_take(Source *source, const void *data, size_t n) {
        UeventGuest what;
        const SourcesOps *ops;
        Uevent uevent;
        void *userdata;
        pid_t tid;

        source_count(source);
        if (uevent_parse(data, n, &uevent) < 0 || uevent_read_guest(&uevent, &what, &tid) < 0)
                return;
        ops = source_get_ops(source, &userdata);
        switch (what) {
        case UEVENT_GUEST_CREATED:
                ops->guest_opened(tid, userdata);
                break;
        case UEVENT_GUEST_DESTROYED:
                ops->guest_closed(tid, userdata);
                break;
        }
}

static int uevents_dispatch(sd_event_source *io, int fd, uint32_t revents, void *userdata) {
        Source *source = userdata;
        UeventsState *state = source->state;

        for (unsigned i = 0; i < UEVENTS_TURN; i++) {
                _cleanup_free_ void *data = NULL;
                size_t n;
                int r = netlink_receive(state->socket, &data, &n);

                if (r == -EPERM)
                        continue;
                if (r == -ENOBUFS) {
                        source_overrun(source);
                        uevents_scan(source);
                        continue;
                }
                if (r == -EAGAIN)
                        return 0;
                if (r < 0) {
                        source_fail(source, "the socket failed: %s", strerror(-r));
                        state->io = sd_event_source_disable_unref(state->io);
                        return 0;
                }
                uevents_take(source, data, n);
        }
        return 0;
}

static int uevents_open(Source *source) {
        UeventsState *state = calloc(1, sizeof(*state));
        int r;

        if (!state)
                return -ENOMEM;
        source->state = state;
        r = netlink_open(NETLINK_KOBJECT_UEVENT, UEVENTS_GROUP, &state->socket);
        if (r == 0)
                r = sd_event_add_io(source_get_event(source),
                                    &state->io,
                                    nl_socket_get_fd(state->socket),
                                    EPOLLIN,
                                    uevents_dispatch,
                                    source);
        if (r < 0) {
                source_fail(source, "no uevents can be received: %s", strerror(-r));
                return r;
        }
        uevents_scan(source);
        return 0;
}

static void uevents_close(Source *source) {
        UeventsState *state = source->state;

        if (!state)
                return;
        if (state->scanning)
                kernel_client_cancel(source_get_kernel(source), source);
        sd_event_source_disable_unref(state->io);
        nl_socket_free(state->socket);
        free(state);
}

const SourceType source_uevents = {
        .name = "uevents",
        .through = "NETLINK_KOBJECT_UEVENT: KVM guests that come and go",
        .open = uevents_open,
        .close = uevents_close,
};
