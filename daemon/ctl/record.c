/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one difficulty is time. A scenario's clock must never be ahead of what it repeats, or a
 * deadline would be met on the wrong side of an event. QEMU stamps its events before tocsind gets
 * them, and tocsind stamps what it says when it says it; so each line stands at its own stamp, and
 * what came out is expected no earlier than it was said. An event that QEMU held back (WATCHDOG) is
 * the exception: it stands where it came, and says how long ago it happened.
 */
#include "daemon/ctl/record.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "daemon/ctl/value.h"
#include "policy/qapi/json.h"
#include "policy/run-state.h"
#include "policy/util/glob.h"
#include "policy/util/list.h"
#include "policy/util/moment.h"

/* A scenario is to be read by people; at this many lines it isn't any more. */
#define RECORD_LINES_MAX 100000
/* QEMU holds WATCHDOG back for up to a second; a busy host makes no event that late. */
#define RECORD_HELD_BACK_US (500 * USEC_PER_MSEC)

typedef struct RecordLine {
        uint64_t time_us, stamp_us; /* where it stands, and when it happened */
        size_t order;               /* in which it was told */
        bool said;                  /* it came out, else it went in */
        bool acting;                /* it says that an action begins */
        bool numbered;              /* it names its incident */
        uint64_t incident;          /* whose it is, or 0 */
        char *machine, *verb, *rest;
} RecordLine;

typedef struct RecordMachine {
        List link;
        char *name;
        bool left_out;
        bool ended; /* its run, and that is written */
        bool asked; /* for its crash information */
        unsigned runs;
        uint64_t stamp_us; /* newest of its own events */
} RecordMachine;

struct Record {
        uint64_t start_us;
        const char *glob;
        List machines;
        RecordLine *lines;
        size_t n_lines, lines_size;
        uint64_t *incidents;
        size_t n_incidents;
};

Record *record_new(uint64_t start_us, const char *machine) {
        Record *record = calloc(1, sizeof(*record));

        if (!record)
                return NULL;
        record->start_us = start_us;
        record->glob = machine;
        list_init(&record->machines);
        return record;
}

static void record_machine_free(RecordMachine *machine) {
        list_remove(&machine->link);
        free(machine->name);
        free(machine);
}

Record *record_free(Record *record) {
        if (!record)
                return NULL;
        list_foreach_safe(i, n, &record->machines)
                record_machine_free(list_entry(i, RecordMachine, link));
        for (size_t i = 0; i < record->n_lines; i++) {
                free(record->lines[i].machine);
                free(record->lines[i].verb);
                free(record->lines[i].rest);
        }
        free(record->lines);
        free(record->incidents);
        free(record);
        return NULL;
}

/* NULL also for one that is not to be recorded; then *ret_r is 0, else -ENOMEM. */
static RecordMachine *record_get_machine(Record *record, const char *name, int *ret_r) {
        RecordMachine *machine;

        *ret_r = 0;
        if (record->glob && !glob_match(record->glob, name))
                return NULL;
        list_foreach(i, &record->machines)
                if (strcmp(list_entry(i, RecordMachine, link)->name, name) == 0)
                        return list_entry(i, RecordMachine, link);
        *ret_r = -ENOMEM;
        machine = calloc(1, sizeof(*machine));
        if (!machine)
                return NULL;
        list_append(&record->machines, &machine->link);
        machine->name = strdup(name);
        if (!machine->name) {
                record_machine_free(machine);
                return NULL;
        }
        *ret_r = 0;
        return machine;
}

static int record_add_line(Record *record,
                           const RecordMachine *machine,
                           RecordLine line,
                           const char *verb,
                           const char *format,
                           ...) _printf_(5, 6);

