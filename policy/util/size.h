/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * Numbers as people write them: sizes ("64M", base 1024), plain counts, and closed ranges ("0x9f",
 * "0x1-0x5").
 */
#include <stddef.h>
#include <stdint.h>

/* Room for the longest text of size_format(), NUL included. */
#define SIZE_TEXT_SIZE 24

/* All return 0, -EINVAL, or -ERANGE when it does not fit 64 bits. */

/* Bytes: a decimal number and perhaps one of K, M, G, T, P, E. */
int size_parse(const char *s, uint64_t *ret);
/* A number in decimal, or in hexadecimal with 0x. */
int size_parse_number(const char *s, uint64_t *ret);
/* "N" or "FIRST-LAST"; -EINVAL when the last is below the first. */
int size_parse_range(const char *s, uint64_t *ret_first, uint64_t *ret_last);
/* The shortest text that size_parse() reads back as the same number. Returns `text`. */
const char *size_format(uint64_t size, char text[static SIZE_TEXT_SIZE]);
