/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What may be asked of a QEMU, as QMP commands: this table is the whole of what tocsin ever sends,
 * besides negotiation and identity. Three verbs are more than one command with another name:
 * SET_ACTION before QEMU 6.0, CRASH_INFO, which asks one CPU after the other, and REGISTERS, which is
 * one line of the human monitor and never another.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "daemon/machine/backend.h"
#include "daemon/machine/qmp-client.h"

static int qmp_backend_set_action(QmpClient *client, unsigned abilities, const BackendCall *call);
static int qmp_backend_crash_info(QmpClient *client, unsigned abilities, const BackendCall *call);
static int qmp_backend_registers(QmpClient *client, unsigned abilities, const BackendCall *call);

typedef struct QmpVerb {
        const char *command;
        unsigned needs; /* of Ability: one of them is enough */
        int (*start)(QmpClient *client, unsigned abilities, const BackendCall *call); /* NULL: as it is */
} QmpVerb;

static const QmpVerb qmp_verbs[_BACKEND_VERB_MAX] = {
        [BACKEND_QUERY_STATUS] = { "query-status", 0 },
        [BACKEND_CRASH_INFO] = { "qom-get", ABILITY_CRASH_INFO, qmp_backend_crash_info },
        [BACKEND_SET_ACTION] = { "set-action",
                                 ABILITY_SET_ACTION | ABILITY_WATCHDOG_SET_ACTION,
                                 qmp_backend_set_action },
        [BACKEND_SYSTEM_RESET] = { "system_reset", ABILITY_RESET },
        [BACKEND_CONT] = { "cont", ABILITY_CONT },
        [BACKEND_STOP] = { "stop", ABILITY_STOP },
        [BACKEND_QUIT] = { "quit", ABILITY_QUIT },
        [BACKEND_SYSTEM_POWERDOWN] = { "system_powerdown", ABILITY_POWERDOWN },
        [BACKEND_INJECT_NMI] = { "inject-nmi", ABILITY_INJECT_NMI },
        [BACKEND_GETFD] = { "getfd", ABILITY_DUMP },
        [BACKEND_DUMP] = { "dump-guest-memory", ABILITY_DUMP },
        [BACKEND_QUERY_DUMP] = { "query-dump", ABILITY_DUMP },
        [BACKEND_REGISTERS] = { "human-monitor-command", 0, qmp_backend_registers },
};

static int qmp_backend_send(QmpClient *client, const char *command, const BackendCall *call) {
        return qmp_client_call(client,
                               command,
                               call->arguments,
                               call->fd,
                               call->deadline_us,
                               call->done,
                               call->userdata);
}

/* Before 6.0 only the watchdog's action can be set, by a command of its own. */
static int qmp_backend_set_action(QmpClient *client, unsigned abilities, const BackendCall *call) {
        json_object *watchdog = NULL, *arguments;
        int r;

        if (abilities & ABILITY_SET_ACTION)
                return qmp_backend_send(client, "set-action", call);
        if (!call->arguments || !json_object_object_get_ex(call->arguments, "watchdog", &watchdog) ||
            json_object_object_length(call->arguments) != 1)
                return qmp_client_refuse(client,
                                         "before QEMU 6.0 only the action of the watchdog can be set",
                                         call->done,
                                         call->userdata);

        arguments = json_object_new_object();
        if (!arguments)
                return -ENOMEM;
        r = json_object_object_add(arguments, "action", json_object_get(watchdog));
        r = r < 0 ? -ENOMEM
                  : qmp_client_call(client,
                                    "watchdog-set-action",
                                    arguments,
                                    -1,
                                    call->deadline_us,
                                    call->done,
                                    call->userdata);
        json_object_put(arguments);
        return r;
}

/* Asking one CPU after the other for what it crashed of. */
typedef struct CrashInfo {
        QmpClient *client;
        BackendDone done;
        void *userdata;
        uint64_t deadline_us; /* for each question; a machine that answers none fails at the first */
        json_object *cpus;    /* of query-cpus-fast */
        size_t next;
} CrashInfo;

