/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the sources of the host's kernel say, handed to the machines and to the watch. */
#include <errno.h>

#include "daemon/daemon.h"
#include "daemon/report.h"
#include "policy/qapi/json.h"
#include "policy/util/name.h"

static void daemon_guest_opened(pid_t tid, void *userdata) {
        Daemon *daemon = userdata;

        machines_open_guest(daemon->machines, tid);
}

static void daemon_guest_closed(pid_t tid, void *userdata) {
        Daemon *daemon = userdata;

        machines_close_guest(daemon->machines, tid);
}

static void daemon_process_died(pid_t pid, int status, void *userdata) {
        Daemon *daemon = userdata;

        machines_end_process(daemon->machines, pid, status);
}

/* What a host's watchdog does is its hardware's to do: a reset. */
static void daemon_host_watchdog(const char *text, uint64_t time_us, void *userdata) {
        Daemon *daemon = userdata;
        WatchMachine *host = watch_find(daemon->watch, NAME_HOST);
        json_object *data = NULL;

        if (!host ||
            watchdog_event_to_json(&(WatchdogEvent){ .action = WATCHDOG_ACTION_RESET }, &data) < 0)
                return;
        daemon_observe(&(Observation){ .type = OBSERVATION_EVENT,
                                       .machine = NAME_HOST,
                                       .run = host->run,
                                       .time_us = time_us,
                                       .event = "WATCHDOG",
                                       .data = data,
                                       .text = text },
                       daemon);
        json_object_put(data);
}

static void daemon_source_report(int level, const char *name, const char *text, void *userdata) {
        report(level, NULL, "source %s: %s", name, text);
}

int daemon_open_sources(Daemon *daemon) {
        static const SourcesOps ops = {
                .guest_opened = daemon_guest_opened,
                .guest_closed = daemon_guest_closed,
                .died = daemon_process_died,
                .watchdog = daemon_host_watchdog,
                .report = daemon_source_report,
        };

        return sources_new(&daemon->sources,
                           daemon->event,
                           daemon->kernel,
                           daemon->config->state_dir,
                           &ops,
                           daemon);
}
