/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * Cells in columns as wide as their widest cell, two spaces between, the last one as long as it
 * likes. Cells are given in order; a row that is full makes place for the next. The first error
 * sticks until table_write().
 */
#include <stddef.h>

#include "daemon/ctl/text.h"

typedef struct Table Table;
typedef struct TableRow TableRow;

#define TABLE_COLUMNS_MAX 8

struct Table {
        TableRow *rows;
        size_t n_rows, n_allocated;
        size_t n_columns;
        size_t next; /* cell of the last row; n_columns: the row is full */
        int error;
};

#define TABLE_INIT(columns)                                                                        \
        { .n_columns = (columns), .next = (columns) }

void table_deinit(Table *table);
void table_add(Table *table, const char *cell);
void table_printf(Table *table, const char *format, ...) _printf_(2, 3);
/* The cell is what the text holds; the text is empty then. */
void table_take_text(Table *table, Text *text);
/* A line of its own below the last row, indented; it makes no column wider. */
void table_note(Table *table, const char *format, ...) _printf_(2, 3);
/* Writes every row, `indent` spaces before each. */
void table_write(Table *table, Text *text, unsigned indent);
