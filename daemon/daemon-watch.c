/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the watch asks for, done: its announcements to the server, its records to the store, its
 * decisions to the actor, its questions to the backends; and what those say, back into the watch. The
 * watch may not be called from within one of its own operations, and none of these does: every
 * answer comes later, from the loop.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/daemon.h"
#include "daemon/report.h"
#include "policy/qapi/json.h"

static uint64_t daemon_next_incident(void *userdata) {
        Daemon *daemon = userdata;

        return store_next_incident(daemon->store);
}

/* Its events are made here, out of reports, and so throttled here. */
static bool daemon_makes_events(const WatchMachine *machine) {
        return machine->backend == BACKEND_TYPE_VMM && !(machine->abilities & ABILITY_RELAYED);
}

static void daemon_announce(const WatchAnnouncement *a, void *userdata) {
        Daemon *daemon = userdata;

        (void) qmp_server_announce(daemon->server,
                                   &(QmpAnnouncement){
                                           .endpoint = a->control_only ? NULL : a->machine->owner,
                                           .machine = a->machine->name,
                                           .event = a->event,
                                           .data = a->data,
                                           .real_us = a->real_us,
                                           .own = a->synthetic || daemon_makes_events(a->machine),
                                           .synthetic = a->synthetic,
                                           .control_only = a->control_only,
                                   });
}

void daemon_recorded(uint64_t number, int r, void *userdata) {
        Daemon *daemon = userdata;

        act_recorded(daemon->act, number, r);
        vmm_recorded(daemon->vmm, number, r);
}

static void daemon_record(const IncidentInfo *incident, void *userdata) {
        Daemon *daemon = userdata;
        int r;

        if (incident->status == INCIDENT_STATUS_CLOSED) {
                act_closed(daemon->act, incident->id);
                vmm_closed(daemon->vmm, incident->machine, incident->id);
        }
        daemon_notify(daemon, incident);
        r = writes_put(&daemon->writes, daemon->store, incident);
        if (r < 0)
                report(LOG_ERR,
                       incident->machine,
                       "the record of incident %llu could not be kept: %s",
                       (unsigned long long) incident->id,
                       strerror(-r));
}

static void daemon_act(const WatchMachine *machine,
                       const IncidentInfo *incident,
                       ActPoint from,
                       void *userdata) {
        Daemon *daemon = userdata;
        int r;

        r = machine->backend == BACKEND_TYPE_VMM ? vmm_act(daemon->vmm, machine, incident, from)
                                                 : act_begin(daemon->act, machine, incident, from);
        if (r < 0)
                report(LOG_ERR,
                       machine->name,
                       "incident %llu: %s can't be begun: %s",
                       (unsigned long long) incident->id,
                       action_to_string(incident->decision->action),
                       strerror(-r));
}

/* A question's answer comes back as an observation of the run it was asked of. */
typedef struct DaemonQuestion {
        Daemon *daemon;
        WatchQuestion question;
        char *machine, *run;
} DaemonQuestion;

static void daemon_question_free(DaemonQuestion *question) {
        free(question->machine);
        free(question->run);
        free(question);
}

static bool daemon_read_status(json_object *ret, Observation *o) {
        json_object *status, *running;

        if (!json_object_object_get_ex(ret, "status", &status) ||
            !json_object_object_get_ex(ret, "running", &running) ||
            !json_object_is_type(status, json_type_string) ||
            run_state_from_string(json_object_get_string(status), &o->state) < 0)
                return false;
        o->running = json_object_get_boolean(running);
        return true;
}

static void daemon_answered(int r, json_object *ret, const char *error, void *userdata) {
        DaemonQuestion *question = userdata;
        Daemon *daemon = question->daemon;
        Moment now = daemon_now(daemon);
        Observation o = { .machine = question->machine, .run = question->run, .time_us = now.real_us };

        if (question->question == WATCH_ASK_CRASH_INFO) {
                o.type = OBSERVATION_CRASH_INFO;
                o.data = r < 0 ? NULL : ret;
                watch_observe(daemon->watch, &o, now);
        } else if (r >= 0 && daemon_read_status(ret, &o)) {
                o.type = OBSERVATION_STATUS;
                watch_observe(daemon->watch, &o, now);
        } else if (r != -ENOTCONN) {
                report(LOG_WARNING,
                       question->machine,
                       "its run state is not known: %s",
                       error ? error : "query-status answered with something else");
        }
        daemon_arm(daemon);
        daemon_question_free(question);
}

