/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * count PATH TEXT N SECONDS
 *
 * Counts the messages of a QMP server that contain a text, as a client that reads as fast as it can, and
 * has replayed what it could not read in time.
 * Prints "ready", then "first=… last=…": CLOCK_MONOTONIC in milliseconds of the first and of the Nth.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "tests/bench/common.h"

#define ROOM (1u << 20)

typedef struct Count {
        int fd;
        const char *text;
        unsigned n, wanted;
        uint64_t first_ns, last_ns;
        size_t used;
        char *buffer;
} Count;

static void count_replay(const Count *count, const char *line) {
        const char *first = strstr(line, "\"first\": ");
        char command[128];
        int n;

        if (!first || !strstr(line, "slow-client"))
                bench_die("lost for good: %s", line);
        n = snprintf(command,
                     sizeof(command),
                     "{\"execute\": \"replay-events\", \"arguments\": {\"after\": %llu}}\r\n",
                     strtoull(first + strlen("\"first\": "), NULL, 10) - 1);
        bench_write(count->fd, command, (size_t) n);
}

static void count_lines(Count *count) {
        char *line = count->buffer, *end;

        count->buffer[count->used] = '\0';
        while ((end = memchr(line, '\n', count->used - (size_t) (line - count->buffer)))) {
                *end = '\0';
                if (strstr(line, "\"EVENTS_LOST\""))
                        count_replay(count, line);
                if (strstr(line, count->text) && count->n < count->wanted) {
                        count->last_ns = bench_now_ns();
                        if (count->n++ == 0)
                                count->first_ns = count->last_ns;
                }
                line = end + 1;
        }
        count->used -= (size_t) (line - count->buffer);
        memmove(count->buffer, line, count->used);
}

int main(int argc, char *argv[]) {
        Count count = {};
        struct pollfd poll_fd = { .events = POLLIN };
        uint64_t end;

        if (argc != 5)
                bench_die("usage: count PATH TEXT N SECONDS");
        count.text = argv[2];
        count.wanted = (unsigned) atoi(argv[3]);
        count.buffer = malloc(ROOM + 1);
        if (!count.buffer)
                bench_die("out of memory");
        count.fd = poll_fd.fd = bench_connect(argv[1]);
        bench_negotiate(poll_fd.fd);
        printf("ready\n");
        fflush(stdout);

        end = bench_now_ns() + (uint64_t) atoi(argv[4]) * 1000000000;
        while (count.n < count.wanted) {
                ssize_t got;

                if (bench_now_ns() > end)
                        bench_die("%u of %u came", count.n, count.wanted);
                if (poll(&poll_fd, 1, 100) <= 0)
                        continue;
                got = recv(poll_fd.fd, count.buffer + count.used, ROOM - count.used, 0);
                if (got <= 0)
                        bench_die("connection closed after %u of %u", count.n, count.wanted);
                count.used += (size_t) got;
                count_lines(&count);
        }
        printf("first=%.2f last=%.2f\n", (double) count.first_ns / 1e6, (double) count.last_ns / 1e6);
        return 0;
}
