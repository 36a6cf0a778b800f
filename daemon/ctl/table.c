/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ctl/table.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define TABLE_GAP 2
#define TABLE_NOTE_INDENT 4

struct TableRow {
        char *cells[TABLE_COLUMNS_MAX]; /* NULL: not given */
        char *note;                     /* a row with a note has nothing else */
};

void table_deinit(Table *table) {
        for (size_t i = 0; i < table->n_rows; i++) {
                for (size_t c = 0; c < TABLE_COLUMNS_MAX; c++)
                        free(table->rows[i].cells[c]);
                free(table->rows[i].note);
        }
        free(table->rows);
        table->rows = NULL;
        table->n_rows = table->n_allocated = 0;
}

static TableRow *table_add_row(Table *table) {
        if (table->error < 0)
                return NULL;
        if (table->n_rows == table->n_allocated) {
                size_t n = table->n_allocated ? 2 * table->n_allocated : 16;
                TableRow *rows = reallocarray(table->rows, n, sizeof(TableRow));

                if (!rows) {
                        table->error = -ENOMEM;
                        return NULL;
                }
                table->rows = rows;
                table->n_allocated = n;
        }
        table->rows[table->n_rows] = (TableRow){};
        return table->rows + table->n_rows++;
}

/* Takes the cell. */
static void table_take(Table *table, char *cell) {
        if (!cell)
                table->error = -ENOMEM;
        else if (table->error == 0 && table->next == table->n_columns && table_add_row(table))
                table->next = 0;
        if (table->error < 0) {
                free(cell);
                return;
        }
        table->rows[table->n_rows - 1].cells[table->next++] = cell;
}

void table_add(Table *table, const char *cell) {
        table_take(table, strdup(cell));
}

void table_printf(Table *table, const char *format, ...) {
        char *cell;
        va_list ap;
        int r;

        va_start(ap, format);
        r = vasprintf(&cell, format, ap);
        va_end(ap);
        table_take(table, r < 0 ? NULL : cell);
}

void table_take_text(Table *table, Text *text) {
        table_take(table, text_take(text));
}

void table_note(Table *table, const char *format, ...) {
        TableRow *row = table_add_row(table);
        va_list ap;

        if (!row)
                return;
        table->next = table->n_columns;
        va_start(ap, format);
        if (vasprintf(&row->note, format, ap) < 0) {
                row->note = NULL;
                table->error = -ENOMEM;
        }
        va_end(ap);
}

/* Columns a string takes on a terminal, where every character takes one. */
static size_t table_get_width(const char *s) {
        size_t n = 0;

        for (; *s; s++)
                n += ((unsigned char) *s & 0xc0) != 0x80;
        return n;
}

static void table_pad(Text *text, size_t n) {
        while (n-- > 0)
                text_add(text, " ");
}

static void table_write_row(const Table *table, const TableRow *row, const size_t *widths, Text *text) {
        size_t owed = 0; /* spaces before the next cell that has something in it */

        for (size_t c = 0; c < table->n_columns; c++) {
                const char *cell = row->cells[c] ? row->cells[c] : "";

                if (*cell) {
                        table_pad(text, owed);
                        text_add(text, cell);
                        owed = 0;
                }
                owed += widths[c] + TABLE_GAP - table_get_width(cell);
        }
}

void table_write(Table *table, Text *text, unsigned indent) {
        size_t widths[TABLE_COLUMNS_MAX] = {};

        if (table->error < 0) {
                text->error = table->error;
                return;
        }
        for (size_t i = 0; i < table->n_rows; i++)
                for (size_t c = 0; c < table->n_columns; c++) {
                        const char *cell = table->rows[i].cells[c];
                        size_t n = cell ? table_get_width(cell) : 0;

                        if (n > widths[c])
                                widths[c] = n;
                }
        for (size_t i = 0; i < table->n_rows; i++) {
                const TableRow *row = table->rows + i;

                table_pad(text, indent + (row->note ? TABLE_NOTE_INDENT : 0));
                if (row->note)
                        text_add(text, row->note);
                else
                        table_write_row(table, row, widths, text);
                text_add(text, "\n");
        }
}