static void daemon_ask(const WatchMachine *machine, WatchQuestion what, void *userdata) {
        DaemonQuestion *question = calloc(1, sizeof(*question));
        BackendVerb verb = what == WATCH_ASK_STATUS ? BACKEND_QUERY_STATUS : BACKEND_CRASH_INFO;
        Daemon *daemon = userdata;

        /* a VMM says of itself what there is to say */
        if (!question || machine->backend == BACKEND_TYPE_VMM) {
                free(question);
                return;
        }
        question->daemon = daemon;
        question->question = what;
        question->machine = strdup(machine->name);
        question->run = strdup(machine->run);
        if (!question->machine || !question->run ||
            machines_command(daemon->machines,
                             machine->name,
                             &(BackendCall){ .verb = verb,
                                             .fd = -1,
                                             .deadline_us = DAEMON_ASK_US,
                                             .done = daemon_answered,
                                             .userdata = question }) < 0)
                daemon_question_free(question);
}

/* What a tell was about, for the words when it is refused. */
typedef struct DaemonTell {
        Daemon *daemon;
        char *machine, *run;
        char *words;
} DaemonTell;

static void daemon_told(int r, json_object *ret, const char *error, void *userdata) {
        DaemonTell *tell = userdata;
        Daemon *daemon = tell->daemon;

        if (r < 0)
                report(LOG_ERR,
                       tell->machine,
                       "set-action %s: %s",
                       tell->words,
                       error ? error : strerror(-r));
        watch_told(daemon->watch, tell->machine, tell->run, r >= 0);
        if (--daemon->tells == 0 && daemon->stopping)
                (void) sd_event_exit(daemon->event, 0);
        free(tell->machine);
        free(tell->run);
        free(tell->words);
        free(tell);
}

static bool daemon_tell(const WatchMachine *machine, const ActionSet *set, void *userdata) {
        _cleanup_(json_object_putp) json_object *arguments = json_object_new_object();
        DaemonTell *tell = calloc(1, sizeof(*tell));
        Daemon *daemon = userdata;

        for (PolicyKey key = 0; arguments && key < _POLICY_KEY_MAX; key++)
                if (set->keys[key].set)
                        (void) json_object_object_add(arguments,
                                                      policy_key_to_string(key),
                                                      json_object_new_string(action_to_string(
                                                              set->keys[key].action)));
        if (!arguments || !tell)
                goto fail;
        tell->daemon = daemon;
        tell->machine = strdup(machine->name);
        tell->run = strdup(machine->run);
        tell->words = strdup(json_object_to_json_string(arguments));
        if (tell->machine && tell->run && tell->words &&
            machines_command(daemon->machines,
                             machine->name,
                             &(BackendCall){ .verb = BACKEND_SET_ACTION,
                                             .arguments = arguments,
                                             .fd = -1,
                                             .deadline_us = DAEMON_ASK_US,
                                             .done = daemon_told,
                                             .userdata = tell }) >= 0) {
                daemon->tells++;
                return true;
        }
        free(tell->machine);
        free(tell->run);
        free(tell->words);
fail:
        free(tell);
        report(LOG_ERR, machine->name, "set-action could not be sent");
        return false;
}

static void daemon_keep(Daemon *daemon, const WatchMachine *machine) {
        json_object *kept;

        /* the kernel tells again of those, whatever becomes of us */
        if (!machine->run || machine->backend == BACKEND_TYPE_HOST ||
            machine->backend == BACKEND_TYPE_PROCESS)
                return;
        kept = watch_machine_keep(machine);
        if (!kept || store_put_machine(daemon->store, machine->name, machine->run, kept) < 0)
                report(LOG_ERR, machine->name, "what is known of it could not be kept");
        json_object_put(kept);
}

/* Of the files that may be open, as many as the guests may have; so that clients, the disk and the
 * helper always have some. */
static bool daemon_has_files(const Daemon *daemon, size_t n_files) {
        return n_files + qmp_server_count_endpoints(daemon->server) <= daemon->files_max;
}

