/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How processes end. That a guest's process has ended is told by its pidfd; what is told here is how.
 * So nothing has to be caught up with after an overrun: an end whose reason is lost is an end still.
 */
#include <errno.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "daemon/kernel/fd.h"
#include "daemon/source/connector.h"
#include "daemon/source/proc-event.h"
#include "daemon/source/source.h"

/* In one turn of the loop. */
#define DEATHS_TURN 64

typedef struct DeathsState {
        struct nl_sock *socket;
        sd_event_source *io;
        bool asking;
} DeathsState;

static void deaths_take(Source *source, const void *data, size_t n) {
        const SourcesOps *ops;
        void *userdata;
        int status;
        pid_t died;

        if (proc_event_parse(data, n, &died, &status) < 0)
                return;
        source_recover(source);
        if (died <= 0)
                return;
        source_count(source);
        ops = source_get_ops(source, &userdata);
        ops->died(died, status, userdata);
}

static int deaths_dispatch(sd_event_source *io, int fd, uint32_t revents, void *userdata) {
        Source *source = userdata;
        DeathsState *state = source->state;

        for (unsigned i = 0; i < DEATHS_TURN; i++) {
                _cleanup_free_ void *data = NULL;
                size_t n;
                int r = netlink_receive(state->socket, &data, &n);

                if (r == -EPERM)
                        continue;
                if (r == -ENOBUFS) {
                        source_overrun(source);
                        continue;
                }
                if (r == -EAGAIN)
                        return 0;
                if (r < 0) {
                        source_fail(source, "the socket failed: %s", strerror(-r));
                        state->io = sd_event_source_disable_unref(state->io);
                        return 0;
                }
                deaths_take(source, data, n);
        }
        return 0;
}

static int deaths_listen(Source *source) {
        DeathsState *state = source->state;

        /* in a PID namespace of its own the request is ignored */
        source_wait(source, "the kernel has not acknowledged that we listen");
        return sd_event_add_io(source_get_event(source),
                               &state->io,
                               nl_socket_get_fd(state->socket),
                               EPOLLIN,
                               deaths_dispatch,
                               source);
}

static void deaths_opened(int r, int fd, const char *text, void *userdata) {
        _cleanup_fd_ int owned = fd;
        Source *source = userdata;
        DeathsState *state = source->state;

        state->asking = false;
        if (r == 0)
                r = netlink_take(NETLINK_CONNECTOR, fd, &state->socket);
        if (r == 0) {
                TAKE_FD(owned);
                r = deaths_listen(source);
        }
        if (r < 0)
                source_fail(source,
                            "the proc connector can't be opened: %s",
                            text ? text : strerror(-r));
}

static int deaths_open(Source *source) {
        DeathsState *state = calloc(1, sizeof(*state));
        int r;

        if (!state)
                return -ENOMEM;
        source->state = state;
        r = connector_open(&state->socket);
        if (r == 0)
                r = deaths_listen(source);
        else if (r == -EPERM) {
                r = kernel_client_open_connector(source_get_kernel(source), deaths_opened, source);
                state->asking = r == 0;
                source_wait(source, "tocsin-kernel has not answered");
        }
        if (r < 0)
                source_fail(source, "the proc connector can't be opened: %s", strerror(-r));
        return r;
}

static void deaths_close(Source *source) {
        DeathsState *state = source->state;

        if (!state)
                return;
        if (state->asking)
                kernel_client_cancel(source_get_kernel(source), source);
        sd_event_source_disable_unref(state->io);
        nl_socket_free(state->socket);
        free(state);
}

const SourceType source_deaths = {
        .name = "deaths",
        .through = "proc connector: how processes of guests end",
        .open = deaths_open,
        .close = deaths_close,
};
