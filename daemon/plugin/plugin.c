/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A plugin has up to three processes at once: the one that is asked, the next one, which takes over
 * when it is ready, and one before it, which still answers what it was asked. Each is an instance with
 * its own questions. A question has two bounds: once it is the oldest one of its instance, so that the
 * plugin can be at work on it, the deadline; and in all PLUGIN_QUEUE_US more. Missing the first is a
 * failure of the plugin and ends the process, and nobody else waits for it any longer; missing the second
 * means that too many were asked before.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "daemon/plugin/plugin-private.h"
#include "daemon/report.h"
#include "policy/policy.h"
#include "policy/qapi/json.h"
#include "policy/util/buffer.h"
#include "policy/util/duration.h"
#include "policy/util/moment.h"

#define PLUGIN_PROTOCOL 1
/* From the start of the process to its PluginReady. Python takes 50 ms, on a busy host many times that. */
#define PLUGIN_START_US (10 * USEC_PER_SEC)
/* A thousand incidents at once are answered within some 100 ms by a plugin in C. */
#define PLUGIN_QUEUE_US (1 * USEC_PER_SEC)
/* How long the pause before another start is: the first one, the longest; a life this long starts anew. */
#define PLUGIN_PAUSE_US (100 * USEC_PER_MSEC)
#define PLUGIN_PAUSE_MAX_US (60 * USEC_PER_SEC)
#define PLUGIN_GOOD_LIFE_US (60 * USEC_PER_SEC)
/* A decision is not put off for longer; rules may not either. */
#define PLUGIN_DELAY_MAX (UINT64_C(24) * 3600)

static int plugin_start(Plugin *plugin, PluginInstance **ret);
static void plugin_arm(Plugin *plugin);

static uint64_t plugin_now(void) {
        struct timespec now;

        (void) clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t) now.tv_sec * USEC_PER_SEC + (uint64_t) now.tv_nsec / 1000;
}

const char *plugin_get_name(const Plugin *plugin) {
        return plugin->config->name;
}

bool plugin_has_ability(const Plugin *plugin, PluginAbility ability) {
        if (plugin->aside)
                return false;
        return !plugin->abilities_known || plugin->abilities & (1U << ability);
}

static PluginAsk *plugin_ask_free(PluginAsk *ask) {
        list_remove(&ask->link);
        free(ask->line);
        free(ask);
        return NULL;
}

static void plugin_ask_done(PluginInstance *instance, PluginAsk *ask, const PluginReply *reply) {
        PluginDoneFunc done = ask->done;

        if (!done)
                return;
        ask->done = NULL;
        instance->n_waiting--;
        done(reply, ask->userdata);
}

static PluginInstance *plugin_instance_free(PluginInstance *instance) {
        if (!instance)
                return NULL;
        plugin_process_free(instance->process);
        list_foreach_safe(i, n, &instance->asks)
                plugin_ask_free(list_entry(i, PluginAsk, link));
        free(instance);
        return NULL;
}

/* Everybody who waits for it hears why in vain. The instance has been taken out of the plugin, so that
 * whoever asks again does not ask it. */
static void plugin_instance_bury(PluginInstance *instance, const char *why) {
        PluginReply reply = { .failure = why };

        if (!instance)
                return;
        instance->process = plugin_process_free(instance->process);
        while (!list_is_empty(&instance->asks)) {
                PluginAsk *ask = list_entry(instance->asks.next, PluginAsk, link);

                reply.took_us = plugin_now() - ask->asked_us;
                plugin_ask_done(instance, ask, &reply);
                plugin_ask_free(ask);
        }
        plugin_instance_free(instance);
}

/* Failing and starting again */

/* True: that was one failure too many. */
static bool plugin_count_failure(Plugin *plugin, uint64_t now_us) {
        unsigned count = 0;

        plugin->failed_us[plugin->failures++ % PLUGIN_FAILURES_MAX] = now_us;
        for (size_t i = 0; i < PLUGIN_FAILURES_MAX; i++)
                count += plugin->failed_us[i] > 0 &&
                         now_us - plugin->failed_us[i] < plugin->config->failures_us;
        return count >= plugin->config->failures;
}

