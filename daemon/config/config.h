/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * The configuration: read whole through libini_config from the search path, or not at all. Every
 * key is a line in a module's key table (policy/util/config-key.h), from which the man page and
 * conf/ come too.
 */
#include <stdbool.h>
#include <stdio.h>

#include "daemon/evidence/evidence.h"
#include "daemon/kernel/notify-config.h"
#include "daemon/machine/machines.h"
#include "daemon/plugin/plugin-config.h"
#include "daemon/store/store.h"
#include "policy/policy.h"

typedef struct Config {
        /* [daemon] */
        char *runtime_dir, *state_dir;
        int log_level; /* syslog's */
        uint64_t heartbeat_us, silent_us;
        bool strict;
        char *command_group, *monitor_group; /* tocsin, tocsin-monitor */
        unsigned clients_per_uid;
        uint64_t client_queue;
        /* [store] */
        StoreLimits store;
        /* [evidence] */
        EvidenceLimits evidence;
        /* [guest NAME] qmp=, [discover], [attach] */
        MachinePath *paths;
        size_t n_paths;
        char **path_words; /* owns what `paths` points at; NULL-terminated */
        char **globs, **attach_users;
        /* [vmm] */
        char **vmm_allow;
        /* [plugin NAME] */
        PluginConfig *plugins;
        size_t n_plugins;
        /* [notify NAME] */
        NotifyConfig *notifies;
        size_t n_notifies;
        Policy *policy;
} Config;

typedef struct ConfigError {
        char *text;   /* "FILE:LINE: [section] key: expected ..., found ..." */
        bool warning; /* an unknown key or section; an error with --check and strict=yes */
} ConfigError;

typedef struct ConfigErrors {
        ConfigError *items;
        size_t n_items;
} ConfigErrors;

/* `file` alone, or (NULL) the search path. Returns 0 with *ret and perhaps warnings; or
 * CONFIG_E_INVALID with every error found. *ret is whole in any case where 0 is returned. A
 * start with a good remainder: `lenient` leaves out the broken sections and returns 0. */
#define CONFIG_E_INVALID 1
int config_load(const char *file, bool lenient, Config **ret, ConfigErrors *errors);
Config *config_free(Config *config);
DEFINE_CLEANUP(Config *, config_free);
void config_errors_deinit(ConfigErrors *errors);
/* Every key with its effective value and origin, as INI with comments; what is left out, and why, as
 * comments before it. 0, CONFIG_E_INVALID when `file` can't be read at all, or negative. */
int config_show(const char *file, FILE *out);
