/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * A configured plugin: its process, started again when it fails, the questions it was asked, and what is
 * known of how it does.
 */
#include <stdbool.h>
#include <systemd/sd-event.h>

#include "daemon/plugin/plugin-config.h"

/* What the log, trails and `plugins` say of a failure is cut here. */
#define PLUGIN_TEXT_MAX 256

typedef struct Plugin Plugin;

typedef struct PluginReply {
        const PluginAnswer *answer; /* NULL: none came */
        const char *failure;        /* why not */
        uint64_t took_us;
} PluginReply;

/* May ask again, and may not free the plugin. */
typedef void (*PluginDoneFunc)(const PluginReply *reply, void *userdata);

typedef struct PluginOps {
        /* What it has a say in has changed. */
        void (*changed)(void *userdata);
        /* Something an operator should know; NULL: it is over. */
        void (*problem)(const char *plugin, const char *text, void *userdata);
} PluginOps;

/* Takes the configuration. Its process is started at once; that it fails shows later. */
int plugin_new(Plugin **ret,
               sd_event *event,
               const char *host,
               PluginConfig *take_config,
               const PluginOps *ops,
               void *userdata);
/* Questions that wait are forgotten: their owner has to know. */
Plugin *plugin_free(Plugin *plugin);
DEFINE_CLEANUP(Plugin *, plugin_free);
/* At a reload: a new process is started, and takes over when it is ready; if it fails, what runs goes
 * on. One that was set aside is tried again. */
int plugin_configure(Plugin *plugin, PluginConfig *take_config);
/* By command: as at a reload. */
int plugin_restart(Plugin *plugin);

const char *plugin_get_name(const Plugin *plugin);
/* Unknown abilities count: a process that starts may turn out to have them. */
bool plugin_has_ability(const Plugin *plugin, PluginAbility ability);

#define PLUGIN_E_AWAY 1
/* `question` is what a PluginQuestion has after its number: `"ability": ...}`. 0: done() comes later, and
 * never from within; PLUGIN_E_AWAY: it does not run or has too much to do, *ret_why says which; or
 * negative. */
int plugin_ask(Plugin *plugin,
               PluginAbility ability,
               const char *question,
               PluginDoneFunc done,
               void *userdata,
               const char **ret_why);
/* All that wait get `why` for an answer. */
void plugin_give_up(Plugin *plugin, const char *why);

/* For query-plugins. 0 or -ENOMEM. */
int plugin_to_info(const Plugin *plugin, PluginInfo **ret);
