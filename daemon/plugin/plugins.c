/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A consultation is one incident on its way through the plugins. The incident and the history are
 * written as JSON once, when it begins, since neither is there later; what was decided so far changes
 * with each answer. The watch may not be called from within its own call, so where the first plugin
 * can't be asked, its part is said from a deferred event.
 */
#include "daemon/plugin/plugins.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/report.h"
#include "policy/qapi/json.h"
#include "policy/util/buffer.h"
#include "tocsin-version.h"

typedef struct Consultation {
        List link;
        Plugins *plugins;
        char *machine;
        uint64_t incident;
        PluginAbility ability;
        char *text, *history; /* JSON */
        char *decision;       /* JSON: so far */
        char **chain;         /* names, NULL-terminated */
        size_t at;            /* who is asked, or is to be */
} Consultation;

struct Plugins {
        sd_event *event;
        sd_event_source *defer;
        char *host;
        PluginsOps ops;
        void *userdata;
        Plugin **items;
        size_t n_items;
        List waiting; /* an answer is to come */
        List fresh;   /* for the deferred event */
};

/* Of design section 6. */
static PluginAbility plugins_get_ability(IncidentKind kind) {
        switch (kind) {
        case INCIDENT_KIND_WATCHDOG:
        case INCIDENT_KIND_STOPPED:
        case INCIDENT_KIND_UNRESPONSIVE:
        case INCIDENT_KIND_NOTIFY_VMEXIT:
                return PLUGIN_ABILITY_WATCHDOG;
        case INCIDENT_KIND_PANIC:
        case INCIDENT_KIND_CRASHLOADED:
                return PLUGIN_ABILITY_PANIC;
        case INCIDENT_KIND_MEMORY_FAILURE:
        case INCIDENT_KIND_CORRECTED:
                return PLUGIN_ABILITY_MEMORY_FAILURE;
        case _INCIDENT_KIND_MAX:
                break;
        }
        return _PLUGIN_ABILITY_MAX;
}

Plugin *plugins_find(const Plugins *plugins, const char *name) {
        for (size_t i = 0; i < plugins->n_items; i++)
                if (strcmp(plugin_get_name(plugins->items[i]), name) == 0)
                        return plugins->items[i];
        return NULL;
}

void plugins_foreach(const Plugins *plugins,
                     void (*func)(Plugin *plugin, void *userdata),
                     void *userdata) {
        for (size_t i = 0; i < plugins->n_items; i++)
                func(plugins->items[i], userdata);
}

unsigned plugins_get_kinds(const Plugins *plugins, char *const *chain) {
        unsigned kinds = 0;

        for (; chain && *chain; chain++) {
                const Plugin *plugin = plugins_find(plugins, *chain);

                for (IncidentKind kind = 0; plugin && kind < _INCIDENT_KIND_MAX; kind++)
                        if (plugin_has_ability(plugin, plugins_get_ability(kind)))
                                kinds |= 1U << kind;
        }
        return kinds;
}

/* A consultation */

static Consultation *consultation_free(Consultation *c) {
        if (!c)
                return NULL;
        list_remove(&c->link);
        for (char **name = c->chain; name && *name; name++)
                free(*name);
        free(c->chain);
        free(c->machine);
        free(c->text);
        free(c->history);
        free(c->decision);
        free(c);
        return NULL;
}

DEFINE_CLEANUP(Consultation *, consultation_free);

static int consultation_write(json_object *json, char **ret) {
        _cleanup_(buffer_deinit) Buffer text = BUFFER_NULL;
        int r;

        r = json_write(&text, json, JSON_STYLE_QMP);
        if (r < 0)
                return r;
        free(*ret);
        *ret = buffer_take_string(&text);
        return *ret ? 0 : -ENOMEM;
}

static int consultation_set_decision(Consultation *c, const Decision *so_far) {
        _cleanup_(json_object_putp) json_object *json = NULL;
        DecisionInfo view = *so_far->info;
        char by[] = "backend", reason[] = "nobody had a say: what the backend did stands";
        int r;

        view.action = so_far->action;
        view.by = by;
        view.reason = reason;
        for (size_t i = 0; i < view.n_trail; i++)
                if (view.trail[i]->has_action) {
                        view.by = view.trail[i]->by;
                        view.reason = view.trail[i]->text;
                }
        r = decision_info_to_json(&view, &json);
        return r < 0 ? r : consultation_write(json, &c->decision);
}

