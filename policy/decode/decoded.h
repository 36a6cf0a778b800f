/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * Panic information put into words: a headline, some lines below it, and a table of what the guest
 * left with the meaning of each number. Of fixed size, so that decoding can't fail; what is too
 * long is cut.
 *
 * Words of a guest (the message of a TDX guest) are made printable ASCII here.
 */
#include <stddef.h>
#include <stdint.h>

#include "policy/util/cleanup.h"

/* The longest line we write ourselves has some 150 characters; a TDX message is 64 bytes. */
#define DECODED_LINE_SIZE 320
#define DECODED_LINES_MAX 6
#define DECODED_ROWS_MAX 6
#define DECODED_TEXT_SIZE 160

typedef struct Decoded Decoded;
typedef struct DecodedRow DecodedRow;

struct DecodedRow {
        const char *name; /* "1", "RIP": a literal */
        uint64_t value;
        char text[DECODED_TEXT_SIZE]; /* may be empty: not known */
};

struct Decoded {
        char headline[DECODED_LINE_SIZE];
        char lines[DECODED_LINES_MAX][DECODED_LINE_SIZE];
        size_t n_lines;
        DecodedRow rows[DECODED_ROWS_MAX];
        size_t n_rows;
};

void decoded_set_headline(Decoded *decoded, const char *format, ...) _printf_(2, 3);
void decoded_add_line(Decoded *decoded, const char *format, ...) _printf_(2, 3);
void decoded_add_row(Decoded *decoded, const char *name, uint64_t value, const char *format, ...)
        _printf_(4, 5);
