/* SPDX-License-Identifier: MIT */
/*
 * What was read from the file before is not believed here: the descriptor that dlopen() found is the one
 * that counts, and its members beyond its own size are absent.
 */
#include "plugins/sdk/host/module.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plugins/sdk/descriptor.h"
#include "plugins/sdk/host/question.h"
#include "policy/qapi/json.h"

struct Module {
        void *handle;
        struct tocsin_plugin plugin; /* as much of it as both sides know */
        void *state;
        bool started;
        struct tocsin_value *values;
};

static int module_fail(char **ret_error, const char *format, ...) _printf_(2, 3);

static int module_fail(char **ret_error, const char *format, ...) {
        va_list ap;
        int n;

        va_start(ap, format);
        n = vasprintf(ret_error, format, ap);
        va_end(ap);
        if (n < 0)
                *ret_error = NULL;
        return -EINVAL;
}

DEFINE_CLEANUP(Module *, module_free);

Module *module_free(Module *m) {
        if (!m)
                return NULL;
        if (m->started && m->plugin.free)
                m->plugin.free(m->state);
        for (size_t i = 0; m->values && i < m->plugin.n_options; i++)
                free((char *) (uintptr_t) m->values[i].text);
        free(m->values);
        if (m->handle)
                (void) dlclose(m->handle);
        free(m);
        return NULL;
}

int module_load(Module **ret, const char *file, char **ret_error) {
        _cleanup_(module_freep) Module *m = calloc(1, sizeof(*m));
        const struct tocsin_plugin *plugin;

        if (!m)
                return -ENOMEM;
        m->handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
        if (!m->handle)
                return module_fail(ret_error, "it can't be loaded: %s", dlerror());
        plugin = dlsym(m->handle, "tocsin_plugin");
        if (!plugin)
                return module_fail(ret_error, "it exports no constant 'tocsin_plugin'");
        if (plugin->abi_major != TOCSIN_PLUGIN_ABI_MAJOR)
                return module_fail(ret_error, "it was made for another ABI, %u", plugin->abi_major);
        if (plugin->size < offsetof(struct tocsin_plugin, memory_failure) + sizeof(void *))
                return module_fail(ret_error, "its descriptor is only %zu bytes long", plugin->size);
        memcpy(&m->plugin, plugin, plugin->size < sizeof(*plugin) ? plugin->size : sizeof(*plugin));
        if (m->plugin.n_options > DESCRIPTOR_OPTIONS_MAX ||
            (m->plugin.n_options > 0 && m->plugin.option_size < sizeof(struct tocsin_option)))
                return module_fail(ret_error, "its options can't be read");
        *ret = TAKE_PTR(m);
        return 0;
}

static const struct tocsin_option *module_get_option(const Module *m, size_t i) {
        const char *table = (const char *) m->plugin.options;

        return (const struct tocsin_option *) (const void *) (table + i * m->plugin.option_size);
}

static int module_set_value(Module *m, size_t i, json_object *options, char **ret_error) {
        const struct tocsin_option *option = module_get_option(m, i);
        struct tocsin_value *value = &m->values[i];
        PluginOptionType type = (PluginOptionType) option->type;
        const char *text = option->initial;
        json_object *json;

        if (json_object_object_get_ex(options, option->name, &json))
                text = json_object_get_string(json);
        if (!text)
                return 0;
        if (type >= _PLUGIN_OPTION_TYPE_MAX ||
            option_parse(type, text, &value->number, &value->within_us) < 0)
                return module_fail(ret_error,
                                   "option %s: expected %s, found '%s'",
                                   option->name,
                                   type < _PLUGIN_OPTION_TYPE_MAX ? option_expect(type)
                                                                  : "something newer",
                                   text);
        value->text = strdup(text);
        return value->text ? 0 : -ENOMEM;
}

static bool module_has_option(const Module *m, const char *name) {
        for (size_t i = 0; i < m->plugin.n_options; i++)
                if (strcmp(module_get_option(m, i)->name, name) == 0)
                        return true;
        return false;
}