static int consultation_set_history(Consultation *c, const History *history, uint64_t now_boot_us) {
        _cleanup_(json_object_putp) json_object *array = json_object_new_array();
        size_t first = history->n < HISTORY_MAX ? 0 : history->next;

        for (size_t i = 0; array && i < history->n; i++) {
                const HistoryEntry *entry = &history->entries[(first + i) % HISTORY_MAX];
                PluginPast past = { .incident = entry->incident,
                                    .kind = (IncidentKind) entry->kind,
                                    .action = (Action) entry->action,
                                    .ago = (uint64_t) ((int64_t) now_boot_us - entry->boot_us) };
                json_object *json;
                int r;

                if ((int64_t) now_boot_us - entry->boot_us >= (int64_t) HISTORY_AGE_US)
                        continue;
                r = plugin_past_to_json(&past, &json);
                if (r < 0)
                        return r;
                if (json_object_array_add(array, json) < 0) {
                        json_object_put(json);
                        return -ENOMEM;
                }
        }
        return array ? consultation_write(array, &c->history) : -ENOMEM;
}

static int consultation_set_chain(Consultation *c, char *const *chain) {
        size_t n = 0;

        while (chain[n])
                n++;
        c->chain = calloc(n + 1, sizeof(*c->chain));
        if (!c->chain)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                c->chain[i] = strdup(chain[i]);
                if (!c->chain[i])
                        return -ENOMEM;
        }
        return 0;
}

static int consultation_new(Consultation **ret,
                            Plugins *plugins,
                            const IncidentInfo *incident,
                            const Decision *so_far) {
        _cleanup_(consultation_freep) Consultation *c = calloc(1, sizeof(*c));
        _cleanup_(json_object_putp) json_object *json = NULL;
        int r;

        if (!c)
                return -ENOMEM;
        list_init(&c->link);
        c->plugins = plugins;
        c->incident = incident->id;
        c->ability = plugins_get_ability(incident->kind);
        c->machine = strdup(incident->machine);
        if (!c->machine)
                return -ENOMEM;
        r = incident_info_to_json(incident, &json);
        if (r == 0)
                r = consultation_write(json, &c->text);
        if (r == 0)
                r = consultation_set_decision(c, so_far);
        if (r == 0)
                *ret = TAKE_PTR(c);
        return r;
}

static void consultation_go_on(Consultation *c);

/* False: the incident is over, and so is this. */
static bool consultation_propose(Consultation *c, const EngineProposal *proposal) {
        const PluginsOps *ops = &c->plugins->ops;
        const Decision *so_far = ops->proposed(c->machine, c->incident, proposal, c->plugins->userdata);

        if (so_far && consultation_set_decision(c, so_far) < 0)
                report(LOG_ERR, c->machine, "the next plugin is not told of the last: out of memory");
        return so_far;
}

static unsigned consultation_get_evidence(const PluginAnswer *answer) {
        static const struct {
                const char *word;
                unsigned evidence;
        } words[] = { { "registers", EVIDENCE_REGISTERS },
                      { "message", EVIDENCE_MESSAGE },
                      { "log", EVIDENCE_LOG },
                      { "memory", EVIDENCE_MEMORY } };
        unsigned evidence = 0;

        for (size_t i = 0; i < answer->n_evidence; i++)
                for (size_t k = 0; k < ELEMENTSOF(words); k++)
                        if (strcmp(answer->evidence[i], words[k].word) == 0)
                                evidence |= words[k].evidence;
        return evidence;
}

static void consultation_on_reply(const PluginReply *reply, void *userdata) {
        Consultation *c = userdata;
        EngineProposal proposal = { .plugin = c->chain[c->at++], .took_us = reply->took_us };
        const PluginAnswer *answer = reply->answer;
        char text[PLUGIN_TEXT_MAX + 64];

        if (answer) {
                proposal.has_action = answer->has_action;
                proposal.action = answer->action;
                proposal.delay_us = answer->has_delay ? answer->delay * USEC_PER_SEC : 0;
                proposal.evidence = consultation_get_evidence(answer);
                proposal.reason = answer->reason       ? answer->reason
                                  : answer->has_action ? "it gave no reason"
                                                       : "it leaves the decision as it is";
        } else {
                (void) snprintf(text,
                                sizeof(text),
                                "%s: what was decided before stands",
                                reply->failure);
                proposal.reason = text;
        }
        if (consultation_propose(c, &proposal))
                consultation_go_on(c);
        else
                consultation_free(c);
}

