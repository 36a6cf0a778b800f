/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * Text on its way to a terminal. The first error sticks, so that a report can be written as a list
 * of what it says, and is asked once, by text_print().
 *
 * Whatever came over a socket has gone through escape_json() before it gets here.
 */
#include <stdint.h>
#include <stdio.h>

#include "policy/util/buffer.h"

typedef struct Text {
        Buffer buffer;
        int error;
} Text;

#define TEXT_NULL                                                                                  \
        {}

void text_deinit(Text *text);
void text_add(Text *text, const char *s);
void text_printf(Text *text, const char *format, ...) _printf_(2, 3);
/* Writes it out and empties it. 0, -ENOMEM or -EIO. */
int text_print(Text *text, FILE *file);
/* The content as a string, to be freed; NULL when out of memory. The text is empty then. */
char *text_take(Text *text);

/* Times are UTC: records of several hosts are read side by side. */
void text_add_time(Text *text, uint64_t real_us);  /* 2026-11-21 03:12:07.412 UTC */
void text_add_clock(Text *text, uint64_t real_us); /* 03:12:07.412 */
void text_add_day(Text *text, uint64_t real_us);   /* 2026-11-21 */
/* Two units at most, as people say it: "38 us", "24.46 s", "2 h 5 min". */
void text_add_span(Text *text, uint64_t us);
void text_add_size(Text *text, uint64_t bytes); /* "611 MiB" */