static bool daemon_has_room(size_t n_files, void *userdata) {
        Daemon *daemon = userdata;

        while (!daemon_has_files(daemon, n_files))
                if (!watch_forget_ended(daemon->watch)) /* and its endpoint */
                        return false;
        return true;
}

/* Without a file left for it, it is given one when it attaches: thousands may be known from before a
 * restart that never come back. */
static void daemon_give_endpoint(Daemon *daemon, WatchMachine *machine) {
        QmpEndpoint *endpoint = NULL;
        int r;

        if (!daemon_has_files(daemon, machines_count_files(daemon->machines) + 1))
                return;
        r = qmp_endpoint_new(&endpoint, daemon->server, QAPI_PROFILE_MACHINE, machine->name);
        if (r < 0)
                report(LOG_ERR, machine->name, "it gets no endpoint: %s", strerror(-r));
        machine->owner = endpoint;
}

static void daemon_changed(WatchMachine *machine, WatchChange change, void *userdata) {
        Daemon *daemon = userdata;

        switch (change) {
        case WATCH_CHANGE_APPEARED:
                daemon_give_endpoint(daemon, machine);
                break;
        case WATCH_CHANGE_KEPT:
                daemon_keep(daemon, machine);
                break;
        case WATCH_CHANGE_REMOVED:
                machine->owner = qmp_endpoint_free(machine->owner);
                break;
        }
}

static void daemon_decided(const IncidentInfo *incident, const char *text, void *userdata) {
        Daemon *daemon = userdata;

        journal_tell(&daemon->journal, incident, text);
}

static void daemon_report(const WatchMachine *machine,
                          WatchLevel level,
                          const char *text,
                          void *userdata) {
        static const int levels[] = {
                [WATCH_LEVEL_ERROR] = LOG_ERR,
                [WATCH_LEVEL_WARNING] = LOG_WARNING,
                [WATCH_LEVEL_NOTICE] = LOG_NOTICE,
        };

        report(levels[level], machine->name, "%s", text);
}

const WatchOps daemon_watch_ops = {
        .next_incident = daemon_next_incident,
        .announce = daemon_announce,
        .record = daemon_record,
        .act = daemon_act,
        .answer = daemon_answer,
        .ask = daemon_ask,
        .plugin_kinds = daemon_plugin_kinds,
        .consult = daemon_consult,
        .tell = daemon_tell,
        .changed = daemon_changed,
        .decided = daemon_decided,
        .report = daemon_report,
};

/* What actions and machines say */

uint64_t daemon_step(const char *machine,
                     uint64_t incident,
                     const char *what,
                     const char *error,
                     const char *text,
                     void *userdata) {
        Daemon *daemon = userdata;

        watch_stepped(daemon->watch, machine, incident, what, error, text, daemon_now(daemon));
        return daemon->writes.n;
}

void daemon_acted(const char *machine, uint64_t incident, IncidentOutcome outcome, void *userdata) {
        Daemon *daemon = userdata;

        watch_acted(daemon->watch, machine, incident, outcome, daemon_now(daemon));
        daemon_arm(daemon);
}

const ActOps daemon_act_ops = { .step = daemon_step, .end = daemon_acted };

void daemon_observe(const Observation *observation, void *userdata) {
        Daemon *daemon = userdata;

        watch_observe(daemon->watch, observation, daemon_now(daemon));
        daemon_arm(daemon);
        if (observation->type == OBSERVATION_ATTACHED) {
                WatchMachine *machine = watch_find(daemon->watch, observation->machine);

                if (machine && !machine->owner)
                        daemon_give_endpoint(daemon, machine);
        }
}

typedef struct DaemonSearch {
        const char *run;
        bool found;
} DaemonSearch;

static void daemon_compare_run(WatchMachine *machine, void *userdata) {
        DaemonSearch *search = userdata;

        search->found |= machine->run && machine->ended_us == 0 &&
                         strcmp(machine->run, search->run) == 0;
}

static bool daemon_is_known(const char *run, void *userdata) {
        DaemonSearch search = { .run = run };
        Daemon *daemon = userdata;

        watch_foreach(daemon->watch, daemon_compare_run, &search);
        return search.found;
}

const MachinesOps daemon_machines_ops = {
        .observe = daemon_observe,
        .problem = daemon_problem,
        .has_room = daemon_has_room,
        .is_known = daemon_is_known,
};
