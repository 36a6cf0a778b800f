/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Between the watch and vmm.sock, which know nothing of each other. */
#include "daemon/daemon.h"

static uint64_t daemon_get_writes(void *userdata) {
        const Daemon *daemon = userdata;

        return daemon->writes.n;
}

static void daemon_answered(const char *machine, uint64_t incident, void *userdata) {
        Daemon *daemon = userdata;

        watch_answered(daemon->watch, machine, incident, daemon_now(daemon));
}

void daemon_answer(const WatchMachine *machine, const IncidentInfo *incident, void *userdata) {
        Daemon *daemon = userdata;

        vmm_answer(daemon->vmm, incident, daemon->writes.n);
}

int daemon_open_vmm(Daemon *daemon) {
        static const VmmOps ops = {
                .observe = daemon_observe,
                .step = daemon_step,
                .end = daemon_acted,
                .get_writes = daemon_get_writes,
                .answered = daemon_answered,
                .problem = daemon_problem,
        };
        int r;

        r = vmm_new(&daemon->vmm, daemon->event, daemon->server, daemon->watch, daemon->store, &ops, daemon);
        return r < 0 ? r : vmm_configure(daemon->vmm, daemon->config->vmm_allow);
}