static void plugin_set_aside(Plugin *plugin) {
        char text[PLUGIN_TEXT_MAX + 128], time[DURATION_TEXT_SIZE];

        plugin->aside = true;
        plugin->restart_us = USEC_INFINITY;
        (void) snprintf(plugin->away, sizeof(plugin->away), "it is set aside after too many failures");
        (void) snprintf(text,
                        sizeof(text),
                        "set aside until a reload, after %u failures within %s; the last: %s",
                        plugin->config->failures,
                        duration_format(plugin->config->failures_us, time),
                        plugin->last_error);
        plugin->ops.problem(plugin->config->name, text, plugin->userdata);
        plugin->ops.changed(plugin->userdata);
}

static void plugin_wait(Plugin *plugin, uint64_t lived_us, uint64_t now_us) {
        char time[DURATION_TEXT_SIZE];

        if (lived_us >= PLUGIN_GOOD_LIFE_US)
                plugin->pause_us = 0;
        plugin->pause_us = plugin->pause_us == 0 ? PLUGIN_PAUSE_US : plugin->pause_us * 2;
        if (plugin->pause_us > PLUGIN_PAUSE_MAX_US)
                plugin->pause_us = PLUGIN_PAUSE_MAX_US;
        plugin->restart_us = now_us + plugin->pause_us;
        (void) snprintf(plugin->away,
                        sizeof(plugin->away),
                        "it is being started again after a failure: %s",
                        plugin->last_error);
        report(LOG_WARNING,
               plugin->config->name,
               "the plugin failed: %s; it is started again in %s",
               plugin->last_error,
               duration_format(plugin->pause_us, time));
}

static void plugin_fail(PluginInstance *instance, const char *format, ...) _printf_(2, 3);

static void plugin_fail(PluginInstance *instance, const char *format, ...) {
        Plugin *plugin = instance->plugin;
        uint64_t now_us = plugin_now(), lived_us = now_us - instance->started_us;
        char why[PLUGIN_TEXT_MAX], problem[PLUGIN_TEXT_MAX + 64];
        va_list ap;

        va_start(ap, format);
        (void) vsnprintf(why, sizeof(why), format, ap);
        va_end(ap);
        if (instance == plugin->old) {
                plugin->old = NULL;
        } else if (instance == plugin->next) {
                plugin->next = NULL;
                (void) snprintf(problem,
                                sizeof(problem),
                                "a new process failed, the old one goes on: %s",
                                why);
                plugin->ops.problem(plugin->config->name, problem, plugin->userdata);
        } else {
                plugin->current = NULL;
                (void) snprintf(plugin->last_error, sizeof(plugin->last_error), "%s", why);
                if (plugin_count_failure(plugin, now_us))
                        plugin_set_aside(plugin);
                else
                        plugin_wait(plugin, lived_us, now_us);
        }
        plugin_instance_bury(instance, why);
        plugin_arm(plugin);
}

/* What it was asked before it was ready. */
static void plugin_send_waiting(PluginInstance *instance) {
        Plugin *plugin = instance->plugin;

        list_foreach_safe(i, n, &instance->asks) {
                PluginAsk *ask = list_entry(i, PluginAsk, link);
                PluginReply reply = { .failure = "it has no say in this" };

                if (!ask->line) /* done() below asked it again */
                        continue;
                if (plugin->abilities & (1U << ask->ability) &&
                    plugin_process_send(instance->process, ask->line, strlen(ask->line)) == 0) {
                        free(ask->line);
                        ask->line = NULL;
                        continue;
                }
                plugin_ask_done(instance, ask, &reply);
                plugin_ask_free(ask);
        }
}

/* The next one takes over; what the current one was asked it may still answer. */
static void plugin_promote(Plugin *plugin) {
        plugin_instance_bury(plugin->old, "two newer processes have taken over");
        plugin->old = TAKE_PTR(plugin->current);
        plugin->current = TAKE_PTR(plugin->next);
        plugin->restart_us = USEC_INFINITY;
        plugin->pause_us = 0;
        plugin->aside = false;
        if (plugin->old && list_is_empty(&plugin->old->asks))
                plugin->old = plugin_instance_free(plugin->old);
        else if (plugin->old)
                plugin_process_close_input(plugin->old->process);
}