/* Asks the plugin at c->at. 0, PLUGIN_E_AWAY, or negative. */
static int consultation_ask(Consultation *c, Plugin *plugin, const char **ret_why) {
        _cleanup_free_ char *question = NULL;

        if (asprintf(&question,
                     "\"ability\": \"%s\", \"incident\": %s, \"decision\": %s, \"history\": %s}",
                     plugin_ability_to_string(c->ability),
                     c->text,
                     c->decision,
                     c->history) < 0) {
                question = NULL;
                return -ENOMEM;
        }
        return plugin_ask(plugin, c->ability, question, consultation_on_reply, c, ret_why);
}

/* The next plugin that has a say; NULL: there is none. */
static Plugin *consultation_get_next(Consultation *c) {
        for (; c->chain[c->at]; c->at++) {
                Plugin *plugin = plugins_find(c->plugins, c->chain[c->at]);

                if (plugin && plugin_has_ability(plugin, c->ability))
                        return plugin;
        }
        return NULL;
}

static void consultation_go_on(Consultation *c) {
        char text[PLUGIN_TEXT_MAX + 128];
        EngineProposal proposal = { .reason = text };
        const char *why;
        Plugin *plugin;
        int r;

        while ((plugin = consultation_get_next(c))) {
                r = consultation_ask(c, plugin, &why);
                if (r == 0)
                        return;
                (void) snprintf(text,
                                sizeof(text),
                                "it was not asked: %s: what was decided before stands",
                                r == PLUGIN_E_AWAY ? why : strerror(-r));
                proposal.plugin = c->chain[c->at++];
                if (!consultation_propose(c, &proposal)) {
                        consultation_free(c);
                        return;
                }
        }
        c->plugins->ops.consulted(c->machine, c->incident, c->plugins->userdata);
        consultation_free(c);
}

static int plugins_on_defer(sd_event_source *source, void *userdata) {
        Plugins *plugins = userdata;

        while (!list_is_empty(&plugins->fresh)) {
                Consultation *c = list_entry(plugins->fresh.next, Consultation, link);

                list_remove(&c->link);
                list_append(&plugins->waiting, &c->link);
                consultation_go_on(c);
        }
        return 0;
}

bool plugins_consult(Plugins *plugins,
                     char *const *chain,
                     const WatchMachine *machine,
                     const IncidentInfo *incident,
                     const Decision *so_far,
                     uint64_t now_boot_us) {
        _cleanup_(consultation_freep) Consultation *c = NULL;
        Plugin *plugin;
        const char *why;
        int r;

        if (!chain || !(plugins_get_kinds(plugins, chain) & (1U << incident->kind)))
                return false;
        r = consultation_new(&c, plugins, incident, so_far);
        if (r == 0)
                r = consultation_set_history(c, &machine->past, now_boot_us);
        if (r == 0)
                r = consultation_set_chain(c, chain);
        if (r < 0) {
                report(LOG_ERR,
                       machine->name,
                       "incident %llu is decided without plugins: %s",
                       (unsigned long long) incident->id,
                       strerror(-r));
                return false;
        }
        plugin = consultation_get_next(c);
        if (plugin && consultation_ask(c, plugin, &why) == 0) {
                list_append(&plugins->waiting, &c->link);
        } else {
                list_append(&plugins->fresh, &c->link);
                (void) sd_event_source_set_enabled(plugins->defer, SD_EVENT_ONESHOT);
        }
        c = NULL;
        return true;
}

/* All of them */

static void plugins_on_changed(void *userdata) {
        Plugins *plugins = userdata;

        plugins->ops.changed(plugins->userdata);
}

static void plugins_on_problem(const char *plugin, const char *text, void *userdata) {
        Plugins *plugins = userdata;

        plugins->ops.problem(plugin, text, plugins->userdata);
}

