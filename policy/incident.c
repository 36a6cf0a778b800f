/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/incident.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/decode/decode.h"
#include "policy/util/buffer.h"

Timestamp *timestamp_new(uint64_t us) {
        Timestamp *timestamp;

        timestamp = calloc(1, sizeof(*timestamp));
        if (!timestamp)
                return NULL;
        timestamp->seconds = (int64_t) (us / USEC_PER_SEC);
        timestamp->microseconds = (int64_t) (us % USEC_PER_SEC);
        return timestamp;
}

uint64_t timestamp_get_us(const Timestamp *timestamp) {
        if (!timestamp || timestamp->seconds < 0)
                return 0;
        return (uint64_t) timestamp->seconds * USEC_PER_SEC + (uint64_t) timestamp->microseconds;
}

static Incident *incident_alloc(void) {
        Incident *incident;

        incident = calloc(1, sizeof(*incident));
        if (!incident)
                return NULL;
        list_init(&incident->link);
        incident->due_us = incident->settle_us = USEC_INFINITY;
        incident->outcome = INCIDENT_OUTCOME_BACKEND;
        return incident;
}

Incident *incident_new(uint64_t id,
                       const char *machine,
                       const char *run,
                       IncidentKind kind,
                       uint64_t time_us,
                       Moment now,
                       const char *boot_id) {
        _cleanup_(incident_freep) Incident *incident = incident_alloc();
        IncidentInfo *info;

        if (!incident)
                return NULL;
        info = incident->info = calloc(1, sizeof(*info));
        if (!info)
                return NULL;
        info->id = id;
        info->machine = strdup(machine);
        info->run = strdup(run);
        info->kind = kind;
        info->status = INCIDENT_STATUS_OPEN;
        info->time = timestamp_new(time_us);
        info->opened = timestamp_new(now.real_us);
        info->opened_boot = now.boot_us;
        info->boot_id = strdup(boot_id);
        if (!info->machine || !info->run || !info->time || !info->opened || !info->boot_id)
                return NULL;
        return TAKE_PTR(incident);
}

Incident *incident_new_from_info(IncidentInfo *take_info) {
        Incident *incident = incident_alloc();

        if (!incident) {
                incident_info_free(take_info);
                return NULL;
        }
        incident->info = take_info;
        incident->is_told = take_info->event;
        if (take_info->data && take_info->event)
                (void) incident_read_action(take_info->event, take_info->data, &incident->backend);
        if (take_info->report) {
                incident->backend = take_info->report->action;
                incident->asks = take_info->report->asked && !incident_has_step(incident, "answer");
        }
        return incident;
}

Incident *incident_free(Incident *incident) {
        if (!incident)
                return NULL;
        list_remove(&incident->link);
        incident_info_free(incident->info);
        decision_deinit(&incident->draft);
        for (char **s = incident->cancel_on; s && *s; s++)
                free(*s);
        free(incident->cancel_on);
        free(incident);
        return NULL;
}

static IncidentStep *incident_step_new(uint64_t time_us, const char *what, const char *error) {
        _cleanup_(incident_step_freep) IncidentStep *step = calloc(1, sizeof(*step));

        if (!step)
                return NULL;
        step->time = timestamp_new(time_us);
        step->what = strdup(what);
        if (error)
                step->error = strdup(error);
        if (!step->time || !step->what || (error && !step->error))
                return NULL;
        return TAKE_PTR(step);
}