static void plugin_on_ready(PluginInstance *instance, PluginReady *ready) {
        Plugin *plugin = instance->plugin;
        unsigned abilities = 0;
        bool changed;

        if (ready->error) {
                plugin_fail(instance, "it can't work: %s", ready->error);
                return;
        }
        for (size_t i = 0; i < ready->n_abilities; i++)
                abilities |= 1U << ready->abilities[i];
        changed = plugin->aside || !plugin->abilities_known || plugin->abilities != abilities;
        instance->ready = true;
        instance->head_us = plugin_now();
        plugin->abilities = abilities;
        plugin->abilities_known = true;
        free(plugin->version);
        plugin->version = TAKE_PTR(ready->version);
        if (instance == plugin->next)
                plugin_promote(plugin);
        plugin->ops.problem(plugin->config->name, NULL, plugin->userdata);
        report(LOG_INFO, plugin->config->name, "the plugin is ready");
        if (changed)
                plugin->ops.changed(plugin->userdata);
        plugin_send_waiting(instance);
}

/* Answers */

static const char *plugin_check_answer(const PluginAnswer *answer) {
        /* bit by bit as EvidenceKind */
        static const char *const known[] = { "registers", "message", "log", "memory" };

        for (size_t i = 0; i < answer->n_evidence; i++) {
                bool found = false;

                for (size_t k = 0; k < ELEMENTSOF(known); k++)
                        found |= strcmp(answer->evidence[i], known[k]) == 0;
                if (!found)
                        return "evidence is one of registers, message, log, memory";
        }
        if (answer->has_delay && (!answer->has_action || answer->delay > PLUGIN_DELAY_MAX))
                return "a delay is of an action, and at most a day";
        return NULL;
}

static PluginAsk *plugin_find_ask(PluginInstance *instance, uint64_t number) {
        list_foreach(i, &instance->asks) {
                PluginAsk *ask = list_entry(i, PluginAsk, link);

                if (ask->number == number)
                        return ask;
        }
        return NULL;
}

static void plugin_on_answer(PluginInstance *instance, const PluginAnswer *answer) {
        PluginAsk *ask = plugin_find_ask(instance, answer->number);
        const char *wrong = plugin_check_answer(answer);
        Plugin *plugin = instance->plugin;
        PluginReply reply = { .answer = answer };

        if (!ask || ask->line)
                wrong = "it is to a question nobody asked";
        if (wrong) {
                plugin_fail(instance, "its answer is nonsense: %s", wrong);
                return;
        }
        instance->head_us = plugin_now();
        reply.took_us = instance->head_us - ask->asked_us;
        plugin->times[plugin->answered++ % PLUGIN_TIMES] = reply.took_us < UINT32_MAX
                                                                   ? (uint32_t) reply.took_us
                                                                   : UINT32_MAX;
        plugin->decided += answer->has_action;
        list_remove(&ask->link);
        plugin_ask_done(instance, ask, &reply);
        plugin_ask_free(ask);
        if (instance == plugin->old && list_is_empty(&instance->asks))
                plugin->old = plugin_instance_free(instance);
        plugin_arm(plugin);
}

static void plugin_on_line(const char *line, void *userdata) {
        _cleanup_(json_object_putp) json_object *json = NULL;
        _cleanup_(plugin_answer_freep) PluginAnswer *answer = NULL;
        _cleanup_(plugin_ready_freep) PluginReady *ready = NULL;
        _cleanup_free_ char *error = NULL;
        PluginInstance *instance = userdata;
        _cleanup_(qapi_error_deinit) QapiError wrong = QAPI_ERROR_NULL;
        int r;

        r = json_parse(line, strlen(line), &json, &error);
        if (r == 0)
                r = instance->ready ? plugin_answer_from_json(json, &answer, &wrong)
                                    : plugin_ready_from_json(json, &ready, &wrong);
        if (r != 0)
                plugin_fail(instance,
                            "it wrote no %s: %s",
                            instance->ready ? "PluginAnswer" : "PluginReady",
                            r == -ENOMEM ? "out of memory" : error ?: wrong.desc);
        else if (ready)
                plugin_on_ready(instance, ready);
        else
                plugin_on_answer(instance, answer);
}

static void plugin_on_ended(const char *why, void *userdata) {
        plugin_fail(userdata, "%s", why);
}

/* Time */

static uint64_t plugin_instance_deadline(const PluginInstance *instance) {
        uint64_t next_us = USEC_INFINITY, us;

        if (!instance)
                return USEC_INFINITY;
        if (!instance->ready)
                next_us = instance->started_us + PLUGIN_START_US;
        list_foreach(i, &instance->asks) {
                const PluginAsk *ask = list_entry(i, PluginAsk, link);

                /* they are in the order of their time, so the first that is waited for is the next */
                if (instance->ready && i == instance->asks.next) {
                        us = ask->asked_us > instance->head_us ? ask->asked_us : instance->head_us;
                        us += instance->plugin->config->deadline_us;
                        next_us = us < next_us ? us : next_us;
                }
                if (ask->done) {
                        next_us = ask->due_us < next_us ? ask->due_us : next_us;
                        break;
                }
        }
        return next_us;
}

