/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * The files of a configuration as they stand, before anybody asks what a key means: sections in the
 * order of files and lines, each with its keys, texts and lines.
 */
#include <stdbool.h>
#include <stddef.h>

#include "daemon/config/config.h"
#include "policy/util/cleanup.h"

typedef struct ConfigValue {
        char *key, *text;
        const char *file; /* borrowed from the tree */
        unsigned line;
        bool unknown, rejected; /* by the loader: it is not in effect */
} ConfigValue;

typedef struct ConfigSection {
        char *name;       /* as written, with single spaces: "guest web-*" */
        const char *file; /* borrowed from the tree */
        unsigned line;
        bool broken;   /* some of its lines could not be read */
        bool rejected; /* by the loader */
        ConfigValue *values;
        size_t n_values;
        size_t order;
} ConfigSection;

typedef struct ConfigTree {
        char **files; /* names for messages */
        size_t n_files;
        ConfigSection *sections;
        size_t n_sections;
} ConfigTree;

#define CONFIG_TREE_NULL                                                                           \
        {}

/* Both report what they can't read in `errors` and keep the rest. 0, CONFIG_E_INVALID when a file
 * could not be read at all, or -ENOMEM. `file` is its name in messages. */
int config_tree_add_file(ConfigTree *tree, const char *path, ConfigErrors *errors);
int config_tree_add_text(ConfigTree *tree,
                         const char *file,
                         const char *text,
                         size_t n,
                         ConfigErrors *errors);
/* Sections of one name become one, where the first of them stood; their values stay in order.
 * 0 or -ENOMEM. */
int config_tree_merge(ConfigTree *tree);
void config_tree_deinit(ConfigTree *tree);

/* Adds "FILE:LINE: TEXT", or "FILE: TEXT" for line 0. After CONFIG_ERRORS_MAX of them one says so and
 * the rest is dropped. 0 or -ENOMEM. */
#define CONFIG_ERRORS_MAX 200
typedef struct ConfigPlace {
        const char *file;
        unsigned line;
        bool warning;
} ConfigPlace;
int config_errors_add(ConfigErrors *errors, ConfigPlace place, const char *format, ...)
        _printf_(3, 4);
bool config_errors_are_fatal(const ConfigErrors *errors); /* more than warnings */
