/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * All configured plugins, and the chains of machines: an incident goes to the plugins of its machine
 * one after the other, each sees what was decided before it.
 */
#include "daemon/plugin/plugin.h"
#include "policy/watch.h"

typedef struct Plugins Plugins;

typedef struct PluginsOps {
        /* As watch_proposed() and watch_consulted(); never from within plugins_consult(). */
        const Decision *(*proposed)(const char *machine,
                                    uint64_t incident,
                                    const EngineProposal *proposal,
                                    void *userdata);
        void (*consulted)(const char *machine, uint64_t incident, void *userdata);
        /* What plugins_get_kinds() says has changed. */
        void (*changed)(void *userdata);
        /* Something an operator should know of a plugin; NULL: it is over. */
        void (*problem)(const char *plugin, const char *text, void *userdata);
} PluginsOps;

int plugins_new(Plugins **ret, sd_event *event, const PluginsOps *ops, void *userdata);
/* Who is asked now is asked in vain. */
Plugins *plugins_free(Plugins *plugins);
DEFINE_CLEANUP(Plugins *, plugins_free);

/* At start and at every reload, before the policy that names them is set. Takes what is in the array; it
 * is left zeroed. 0 or the first error, with the rest in use. */
int plugins_configure(Plugins *plugins, PluginConfig *configs, size_t n);
Plugin *plugins_find(const Plugins *plugins, const char *name);
void plugins_foreach(const Plugins *plugins,
                     void (*func)(Plugin *plugin, void *userdata),
                     void *userdata);

/* `chain`: names, NULL-terminated, or NULL. */
unsigned plugins_get_kinds(const Plugins *plugins, char *const *chain);
/* As WatchOps.consult. */
bool plugins_consult(Plugins *plugins,
                     char *const *chain,
                     const WatchMachine *machine,
                     const IncidentInfo *incident,
                     const Decision *so_far,
                     uint64_t now_boot_us);
