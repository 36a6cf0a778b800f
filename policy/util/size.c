/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Numbers as people write them. strtoull() is not used: it takes signs, leading space and octal, and
 * wraps "-1" into a very large size.
 */
#include "policy/util/size.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char size_suffixes[] = "KMGTPE";

static int size_digit(char c, unsigned base) {
        int digit = -1;

        if (c >= '0' && c <= '9')
                digit = c - '0';
        else if (c >= 'a' && c <= 'f')
                digit = c - 'a' + 10;
        else if (c >= 'A' && c <= 'F')
                digit = c - 'A' + 10;
        return digit < (int) base ? digit : -1;
}

/* The number at *s, which is left behind its last digit. */
static int size_take_number(const char **s, uint64_t *ret) {
        unsigned base = 10;
        const char *p = *s;
        uint64_t n = 0;
        int digit;

        if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X')) {
                base = 16;
                p += 2;
        }
        if (size_digit(*p, base) < 0)
                return -EINVAL;
        for (; (digit = size_digit(*p, base)) >= 0; p++)
                if (__builtin_mul_overflow(n, base, &n) ||
                    __builtin_add_overflow(n, (unsigned) digit, &n))
                        return -ERANGE;

        *s = p;
        *ret = n;
        return 0;
}

int size_parse(const char *s, uint64_t *ret) {
        const char *suffix;
        uint64_t n;
        int r;

        r = size_take_number(&s, &n);
        if (r < 0)
                return r;
        if (*s != '\0') {
                suffix = strchr(size_suffixes, *s);
                if (!suffix || s[1] != '\0')
                        return -EINVAL;
                if (__builtin_mul_overflow(n, UINT64_C(1024) << 10 * (suffix - size_suffixes), &n))
                        return -ERANGE;
        }
        *ret = n;
        return 0;
}

int size_parse_number(const char *s, uint64_t *ret) {
        uint64_t n;
        int r;

        r = size_take_number(&s, &n);
        if (r < 0)
                return r;
        if (*s != '\0')
                return -EINVAL;
        *ret = n;
        return 0;
}

int size_parse_range(const char *s, uint64_t *ret_first, uint64_t *ret_last) {
        uint64_t first, last;
        int r;

        r = size_take_number(&s, &first);
        if (r < 0)
                return r;
        last = first;
        if (*s == '-') {
                s++;
                r = size_take_number(&s, &last);
                if (r < 0)
                        return r;
        }
        if (*s != '\0' || last < first)
                return -EINVAL;
        *ret_first = first;
        *ret_last = last;
        return 0;
}

const char *size_format(uint64_t size, char text[static SIZE_TEXT_SIZE]) {
        const char *suffix = NULL;

        for (const char *s = size_suffixes; *s != '\0' && size > 0 && size % 1024 == 0; s++) {
                size /= 1024;
                suffix = s;
        }
        (void) snprintf(text, SIZE_TEXT_SIZE, "%" PRIu64 "%.1s", size, suffix ? suffix : "");
        return text;
}
