/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A QMP session on stdin and stdout, with the commands of a machine's endpoint as far as they need no
 * machine: what qmp-differential.py compares with QEMU, without a daemon in between.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "policy/qapi/json.h"
#include "policy/qapi/qapi-visit.h"
#include "policy/qapi/qmp-session.h"
#include "qapi-commands.h"
#include "qapi-types.h"

static void stdio_refuse_arguments(QmpCall *call, QapiError *error) {
        qmp_call_fail(call, error->class, "%s", error->desc);
        qapi_error_deinit(error);
}

static void stdio_marshal_capabilities(QmpCall *call, json_object *arguments) {
        _cleanup_(qmp_capabilities_arg_freep) QmpCapabilitiesArg *arg = NULL;
        QapiError error = QAPI_ERROR_NULL;

        if (qmp_capabilities_arg_from_json(arguments, &arg, &error) == 0)
                qmp_qmp_capabilities(call, arg);
        else
                stdio_refuse_arguments(call, &error);
}

static void stdio_marshal_set_action(QmpCall *call, json_object *arguments) {
        _cleanup_(set_action_arg_freep) SetActionArg *arg = NULL;
        QapiError error = QAPI_ERROR_NULL;

        if (set_action_arg_from_json(arguments, &arg, &error) == 0)
                qmp_call_return(call, NULL);
        else
                stdio_refuse_arguments(call, &error);
}

static void stdio_marshal_watchdog_set_action(QmpCall *call, json_object *arguments) {
        _cleanup_(watchdog_set_action_arg_freep) WatchdogSetActionArg *arg = NULL;
        QapiError error = QAPI_ERROR_NULL;

        if (watchdog_set_action_arg_from_json(arguments, &arg, &error) == 0)
                qmp_call_return(call, NULL);
        else
                stdio_refuse_arguments(call, &error);
}

static void stdio_marshal_query_status(QmpCall *call, json_object *arguments) {
        QapiError error = QAPI_ERROR_NULL;
        json_object *status = NULL;

        if (qapi_check_empty(arguments, &error) == 0 &&
            status_info_to_json(&(StatusInfo){ .status = RUN_STATE_PRELAUNCH }, &status) == 0)
                qmp_call_return(call, status);
        else
                stdio_refuse_arguments(call, &error);
}

static const QmpCommand stdio_commands[] = {
        { "qmp_capabilities", true, stdio_marshal_capabilities },
        { "set-action", true, stdio_marshal_set_action },
        { "watchdog-set-action", false, stdio_marshal_watchdog_set_action },
        { "query-status", true, stdio_marshal_query_status },
};

const QmpCommand *qmp_command_find(QapiProfile profile, const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(stdio_commands); i++)
                if (strcmp(stdio_commands[i].name, name) == 0)
                        return &stdio_commands[i];
        return NULL;
}

static int stdio_flush(Buffer *out) {
        while (buffer_length(out) > 0) {
                ssize_t n = write(STDOUT_FILENO, buffer_content(out), buffer_length(out));

                if (n < 0 && errno != EINTR)
                        return -errno;
                if (n > 0)
                        buffer_consume(out, (size_t) n);
        }
        return 0;
}

int main(void) {
        static const QmpSessionOps ops = {};
        _cleanup_(qmp_session_freep) QmpSession *session = NULL;
        _cleanup_(buffer_deinit) Buffer out = BUFFER_NULL;
        char data[65536];
        ssize_t n;
        int r;

        r = qmp_session_new(&session, QAPI_PROFILE_MACHINE, &ops, &out, NULL);
        if (r == 0)
                r = qmp_session_greet(session);
        if (r == 0)
                r = stdio_flush(&out);

        while (r == 0 && (n = read(STDIN_FILENO, data, sizeof(data))) != 0) {
                size_t used;

                if (n < 0)
                        return 1;
                r = qmp_session_feed(session, data, (size_t) n, &used);
                if (r == 0)
                        r = stdio_flush(&out);
        }

        return r < 0;
}