/* `format` makes the rest of the line; NULL: there is none. */
static int record_add_line(Record *record,
                           const RecordMachine *machine,
                           RecordLine line,
                           const char *verb,
                           const char *format,
                           ...) {
        va_list ap;
        int r = 0;

        if (record->n_lines >= RECORD_LINES_MAX)
                return RECORD_E_FULL;
        if (record->n_lines == record->lines_size) {
                size_t size = record->lines_size ? 2 * record->lines_size : 64;
                RecordLine *lines = reallocarray(record->lines, size, sizeof(*lines));

                if (!lines)
                        return -ENOMEM;
                record->lines = lines;
                record->lines_size = size;
        }
        if (line.time_us < record->start_us)
                line.time_us = record->start_us;
        line.order = record->n_lines;
        line.machine = strdup(machine->name);
        line.verb = strdup(verb);
        if (format) {
                va_start(ap, format);
                r = vasprintf(&line.rest, format, ap);
                va_end(ap);
        }
        if (r < 0)
                line.rest = NULL;
        record->lines[record->n_lines++] = line;
        return r < 0 || !line.machine || !line.verb ? -ENOMEM : 0;
}

static int record_add_attached(Record *record,
                               RecordMachine *machine,
                               uint64_t time_us,
                               json_object *from,
                               bool again) {
        const char *state = value_get_string(from, "state");

        if (!again || machine->runs == 0)
                machine->runs++;
        machine->ended = machine->left_out = machine->asked = false;
        return record_add_line(record,
                               machine,
                               (RecordLine){ .time_us = time_us },
                               "attached",
                               "r%u %s",
                               machine->runs,
                               state ? state : run_state_to_string(RUN_STATE_RUNNING));
}

int record_add_machine(Record *record, json_object *info) {
        const char *name = value_get_string(info, "name"), *state = value_get_string(info, "state");
        json_object *overrides = value_get_object(info, "overrides");
        uint64_t hold_us = value_get_time(info, "hold-until");
        const RecordLine line = { .time_us = record->start_us };
        RecordMachine *machine;
        RunState run_state;
        IncidentKind kind;
        int r;

        machine = record_get_machine(record, name ? name : "", &r);
        if (!machine || !value_get_bool(info, "attached"))
                return r;
        if (strcmp(value_get_word(info, "backend"), backend_type_to_string(BACKEND_TYPE_QMP)) != 0) {
                machine->left_out = true; /* the machines of a scenario are QEMU's */
                return 0;
        }
        if (value_get_uint(info, "incidents") > 0 ||
            (state && run_state_from_string(state, &run_state) == 0 &&
             run_state_get_incident(run_state, &kind))) {
                machine->left_out = true;
                return RECORD_E_LEFT_OUT;
        }
        r = record_add_attached(record, machine, record->start_us, info, false);
        if (overrides) {
                json_object_object_foreach(overrides, key, value) {
                        if (r == 0)
                                r = record_add_line(record,
                                                    machine,
                                                    line,
                                                    "override",
                                                    "%s %s",
                                                    key,
                                                    json_object_get_string(value));
                }
        }
        if (r == 0 && hold_us > record->start_us)
                r = record_add_line(
                        record, machine, line, "hold", "%" PRIu64 "us", hold_us - record->start_us);
        return r;
}

/* JSON in one line; to be freed. NULL: out of memory. */
static char *record_print_json(json_object *value) {
        _cleanup_(buffer_deinit) Buffer text = BUFFER_NULL;

        return json_write(&text, value, JSON_STYLE_QMP) < 0 ? NULL : buffer_take_string(&text);
}

/* What QEMU said. What control.sock adds is no part of it. */
static int record_add_relayed(Record *record,
                              RecordMachine *machine,
                              const char *event,
                              json_object *data,
                              uint64_t stamp_us,
                              uint64_t now_us) {
        RecordLine line = { .time_us = stamp_us, .stamp_us = stamp_us };
        _cleanup_free_ char *text = NULL;
        json_object *own = json_object_new_object();

        if (!own)
                return -ENOMEM;
        json_object_object_foreach(data, key, value) {
                if (strcmp(key, "machine") != 0 && strcmp(key, "seq") != 0)
                        (void) json_object_object_add(own, key, json_object_get(value));
        }
        text = record_print_json(own);
        json_object_put(own);
        if (!text)
                return -ENOMEM;
        if (stamp_us < machine->stamp_us)
                line.time_us = now_us > stamp_us + RECORD_HELD_BACK_US ? now_us : machine->stamp_us;
        else
                machine->stamp_us = stamp_us;
        return record_add_line(record, machine, line, event, "%s", text);
}

