/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * A growing run of bytes with an upper limit; what is consumed at the front costs nothing until the
 * next growth. An empty buffer holds no memory after buffer_deinit() or buffer_consume() of all.
 */
#include <stddef.h>
#include <stdint.h>

#include "policy/util/cleanup.h"

typedef struct Buffer Buffer;

struct Buffer {
        char *data;   /* allocation; the content starts at data + start */
        size_t start; /* bytes consumed at the front */
        size_t end;   /* end of the content */
        size_t size;  /* of the allocation */
        size_t limit; /* most bytes of content; 0: none */
};

#define BUFFER_NULL                                                                                \
        {}

static inline const char *buffer_content(const Buffer *b) {
        return b->data + b->start;
}

static inline size_t buffer_length(const Buffer *b) {
        return b->end - b->start;
}

/* All return 0, -ENOMEM, or -ENOBUFS when the limit would be passed (nothing is appended then). */
int buffer_reserve(Buffer *b, size_t n);
int buffer_append(Buffer *b, const void *data, size_t n);
int buffer_append_string(Buffer *b, const char *s);
int buffer_append_char(Buffer *b, char c);
int buffer_printf(Buffer *b, const char *format, ...) _printf_(2, 3);

/* n bytes have been written at data + end by the caller after buffer_reserve() */
void buffer_advance(Buffer *b, size_t n);
/* drops n bytes at the front; frees the allocation when nothing is left */
void buffer_consume(Buffer *b, size_t n);
void buffer_deinit(Buffer *b);
/* gives the content away as a NUL-terminated string; NULL when out of memory */
char *buffer_take_string(Buffer *b);
