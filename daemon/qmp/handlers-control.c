/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The commands of control.sock: all machines, the record, policy, and the daemon itself. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/daemon.h"
#include "daemon/evidence/folder.h"
#include "daemon/report.h"
#include "policy/decode/decode.h"
#include "policy/qapi/json.h"
#include "policy/util/name.h"
#include "qapi-commands.h"
#include "tocsin-version.h"

#define HANDLERS_INCIDENTS_DEFAULT 100
#define HANDLERS_INCIDENTS_MAX 1000
#define HANDLERS_HOLD_MAX_S (UINT64_C(366) * 24 * 3600)

static void handlers_fail(QmpCall *call, int r) {
        qmp_call_fail(call, QAPI_ERROR_CLASS_GENERIC_ERROR, "%s", strerror(-r));
}

/* NULL when it has been answered with an error. */
static WatchMachine *handlers_find_machine(QmpCall *call, const char *name) {
        Daemon *daemon = qmp_call_get_server_userdata(call);
        WatchMachine *m = watch_find(daemon->watch, name);

        if (!m)
                qmp_call_fail(call, QAPI_ERROR_CLASS_DEVICE_NOT_FOUND, "Machine '%s' not found", name);
        return m;
}

typedef struct HandlersList {
        Daemon *daemon;
        json_object *array;
        json_object *troubles; /* machine -> why it is not connected */
        int r;
} HandlersList;

/* A guest that ran here and ended is no trouble; one that is configured and was never seen may be: a
 * path that was misspelled looks like that. */
static void handlers_add_trouble(const char *machine, const char *why, bool gone, void *userdata) {
        HandlersList *list = userdata;
        const WatchMachine *m = watch_find(list->daemon->watch, machine);

        if (m && (m->attached || (m->ended_us > 0 && gone)))
                return;
        if (json_object_object_add(list->troubles, machine, json_object_new_string(why)) < 0)
                list->r = -ENOMEM;
}

static int handlers_add_info(HandlersList *list, const MachineInfo *info) {
        json_object *json = NULL;
        int r;

        r = machine_info_to_json(info, &json);
        if (r == 0 && json_object_array_add(list->array, json) < 0)
                r = -ENOMEM;
        return r;
}

/* Machines that are known by their configuration alone. */
static void handlers_add_unseen(HandlersList *list) {
        json_object_object_foreach(list->troubles, machine, why) {
                char *problem = (char *) (uintptr_t) json_object_get_string(why);
                GuestSettings settings;
                MachineInfo info = { .name = machine, .backend = BACKEND_TYPE_QMP, .problem = problem };

                policy_get_guest(list->daemon->config->policy, machine, &settings);
                info.mode = settings.mode;
                if (list->r == 0)
                        list->r = handlers_add_info(list, &info);
        }
}

static int handlers_add_dump(const Daemon *daemon, MachineInfo *info) {
        EvidenceProgress progress;

        if (!evidence_get_progress(daemon->evidence, info->name, &progress))
                return 0;
        info->dump = calloc(1, sizeof(*info->dump));
        if (!info->dump)
                return -ENOMEM;
        info->dump->incident = progress.incident;
        info->dump->completed = progress.completed;
        info->dump->total = progress.total;
        info->dump->kept = progress.kept;
        return 0;
}

static void handlers_add_machine(WatchMachine *m, void *userdata) {
        _cleanup_(machine_info_freep) MachineInfo *info = NULL;
        HandlersList *list = userdata;
        json_object *why;
        int r;

        r = watch_machine_to_info(m, daemon_now(list->daemon), &info);
        if (r == 0 && json_object_object_get_ex(list->troubles, m->name, &why)) {
                info->problem = strdup(json_object_get_string(why));
                r = info->problem ? 0 : -ENOMEM;
                json_object_object_del(list->troubles, m->name);
        }
        if (r == 0)
                r = handlers_add_dump(list->daemon, info);
        if (r == 0)
                r = handlers_add_info(list, info);
        if (r < 0)
                list->r = r;
}

