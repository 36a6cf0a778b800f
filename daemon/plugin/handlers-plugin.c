/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The commands of control.sock about plugins. */
#include <errno.h>
#include <string.h>

#include "daemon/daemon.h"
#include "policy/qapi/json.h"
#include "qapi-commands.h"

typedef struct HandlersPlugins {
        json_object *array;
        int r;
} HandlersPlugins;

static void handlers_add_plugin(Plugin *plugin, void *userdata) {
        _cleanup_(plugin_info_freep) PluginInfo *info = NULL;
        HandlersPlugins *list = userdata;
        json_object *json = NULL;
        int r;

        r = plugin_to_info(plugin, &info);
        if (r == 0)
                r = plugin_info_to_json(info, &json);
        if (r == 0 && json_object_array_add(list->array, json) < 0) {
                json_object_put(json);
                r = -ENOMEM;
        }
        if (r < 0)
                list->r = r;
}

void qmp_query_plugins(QmpCall *call) {
        HandlersPlugins list = { json_object_new_array(), 0 };
        Daemon *daemon = qmp_call_get_server_userdata(call);

        plugins_foreach(daemon->plugins, handlers_add_plugin, &list);
        if (list.r < 0) {
                json_object_put(list.array);
                qmp_call_fail(call, QAPI_ERROR_CLASS_GENERIC_ERROR, "%s", strerror(-list.r));
                return;
        }
        qmp_call_return(call, list.array);
}

void qmp_restart_plugin(QmpCall *call, const RestartPluginArg *arg) {
        Daemon *daemon = qmp_call_get_server_userdata(call);
        Plugin *plugin = plugins_find(daemon->plugins, arg->plugin);
        int r;

        if (!plugin) {
                qmp_call_fail(call,
                              QAPI_ERROR_CLASS_DEVICE_NOT_FOUND,
                              "Plugin '%s' not found",
                              arg->plugin);
                return;
        }
        r = plugin_restart(plugin);
        if (r < 0)
                qmp_call_fail(call, QAPI_ERROR_CLASS_GENERIC_ERROR, "%s", strerror(-r));
        else
                qmp_call_return(call, NULL);
}