int incident_add_step(Incident *incident,
                      uint64_t time_us,
                      const char *what,
                      const char *error,
                      const char *format,
                      ...) {
        _cleanup_(incident_step_freep) IncidentStep *step = NULL;
        IncidentInfo *info = incident->info;
        IncidentStep **steps;
        va_list ap;
        int r;

        if (info->n_steps >= INCIDENT_STEPS_MAX) {
                /* The newest is the one worth keeping: it may be the result of the action. */
                incident_step_free(info->steps[INCIDENT_STEPS_MAX / 2]);
                memmove(&info->steps[INCIDENT_STEPS_MAX / 2],
                        &info->steps[INCIDENT_STEPS_MAX / 2 + 1],
                        (INCIDENT_STEPS_MAX / 2 - 1) * sizeof(*info->steps));
                info->n_steps--;
        }
        step = incident_step_new(time_us, what, error);
        if (!step)
                return -ENOMEM;
        va_start(ap, format);
        r = vasprintf(&step->text, format, ap);
        va_end(ap);
        if (r < 0) {
                step->text = NULL;
                return -ENOMEM;
        }
        steps = reallocarray(info->steps, info->n_steps + 1, sizeof(*steps));
        if (!steps)
                return -ENOMEM;
        info->steps = steps;
        info->steps[info->n_steps++] = TAKE_PTR(step);
        return 0;
}

int incident_add_file(IncidentInfo *info, const EvidenceFile *file) {
        _cleanup_(evidence_file_freep) EvidenceFile *copy = NULL;
        EvidenceFile **files;

        for (size_t i = 0; i < info->n_evidence; i++)
                if (strcmp(info->evidence[i]->name, file->name) == 0) {
                        info->evidence[i]->size = file->size;
                        return 0;
                }
        copy = calloc(1, sizeof(*copy));
        if (!copy)
                return -ENOMEM;
        copy->name = strdup(file->name);
        copy->kind = strdup(file->kind);
        copy->size = file->size;
        if (!copy->name || !copy->kind)
                return -ENOMEM;
        files = reallocarray(info->evidence, info->n_evidence + 1, sizeof(*files));
        if (!files)
                return -ENOMEM;
        info->evidence = files;
        info->evidence[info->n_evidence++] = TAKE_PTR(copy);
        return 0;
}

void incident_drop_file(IncidentInfo *info, const char *name) {
        size_t n = 0;

        for (size_t i = 0; i < info->n_evidence; i++)
                if (strcmp(info->evidence[i]->name, name) == 0)
                        evidence_file_free(info->evidence[i]);
                else
                        info->evidence[n++] = info->evidence[i];
        info->n_evidence = n;
}

int incident_set_headline(IncidentInfo *info, const char *words) {
        _cleanup_(buffer_deinit) Buffer headline = BUFFER_NULL;
        char signature[DECODE_SIGNATURE_SIZE];
        char *copy;
        int r = 0;

        copy = strdup(decode_get_signature(info, words, NULL, signature));
        if (!copy)
                return -ENOMEM;
        free(info->signature);
        info->signature = copy;
        if (words)
                r = buffer_printf(&headline, "Linux stopped: %s", words);
        else if (info->info)
                r = decode_add_headline(&headline, info->info);
        if (r < 0 || (!words && !info->info))
                return r;
        copy = buffer_take_string(&headline);
        if (!copy)
                return -ENOMEM;
        free(info->headline);
        info->headline = copy;
        return 0;
}

int incident_set_words(IncidentInfo *info, const char *words, const char *trace) {
        char *copy;

        if (*trace) {
                copy = strdup(trace);
                if (!copy)
                        return -ENOMEM;
                free(info->call_trace);
                info->call_trace = copy;
        }
        return incident_set_headline(info, words);
}

bool incident_has_step(const Incident *incident, const char *what) {
        for (size_t i = 0; i < incident->info->n_steps; i++)
                if (strcmp(incident->info->steps[i]->what, what) == 0)
                        return true;
        return false;
}

bool incident_is_gathering(const Incident *incident) {
        return incident->info->decision && incident->info->decision->n_evidence > 0 &&
               !incident_has_step(incident, "intent");
}

bool incident_kind_of_event(const char *event, IncidentKind *ret) {
        static const struct {
                const char *event;
                IncidentKind kind;
        } kinds[] = {
                { "WATCHDOG", INCIDENT_KIND_WATCHDOG },
                { "GUEST_PANICKED", INCIDENT_KIND_PANIC },
                { "GUEST_CRASHLOADED", INCIDENT_KIND_CRASHLOADED },
                { "MEMORY_FAILURE", INCIDENT_KIND_MEMORY_FAILURE },
                { "NOTIFY_VMEXIT", INCIDENT_KIND_NOTIFY_VMEXIT },
        };

        for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
                if (strcmp(kinds[i].event, event) == 0) {
                        *ret = kinds[i].kind;
                        return true;
                }
        return false;
}

