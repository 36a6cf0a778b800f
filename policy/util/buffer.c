/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/util/buffer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int buffer_reserve(Buffer *b, size_t n) {
        size_t length = buffer_length(b), need = length + n, size;
        char *data;

        if (need < length || (b->limit && need > b->limit))
                return -ENOBUFS;
        if (b->end + n <= b->size)
                return 0;
        if (b->start > 0 && need <= b->size) {
                memmove(b->data, b->data + b->start, length);
                b->start = 0;
                b->end = length;
                return 0;
        }

        size = b->size < 64 ? 64 : b->size;
        while (size < need)
                size += size / 2;
        data = malloc(size);
        if (!data)
                return -ENOMEM;
        if (length > 0)
                memcpy(data, buffer_content(b), length);
        free(b->data);
        b->data = data;
        b->start = 0;
        b->end = length;
        b->size = size;
        return 0;
}

int buffer_append(Buffer *b, const void *data, size_t n) {
        int r;

        if (n == 0)
                return 0;
        r = buffer_reserve(b, n);
        if (r < 0)
                return r;
        memcpy(b->data + b->end, data, n);
        b->end += n;
        return 0;
}

int buffer_append_string(Buffer *b, const char *s) {
        return buffer_append(b, s, strlen(s));
}

int buffer_append_char(Buffer *b, char c) {
        return buffer_append(b, &c, 1);
}

int buffer_printf(Buffer *b, const char *format, ...) {
        va_list ap;
        int n, r;

        va_start(ap, format);
        n = vsnprintf(NULL, 0, format, ap);
        va_end(ap);
        if (n < 0)
                return -EINVAL;
        /* vsnprintf() writes a NUL behind the text; it is not part of the content */
        r = buffer_reserve(b, (size_t) n + 1);
        if (r < 0)
                return r;
        va_start(ap, format);
        (void) vsnprintf(b->data + b->end, (size_t) n + 1, format, ap);
        va_end(ap);
        b->end += (size_t) n;
        return 0;
}

void buffer_advance(Buffer *b, size_t n) {
        b->end += n;
}

void buffer_consume(Buffer *b, size_t n) {
        b->start += n;
        if (b->start < b->end)
                return;
        buffer_deinit(b);
}

void buffer_deinit(Buffer *b) {
        free(b->data);
        b->data = NULL;
        b->start = b->end = b->size = 0;
}

char *buffer_take_string(Buffer *b) {
        char *s;

        if (buffer_append_char(b, '\0') < 0)
                return NULL;
        if (b->start > 0)
                memmove(b->data, b->data + b->start, buffer_length(b));
        s = TAKE_PTR(b->data);
        buffer_deinit(b);
        return s;
}
