/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The commands of one machine's endpoint, answered as its QEMU would answer them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/daemon.h"
#include "qapi-commands.h"

/* As long as QEMU may take for a set-action of a client. */
#define HANDLERS_MACHINE_US (10 * USEC_PER_SEC)

static void handlers_machine_fail(QmpCall *call, const char *text) {
        qmp_call_fail(call, QAPI_ERROR_CLASS_GENERIC_ERROR, "%s", text);
}

static void handlers_status_asked(int r, json_object *ret, const char *error, void *userdata) {
        if (r < 0)
                handlers_machine_fail(userdata, error ? error : strerror(-r));
        else
                qmp_call_return(userdata, json_object_get(ret));
}

void qmp_query_status(QmpCall *call) {
        Daemon *daemon = qmp_call_get_server_userdata(call);
        const WatchMachine *m = watch_find(daemon->watch, qmp_call_get_machine(call));
        json_object *ret = NULL;
        int r;

        if (!m || !m->attached) {
                handlers_machine_fail(call,
                                      m && m->ended_us ? "The machine's run has ended"
                                                       : "The machine is not attached");
                return;
        }
        if (m->state_known) {
                r = status_info_to_json(&(StatusInfo){ .running = m->running, .status = m->state },
                                        &ret);
                if (r < 0)
                        handlers_machine_fail(call, strerror(-r));
                else
                        qmp_call_return(call, ret);
                return;
        }
        /* Between a STOP and what it was for: QEMU knows. */
        r = machines_command(daemon->machines,
                             m->name,
                             &(BackendCall){ .verb = BACKEND_QUERY_STATUS,
                                             .fd = -1,
                                             .deadline_us = HANDLERS_MACHINE_US,
                                             .done = handlers_status_asked,
                                             .userdata = call });
        if (r < 0)
                handlers_machine_fail(call, strerror(-r));
}

/* A client's set-action on its way to QEMU. */
typedef struct HandlersSet {
        Daemon *daemon;
        QmpCall *call;
        char *machine, *run;
        ActionSet set;
} HandlersSet;

static void handlers_set_free(HandlersSet *set) {
        free(set->machine);
        free(set->run);
        free(set);
}

static void handlers_set_done(int r, json_object *ret, const char *error, void *userdata) {
        HandlersSet *set = userdata;
        WatchMachine *m = watch_find(set->daemon->watch, set->machine);

        if (r < 0) {
                handlers_machine_fail(set->call, error ? error : strerror(-r));
        } else {
                if (m && m->run && strcmp(m->run, set->run) == 0)
                        watch_override(set->daemon->watch, m, &set->set, daemon_now(set->daemon));
                daemon_arm(set->daemon);
                qmp_call_return(set->call, NULL);
        }
        handlers_set_free(set);
}

/* Passes keys to the machine's QEMU, which has the last word; then they are an override of this run. */
static void handlers_set_action(QmpCall *call, const ActionSet *keys, json_object *arguments) {
        Daemon *daemon = qmp_call_get_server_userdata(call);
        const WatchMachine *m = watch_find(daemon->watch, qmp_call_get_machine(call));
        HandlersSet *set;
        int r = -ENOMEM;

        if (m && m->attached && m->backend == BACKEND_TYPE_VMM) {
                /* nobody but us keeps it: a VMM asks each time */
                watch_override(daemon->watch,
                               watch_find(daemon->watch, m->name),
                               keys,
                               daemon_now(daemon));
                daemon_arm(daemon);
                qmp_call_return(call, NULL);
                return;
        }
        if (!m || !m->attached || m->backend != BACKEND_TYPE_QMP) {
                handlers_machine_fail(call,
                                      m && m->backend == BACKEND_TYPE_HOST
                                              ? "The host has no actions to set"
                                              : "The machine is not attached");
                return;
        }
        set = calloc(1, sizeof(*set));
        if (set) {
                set->daemon = daemon;
                set->call = call;
                set->machine = strdup(m->name);
                set->run = strdup(m->run);
                set->set = *keys;
        }
        if (set && set->machine && set->run)
                r = machines_command(daemon->machines,
                                     m->name,
                                     &(BackendCall){ .verb = BACKEND_SET_ACTION,
                                                     .arguments = arguments,
                                                     .fd = -1,
                                                     .deadline_us = HANDLERS_MACHINE_US,
                                                     .done = handlers_set_done,
                                                     .userdata = set });
        if (r >= 0)
                return;
        if (set)
                handlers_set_free(set);
        handlers_machine_fail(call, strerror(-r));
}

/* The words of QAPI's enums are Actions too; `word` comes out of one of them. */
static void handlers_add_key(ActionSet *set, PolicyKey key, const char *word) {
        set->keys[key].set = action_from_string(word, &set->keys[key].action) == 0;
}

void qmp_set_action(QmpCall *call, const SetActionArg *arg) {
        json_object *arguments = NULL;
        ActionSet set = {};

        if (arg->has_reboot)
                handlers_add_key(&set, POLICY_KEY_REBOOT, reboot_action_to_string(arg->reboot));
        if (arg->has_shutdown)
                handlers_add_key(&set, POLICY_KEY_SHUTDOWN, shutdown_action_to_string(arg->shutdown));
        if (arg->has_panic)
                handlers_add_key(&set, POLICY_KEY_PANIC, panic_action_to_string(arg->panic));
        if (arg->has_watchdog)
                handlers_add_key(&set, POLICY_KEY_WATCHDOG, watchdog_action_to_string(arg->watchdog));
        if (set_action_arg_to_json(arg, &arguments) < 0) {
                handlers_machine_fail(call, strerror(ENOMEM));
                return;
        }
        handlers_set_action(call, &set, arguments);
        json_object_put(arguments);
}

void qmp_watchdog_set_action(QmpCall *call, const WatchdogSetActionArg *arg) {
        qmp_set_action(call, &(SetActionArg){ .has_watchdog = true, .watchdog = arg->action });
}