void qmp_query_machines(QmpCall *call) {
        HandlersList list = { .daemon = qmp_call_get_server_userdata(call),
                              .array = json_object_new_array(),
                              .troubles = json_object_new_object() };

        machines_foreach_trouble(list.daemon->machines, handlers_add_trouble, &list);
        watch_foreach(list.daemon->watch, handlers_add_machine, &list);
        handlers_add_unseen(&list);
        json_object_put(list.troubles);
        if (list.r < 0) {
                json_object_put(list.array);
                handlers_fail(call, list.r);
                return;
        }
        qmp_call_return(call, list.array);
}

static void handlers_incidents_read(int r, json_object *const *records, size_t n, void *userdata) {
        json_object *array;

        if (r < 0) {
                handlers_fail(userdata, r);
                return;
        }
        array = json_object_new_array();
        for (size_t i = 0; i < n; i++)
                (void) json_object_array_add(array, json_object_get(records[i]));
        qmp_call_return(userdata, array);
}

static uint64_t handlers_get_us(bool has, int64_t seconds) {
        if (!has || seconds <= 0)
                return 0;
        return (uint64_t) seconds > INT64_MAX / USEC_PER_SEC ? INT64_MAX
                                                             : (uint64_t) seconds * USEC_PER_SEC;
}

/* A cause as the store has it; false when no incident has both. */
static bool handlers_get_cause(const QueryIncidentsArg *arg,
                               char buffer[static DECODE_CAUSE_SIZE],
                               const char **ret) {
        if (arg->has_stop_code)
                (void) snprintf(buffer, DECODE_CAUSE_SIZE, "%" PRIx64, arg->stop_code);
        *ret = arg->has_stop_code ? buffer
               : arg->has_reason  ? s390_crash_reason_to_string(arg->reason)
                                  : NULL;
        return !arg->has_stop_code || !arg->has_reason;
}

void qmp_query_incidents(QmpCall *call, const QueryIncidentsArg *arg) {
        Daemon *daemon = qmp_call_get_server_userdata(call);
        char cause[DECODE_CAUSE_SIZE];
        StoreIncidentFilter filter = {
                .machine = arg->machine,
                .kind = arg->has_kind ? (int) arg->kind : -1,
                .status = arg->has_status ? (int) arg->status : -1,
                .signature = arg->signature,
                .since_real_us = handlers_get_us(arg->has_since, arg->since),
                .until_real_us = handlers_get_us(arg->has_until, arg->until),
                .before = arg->has_before ? arg->before : 0,
                .limit = arg->has_limit ? arg->limit : HANDLERS_INCIDENTS_DEFAULT,
        };
        int r;

        if (filter.limit > HANDLERS_INCIDENTS_MAX) {
                qmp_call_fail(call,
                              QAPI_ERROR_CLASS_GENERIC_ERROR,
                              "Parameter 'limit' expects a number of at most %d",
                              HANDLERS_INCIDENTS_MAX);
                return;
        }
        if (!handlers_get_cause(arg, cause, &filter.cause)) {
                qmp_call_fail(call,
                              QAPI_ERROR_CLASS_GENERIC_ERROR,
                              "Parameters 'stop-code' and 'reason' exclude each other");
                return;
        }
        r = store_read_incidents(daemon->store, &filter, handlers_incidents_read, call);
        if (r < 0)
                handlers_fail(call, r);
}

void qmp_query_crashes(QmpCall *call, const QueryCrashesArg *arg) {
        Daemon *daemon = qmp_call_get_server_userdata(call);
        StoreIncidentFilter filter = {
                .machine = arg->machine,
                .kind = arg->has_kind ? (int) arg->kind : -1,
                .signature = arg->signature,
                .since_real_us = handlers_get_us(arg->has_since, arg->since),
                .until_real_us = handlers_get_us(arg->has_until, arg->until),
                .limit = arg->has_limit ? arg->limit : 0,
        };
        int r;

        if (filter.limit > STORE_CRASHES_LIMIT) {
                qmp_call_fail(call,
                              QAPI_ERROR_CLASS_GENERIC_ERROR,
                              "Parameter 'limit' expects a number of at most %d",
                              STORE_CRASHES_LIMIT);
                return;
        }
        r = store_read_crashes(daemon->store, &filter, handlers_incidents_read, call);
        if (r < 0)
                handlers_fail(call, r);
}

