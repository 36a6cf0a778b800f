/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * UTF-8 as QEMU reads and writes it, in one place for the parser, which refuses what is invalid, and
 * the writer, which prints U+FFFD for it. It is the "modified" form: U+0000 is the two bytes C0 80,
 * so that no string of a message holds a NUL byte and all of them are C strings.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_UTF8_MAX 4 /* bytes of one character */

#define JSON_UTF8_INVALID UINT32_MAX

/* A character that may be in a QMP string: not a surrogate, not a noncharacter, not above U+10FFFF. */
static inline bool json_utf8_is_character(uint32_t c) {
        return c <= 0x10FFFF && !(c >= 0xD800 && c <= 0xDFFF) && !(c >= 0xFDD0 && c <= 0xFDEF) &&
               (c & 0xFFFE) != 0xFFFE;
}

/* Reads the character at s (n > 0). *ret_length is how many bytes it takes; of an invalid sequence,
 * the bytes that QEMU answers with one U+FFFD. Returns JSON_UTF8_INVALID for such. */
uint32_t json_utf8_decode(const char *s, size_t n, size_t *ret_length);
/* Writes at most JSON_UTF8_MAX bytes and returns how many. */
size_t json_utf8_encode(uint32_t c, char *buf);
