/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * An incident while it is not closed: its record (IncidentInfo, the one shape it has everywhere)
 * and what has to happen yet.
 */
#include <stdbool.h>
#include <stdint.h>

#include "policy/engine.h"
#include "policy/observation.h"
#include "policy/util/list.h"

/* Steps kept of one incident; the last one then says how many were left out. */
#define INCIDENT_STEPS_MAX 64

typedef struct Incident Incident;

struct Incident {
        IncidentInfo *info;
        List link; /* of its machine's open incidents */

        Action backend; /* what the backend did by itself */
        bool acts;      /* tocsin is to act, or does */
        Decision draft; /* while plugins are asked */
        bool awaits_plugins;
        bool unadopted;   /* found in a run never seen before: recorded, not decided */
        bool stopped;     /* the machine stands still for it */
        bool outdated;    /* the machine was reset for another one since */
        bool awaits_stop; /* its event says pause: the STOP is not here yet */
        bool awaits_info; /* the panic information was asked for */
        bool announced;
        bool is_told; /* its event has come (a state may open it before that) */
        bool asks;    /* a VMM waits to be told what to do */
        uint32_t rule;
        uint64_t due_us;    /* boot_us: a held decision is carried out; USEC_INFINITY: not held */
        uint64_t settle_us; /* boot_us: closed when nothing more came; USEC_INFINITY: not by time */
        IncidentOutcome outcome; /* how it will be closed */
        char **cancel_on;        /* owned copy, NULL-terminated, or NULL */
};

/* `id` 0 is given later. Everything is copied. NULL when out of memory. */
Incident *incident_new(uint64_t id,
                       const char *machine,
                       const char *run,
                       IncidentKind kind,
                       uint64_t time_us,
                       Moment now,
                       const char *boot_id);
/* Takes a record that was kept. */
Incident *incident_new_from_info(IncidentInfo *take_info);
Incident *incident_free(Incident *incident);
DEFINE_CLEANUP(Incident *, incident_free);

Timestamp *timestamp_new(uint64_t us);
uint64_t timestamp_get_us(const Timestamp *timestamp); /* 0 for NULL */

/* Appends a step. 0 or -ENOMEM. */
int incident_add_step(Incident *incident,
                      uint64_t time_us,
                      const char *what,
                      const char *error,
                      const char *format,
                      ...) __attribute__((__format__(__printf__, 5, 6)));
/* Says of a file that it is kept, or anew how large it is. 0 or -ENOMEM. */
int incident_add_file(IncidentInfo *info, const EvidenceFile *file);
void incident_drop_file(IncidentInfo *info, const char *name);
/* Whether evidence may still be missing: nothing has been sent yet. */
bool incident_is_gathering(const Incident *incident);
/* Puts its headline and its signature into the record. `words` is the line a kernel printed as it
 * panicked, or NULL. 0 or -ENOMEM. */
int incident_set_headline(IncidentInfo *info, const char *words);
/* The same with its call trace, which may be "". */
int incident_set_words(IncidentInfo *info, const char *words, const char *trace);
bool incident_has_step(const Incident *incident, const char *what);

/* Takes what the event says (name, data, panic information, recipient, flags). */
int incident_set_event(Incident *incident, const char *event, json_object *data);
int incident_set_info(Incident *incident, json_object *info);

/* What the backend did by itself, as the data of its event says; false when it says nothing known. */
bool incident_read_action(const char *event, json_object *data, Action *ret);
/* What a VMM says with its report. 0 or -ENOMEM. */
int incident_set_report(Incident *incident, const Observation *o);
/* The word of that kind's event for an action; NULL: the event has none. */
const char *incident_get_action_word(IncidentKind kind, Action action);
/* The event's data with this action in it. 0 or -ENOMEM. */
int incident_make_data(const IncidentInfo *info, Action action, json_object **ret);
/* The kind an event opens; false when it opens none. */
bool incident_kind_of_event(const char *event, IncidentKind *ret);

/* One line for people: what happened and what is done about it. To be freed; NULL: out of memory. */
char *incident_describe(const IncidentInfo *info);