bool incident_read_action(const char *event, json_object *data, Action *ret) {
        json_object *value;
        const char *word;
        Action action;

        if (!json_object_object_get_ex(data, "action", &value) ||
            !json_object_is_type(value, json_type_string))
                return false;
        word = json_object_get_string(value);
        /* GuestPanicAction has words of its own for what PanicAction brings about */
        if (strcmp(event, "GUEST_PANICKED") == 0 && strcmp(word, "poweroff") == 0)
                action = ACTION_SHUTDOWN;
        else if (strcmp(word, "run") == 0)
                action = ACTION_NONE;
        else if (action_from_string(word, &action) < 0)
                return false;
        *ret = action;
        return true;
}

int incident_set_report(Incident *incident, const Observation *o) {
        IncidentInfo *info = incident->info;
        IncidentReport *report = calloc(1, sizeof(*report));

        incident->backend = o->action;
        incident->asks = o->asks;
        if (!report)
                return -ENOMEM;
        info->report = report;
        report->client = strdup(o->client);
        report->number = o->number;
        report->action = o->action;
        report->asked = o->asks;
        if (o->message)
                info->message = strdup(o->message);
        return report->client && (info->message || !o->message) ? 0 : -ENOMEM;
}

/* GuestPanicAction has three words; a reset begins with the guest standing still. */
static const char *incident_get_panic_word(Action action) {
        if (action == ACTION_NONE || action == ACTION_RUN)
                return "run";
        if (action == ACTION_SHUTDOWN || action == ACTION_POWEROFF || action == ACTION_FATAL ||
            action == ACTION_EXIT_FAILURE)
                return "poweroff";
        return "pause";
}

/* MemoryFailureAction says what the guest is told of it. */
static const char *incident_get_memory_word(Action action) {
        if (action == ACTION_SHUTDOWN || action == ACTION_POWEROFF || action == ACTION_EXIT_FAILURE)
                return "fatal";
        if (action == ACTION_INJECT || action == ACTION_FATAL || action == ACTION_RESET)
                return action_to_string(action);
        return "ignore";
}

static const char *incident_get_vmexit_word(Action action) {
        if (action == ACTION_INTERNAL_ERROR || action == ACTION_DISABLE)
                return action_to_string(action);
        return "run";
}

const char *incident_get_action_word(IncidentKind kind, Action action) {
        WatchdogAction watchdog;

        switch (kind) {
        case INCIDENT_KIND_WATCHDOG:
                /* the two go by the same names */
                if (watchdog_action_from_string(action_to_string(action), &watchdog) < 0)
                        return "none";
                return action_to_string(action);
        case INCIDENT_KIND_PANIC:
                return incident_get_panic_word(action);
        case INCIDENT_KIND_CRASHLOADED:
                return "run";
        case INCIDENT_KIND_MEMORY_FAILURE:
                return incident_get_memory_word(action);
        case INCIDENT_KIND_NOTIFY_VMEXIT:
                return incident_get_vmexit_word(action);
        case INCIDENT_KIND_CORRECTED:
        case INCIDENT_KIND_STOPPED:
        case INCIDENT_KIND_UNRESPONSIVE:
        case _INCIDENT_KIND_MAX:
                break;
        }
        return NULL;
}

int incident_make_data(const IncidentInfo *info, Action action, json_object **ret) {
        const char *word = incident_get_action_word(info->kind, action);
        json_object *data = json_object_new_object();

        if (!data)
                return -ENOMEM;
        /* the action first, as QEMU has it */
        if (word && json_object_object_add(data, "action", json_object_new_string(word)) < 0)
                goto fail;
        if (json_object_is_type(info->data, json_type_object)) {
                json_object_object_foreach(info->data, key, value) {
                        if (strcmp(key, "action") != 0 &&
                            json_object_object_add(data, key, json_object_get(value)) < 0)
                                goto fail;
                }
        }
        *ret = data;
        return 0;
fail:
        json_object_put(data);
        return -ENOMEM;
}

