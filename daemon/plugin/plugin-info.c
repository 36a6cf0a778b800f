/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A plugin for people: query-plugins. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/plugin/plugin-private.h"
#include "policy/qapi/json.h"

static int plugin_compare_times(const void *a, const void *b) {
        const uint32_t *left = a, *right = b;

        return *left < *right ? -1 : *left > *right;
}

static PluginState plugin_get_state(const Plugin *plugin) {
        if (plugin->aside)
                return PLUGIN_STATE_SET_ASIDE;
        if (!plugin->current)
                return PLUGIN_STATE_WAITING;
        return plugin->current->ready ? PLUGIN_STATE_READY : PLUGIN_STATE_STARTING;
}

static int plugin_describe(const PluginDescription *description, PluginDescription **ret) {
        _cleanup_(json_object_putp) json_object *json = NULL;
        int r;

        if (!description)
                return 0;
        r = plugin_description_to_json(description, &json);
        return r < 0 ? r : plugin_description_from_json(json, ret, NULL);
}

static void plugin_get_times(const Plugin *plugin, PluginInfo *info) {
        size_t n = plugin->answered < PLUGIN_TIMES ? plugin->answered : PLUGIN_TIMES;
        uint32_t sorted[PLUGIN_TIMES];

        if (n == 0)
                return;
        memcpy(sorted, plugin->times, n * sizeof(*sorted));
        qsort(sorted, n, sizeof(*sorted), plugin_compare_times);
        info->has_p50 = info->has_p99 = true;
        info->p50 = sorted[n / 2];
        info->p99 = sorted[n * 99 / 100];
}

int plugin_to_info(const Plugin *plugin, PluginInfo **ret) {
        _cleanup_(plugin_info_freep) PluginInfo *info = calloc(1, sizeof(*info));
        const PluginConfig *config = plugin->config;

        if (!info)
                return -ENOMEM;
        info->name = strdup(config->name);
        info->file = strdup(config->module ?: config->program);
        info->origin = strdup(config->origin);
        info->abilities = calloc(_PLUGIN_ABILITY_MAX, sizeof(*info->abilities));
        if (!info->name || !info->file || !info->origin || !info->abilities)
                return -ENOMEM;
        for (PluginAbility i = 0; i < _PLUGIN_ABILITY_MAX; i++)
                if (plugin->abilities & (1U << i))
                        info->abilities[info->n_abilities++] = i;
        info->state = plugin_get_state(plugin);
        info->options = json_object_get(config->options);
        info->version = plugin->version ? strdup(plugin->version) : NULL;
        info->last_error = plugin->last_error[0] ? strdup(plugin->last_error) : NULL;
        info->has_pid = plugin->current;
        info->pid = plugin->current ? plugin_process_get_pid(plugin->current->process) : 0;
        info->asked = plugin->asked;
        info->decided = plugin->decided;
        info->failures = plugin->failures;
        info->waiting = plugin->current ? plugin->current->n_waiting : 0;
        plugin_get_times(plugin, info);
        if (plugin_describe(config->description, &info->description) < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(info);
        return 0;
}
