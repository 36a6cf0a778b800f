/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* At start, before anything attaches: what the store knows of runs and of what was under way in them. */
#include <stdlib.h>
#include <string.h>

#include "daemon/daemon.h"
#include "daemon/machine/process.h"
#include "daemon/report.h"
#include "policy/util/name.h"

/* A run's identity names its process, so the host can say whether it still lives. */
static bool daemon_run_lives(const char *run) {
        _cleanup_(process_deinit) Process process = PROCESS_NULL;
        char id[PROCESS_RUN_ID_SIZE];
        const char *pid = strchr(run, '-');

        if (!pid || process_open((pid_t) strtol(pid + 1, NULL, 10), &process) < 0 ||
            process_get_run_id(&process, id) < 0)
                return false;
        return strcmp(id, run) == 0;
}

static void daemon_restore_machine(const char *machine,
                                   const char *run,
                                   json_object *kept,
                                   void *userdata) {
        Daemon *daemon = userdata;

        if (name_is_valid(machine))
                (void) watch_restore_machine(daemon->watch, machine, run, kept, daemon_now(daemon));
}

static void daemon_restore_incident(json_object *record, void *userdata) {
        _cleanup_(incident_info_freep) IncidentInfo *info = NULL, *copy = NULL;
        Daemon *daemon = userdata;
        Moment now = daemon_now(daemon);

        if (incident_info_from_json(record, &info, NULL) != 0 ||
            incident_info_from_json(record, &copy, NULL) != 0) {
                report(LOG_ERR, "store", "a record could not be read and stays as it is");
                return;
        }
        if (watch_restore_incident(daemon->watch, TAKE_PTR(info), now) >= 0)
                return;
        /* Its run is not the one known last: nothing more can come of it. */
        copy->status = INCIDENT_STATUS_CLOSED;
        copy->has_outcome = true;
        copy->outcome = INCIDENT_OUTCOME_ENDED;
        (void) store_put_incident(daemon->store, copy, false, NULL, NULL);
}

static void daemon_restore_history(json_object *record, void *userdata) {
        _cleanup_(incident_info_freep) IncidentInfo *info = NULL;
        Daemon *daemon = userdata;

        if (incident_info_from_json(record, &info, NULL) == 0)
                (void) watch_restore_history(daemon->watch, info, daemon_now(daemon));
}

static void daemon_bury(WatchMachine *machine, void *userdata) {
        Daemon *daemon = userdata;
        Moment now = daemon_now(daemon);
        Observation o = { .type = OBSERVATION_GONE,
                          .machine = machine->name,
                          .run = machine->run,
                          .time_us = now.real_us,
                          .text = "its process ended while tocsind was away" };

        if (machine->backend != BACKEND_TYPE_HOST && machine->run && machine->ended_us == 0 &&
            !daemon_run_lives(machine->run))
                watch_observe(daemon->watch, &o, now);
}

void daemon_restore(Daemon *daemon) {
        Moment now = daemon_now(daemon);
        uint64_t since_us = now.real_us > HISTORY_AGE_US ? now.real_us - HISTORY_AGE_US : 0;

        (void) store_load_machines(daemon->store, daemon_restore_machine, daemon);
        (void) store_load_open_incidents(daemon->store, daemon_restore_incident, daemon);
        (void) store_load_recent_incidents(daemon->store, since_us, daemon_restore_history, daemon);
        watch_foreach(daemon->watch, daemon_bury, daemon);
}
