/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * Patterns over machine names: `*`, `?`, `[a-z]`, `[!a-z]`. A backslash is an ordinary byte, because
 * escaped machine names hold it; `[*]` is a literal star. `/` and a leading `.` are ordinary too.
 * Names are compared byte by byte, whatever the locale.
 */
#include <stdbool.h>
#include <stddef.h>

/* Whether it has anything special in it; otherwise it matches itself alone. */
bool glob_is_pattern(const char *pattern);
/* Bytes of the set that starts at this `[`, or 0 when it is broken. */
size_t glob_set_length(const char *set);
/* Whether every `[` is closed and no set is empty or runs backwards. */
bool glob_is_valid(const char *pattern);
/* An invalid pattern matches nothing beyond its broken set. Time: at most the product of the lengths. */
bool glob_match(const char *pattern, const char *string);
