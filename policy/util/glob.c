/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The difficulty is that names come from guests: fnmatch() takes exponential time on patterns such
 * as `*a*a*a*b`. Going back to the last star alone is enough for a right answer, since an earlier one
 * has nothing to gain by eating more.
 */
#include "policy/util/glob.h"

#include <string.h>

bool glob_is_pattern(const char *pattern) {
        return strpbrk(pattern, "*?[") != NULL;
}

/* The end of the set that starts at `[`: behind its `]`; NULL when it is broken. `ret_match` tells
 * whether it holds c. */
static const char *glob_set(const char *set, unsigned char c, bool *ret_match) {
        const char *p = set + 1, *first;
        bool negated = false, match = false;

        if (*p == '!' || *p == '^') {
                negated = true;
                p++;
        }
        /* a `]` that comes first is a member */
        for (first = p; *p != '\0' && (*p != ']' || p == first); p++) {
                unsigned char low = (unsigned char) *p, high = low;

                if (p[1] == '-' && p[2] != ']' && p[2] != '\0') {
                        high = (unsigned char) p[2];
                        p += 2;
                }
                if (high < low)
                        return NULL;
                match |= c >= low && c <= high;
        }
        if (*p != ']')
                return NULL;
        *ret_match = match != negated;
        return p + 1;
}

size_t glob_set_length(const char *set) {
        bool match;
        const char *end = glob_set(set, 0, &match);

        return end ? (size_t) (end - set) : 0;
}

bool glob_is_valid(const char *pattern) {
        size_t n;

        while ((pattern = strchr(pattern, '['))) {
                n = glob_set_length(pattern);
                if (n == 0)
                        return false;
                pattern += n;
        }
        return true;
}

/* Matches one byte against what stands at the pattern, which moves behind it. */
static bool glob_step(const char **pattern, char c) {
        const char *p = *pattern, *end;
        bool match = false;

        switch (*p) {
        case '?':
                *pattern = p + 1;
                return true;
        case '[':
                end = glob_set(p, (unsigned char) c, &match);
                if (!end)
                        return false;
                *pattern = end;
                return match;
        default:
                *pattern = p + 1;
                return *p == c;
        }
}

bool glob_match(const char *pattern, const char *string) {
        const char *after_star = NULL, *retry = NULL;

        while (*string != '\0') {
                const char *next = pattern;

                if (*pattern == '*') {
                        after_star = ++pattern;
                        retry = string;
                } else if (*pattern != '\0' && glob_step(&next, *string)) {
                        pattern = next;
                        string++;
                } else if (after_star) {
                        pattern = after_star;
                        string = ++retry;
                } else
                        return false;
        }
        while (*pattern == '*')
                pattern++;
        return *pattern == '\0';
}
