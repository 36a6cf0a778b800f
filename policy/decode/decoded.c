/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/decode/decoded.h"

#include <stdarg.h>
#include <stdio.h>

void decoded_set_headline(Decoded *decoded, const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(decoded->headline, sizeof(decoded->headline), format, ap);
        va_end(ap);
}

void decoded_add_line(Decoded *decoded, const char *format, ...) {
        va_list ap;

        if (decoded->n_lines == DECODED_LINES_MAX)
                return;
        va_start(ap, format);
        (void) vsnprintf(decoded->lines[decoded->n_lines++], DECODED_LINE_SIZE, format, ap);
        va_end(ap);
}

void decoded_add_row(Decoded *decoded, const char *name, uint64_t value, const char *format, ...) {
        DecodedRow *row;
        va_list ap;

        if (decoded->n_rows == DECODED_ROWS_MAX)
                return;
        row = &decoded->rows[decoded->n_rows++];
        row->name = name;
        row->value = value;
        va_start(ap, format);
        (void) vsnprintf(row->text, sizeof(row->text), format, ap);
        va_end(ap);
}