static int record_note_incident(Record *record, uint64_t id) {
        uint64_t *incidents;

        for (size_t i = record->n_incidents; i > 0; i--)
                if (record->incidents[i - 1] == id)
                        return 0;
        incidents = reallocarray(record->incidents, record->n_incidents + 1, sizeof(*incidents));
        if (!incidents)
                return -ENOMEM;
        record->incidents = incidents;
        record->incidents[record->n_incidents++] = id;
        return 0;
}

/* INCIDENT: what came out, and sometimes the only trace of what went in. */
static int record_add_said(Record *record, RecordMachine *machine, json_object *data, uint64_t time_us) {
        const char *kind = value_get_word(data, "kind"), *status = value_get_word(data, "status");
        uint64_t id = value_get_uint(data, "id");
        const RecordLine in = { .time_us = time_us, .incident = id };
        int r = record_note_incident(record, id);

        if (r == 0 && strcmp(kind, incident_kind_to_string(INCIDENT_KIND_UNRESPONSIVE)) == 0 &&
            strcmp(value_get_word(data, "outcome"),
                   incident_outcome_to_string(INCIDENT_OUTCOME_RECOVERED)) == 0)
                r = record_add_line(record, machine, in, "answering", NULL);
        if (r == 0 && machine->asked) {
                machine->asked = false;
                r = record_add_line(record, machine, in, "crash-info", NULL);
        }
        if (r != 0)
                return r;
        return record_add_line(record,
                               machine,
                               (RecordLine){ .time_us = time_us,
                                             .said = true,
                                             .numbered = true,
                                             .incident = id,
                                             .acting = strcmp(status,
                                                              incident_status_to_string(
                                                                      INCIDENT_STATUS_ACTING)) == 0 },
                               "say",
                               "%s %s: %s",
                               kind,
                               status,
                               value_get_word(data, "text"));
}

/* MACHINE: the words it comes with tell what it was. */
static int record_add_state(Record *record, RecordMachine *machine, json_object *data, uint64_t time_us) {
        const char *text = value_get_word(data, "text");
        const RecordLine line = { .time_us = time_us };

        if (strcmp(text, "attached") == 0 ||
            (strcmp(text, "attached again") == 0 && !machine->left_out))
                return record_add_attached(
                        record, machine, time_us, data, strcmp(text, "attached") != 0);
        if (machine->left_out)
                return 0;
        if (!value_get_bool(data, "attached"))
                return record_add_line(record, machine, line, "detached", NULL);
        return record_add_line(record, machine, line, "status", "%s", value_get_word(data, "state"));
}

/* What tocsind said in QEMU's place. */
static int record_add_synthetic(Record *record,
                                RecordMachine *machine,
                                const char *event,
                                json_object *data,
                                uint64_t time_us) {
        bool killed = strcmp(value_get_word(data, "reason"),
                             shutdown_cause_to_string(SHUTDOWN_CAUSE_HOST_SIGNAL)) == 0;

        if (strcmp(event, "GUEST_PANICKED") == 0)
                machine->asked = true;
        if (strcmp(event, "SHUTDOWN") != 0)
                return 0;
        machine->ended = true;
        /* Which signal it was is not told, and decides nothing. */
        return record_add_line(
                record, machine, (RecordLine){ .time_us = time_us }, "gone", "%s", killed ? "9" : "");
}

