/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/source/sources.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>

#include "daemon/source/source.h"
#include "policy/incident.h"
#include "policy/util/moment.h"
#include "qapi-types.h"

/* The order they are opened in: deaths come before those who may die. */
static const SourceType *const sources_types[] = {
        &source_deaths,
        &source_uevents,
        &source_watchdogs,
};

struct Sources {
        sd_event *event;
        KernelClient *kernel;
        char *state_dir;
        const SourcesOps *ops;
        void *userdata;
        Source sources[ELEMENTSOF(sources_types)];
};

sd_event *source_get_event(const Source *source) {
        return source->sources->event;
}

KernelClient *source_get_kernel(const Source *source) {
        return source->sources->kernel;
}

const char *source_get_state_dir(const Source *source) {
        return source->sources->state_dir;
}

const SourcesOps *source_get_ops(const Source *source, void **ret_userdata) {
        *ret_userdata = source->sources->userdata;
        return source->sources->ops;
}

void source_count(Source *source) {
        struct timespec now;

        (void) clock_gettime(CLOCK_REALTIME, &now);
        source->last_us = (uint64_t) now.tv_sec * USEC_PER_SEC + (uint64_t) now.tv_nsec / 1000;
        source->events++;
}

static void source_report_text(const Source *source, int level, const char *text) {
        source->sources->ops->report(level, source->type->name, text, source->sources->userdata);
}

void source_report(const Source *source, int level, const char *format, ...) {
        _cleanup_free_ char *text = NULL;
        va_list ap;
        int n;

        va_start(ap, format);
        n = vasprintf(&text, format, ap);
        va_end(ap);
        if (n < 0)
                text = NULL;
        else
                source_report_text(source, level, text);
}

void source_overrun(Source *source) {
        if (source->overruns++ == 0)
                source_report(source, LOG_WARNING, "overrun: the kernel told more than could be heard");
}

void source_fail(Source *source, const char *format, ...) {
        va_list ap;
        char *why;
        int n;

        va_start(ap, format);
        n = vasprintf(&why, format, ap);
        va_end(ap);
        if (n < 0)
                why = strdup("out of memory");
        free(source->why);
        source->why = why;
        source_report(source, LOG_NOTICE, "off: %s", why ? why : "out of memory");
}

void source_wait(Source *source, const char *why) {
        free(source->why);
        source->why = strdup(why);
}

void source_recover(Source *source) {
        free(source->why);
        source->why = NULL;
}

int sources_new(Sources **ret,
                sd_event *event,
                KernelClient *kernel,
                const char *state_dir,
                const SourcesOps *ops,
                void *userdata) {
        _cleanup_(sources_freep) Sources *sources = NULL;

        sources = calloc(1, sizeof(*sources));
        if (!sources)
                return -ENOMEM;
        sources->event = sd_event_ref(event);
        sources->kernel = kernel;
        sources->ops = ops;
        sources->userdata = userdata;
        for (size_t i = 0; i < ELEMENTSOF(sources_types); i++)
                sources->sources[i] = (Source){ .type = sources_types[i], .sources = sources };
        sources->state_dir = strdup(state_dir);
        if (!sources->state_dir)
                return -ENOMEM;
        for (size_t i = 0; i < ELEMENTSOF(sources_types); i++)
                (void) sources_types[i]->open(&sources->sources[i]);
        *ret = TAKE_PTR(sources);
        return 0;
}

Sources *sources_free(Sources *sources) {
        if (!sources)
                return NULL;
        for (size_t i = 0; i < ELEMENTSOF(sources_types); i++) {
                Source *source = &sources->sources[i];

                source->type->close(source);
                free(source->why);
        }
        free(sources->state_dir);
        sd_event_unref(sources->event);
        free(sources);
        return NULL;
}

static json_object *sources_describe(const Source *source) {
        json_object *json = NULL;
        SourceInfo info = {
                .name = (char *) (uintptr_t) source->type->name,
                .through = (char *) (uintptr_t) source->type->through,
                .on = !source->why,
                .why = source->why,
                .events = source->events,
                .overruns = source->overruns,
                .last = source->events > 0 ? timestamp_new(source->last_us) : NULL,
        };

        (void) source_info_to_json(&info, &json);
        timestamp_free(info.last);
        return json;
}

json_object *sources_to_json(const Sources *sources) {
        json_object *array = json_object_new_array();

        for (size_t i = 0; array && i < ELEMENTSOF(sources_types); i++) {
                json_object *json = sources_describe(&sources->sources[i]);

                if (!json || json_object_array_add(array, json) < 0) {
                        json_object_put(json);
                        json_object_put(array);
                        return NULL;
                }
        }
        return array;
}

int sources_query_watchdogs(Sources *sources, SourcesWatchdogsDone done, void *userdata) {
        for (size_t i = 0; i < ELEMENTSOF(sources_types); i++)
                if (sources->sources[i].type == &source_watchdogs)
                        return source_watchdogs_query(&sources->sources[i], done, userdata);
        return -EOPNOTSUPP;
}
