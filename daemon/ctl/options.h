/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * Long options as a table of the verb that takes them. They may stand anywhere among the arguments,
 * as people type them: `monitor --json` and `--json monitor` are the same.
 */
#include <stdbool.h>

typedef struct Option {
        const char *name;   /* without the dashes; NULL ends a table */
        char letter;        /* the same as one letter, or 0 */
        const char **value; /* takes a value: borrowed from argv */
        bool *flag;         /* takes none */
} Option;

#define OPTIONS_E_UNKNOWN 1
#define OPTIONS_E_NO_VALUE 2
#define OPTIONS_E_SPARE_VALUE 3

/*
 * Takes the options of the table out of argv, so that positional arguments are left. With `partial`
 * options of no table are left too, for the next table; else they are an error. `--` ends the
 * options and is taken out by the table that is not partial. On an error *ret_bad is the argument
 * (borrowed).
 */
int options_parse(const Option *options, bool partial, int *argc, char **argv, const char **ret_bad);