/* One incident that was asked for by its number. */
typedef struct HandlersIncident {
        Daemon *daemon;
        QmpCall *call;
        uint64_t id;
} HandlersIncident;

static void handlers_read_incident(QmpCall *call, uint64_t id, StoreIncidentsFunc func) {
        StoreIncidentFilter filter = { .id = id, .kind = -1, .status = -1, .limit = 1 };
        HandlersIncident *incident = malloc(sizeof(*incident));
        int r = -ENOMEM;

        if (incident) {
                *incident = (HandlersIncident){ qmp_call_get_server_userdata(call), call, id };
                r = store_read_incidents(incident->daemon->store, &filter, func, incident);
        }
        if (r < 0) {
                free(incident);
                handlers_fail(call, r);
        }
}

/* False when it has been answered with an error. */
static bool handlers_has_incident(const HandlersIncident *incident, int r, size_t n) {
        if (r < 0)
                handlers_fail(incident->call, r);
        else if (n == 0)
                qmp_call_fail(incident->call,
                              QAPI_ERROR_CLASS_DEVICE_NOT_FOUND,
                              "Incident %llu not found",
                              (unsigned long long) incident->id);
        return r >= 0 && n > 0;
}

static void handlers_incident_read(int r, json_object *const *records, size_t n, void *userdata) {
        _cleanup_free_ HandlersIncident *incident = userdata;

        if (handlers_has_incident(incident, r, n))
                qmp_call_return(incident->call, json_object_get(records[0]));
}

void qmp_query_incident(QmpCall *call, const QueryIncidentArg *arg) {
        handlers_read_incident(call, arg->id, handlers_incident_read);
}

static void handlers_incident_acknowledge(int r, json_object *const *records, size_t n, void *userdata) {
        _cleanup_free_ HandlersIncident *incident = userdata;
        _cleanup_(incident_info_freep) IncidentInfo *info = NULL;

        if (!handlers_has_incident(incident, r, n))
                return;
        r = incident_info_from_json(records[0], &info, NULL);
        if (r != 0) {
                handlers_fail(incident->call, r < 0 ? r : -EBADMSG);
                return;
        }
        if (info->status != INCIDENT_STATUS_CLOSED) {
                qmp_call_fail(incident->call,
                              QAPI_ERROR_CLASS_GENERIC_ERROR,
                              "Incident %llu is not closed yet",
                              (unsigned long long) incident->id);
                return;
        }
        info->has_acknowledged = info->acknowledged = true;
        r = store_put_incident(incident->daemon->store, info, false, NULL, NULL);
        if (r < 0)
                handlers_fail(incident->call, r);
        else
                qmp_call_return(incident->call, NULL);
}

void qmp_acknowledge_incident(QmpCall *call, const AcknowledgeIncidentArg *arg) {
        handlers_read_incident(call, arg->id, handlers_incident_acknowledge);
}

void qmp_hold_machine(QmpCall *call, const HoldMachineArg *arg) {
        Daemon *daemon = qmp_call_get_server_userdata(call);
        WatchMachine *m;

        if (arg->seconds > HANDLERS_HOLD_MAX_S) {
                qmp_call_fail(call,
                              QAPI_ERROR_CLASS_GENERIC_ERROR,
                              "Parameter 'seconds' expects a year at most");
                return;
        }
        m = handlers_find_machine(call, arg->machine);
        if (!m)
                return;
        watch_hold(daemon->watch, m, arg->seconds * USEC_PER_SEC, daemon_now(daemon));
        daemon_arm(daemon);
        report(LOG_NOTICE,
               m->name,
               arg->seconds ? "held: nothing is decided for %llu s" : "hold ended",
               (unsigned long long) arg->seconds);
        qmp_call_return(call, NULL);
}

void qmp_reset_action(QmpCall *call, const ResetActionArg *arg) {
        Daemon *daemon = qmp_call_get_server_userdata(call);
        PolicyKey key = _POLICY_KEY_MAX;
        WatchMachine *m;

        if (arg->key && policy_key_from_string(arg->key, &key) < 0) {
                qmp_call_fail(call,
                              QAPI_ERROR_CLASS_GENERIC_ERROR,
                              "Parameter 'key' does not accept value '%s'",
                              arg->key);
                return;
        }
        m = handlers_find_machine(call, arg->machine);
        if (!m)
                return;
        if (!watch_reset_override(daemon->watch, m, key, daemon_now(daemon))) {
                qmp_call_fail(call,
                              QAPI_ERROR_CLASS_GENERIC_ERROR,
                              "Machine '%s' has no such override",
                              arg->machine);
                return;
        }
        daemon_arm(daemon);
        qmp_call_return(call, NULL);
}

