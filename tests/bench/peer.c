/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The floors that tocsin is measured against: as little as a server or a relay can do.
 *
 *     peer echo PATH             answers each line with one as long as the answer to query-status
 *     peer relay UPSTREAM PATH   connects to UPSTREAM for the first client of PATH, and passes bytes on
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/common.h"

#define REPLY                                                                                      \
        "{\"return\": {\"status\": \"running\", \"singlestep\": false, \"running\": true}}\r\n"
#define REPLY_LENGTH (sizeof(REPLY) - 1)
#define READ_MAX 65536
/* Lines of one read; shorter than any command. */
#define REPLIES_MAX (READ_MAX / 16)
#define EVENTS_PER_TURN 64

static char buffer[READ_MAX];

static void peer_watch(int epoll, int fd) {
        struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

        if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
                bench_die("epoll_ctl: %m");
}

static int peer_accept(int listener) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

        if (fd < 0)
                bench_die("accept: %m");
        return fd;
}

static noreturn void peer_echo(const char *path) {
        _cleanup_free_ char *replies = malloc(REPLIES_MAX * REPLY_LENGTH);
        int listener = bench_listen(path), epoll = epoll_create1(EPOLL_CLOEXEC);

        if (!replies || epoll < 0)
                bench_die("no room: %m");
        for (size_t i = 0; i < REPLIES_MAX; i++)
                memcpy(replies + i * REPLY_LENGTH, REPLY, REPLY_LENGTH);
        peer_watch(epoll, listener);

        for (;;) {
                struct epoll_event events[EVENTS_PER_TURN];
                int n = epoll_wait(epoll, events, EVENTS_PER_TURN, -1);

                for (int i = 0; i < n; i++) {
                        int fd = events[i].data.fd;
                        size_t lines = 0;
                        ssize_t got;

                        if (fd == listener) {
                                peer_watch(epoll, peer_accept(listener));
                                continue;
                        }
                        got = read(fd, buffer, sizeof(buffer));
                        if (got <= 0) {
                                close(fd);
                                continue;
                        }
                        for (ssize_t k = 0; k < got; k++)
                                lines += buffer[k] == '\n';
                        if (send(fd, replies, lines * REPLY_LENGTH, MSG_NOSIGNAL) < 0)
                                close(fd);
                }
        }
}

static void peer_relay(const char *upstream, const char *path) {
        int client = peer_accept(bench_listen(path));
        int server = bench_connect(upstream);
        int epoll = epoll_create1(EPOLL_CLOEXEC);

        if (epoll < 0)
                bench_die("epoll: %m");
        peer_watch(epoll, client);
        peer_watch(epoll, server);

        for (;;) {
                struct epoll_event events[2];
                int n = epoll_wait(epoll, events, ELEMENTSOF(events), -1);

                for (int i = 0; i < n; i++) {
                        int fd = events[i].data.fd;
                        ssize_t got = read(fd, buffer, sizeof(buffer));

                        if (got <= 0)
                                return;
                        bench_write(fd == client ? server : client, buffer, (size_t) got);
                }
        }
}

int main(int argc, char *argv[]) {
        if (argc == 3 && strcmp(argv[1], "echo") == 0)
                peer_echo(argv[2]);
        else if (argc == 4 && strcmp(argv[1], "relay") == 0)
                peer_relay(argv[2], argv[3]);
        else
                bench_die("usage: peer echo PATH | peer relay UPSTREAM PATH");
        return 0;
}
