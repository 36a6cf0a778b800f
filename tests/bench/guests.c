/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guests FOLDER COUNT
 *
 * A farm of stand-in guests, FOLDER/gNUMBER.qmp. tocsin tells a guest by its process, so each has a tiny
 * one of its own. Prints "attached" when all have been asked for their state; on standard input
 * "panic" makes all of them panic at once (answered with the time it took to say so), and its end ends
 * the farm.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/common.h"
#include "tests/bench/stand-in.h"

#define GUESTS_MAX 20000
#define EVENTS_PER_TURN 256
/* In epoll's data: a guest's number, with this bit for its listening socket. */
#define LISTENER (UINT64_C(1) << 32)
#define STDIN UINT64_MAX

typedef struct Farm {
        StandIn *guests;
        int *listeners;
        unsigned n, n_attached;
        int epoll;
        bool told;
} Farm;

static void farm_watch(Farm *farm, int fd, uint64_t data) {
        struct epoll_event event = { .events = EPOLLIN, .data.u64 = data };

        if (epoll_ctl(farm->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
                bench_die("epoll_ctl: %m");
}

static pid_t farm_fork(void) {
        pid_t pid = fork();

        if (pid < 0)
                bench_die("fork: %m");
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                for (;;)
                        pause();
        }
        return pid;
}

static void farm_open(Farm *farm, const char *folder, unsigned number) {
        StandIn *guest = &farm->guests[number];
        char path[256];

        guest->number = number;
        guest->fd = -1;
        snprintf(path, sizeof(path), "%s/g%u.qmp", folder, number);
        farm->listeners[number] = bench_listen(path);
        farm_watch(farm, farm->listeners[number], LISTENER | number);
}

static void farm_accept(Farm *farm, unsigned number) {
        StandIn *guest = &farm->guests[number];
        int fd = accept4(farm->listeners[number], NULL, NULL, SOCK_CLOEXEC);

        if (fd < 0)
                bench_die("accept: %m");
        if (guest->fd >= 0) {
                close(fd); /* one client a socket */
                return;
        }
        guest->fd = fd;
        guest->n = 0;
        farm_watch(farm, fd, number);
        stand_in_greet(guest);
}

static void farm_serve(Farm *farm, unsigned number) {
        StandIn *guest = &farm->guests[number];
        bool attached = guest->attached;

        if (!stand_in_serve(guest)) {
                close(guest->fd);
                guest->fd = -1;
                return;
        }
        farm->n_attached += guest->attached && !attached;
        if (farm->n_attached == farm->n && !farm->told) {
                farm->told = true;
                printf("attached\n");
        }
}

static void farm_panic(Farm *farm) {
        uint64_t start = bench_now_ns();

        for (unsigned i = 0; i < farm->n; i++) {
                if (farm->guests[i].fd < 0)
                        continue;
                farm->guests[i].panicked = true;
                stand_in_send_event(&farm->guests[i], "GUEST_PANICKED", "{\"action\": \"pause\"}");
                stand_in_send_event(&farm->guests[i], "STOP", NULL);
        }
        printf("panicked %.1f\n", (double) (bench_now_ns() - start) / 1e6);
}

static bool farm_command(Farm *farm) {
        char line[64];
        ssize_t got = read(STDIN_FILENO, line, sizeof(line) - 1);

        if (got <= 0)
                return false;
        line[got] = '\0';
        if (strstr(line, "panic"))
                farm_panic(farm);
        return true;
}

static void farm_run(Farm *farm) {
        for (;;) {
                struct epoll_event events[EVENTS_PER_TURN];
                int n = epoll_wait(farm->epoll, events, EVENTS_PER_TURN, -1);

                for (int i = 0; i < n; i++) {
                        uint64_t data = events[i].data.u64;

                        if (data == STDIN) {
                                if (!farm_command(farm))
                                        return;
                        } else if (data & LISTENER)
                                farm_accept(farm, (unsigned) (data & ~LISTENER));
                        else
                                farm_serve(farm, (unsigned) data);
                }
        }
}

int main(int argc, char *argv[]) {
        Farm farm = {};

        setvbuf(stdout, NULL, _IOLBF, 0);
        farm.n = argc == 3 ? (unsigned) atoi(argv[2]) : 0;
        if (farm.n < 1 || farm.n > GUESTS_MAX)
                bench_die("usage: guests FOLDER COUNT");

        bench_raise_files();
        farm.guests = calloc(farm.n, sizeof(StandIn));
        farm.listeners = calloc(farm.n, sizeof(int));
        if (!farm.guests || !farm.listeners)
                bench_die("out of memory");
        /* The processes first, while there is little to copy for them. */
        for (unsigned i = 0; i < farm.n; i++)
                farm.guests[i].pid = farm_fork();
        farm.epoll = epoll_create1(EPOLL_CLOEXEC);
        if (farm.epoll < 0)
                bench_die("epoll: %m");
        farm_watch(&farm, STDIN_FILENO, STDIN);
        for (unsigned i = 0; i < farm.n; i++)
                farm_open(&farm, argv[1], i);
        printf("listening\n");

        farm_run(&farm);
        for (unsigned i = 0; i < farm.n; i++)
                kill(farm.guests[i].pid, SIGKILL);
        while (wait(NULL) > 0)
                ;
        return 0;
}
