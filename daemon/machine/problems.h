/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * What operators have been told, so that a QEMU that calls again every second, and is refused every
 * time, is told of once.
 */
#include <stddef.h>

/* Subjects at once; beyond that one is told to be mended, and is told of again when it comes up again. */
#define PROBLEMS_MAX 256

typedef void (*ProblemFunc)(const char *key, const char *text, void *userdata);

typedef struct Problem {
        char *key, *text;
} Problem;

typedef struct Problems {
        Problem *items;
        size_t n_items;
        ProblemFunc func;
        void *userdata;
} Problems;

/* `text` NULL: mended. */
void problems_set(Problems *problems, const char *key, const char *text);
void problems_deinit(Problems *problems);
