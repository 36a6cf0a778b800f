/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * Every section and key there is: one line each in config-keys.c. Loader, messages, `config show`,
 * tocsin.conf(5) and conf/tocsin.conf are made from these tables.
 */
#include "daemon/config/config.h"
#include "policy/util/config-key.h"

/* The structs a section's keys are stored in. */
enum {
        CONFIG_BASE_OWN,    /* Config; in [guest] ConfigGuest, in [rule] Rule, in [plugin]
                             * PluginConfig, in [notify] NotifyConfig */
        CONFIG_BASE_POLICY, /* Policy */
        _CONFIG_BASE_MAX,
};

/* One [guest] section while it is read. */
typedef struct ConfigGuest {
        GuestPolicy policy;
        char *qmp;
        bool exclusive;
} ConfigGuest;

typedef enum ConfigSectionId {
        CONFIG_SECTION_DAEMON,
        CONFIG_SECTION_DISCOVER,
        CONFIG_SECTION_ATTACH,
        CONFIG_SECTION_VMM,
        CONFIG_SECTION_GUEST,
        CONFIG_SECTION_RULE,
        CONFIG_SECTION_PLUGIN,
        CONFIG_SECTION_NOTIFY,
        CONFIG_SECTION_STORE,
        CONFIG_SECTION_EVIDENCE,
        _CONFIG_SECTION_MAX,
} ConfigSectionId;

extern const ConfigSectionKeys config_sections[_CONFIG_SECTION_MAX];