int module_start(Module *m, json_object *options, char **ret_error) {
        int r;

        json_object_object_foreach(options, name, unused) {
                (void) unused;
                if (!module_has_option(m, name))
                        return module_fail(ret_error, "it has no option '%s'", name);
        }
        m->values = calloc(m->plugin.n_options + 1, sizeof(*m->values));
        if (!m->values)
                return -ENOMEM;
        for (size_t i = 0; i < m->plugin.n_options; i++) {
                r = module_set_value(m, i, options, ret_error);
                if (r < 0)
                        return r;
        }
        if (m->plugin.init && m->plugin.init(m->values, &m->state) != 0)
                return module_fail(ret_error,
                                   "its init() failed: what it wrote to stderr may say why");
        m->started = true;
        return 0;
}

static tocsin_ability *module_get_ability(const Module *m, PluginAbility ability) {
        switch (ability) {
        case PLUGIN_ABILITY_WATCHDOG:
                return m->plugin.watchdog;
        case PLUGIN_ABILITY_PANIC:
                return m->plugin.panic;
        case PLUGIN_ABILITY_MEMORY_FAILURE:
                return m->plugin.memory_failure;
        case _PLUGIN_ABILITY_MAX:
                break;
        }
        return NULL;
}

int module_describe(const Module *m, PluginReady **ret) {
        _cleanup_(plugin_ready_freep) PluginReady *ready = calloc(1, sizeof(*ready));

        if (!ready)
                return -ENOMEM;
        ready->version = m->plugin.version ? strdup(m->plugin.version) : NULL;
        ready->abilities = calloc(_PLUGIN_ABILITY_MAX, sizeof(*ready->abilities));
        if (!ready->abilities)
                return -ENOMEM;
        for (PluginAbility i = 0; i < _PLUGIN_ABILITY_MAX; i++)
                if (module_get_ability(m, i))
                        ready->abilities[ready->n_abilities++] = i;
        *ret = TAKE_PTR(ready);
        return 0;
}

static int module_take_answer(const struct tocsin_answer *from, PluginAnswer *to) {
        /* bit by bit as enum tocsin_evidence */
        static const char *const evidence[] = { "registers", "message", "log", "memory" };

        to->has_action = from->has_action && (unsigned) from->action < _ACTION_MAX;
        to->action = to->has_action ? (Action) from->action : ACTION_NONE;
        to->has_delay = from->delay > 0;
        to->delay = from->delay;
        if (from->reason[0] != '\0') {
                to->reason = strndup(from->reason, sizeof(from->reason) - 1);
                if (!to->reason)
                        return -ENOMEM;
        }
        to->evidence = calloc(ELEMENTSOF(evidence), sizeof(*to->evidence));
        if (!to->evidence)
                return -ENOMEM;
        for (size_t i = 0; i < ELEMENTSOF(evidence); i++) {
                if (!(from->evidence & (1U << i)))
                        continue;
                to->evidence[to->n_evidence] = strdup(evidence[i]);
                if (!to->evidence[to->n_evidence++])
                        return -ENOMEM;
        }
        return 0;
}

int module_ask(Module *m, const PluginQuestion *question, json_object *incident, PluginAnswer **ret) {
        _cleanup_(plugin_answer_freep) PluginAnswer *answer = calloc(1, sizeof(*answer));
        struct tocsin_answer raw = { .size = sizeof(raw) };
        tocsin_ability *ability = module_get_ability(m, question->ability);
        _cleanup_(question_deinit) Question q = {};
        int r;

        if (!answer)
                return -ENOMEM;
        r = question_init(&q, question, json_object_to_json_string(incident));
        if (r < 0)
                return r;
        if (ability)
                ability(m->state, &q.question, &raw);
        answer->number = question->number;
        r = module_take_answer(&raw, answer);
        if (r == 0)
                *ret = TAKE_PTR(answer);
        return r;
}
