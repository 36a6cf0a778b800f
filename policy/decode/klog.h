/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * What a Linux kernel said as it died, out of its log: of any version and architecture, cut anywhere, and
 * written by whoever the guest let write. Pure; made printable ASCII here.
 */
#include <stdbool.h>
#include <stddef.h>

/* A line of the kernel's has some 100 characters, but for its own limit of 1024. */
#define KLOG_LINE_SIZE 240
/* Functions of a call trace that tell most of it: the innermost. */
#define KLOG_FRAMES_MAX 8
#define KLOG_TRACE_SIZE 240

typedef struct KlogPanic {
        char line[KLOG_LINE_SIZE];   /* "Kernel panic - not syncing: sysrq triggered crash" */
        char trace[KLOG_TRACE_SIZE]; /* "panic, sysrq_handle_crash, __handle_sysrq", or "" */
} KlogPanic;

/* The last panic of the log; false: there is none in it. */
bool klog_find_panic(const char *text, size_t n, KlogPanic *ret);