/* It lies in libexec where installed, and within the build folder beside ours. */
static int plugins_find_host(char **ret) {
        static const char *const places[] = { "tocsin-plugin", "../plugins/sdk/host/tocsin-plugin" };
        char self[4096];
        ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
        char *slash;

        self[n > 0 ? n : 0] = '\0';
        slash = strrchr(self, '/');
        for (size_t i = 0; slash && i < ELEMENTSOF(places); i++) {
                _cleanup_free_ char *path = NULL;

                if (asprintf(&path, "%.*s/%s", (int) (slash - self), self, places[i]) < 0) {
                        path = NULL;
                        return -ENOMEM;
                }
                if (access(path, X_OK) == 0) {
                        *ret = TAKE_PTR(path);
                        return 0;
                }
        }
        *ret = strdup(TOCSIN_LIBEXECDIR "/tocsin-plugin");
        return *ret ? 0 : -ENOMEM;
}

int plugins_new(Plugins **ret, sd_event *event, const PluginsOps *ops, void *userdata) {
        _cleanup_(plugins_freep) Plugins *plugins = calloc(1, sizeof(*plugins));
        int r;

        if (!plugins)
                return -ENOMEM;
        list_init(&plugins->waiting);
        list_init(&plugins->fresh);
        plugins->event = sd_event_ref(event);
        plugins->ops = *ops;
        plugins->userdata = userdata;
        r = plugins_find_host(&plugins->host);
        if (r >= 0)
                r = sd_event_add_defer(event, &plugins->defer, plugins_on_defer, plugins);
        if (r >= 0)
                r = sd_event_source_set_enabled(plugins->defer, SD_EVENT_OFF);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(plugins);
        return 0;
}

Plugins *plugins_free(Plugins *plugins) {
        if (!plugins)
                return NULL;
        for (size_t i = 0; i < plugins->n_items; i++)
                plugin_free(plugins->items[i]);
        free(plugins->items);
        list_foreach_safe(i, n, &plugins->waiting)
                consultation_free(list_entry(i, Consultation, link));
        list_foreach_safe(i, n, &plugins->fresh)
                consultation_free(list_entry(i, Consultation, link));
        sd_event_source_disable_unref(plugins->defer);
        sd_event_unref(plugins->event);
        free(plugins->host);
        free(plugins);
        return NULL;
}

static PluginConfig *plugins_take_config(PluginConfig *config) {
        PluginConfig *copy = malloc(sizeof(*copy));

        if (copy) {
                *copy = *config;
                *config = (PluginConfig){};
        }
        return copy;
}

static int plugins_add(Plugins *plugins, PluginConfig *take_config) {
        static const PluginOps ops = { .changed = plugins_on_changed, .problem = plugins_on_problem };
        Plugin **items;
        int r;

        items = reallocarray(plugins->items, plugins->n_items + 1, sizeof(*items));
        if (!items) {
                plugin_configs_free(take_config, 1);
                return -ENOMEM;
        }
        plugins->items = items;
        r = plugin_new(
                &items[plugins->n_items], plugins->event, plugins->host, take_config, &ops, plugins);
        if (r >= 0)
                plugins->n_items++;
        return r;
}

static bool plugins_is_configured(const Plugin *plugin, const PluginConfig *configs, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (strcmp(configs[i].name, plugin_get_name(plugin)) == 0)
                        return true;
        return false;
}

static void plugins_remove_others(Plugins *plugins, const PluginConfig *configs, size_t n) {
        size_t kept = 0, n_items = plugins->n_items;

        for (size_t i = 0; i < n_items; i++) {
                Plugin *plugin = plugins->items[i];

                if (!plugins_is_configured(plugin, configs, n))
                        continue;
                plugins->items[i] = plugins->items[kept];
                plugins->items[kept++] = plugin;
        }
        /* who waits for one of the others goes on to the next, which is none of them */
        plugins->n_items = kept;
        for (size_t i = kept; i < n_items; i++) {
                Plugin *plugin = plugins->items[i];

                plugins->ops.problem(plugin_get_name(plugin), NULL, plugins->userdata);
                plugin_give_up(plugin, "it is configured no longer");
                plugin_free(plugin);
        }
}

int plugins_configure(Plugins *plugins, PluginConfig *configs, size_t n) {
        int error = 0, r;

        plugins_remove_others(plugins, configs, n);
        for (size_t i = 0; i < n; i++) {
                Plugin *known = plugins_find(plugins, configs[i].name);
                PluginConfig *config = plugins_take_config(&configs[i]);

                if (!config)
                        r = -ENOMEM;
                else
                        r = known ? plugin_configure(known, config) : plugins_add(plugins, config);
                error = error < 0 ? error : r;
        }
        return error < 0 ? error : 0;
}