static void plugin_arm(Plugin *plugin) {
        const PluginInstance *instances[] = { plugin->current, plugin->next, plugin->old };
        uint64_t us = plugin->restart_us;

        for (size_t i = 0; i < ELEMENTSOF(instances); i++) {
                uint64_t deadline_us = plugin_instance_deadline(instances[i]);

                us = deadline_us < us ? deadline_us : us;
        }
        (void) sd_event_source_set_time(plugin->timer, us);
        (void) sd_event_source_set_enabled(plugin->timer,
                                           us == USEC_INFINITY ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

/* Ends what is over. */
static void plugin_tick_instance(PluginInstance *instance, uint64_t now_us) {
        PluginReply reply = { .failure = "it had too much to do before this" };
        Plugin *plugin;
        PluginAsk *head;
        uint64_t since_us;

        if (!instance)
                return;
        plugin = instance->plugin;
        if (!instance->ready && now_us >= instance->started_us + PLUGIN_START_US) {
                plugin_fail(instance, "it did not say that it is ready");
                return;
        }
        head = list_is_empty(&instance->asks) ? NULL
                                              : list_entry(instance->asks.next, PluginAsk, link);
        if (instance->ready && head) {
                since_us = head->asked_us > instance->head_us ? head->asked_us : instance->head_us;
                if (now_us >= since_us + plugin->config->deadline_us) {
                        plugin_fail(instance,
                                    "it gave no answer within %llu ms",
                                    (unsigned long long) (plugin->config->deadline_us /
                                                          USEC_PER_MSEC));
                        return;
                }
        }
        /* done() may ask again, which appends, so one at a time */
        list_foreach(i, &instance->asks) {
                PluginAsk *ask = list_entry(i, PluginAsk, link);

                if (now_us < ask->due_us)
                        break;
                reply.took_us = now_us - ask->asked_us;
                plugin_ask_done(instance, ask, &reply);
        }
}

static int plugin_on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        Plugin *plugin = userdata;
        uint64_t now_us = plugin_now();

        plugin_tick_instance(plugin->old, now_us);
        plugin_tick_instance(plugin->next, now_us);
        plugin_tick_instance(plugin->current, now_us);
        if (now_us >= plugin->restart_us) {
                plugin->restart_us = USEC_INFINITY;
                (void) plugin_start(plugin, &plugin->current);
        }
        plugin_arm(plugin);
        return 0;
}

/* Starting */

static int plugin_send_hello(PluginInstance *instance) {
        PluginConfig *config = instance->plugin->config;
        PluginHello hello = { .protocol = PLUGIN_PROTOCOL,
                              .name = config->name,
                              .options = config->options };
        _cleanup_(json_object_putp) json_object *json = NULL;
        _cleanup_(buffer_deinit) Buffer line = BUFFER_NULL;
        int r;

        r = plugin_hello_to_json(&hello, &json);
        if (r == 0)
                r = json_write(&line, json, JSON_STYLE_QMP);
        if (r == 0)
                r = buffer_append_char(&line, '\n');
        return r < 0 ? r
                     : plugin_process_send(instance->process,
                                           buffer_content(&line),
                                           buffer_length(&line));
}

/* What fails here is tried again after a pause, as what fails later. */
static int plugin_start(Plugin *plugin, PluginInstance **ret) {
        static const PluginProcessOps ops = { .line = plugin_on_line, .ended = plugin_on_ended };
        PluginInstance *instance = calloc(1, sizeof(*instance));
        int r;

        if (!instance) {
                plugin->restart_us = plugin_now() + PLUGIN_PAUSE_MAX_US;
                return -ENOMEM;
        }
        list_init(&instance->asks);
        instance->plugin = plugin;
        instance->started_us = plugin_now();
        *ret = instance;
        r = plugin_process_new(
                &instance->process, plugin->event, plugin->host, plugin->config, &ops, instance);
        if (r >= 0)
                r = plugin_send_hello(instance);
        if (r < 0)
                plugin_fail(instance, "it can't be started: %s", strerror(-r));
        return r;
}

int plugin_new(Plugin **ret,
               sd_event *event,
               const char *host,
               PluginConfig *take_config,
               const PluginOps *ops,
               void *userdata) {
        _cleanup_(plugin_freep) Plugin *plugin = calloc(1, sizeof(*plugin));
        int r;

        if (!plugin) {
                plugin_configs_free(take_config, 1);
                return -ENOMEM;
        }
        plugin->config = take_config;
        plugin->event = sd_event_ref(event);
        plugin->ops = *ops;
        plugin->userdata = userdata;
        plugin->restart_us = USEC_INFINITY;
        plugin->host = strdup(host);
        if (!plugin->host)
                return -ENOMEM;
        for (size_t i = 0; take_config->description && i < take_config->description->n_abilities;
             i++) {
                plugin->abilities |= 1U << take_config->description->abilities[i];
                plugin->abilities_known = true;
        }
        r = sd_event_add_time(
                event, &plugin->timer, CLOCK_MONOTONIC, USEC_INFINITY, 1, plugin_on_timer, plugin);
        if (r >= 0)
                r = sd_event_source_set_enabled(plugin->timer, SD_EVENT_OFF);
        if (r < 0)
                return r;
        (void) plugin_start(plugin, &plugin->current);
        plugin_arm(plugin);
        *ret = TAKE_PTR(plugin);
        return 0;
}

Plugin *plugin_free(Plugin *plugin) {
        if (!plugin)
                return NULL;
        plugin_instance_free(plugin->current);
        plugin_instance_free(plugin->next);
        plugin_instance_free(plugin->old);
        sd_event_source_disable_unref(plugin->timer);
        sd_event_unref(plugin->event);
        plugin_configs_free(plugin->config, 1);
        free(plugin->host);
        free(plugin->version);
        free(plugin);
        return NULL;
}

int plugin_restart(Plugin *plugin) {
        int r;

        memset(plugin->failed_us, 0, sizeof(plugin->failed_us));
        plugin->next = plugin_instance_free(plugin->next);
        if (plugin->current) {
                r = plugin_start(plugin, &plugin->next);
        } else {
                plugin->aside = false;
                plugin->restart_us = USEC_INFINITY;
                r = plugin_start(plugin, &plugin->current);
        }
        plugin_arm(plugin);
        return r;
}

int plugin_configure(Plugin *plugin, PluginConfig *take_config) {
        plugin_configs_free(plugin->config, 1);
        plugin->config = take_config;
        return plugin_restart(plugin);
}

void plugin_give_up(Plugin *plugin, const char *why) {
        plugin_instance_bury(TAKE_PTR(plugin->old), why);
        plugin_instance_bury(TAKE_PTR(plugin->next), why);
        plugin_instance_bury(TAKE_PTR(plugin->current), why);
}

/* Asking */

static int plugin_ask_new(Plugin *plugin, const char *question, PluginAsk **ret) {
        PluginAsk *ask = calloc(1, sizeof(*ask));

        if (!ask)
                return -ENOMEM;
        list_init(&ask->link);
        ask->number = ++plugin->number;
        ask->asked_us = plugin_now();
        ask->due_us = ask->asked_us + plugin->config->deadline_us + PLUGIN_QUEUE_US;
        if (asprintf(&ask->line, "{\"number\": %llu, %s\n", (unsigned long long) ask->number, question) <
            0) {
                free(ask);
                return -ENOMEM;
        }
        *ret = ask;
        return 0;
}

int plugin_ask(Plugin *plugin,
               PluginAbility ability,
               const char *question,
               PluginDoneFunc done,
               void *userdata,
               const char **ret_why) {
        PluginInstance *instance = plugin->current;
        PluginAsk *ask;
        int r;

        *ret_why = plugin->away;
        if (!instance)
                return PLUGIN_E_AWAY;
        r = plugin_ask_new(plugin, question, &ask);
        if (r < 0)
                return r;
        ask->ability = ability;
        ask->done = done;
        ask->userdata = userdata;
        if (instance->ready) {
                r = plugin_process_send(instance->process, ask->line, strlen(ask->line));
                if (r < 0) {
                        plugin_ask_free(ask);
                        *ret_why = "too many questions wait for it";
                        return r == -ENOBUFS ? PLUGIN_E_AWAY : r;
                }
                free(ask->line);
                ask->line = NULL;
        }
        plugin->asked++;
        instance->n_waiting++;
        list_append(&instance->asks, &ask->link);
        plugin_arm(plugin);
        return 0;
}
