/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * load PATH CLIENTS DEPTH SECONDS [raw]
 *
 * query-status from so many clients at once, each with so many commands under way. Prints round trips
 * a second, and with a depth of one the time of a round trip. `raw` leaves out the negotiation, for a
 * server that is none of QMP.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/common.h"

#define COMMAND "{\"execute\": \"query-status\"}\r\n"
#define COMMAND_LENGTH (sizeof(COMMAND) - 1)
#define SAMPLES_MAX (4u << 20)
#define CLIENTS_MAX 10000
#define DEPTH_MAX 1024
#define EVENTS_PER_TURN 64

typedef struct Client {
        int fd;
        uint64_t sent_ns;
} Client;

typedef struct Load {
        Client *clients;
        unsigned n_clients, depth;
        char *batch; /* DEPTH_MAX commands */
        char *buffer;
        uint32_t *samples;
        size_t n_samples;
        uint64_t n_replies;
} Load;

static void load_send(Load *load, Client *client, unsigned n) {
        client->sent_ns = bench_now_ns();
        bench_write(client->fd, load->batch, n * COMMAND_LENGTH);
}

static void load_receive(Load *load, Client *client) {
        ssize_t got = recv(client->fd, load->buffer, BENCH_LINE_MAX, MSG_DONTWAIT);
        unsigned n = 0;

        if (got == 0 || (got < 0 && errno != EAGAIN))
                bench_die("a client lost its connection");
        for (ssize_t i = 0; i < got; i++)
                n += load->buffer[i] == '\n';
        if (n == 0)
                return;

        if (load->depth == 1 && load->n_samples < SAMPLES_MAX)
                load->samples[load->n_samples++] = (uint32_t) (bench_now_ns() - client->sent_ns);
        load->n_replies += n;
        load_send(load, client, n);
}

static void load_run(Load *load, int epoll, double seconds) {
        uint64_t start = bench_now_ns(), end = start + (uint64_t) (seconds * 1e9), now;

        for (unsigned i = 0; i < load->n_clients; i++)
                load_send(load, &load->clients[i], load->depth);

        while ((now = bench_now_ns()) < end) {
                struct epoll_event events[EVENTS_PER_TURN];
                int n = epoll_wait(epoll, events, EVENTS_PER_TURN, 1000);

                if (n < 0 && errno != EINTR)
                        bench_die("epoll_wait: %m");
                for (int i = 0; i < n; i++)
                        load_receive(load, events[i].data.ptr);
        }

        printf("rate=%.0f\n", (double) load->n_replies / ((double) (now - start) / 1e9));
        if (load->depth == 1)
                bench_print_latencies("round-trip", load->samples, load->n_samples);
}

int main(int argc, char *argv[]) {
        Load load = {};
        int epoll;

        if (argc < 5)
                bench_die("usage: load PATH CLIENTS DEPTH SECONDS [raw]");
        load.n_clients = (unsigned) atoi(argv[2]);
        load.depth = (unsigned) atoi(argv[3]);
        if (load.n_clients < 1 || load.n_clients > CLIENTS_MAX || load.depth < 1 ||
            load.depth > DEPTH_MAX)
                bench_die("too many, or none");

        bench_raise_files();
        load.clients = calloc(load.n_clients, sizeof(Client));
        load.batch = malloc(DEPTH_MAX * COMMAND_LENGTH);
        load.buffer = malloc(BENCH_LINE_MAX);
        load.samples = malloc(SAMPLES_MAX * sizeof(uint32_t));
        epoll = epoll_create1(EPOLL_CLOEXEC);
        if (!load.clients || !load.batch || !load.buffer || !load.samples || epoll < 0)
                bench_die("no room: %m");
        for (unsigned i = 0; i < DEPTH_MAX; i++)
                memcpy(load.batch + i * COMMAND_LENGTH, COMMAND, COMMAND_LENGTH);

        for (unsigned i = 0; i < load.n_clients; i++) {
                Client *client = &load.clients[i];
                struct epoll_event event = { .events = EPOLLIN, .data.ptr = client };

                client->fd = bench_connect(argv[1]);
                if (argc == 5)
                        bench_negotiate(client->fd);
                if (epoll_ctl(epoll, EPOLL_CTL_ADD, client->fd, &event) < 0)
                        bench_die("epoll_ctl: %m");
        }
        load_run(&load, epoll, atof(argv[4]));
        return 0;
}
