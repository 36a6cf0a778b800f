/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * guests FOLDER COUNT
 *
 * A farm of stand-in guests, FOLDER/gNUMBER.qmp. tocsin tells a guest by its process, so each has a tiny
 * one of its own. Prints "attached" when all have been asked for their state; on standard input
 *
 *     panic    makes all of them panic at once (answered with the time it took to say so)
 *     resets   tells how many have been reset
 *     turns    makes them panic one after the other, each when the one before has been reset; tells
 *              how long that took from STOP to system_reset
 *     rounds N makes all of them panic and go on again N times, as fast as they are read
 *
 * and its end ends the farm.
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
/* More than a decision waits for anything; then it has not been taken. */
#define RESET_WAIT_NS UINT64_C(5000000000)
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
                stand_in_panic(&farm->guests[i]);
        }
        printf("panicked %.1f\n", (double) (bench_now_ns() - start) / 1e6);
}

static void farm_count_resets(const Farm *farm) {
        unsigned n = 0;

        for (unsigned i = 0; i < farm->n; i++)
                n += farm->guests[i].n_resets;
        printf("resets %u\n", n);
}

/* Serves whoever has something to say. True when there is a command for the farm. */
static bool farm_turn(Farm *farm, int wait_ms) {
        struct epoll_event events[EVENTS_PER_TURN];
        int n = epoll_wait(farm->epoll, events, EVENTS_PER_TURN, wait_ms);
        bool command = false;

        for (int i = 0; i < n; i++) {
                uint64_t data = events[i].data.u64;

                if (data == STDIN)
                        command = true;
                else if (data & LISTENER)
                        farm_accept(farm, (unsigned) (data & ~LISTENER));
                else
                        farm_serve(farm, (unsigned) data);
        }
        return command;
}

static void farm_panic_in_turns(Farm *farm) {
        _cleanup_free_ uint32_t *samples = malloc(farm->n * sizeof(*samples));

        if (!samples)
                bench_die("out of memory");
        for (unsigned i = 0; i < farm->n; i++) {
                StandIn *guest = &farm->guests[i];
                unsigned before = guest->n_resets;
                uint64_t start;

                stand_in_panic(guest);
                start = bench_now_ns();
                while (guest->n_resets == before) {
                        (void) farm_turn(farm, 100);
                        if (bench_now_ns() - start > RESET_WAIT_NS)
                                bench_die("g%u was not reset", i);
                }
                samples[i] = (uint32_t) (bench_now_ns() - start);
        }
        bench_print_latencies("reset", samples, farm->n);
}

static void farm_panic_in_rounds(Farm *farm, unsigned n) {
        for (unsigned round = 0; round < n; round++)
                for (unsigned i = 0; i < farm->n; i++) {
                        stand_in_panic(&farm->guests[i]);
                        farm->guests[i].state = NULL;
                        stand_in_send_event(&farm->guests[i], "RESUME", NULL);
                }
        printf("rounds done\n");
}

static bool farm_command(Farm *farm) {
        char line[64];
        ssize_t got = read(STDIN_FILENO, line, sizeof(line) - 1);

        if (got <= 0)
                return false;
        line[got] = '\0';
        if (strncmp(line, "panic", strlen("panic")) == 0)
                farm_panic(farm);
        else if (strncmp(line, "resets", strlen("resets")) == 0)
                farm_count_resets(farm);
        else if (strncmp(line, "turns", strlen("turns")) == 0)
                farm_panic_in_turns(farm);
        else if (strncmp(line, "rounds ", strlen("rounds ")) == 0)
                farm_panic_in_rounds(farm, (unsigned) atoi(line + strlen("rounds ")));
        return true;
}

static void farm_run(Farm *farm) {
        for (;;)
                if (farm_turn(farm, -1) && !farm_command(farm))
                        return;
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
