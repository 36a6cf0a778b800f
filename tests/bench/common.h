/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * What the bench drivers share. They measure, so they use bare system calls; they are tools, so every
 * failure ends them with a sentence.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdnoreturn.h>

#include "policy/util/cleanup.h"

/* A line longer than this is none of the messages the drivers are made for. */
#define BENCH_LINE_MAX 65536

noreturn void bench_die(const char *format, ...) _printf_(1, 2);
uint64_t bench_now_ns(void); /* CLOCK_MONOTONIC */
/* As many descriptors as this process may have. */
void bench_raise_files(void);

int bench_listen(const char *path);
int bench_connect(const char *path); /* waits up to ten seconds for somebody to listen */
void bench_write(int fd, const char *data, size_t n);
/* Reads up to and including the next LF, nothing after it; returns the length. */
size_t bench_read_line(int fd, char *line);
/* As a QMP client: greeting, qmp_capabilities. */
void bench_negotiate(int fd);

/* Sorts, and prints "NAME-p50-us=… NAME-p99-us=… NAME-max-us=…". */
void bench_print_latencies(const char *name, uint32_t *samples_ns, size_t n);
