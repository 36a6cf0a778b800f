/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The commands that ask for nothing but the server itself: versions, introspection, the event log. */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "daemon/qmp/peer.h"
#include "daemon/qmp/server-private.h"
#include "policy/qapi/json.h"
#include "policy/qapi/qmp-session.h"
#include "qapi-commands.h"
#include "qapi-types.h"

/* Takes `ret`. */
static void handlers_server_answer(QmpCall *call, int r, json_object *ret) {
        if (r == 0)
                qmp_call_return(call, ret);
        else
                qmp_call_fail(call, QAPI_ERROR_CLASS_GENERIC_ERROR, "%s", strerror(-r));
}

void qmp_query_version(QmpCall *call) {
        json_object *version = NULL;
        int r;

        r = qmp_session_get_version(&version);
        handlers_server_answer(call, r, version);
}

static void handlers_server_add_command(const QmpCommand *command, void *userdata) {
        json_object *commands = userdata, *info;

        info = json_object_new_object();
        json_object_object_add(info, "name", json_object_new_string(command->name));
        json_object_array_add(commands, info);
}

void qmp_query_commands(QmpCall *call) {
        QmpPeer *peer = qmp_call_get_userdata(call);
        json_object *commands = json_object_new_array();

        qmp_command_foreach(qmp_peer_get_endpoint(peer)->profile,
                            handlers_server_add_command,
                            commands);
        qmp_call_return(call, commands);
}

void qmp_query_qmp_schema(QmpCall *call) {
        QmpPeer *peer = qmp_call_get_userdata(call);
        const char *text = qapi_schema_text(qmp_peer_get_endpoint(peer)->profile);
        json_object *schema = NULL;
        int r;

        r = json_parse(text, strlen(text), &schema, NULL);
        handlers_server_answer(call, r, schema);
}

void qmp_query_name(QmpCall *call) {
        const char *machine = qmp_call_get_machine(call);
        json_object *info = json_object_new_object();

        if (info && machine)
                json_object_object_add(info, "name", json_object_new_string(machine));
        handlers_server_answer(call, info ? 0 : -ENOMEM, info);
}

static int handlers_server_describe_log(Store *store, json_object **ret) {
        _cleanup_free_ char *log = strdup(store_get_log(store));
        EventLogInfo info = {
                .log = log,
                .first = store_first_seq(store),
                .last = store_last_seq(store),
        };

        return log ? event_log_info_to_json(&info, ret) : -ENOMEM;
}

void qmp_query_event_log(QmpCall *call) {
        QmpServer *server = qmp_peer_get_server(qmp_call_get_userdata(call));
        json_object *info = NULL;
        int r;

        r = handlers_server_describe_log(server->store, &info);
        handlers_server_answer(call, r, info);
}

void qmp_replay_events(QmpCall *call, const ReplayEventsArg *arg) {
        QmpPeer *peer = qmp_call_get_userdata(call);
        Store *store = qmp_peer_get_server(peer)->store;
        const char *log = store_get_log(store);
        json_object *info = NULL;
        int r;

        if (arg->log && strcmp(arg->log, log) != 0) {
                qmp_call_fail(call,
                              QAPI_ERROR_CLASS_GENERIC_ERROR,
                              "The event log is %s, not %s: its numbers start anew",
                              log,
                              arg->log);
                return;
        }
        if (arg->after > store_last_seq(store)) {
                qmp_call_fail(call,
                              QAPI_ERROR_CLASS_GENERIC_ERROR,
                              "Event %" PRIu64 " has not happened yet, the last is %" PRIu64,
                              arg->after,
                              store_last_seq(store));
                return;
        }

        r = handlers_server_describe_log(store, &info);
        if (r == 0)
                r = qmp_peer_replay(peer, arg->after);
        /* The first event comes from the store, through the loop: after this reply. */
        handlers_server_answer(call, r, info);
}
