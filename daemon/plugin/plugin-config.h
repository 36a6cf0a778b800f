/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* [plugin NAME] and [plugin NAME options], checked. */
#include <json-c/json.h>
#include <stdint.h>

#include "policy/util/cleanup.h"
#include "qapi-types.h"

typedef struct PluginConfig {
        char *name;
        char *origin;         /* FILE:LINE of the section */
        char *module;         /* a shared object, or NULL */
        char *program;        /* any executable, or NULL */
        uint64_t deadline_us; /* of one decision */
        uint64_t memory;      /* bytes of address space */
        unsigned failures;    /* that many within the time: it is set aside */
        uint64_t failures_us;
        char **reads, **writes;         /* NULL-terminated, or NULL: paths it may see besides */
        json_object *options;           /* name -> text */
        PluginDescription *description; /* of a module; what a program can do it says itself */
} PluginConfig;

/* In config-plugin.c: all of them, and the array. */
PluginConfig *plugin_configs_free(PluginConfig *configs, size_t n);