int incident_set_info(Incident *incident, json_object *json) {
        GuestPanicInformation *info;
        int r;

        r = guest_panic_information_from_json(json, &info, NULL);
        if (r != 0)
                return r < 0 ? r : 0; /* a type we don't know stays readable in `data` */
        guest_panic_information_free(incident->info->info);
        incident->info->info = info;
        return 0;
}

static int incident_set_memory(Incident *incident, json_object *data) {
        IncidentInfo *info = incident->info;
        json_object *value;
        MemoryFailureRecipient recipient;
        MemoryFailureFlags *flags;

        if (json_object_object_get_ex(data, "recipient", &value) &&
            json_object_is_type(value, json_type_string) &&
            memory_failure_recipient_from_string(json_object_get_string(value), &recipient) == 0) {
                info->has_recipient = true;
                info->recipient = recipient;
        }
        if (json_object_object_get_ex(data, "flags", &value)) {
                int r = memory_failure_flags_from_json(value, &flags, NULL);

                if (r < 0)
                        return r;
                if (r == 0) {
                        memory_failure_flags_free(info->flags);
                        info->flags = flags;
                }
        }
        return 0;
}

int incident_set_event(Incident *incident, const char *event, json_object *data) {
        IncidentInfo *info = incident->info;
        json_object *panic;
        char *name;
        int r = 0;

        name = strdup(event);
        if (!name)
                return -ENOMEM;
        free(info->event);
        info->event = name;
        json_object_put(info->data);
        info->data = json_object_get(data);
        incident->is_told = true;

        if (json_object_object_get_ex(data, "info", &panic))
                r = incident_set_info(incident, panic);
        if (r == 0 && info->kind == INCIDENT_KIND_MEMORY_FAILURE)
                r = incident_set_memory(incident, data);
        return r;
}

static const char *const incident_words[_INCIDENT_KIND_MAX] = {
        [INCIDENT_KIND_WATCHDOG] = "watchdog expired",
        [INCIDENT_KIND_PANIC] = "guest panicked",
        [INCIDENT_KIND_CRASHLOADED] = "guest panicked; its own crash kernel takes over",
        [INCIDENT_KIND_MEMORY_FAILURE] = "memory failed",
        [INCIDENT_KIND_CORRECTED] = "memory error corrected",
        [INCIDENT_KIND_STOPPED] = "stopped by an error of QEMU",
        [INCIDENT_KIND_UNRESPONSIVE] = "does not answer",
        [INCIDENT_KIND_NOTIFY_VMEXIT] = "guest opened no event window",
};

char *incident_describe(const IncidentInfo *info) {
        _cleanup_(buffer_deinit) Buffer b = BUFFER_NULL;
        const DecisionInfo *decision = info->decision;

        if (buffer_append_string(&b, incident_words[info->kind]) < 0)
                return NULL;
        if (info->kind == INCIDENT_KIND_STOPPED && info->has_state &&
            buffer_printf(&b, " (%s)", run_state_to_string(info->state)) < 0)
                return NULL;
        if (info->headline && buffer_printf(&b, ": %s", info->headline) < 0)
                return NULL;
        if (info->has_recipient &&
            buffer_printf(&b, " (of the %s)", memory_failure_recipient_to_string(info->recipient)) < 0)
                return NULL;
        if (info->has_found && info->found && buffer_append_string(&b, ", found stopped") < 0)
                return NULL;
        if (decision &&
            buffer_printf(&b, "; %s (%s)", action_to_string(decision->action), decision->by) < 0)
                return NULL;
        if (decision && decision->has_would &&
            buffer_printf(&b, "; enforce would: %s", action_to_string(decision->would)) < 0)
                return NULL;
        if (info->has_outcome &&
            buffer_printf(&b, "; %s", incident_outcome_to_string(info->outcome)) < 0)
                return NULL;
        return buffer_take_string(&b);
}
