/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between the watch and the plugins, which know nothing of each other. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon/daemon.h"
#include "daemon/report.h"

static char *const *daemon_get_chain(Daemon *daemon, const char *machine) {
        GuestSettings settings;

        policy_get_guest(watch_get_policy(daemon->watch), machine, &settings);
        return settings.plugins;
}

unsigned daemon_plugin_kinds(const WatchMachine *machine, void *userdata) {
        Daemon *daemon = userdata;

        return plugins_get_kinds(daemon->plugins, daemon_get_chain(daemon, machine->name));
}

bool daemon_consult(const WatchMachine *machine,
                    const IncidentInfo *incident,
                    const Decision *so_far,
                    void *userdata) {
        Daemon *daemon = userdata;

        return plugins_consult(daemon->plugins,
                               daemon_get_chain(daemon, machine->name),
                               machine,
                               incident,
                               so_far,
                               daemon_now(daemon).boot_us);
}

static const Decision *daemon_proposed(const char *machine,
                                       uint64_t incident,
                                       const EngineProposal *proposal,
                                       void *userdata) {
        Daemon *daemon = userdata;

        return watch_proposed(daemon->watch, machine, incident, proposal);
}

static void daemon_consulted(const char *machine, uint64_t incident, void *userdata) {
        Daemon *daemon = userdata;

        watch_consulted(daemon->watch, machine, incident, daemon_now(daemon));
        daemon_arm(daemon);
}

static void daemon_plugins_changed(void *userdata) {
        Daemon *daemon = userdata;

        watch_plugins_changed(daemon->watch, daemon_now(daemon));
        daemon_arm(daemon);
}

static void daemon_plugin_problem(const char *plugin, const char *text, void *userdata) {
        char key[256];

        (void) snprintf(key, sizeof(key), "plugin %s", plugin);
        daemon_problem(key, text, userdata);
}

int daemon_open_plugins(Daemon *daemon) {
        static const PluginsOps ops = {
                .proposed = daemon_proposed,
                .consulted = daemon_consulted,
                .changed = daemon_plugins_changed,
                .problem = daemon_plugin_problem,
        };

        return plugins_new(&daemon->plugins, daemon->event, &ops, daemon);
}

void daemon_configure_plugins(Daemon *daemon) {
        int r;

        r = plugins_configure(daemon->plugins, daemon->config->plugins, daemon->config->n_plugins);
        if (r < 0)
                report(LOG_ERR, NULL, "not every plugin could be started: %s", strerror(-r));
}
