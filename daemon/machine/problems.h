/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * What operators have been told, so that a QEMU that calls again every second, and is refused every
 * time, is told of once.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Subjects at once; beyond that only that there are more is told, until some are mended. */
#define PROBLEMS_MAX 256
/* A subject that has not come up for so long is forgotten when there are too many: a path in trouble is
 * tried every minute, who calls comes every second. */
#define PROBLEMS_STALE_US (10 * UINT64_C(60) * 1000000)

/* `text` NULL: mended; empty: forgotten. */
typedef void (*ProblemFunc)(const char *key, const char *text, void *userdata);

typedef struct Problem {
        char *key, *text;
        uint64_t seen_us; /* CLOCK_BOOTTIME */
} Problem;

typedef struct Problems {
        Problem *items;
        size_t n_items;
        bool more; /* than can be told */
        ProblemFunc func;
        void *userdata;
} Problems;

/* `text` NULL: mended; empty: nothing happens. */
void problems_set(Problems *problems, const char *key, const char *text);
/* NULL: none. */
const char *problems_get(const Problems *problems, const char *key);
void problems_deinit(Problems *problems);