int record_add_event(Record *record, json_object *event, uint64_t now_us) {
        const char *name = value_get_word(event, "event");
        json_object *data = value_get_object(event, "data");
        uint64_t time_us = value_get_time(event, "timestamp");
        RecordMachine *machine;
        int r;

        if (strcmp(name, "EVENTS_LOST") == 0)
                return RECORD_E_LOST;
        machine = record_get_machine(record, value_get_word(data, "machine"), &r);
        if (!machine)
                return r;
        if (strcmp(name, "MACHINE") == 0)
                return record_add_state(record, machine, data, time_us);
        if (machine->left_out)
                return 0;
        if (strcmp(name, "INCIDENT") == 0)
                return record_add_said(record, machine, data, time_us);
        if (strcmp(name, "MACHINE_UNRESPONSIVE") == 0)
                return record_add_line(record,
                                       machine,
                                       (RecordLine){ .time_us = time_us },
                                       "silent",
                                       "%" PRIu64,
                                       value_get_uint(data, "seconds"));
        if (value_get_bool(data, "synthetic"))
                return record_add_synthetic(record, machine, name, data, time_us);
        return record_add_relayed(record, machine, name, data, time_us, now_us);
}

int record_end_machine(Record *record, json_object *info) {
        const char *name = value_get_string(info, "name");
        uint64_t ended_us = value_get_time(info, "ended");
        RecordMachine *machine;
        int r;

        machine = record_get_machine(record, name ? name : "", &r);
        if (!machine || machine->runs == 0 || machine->ended || machine->left_out || ended_us == 0)
                return r;
        machine->ended = true;
        return record_add_line(record, machine, (RecordLine){ .time_us = ended_us }, "gone", NULL);
}

const uint64_t *record_get_incidents(const Record *record, size_t *ret_n) {
        *ret_n = record->n_incidents;
        return record->incidents;
}

static bool record_is_carried_out(const char *what) {
        /* the words of a step that are no command, see IncidentStep */
        static const char *const others[] = { "note", "answer", "evidence" };

        for (size_t i = 0; i < ELEMENTSOF(others); i++)
                if (strcmp(others[i], what) == 0)
                        return false;
        return !isupper((unsigned char) what[0]); /* an event's name */
}

/* The event that opened it as it came: what is announced may name another action. And what the panic
 * information was, where it was asked for. */
static int record_complete_lines(Record *record, json_object *incident) {
        const char *event = value_get_word(incident, "event");
        uint64_t time_us = value_get_time(incident, "time"), id = value_get_uint(incident, "id");
        json_object *data = value_get_object(incident, "data"),
                    *info = value_get_object(incident, "info");

        for (size_t i = 0; i < record->n_lines; i++) {
                RecordLine *line = &record->lines[i];
                json_object *better = NULL;

                if (strcmp(line->machine, value_get_word(incident, "machine")) != 0)
                        continue;
                if (line->stamp_us == time_us && strcmp(line->verb, event) == 0)
                        better = data;
                else if (line->incident == id && strcmp(line->verb, "crash-info") == 0)
                        better = info;
                if (!better)
                        continue;
                free(line->rest);
                line->rest = record_print_json(better);
                if (!line->rest)
                        return -ENOMEM;
        }
        return 0;
}

int record_add_incident(Record *record, json_object *incident) {
        const char *outcome = value_get_word(incident, "outcome");
        json_object *steps = value_get_array(incident, "steps");
        uint64_t id = value_get_uint(incident, "id"), acted_us = 0;
        RecordMachine *machine;
        int r;

        machine = record_get_machine(record, value_get_word(incident, "machine"), &r);
        if (!machine)
                return r;
        r = record_complete_lines(record, incident);
        for (size_t i = 0; i < record->n_lines; i++)
                if (record->lines[i].incident == id && record->lines[i].acting)
                        acted_us = record->lines[i].time_us;
        if (acted_us == 0)
                return r;

        for (size_t i = 0; r == 0 && i < value_get_length(steps); i++) {
                json_object *step = value_get_item(steps, i);
                const char *what = value_get_word(step, "what");
                uint64_t time_us = value_get_time(step, "time");

                if (time_us < acted_us || !record_is_carried_out(what))
                        continue;
                acted_us = time_us;
                r = record_add_line(record,
                                    machine,
                                    (RecordLine){
                                            .time_us = time_us, .incident = id, .numbered = true },
                                    "step",
                                    "%s",
                                    what);
        }
        if (r == 0 && (strcmp(outcome, incident_outcome_to_string(INCIDENT_OUTCOME_DONE)) == 0 ||
                       strcmp(outcome, incident_outcome_to_string(INCIDENT_OUTCOME_FAILED)) == 0))
                r = record_add_line(record,
                                    machine,
                                    (RecordLine){
                                            .time_us = acted_us, .incident = id, .numbered = true },
                                    "acted",
                                    "%s",
                                    outcome);
        return r;
}

