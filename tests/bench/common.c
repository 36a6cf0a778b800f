/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See common.h. */
#include "tests/bench/common.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define CONNECT_TRIES 1000
#define CONNECT_PAUSE_US 10000

void bench_die(const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        vfprintf(stderr, format, ap);
        va_end(ap);
        fputc('\n', stderr);
        exit(1);
}

uint64_t bench_now_ns(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t) t.tv_sec * 1000000000 + (uint64_t) t.tv_nsec;
}

void bench_raise_files(void) {
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                bench_die("getrlimit: %m");
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
                bench_die("setrlimit: %m");
}

static struct sockaddr_un bench_address(const char *path) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        if (strlen(path) >= sizeof(address.sun_path))
                bench_die("%s: too long for a socket", path);
        strcpy(address.sun_path, path);
        return address;
}

int bench_listen(const char *path) {
        struct sockaddr_un address = bench_address(path);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        unlink(path);
        if (fd < 0 || bind(fd, (struct sockaddr *) &address, sizeof(address)) < 0 ||
            listen(fd, 128) < 0)
                bench_die("%s: %m", path);
        return fd;
}

int bench_connect(const char *path) {
        struct sockaddr_un address = bench_address(path);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        if (fd < 0)
                bench_die("socket: %m");
        for (unsigned i = 0; i < CONNECT_TRIES; i++) {
                if (connect(fd, (struct sockaddr *) &address, sizeof(address)) == 0)
                        return fd;
                if (errno != ENOENT && errno != ECONNREFUSED && errno != EAGAIN)
                        break;
                usleep(CONNECT_PAUSE_US);
        }
        bench_die("%s: %m", path);
}

void bench_write(int fd, const char *data, size_t n) {
        while (n > 0) {
                ssize_t written = send(fd, data, n, MSG_NOSIGNAL);

                if (written < 0 && errno != EINTR)
                        bench_die("send: %m");
                if (written > 0) {
                        data += written;
                        n -= (size_t) written;
                }
        }
}

size_t bench_read_line(int fd, char *line) {
        for (size_t n = 0; n < BENCH_LINE_MAX - 1;) {
                ssize_t got = read(fd, line + n, 1);

                if (got == 0)
                        bench_die("the connection was closed");
                if (got < 0 && errno != EINTR)
                        bench_die("read: %m");
                if (got == 1 && line[n++] == '\n') {
                        line[n] = '\0';
                        return n;
                }
        }
        bench_die("a line without an end");
}

void bench_negotiate(int fd) {
        static const char command[] = "{\"execute\": \"qmp_capabilities\"}\r\n";
        _cleanup_free_ char *line = malloc(BENCH_LINE_MAX);

        if (!line)
                bench_die("out of memory");
        bench_read_line(fd, line);
        bench_write(fd, command, sizeof(command) - 1);
        do
                bench_read_line(fd, line);
        while (!strstr(line, "\"return\""));
}

static int bench_compare(const void *a, const void *b) {
        uint32_t x = *(const uint32_t *) a, y = *(const uint32_t *) b;

        return x < y ? -1 : x > y;
}

void bench_print_latencies(const char *name, uint32_t *samples_ns, size_t n) {
        if (n == 0)
                bench_die("no samples");
        qsort(samples_ns, n, sizeof(*samples_ns), bench_compare);
        printf("%s-p50-us=%.2f %s-p99-us=%.2f %s-max-us=%.2f\n",
               name,
               samples_ns[n / 2] / 1000.0,
               name,
               samples_ns[n - 1 - n / 100] / 1000.0,
               name,
               samples_ns[n - 1] / 1000.0);
}
