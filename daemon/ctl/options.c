/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * getopt_long() keeps its state in globals and wants one table for the whole command line; here the
 * common options are taken out first and each verb's own afterwards.
 */
#include "daemon/ctl/options.h"

#include <string.h>

/* Finds the option an argument names; *ret_value is what follows its `=`, or NULL. */
static const Option *options_find(const Option *options, const char *arg, const char **ret_value) {
        const char *name = arg + 2, *value = strchr(name, '=');
        size_t n = value ? (size_t) (value - name) : strlen(name);

        *ret_value = NULL;
        if (arg[1] != '-') {
                for (const Option *o = options; o->name; o++)
                        if (o->letter && arg[1] == o->letter && !arg[2])
                                return o;
                return NULL;
        }
        for (const Option *o = options; o->name; o++)
                if (strlen(o->name) == n && memcmp(o->name, name, n) == 0) {
                        *ret_value = value ? value + 1 : NULL;
                        return o;
                }
        return NULL;
}

int options_parse(const Option *options, bool partial, int *argc, char **argv, const char **ret_bad) {
        int left = 0, i;

        for (i = 0; i < *argc; i++) {
                const char *arg = argv[i], *value;
                const Option *option;

                if (arg[0] != '-' || !arg[1]) {
                        argv[left++] = argv[i];
                        continue;
                }
                if (strcmp(arg, "--") == 0) {
                        i += !partial;
                        break;
                }
                option = options_find(options, arg, &value);
                if (!option && partial) {
                        argv[left++] = argv[i];
                        continue;
                }
                *ret_bad = arg;
                if (!option)
                        return OPTIONS_E_UNKNOWN;
                if (option->flag) {
                        if (value)
                                return OPTIONS_E_SPARE_VALUE;
                        *option->flag = true;
                        continue;
                }
                if (!value && i + 1 >= *argc)
                        return OPTIONS_E_NO_VALUE;
                *option->value = value ? value : argv[++i];
        }
        while (i < *argc)
                argv[left++] = argv[i++];
        *argc = left;
        return 0;
}