static int record_compare_lines(const void *a, const void *b) {
        const RecordLine *l = a, *m = b;

        if (l->time_us != m->time_us)
                return l->time_us < m->time_us ? -1 : 1;
        if (l->said != m->said)
                return l->said ? 1 : -1;
        return l->order < m->order ? -1 : 1;
}

/* A scenario numbers its incidents from 1, in the order in which they were opened. */
static size_t record_number(const Record *record, uint64_t incident) {
        size_t number = 1;

        for (size_t i = 0; i < record->n_incidents; i++)
                number += record->incidents[i] < incident;
        return number;
}

/* Paths, plugins and the defaults are nothing a scenario needs. */
static void record_write_policy(const char *config, Text *text) {
        static const char *const sections[] = { "[daemon]", "[guest ", "[rule " };
        static const char *const skipped[] = { "runtime-dir=", "state-dir=", "qmp=", "plugins=" };
        size_t section_length = 0;
        const char *section = NULL;
        bool wanted = false;

        text_add(text, "policy\n");
        for (const char *line = config, *next; *line; line = next) {
                size_t n = strcspn(line, "\n");

                next = line + n + (line[n] == '\n');
                if (line[0] == '[') {
                        section = NULL;
                        for (size_t i = 0; i < ELEMENTSOF(sections); i++)
                                if (strncmp(line, sections[i], strlen(sections[i])) == 0)
                                        section = line;
                        section_length = n;
                        continue;
                }
                /* Above each key stands where its value is from. */
                if (line[0] == '#') {
                        wanted = strncmp(line, "# default\n", strlen("# default\n")) != 0;
                        continue;
                }
                for (size_t i = 0; i < ELEMENTSOF(skipped); i++)
                        wanted = wanted && strncmp(line, skipped[i], strlen(skipped[i])) != 0;
                if (!wanted || !section || n == 0)
                        continue;
                if (section_length > 0)
                        text_printf(text, "%.*s\n", (int) section_length, section);
                section_length = 0;
                text_printf(text, "%.*s\n", (int) n, line);
        }
        text_add(text, "end\n");
}

static void record_write_line(const Record *record, const RecordLine *line, Text *text) {
        uint64_t time_us = line->time_us - record->start_us;

        text_printf(text,
                    "at %" PRIu64 ".%06us",
                    time_us / USEC_PER_SEC,
                    (unsigned) (time_us % USEC_PER_SEC));
        if (line->said)
                text_printf(text,
                            "\n> say %zu %s",
                            record_number(record, line->incident),
                            line->machine);
        else
                text_printf(text, " %s %s", line->machine, line->verb);
        if (!line->said && line->numbered)
                text_printf(text, " %zu", record_number(record, line->incident));
        if (line->stamp_us > 0 && line->stamp_us < line->time_us)
                text_printf(text, " ago %" PRIu64 "us", line->time_us - line->stamp_us);
        if (line->rest && line->rest[0])
                text_printf(text, " %s", line->rest);
        text_add(text, "\n");
}

void record_write(Record *record, const char *config, Text *text) {
        text_add(text, "# Recorded from ");
        text_add_time(text, record->start_us);
        text_add(text, " on.\n");
        record_write_policy(config, text);
        text_add(text, "show say\nloose\n");
        if (record->n_lines > 0)
                qsort(record->lines, record->n_lines, sizeof(*record->lines), record_compare_lines);
        for (size_t i = 0; i < record->n_lines; i++)
                record_write_line(record, &record->lines[i], text);
}