void qmp_query_policy(QmpCall *call, const QueryPolicyArg *arg) {
        _cleanup_(policy_info_freep) PolicyInfo *info = NULL;
        Daemon *daemon = qmp_call_get_server_userdata(call);
        WatchMachine *m = handlers_find_machine(call, arg->machine);
        json_object *ret = NULL;
        int r;

        if (!m)
                return;
        r = watch_machine_to_policy(m, daemon_now(daemon), &info);
        if (r == 0)
                r = policy_info_to_json(info, &ret);
        if (r < 0)
                handlers_fail(call, r);
        else
                qmp_call_return(call, ret);
}

void qmp_explain(QmpCall *call, const ExplainArg *arg) {
        _cleanup_(decision_info_freep) DecisionInfo *decision = NULL;
        Daemon *daemon = qmp_call_get_server_userdata(call);
        json_object *ret = NULL;
        int r;
        /* Made up, and borrowed from the arguments for the call. */
        IncidentInfo incident = {
                .machine = arg->machine,
                .kind = arg->kind,
                .info = arg->info,
                .has_recipient = arg->has_recipient,
                .recipient = arg->recipient,
                .flags = arg->flags,
                .has_state = arg->has_state,
                .state = arg->state,
        };

        r = watch_explain(daemon->watch, &incident, daemon_now(daemon), &decision);
        if (r == 0)
                r = decision_info_to_json(decision, &ret);
        if (r < 0)
                handlers_fail(call, r);
        else
                qmp_call_return(call, ret);
}

static void handlers_count_machine(WatchMachine *m, void *userdata) {
        StatusReport *status = userdata;

        if (m->ended_us > 0 || strcmp(m->name, NAME_HOST) == 0)
                return;
        status->machines++;
        status->attached += m->attached;
        status->incidents += m->n_incidents;
}

void qmp_query_tocsin(QmpCall *call) {
        Daemon *daemon = qmp_call_get_server_userdata(call);
        char version[] = TOCSIN_VERSION;
        Timestamp started = { .seconds = (int64_t) (daemon->started_us / USEC_PER_SEC),
                              .microseconds = (int64_t) (daemon->started_us % USEC_PER_SEC) };
        StatusReport status = {
                .version = version,
                .pid = getpid(),
                .started = &started,
                .clients = qmp_server_count_clients(daemon->server),
                .dry_run = daemon->config->policy->dry_run,
                .last = store_last_seq(daemon->store),
                .lost = store_get_lost(daemon->store) + watch_get_lost(daemon->watch),
        };
        size_t n = (size_t) json_object_object_length(daemon->problems);
        _cleanup_free_ char **problems = calloc(n + 1, sizeof(*problems));
        _cleanup_free_ char *log = strdup(store_get_log(daemon->store));
        _cleanup_free_ char *health = strdup(store_get_health(daemon->store));
        _cleanup_free_ char *evidence = NULL;
        json_object *ret = NULL;

        if (asprintf(&evidence, "%s/" FOLDER_ROOT, daemon->config->state_dir) < 0)
                evidence = NULL;
        if (!problems || !log || !health || !evidence) {
                handlers_fail(call, -ENOMEM);
                return;
        }
        watch_foreach(daemon->watch, handlers_count_machine, &status);
        status.log = log;
        status.store = health;
        status.evidence = evidence;
        status.problems = problems;
        json_object_object_foreach(daemon->problems, key, value) {
                if (asprintf(&problems[status.n_problems],
                             "%s: %s",
                             key,
                             json_object_get_string(value)) >= 0)
                        status.n_problems++;
        }
        if (status_report_to_json(&status, &ret) < 0)
                handlers_fail(call, -ENOMEM);
        else
                qmp_call_return(call, ret);
        for (size_t i = 0; i < status.n_problems; i++)
                free(problems[i]);
}
