/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The commands of control.sock about the host's own kernel. */
#include <errno.h>
#include <string.h>

#include "daemon/daemon.h"
#include "policy/qapi/json.h"
#include "qapi-commands.h"

static void handlers_fail(QmpCall *call, int r) {
        qmp_call_fail(call, QAPI_ERROR_CLASS_GENERIC_ERROR, "%s", strerror(-r));
}

void qmp_query_sources(QmpCall *call) {
        Daemon *daemon = qmp_call_get_server_userdata(call);
        json_object *sources = sources_to_json(daemon->sources);

        if (sources)
                qmp_call_return(call, sources);
        else
                handlers_fail(call, -ENOMEM);
}

static void handlers_watchdogs(json_object *watchdogs, void *userdata) {
        if (watchdogs)
                qmp_call_return(userdata, watchdogs);
        else
                handlers_fail(userdata, -ENOMEM);
}

void qmp_query_watchdogs(QmpCall *call) {
        Daemon *daemon = qmp_call_get_server_userdata(call);
        int r;

        r = sources_query_watchdogs(daemon->sources, handlers_watchdogs, call);
        if (r < 0)
                handlers_fail(call, r);
}