static void crash_info_finish(CrashInfo *info, int r, json_object *ret, const char *error) {
        BackendDone done = info->done;
        void *userdata = info->userdata;

        json_object_put(info->cpus);
        free(info);
        done(r, ret, error, userdata);
}

static void crash_info_ask(CrashInfo *info);

static void crash_info_take(int r, json_object *ret, const char *error, void *userdata) {
        CrashInfo *info = userdata;

        /* a CPU that has no such property, or did not crash, says so with an error */
        if (r == 0 && ret)
                crash_info_finish(info, 0, ret, NULL);
        else if (r < 0 && r != -EREMOTEIO)
                crash_info_finish(info, r, NULL, error);
        else
                crash_info_ask(info);
}

static void crash_info_ask(CrashInfo *info) {
        json_object *arguments, *path = NULL;
        int r;

        while (!path && info->next < json_object_array_length(info->cpus))
                (void) json_object_object_get_ex(json_object_array_get_idx(info->cpus, info->next++),
                                                 "qom-path",
                                                 &path);
        if (!path) {
                crash_info_finish(info, 0, NULL, NULL);
                return;
        }
        arguments = json_object_new_object();
        r = arguments ? json_object_object_add(arguments, "path", json_object_get(path)) : -ENOMEM;
        if (r == 0)
                r = json_object_object_add(arguments,
                                           "property",
                                           json_object_new_string("crash-information"));
        if (r == 0)
                r = qmp_client_call(info->client,
                                    "qom-get",
                                    arguments,
                                    -1,
                                    info->deadline_us,
                                    crash_info_take,
                                    info);
        json_object_put(arguments);
        if (r < 0)
                crash_info_finish(info, r, NULL, strerror(-r));
}

static void crash_info_take_cpus(int r, json_object *ret, const char *error, void *userdata) {
        CrashInfo *info = userdata;

        if (r < 0 || !json_object_is_type(ret, json_type_array)) {
                crash_info_finish(info,
                                  r < 0 ? r : -EREMOTEIO,
                                  NULL,
                                  r < 0 ? error : "query-cpus-fast: no list of CPUs");
                return;
        }
        info->cpus = json_object_get(ret);
        crash_info_ask(info);
}

static int qmp_backend_crash_info(QmpClient *client, unsigned abilities, const BackendCall *call) {
        CrashInfo *info;
        int r;

        info = calloc(1, sizeof(*info));
        if (!info)
                return -ENOMEM;
        info->client = client;
        info->done = call->done;
        info->userdata = call->userdata;
        info->deadline_us = call->deadline_us;
        r = qmp_client_call(
                client, "query-cpus-fast", NULL, -1, call->deadline_us, crash_info_take_cpus, info);
        if (r < 0)
                free(info);
        return r;
}

static int qmp_backend_registers(QmpClient *client, unsigned abilities, const BackendCall *call) {
        json_object *arguments = json_object_new_object();
        int r;

        if (!arguments)
                return -ENOMEM;
        r = json_object_object_add(arguments,
                                   "command-line",
                                   json_object_new_string("info registers -a"));
        r = r < 0 ? -ENOMEM
                  : qmp_client_call(client,
                                    "human-monitor-command",
                                    arguments,
                                    -1,
                                    call->deadline_us,
                                    call->done,
                                    call->userdata);
        json_object_put(arguments);
        return r;
}

static int qmp_backend_command(void *link, unsigned abilities, const BackendCall *call) {
        const QmpVerb *verb = &qmp_verbs[call->verb];

        if (verb->needs && !(abilities & verb->needs))
                return -EOPNOTSUPP;
        if (verb->start)
                return verb->start(link, abilities, call);
        return qmp_backend_send(link, verb->command, call);
}

const Backend qmp_backend = {
        .type = BACKEND_TYPE_QMP,
        .command = qmp_backend_command,
};
