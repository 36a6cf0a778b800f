/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * latency SERVE CLIENT EVENTS [raw]
 *
 * How long an event takes from a monitor's write to a client's read: it is both, the monitor at SERVE
 * and the client at CLIENT, so there is one clock. One event at a time, a millisecond apart.
 *
 * raw: no QMP between them. With CLIENT the same as SERVE that is the bare socket; with a relay between
 * the two, the bare relay.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/common.h"
#include "tests/bench/stand-in.h"

#define EVENT "VFIO_MIGRATION"
#define DATA                                                                                       \
        "{\"device-id\": \"\", \"qom-path\": \"/machine/peripheral/vfio0\", \"device-state\": \"running\"}"
#define EVENTS_MAX 100000
#define PAUSE_US 1000
#define WAIT_MS 5000

static char buffer[BENCH_LINE_MAX];

/* Serves the monitor until there is something for the client. */
static void latency_wait(StandIn *stand_in, int client) {
        for (;;) {
                struct pollfd fds[] = { { .fd = client, .events = POLLIN },
                                        { .fd = stand_in->fd, .events = POLLIN } };

                if (poll(fds, ELEMENTSOF(fds), WAIT_MS) <= 0)
                        bench_die("an event did not come within five seconds");
                if (fds[1].revents && !stand_in_serve(stand_in))
                        bench_die("the monitor's client has gone");
                if (fds[0].revents)
                        return;
        }
}

static uint32_t latency_measure(StandIn *stand_in, int client) {
        uint64_t start = bench_now_ns();

        stand_in_send_event(stand_in, EVENT, DATA);
        for (;;) {
                uint64_t now;
                ssize_t got;

                latency_wait(stand_in, client);
                got = recv(client, buffer, sizeof(buffer) - 1, 0);
                now = bench_now_ns();
                if (got <= 0)
                        bench_die("the client's connection was closed");
                buffer[got] = '\0';
                if (strstr(buffer, EVENT) && buffer[got - 1] == '\n')
                        return (uint32_t) (now - start);
        }
}

int main(int argc, char *argv[]) {
        bool raw = argc == 5 && strcmp(argv[4], "raw") == 0;
        StandIn stand_in = { .pid = getpid() };
        _cleanup_free_ uint32_t *samples = NULL;
        int listener, client = -1;
        unsigned n;

        if (argc < 4)
                bench_die("usage: latency SERVE CLIENT EVENTS [raw]");
        n = (unsigned) atoi(argv[3]);
        if (n < 1 || n > EVENTS_MAX)
                bench_die("too many events, or none");
        samples = malloc(n * sizeof(*samples));
        listener = bench_listen(argv[1]);
        if (!samples)
                bench_die("out of memory");

        if (raw)
                client = bench_connect(argv[2]);
        stand_in.fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (stand_in.fd < 0)
                bench_die("accept: %m");
        if (!raw) {
                struct pollfd poll_fd = { .fd = stand_in.fd, .events = POLLIN };

                stand_in_greet(&stand_in);
                while (!stand_in.attached && poll(&poll_fd, 1, WAIT_MS) > 0)
                        if (!stand_in_serve(&stand_in))
                                bench_die("tocsin has gone");
                client = bench_connect(argv[2]);
                bench_negotiate(client);
        }

        for (unsigned i = 0; i < n; i++) {
                samples[i] = latency_measure(&stand_in, client);
                usleep(PAUSE_US);
        }
        bench_print_latencies("event", samples, n);
        return 0;
}
