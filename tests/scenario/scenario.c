/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Policy proven in virtual time: a scenario says what goes into the watch and when, and what must
 * come out. See README.md beside this for the language. A line that comes out and is not expected is as
 * wrong as one that is expected and does not come. The language is in one file: what a word takes in
 * and what comes out of it are looked up together.
 *
 *     scenario FILE...      `ok NAME` or `not ok NAME: why` for each, exit 1 if any is not
 *     scenario --print FILE what comes out, as a scenario
 */
#include <ctype.h>
#include <errno.h>
#include <libgen.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/config/config.h"
#include "policy/plan.h"
#include "policy/qapi/json.h"
#include "policy/util/duration.h"
#include "policy/watch.h"

/* Virtual time starts here: 2026-01-01 00:00:00 UTC, an hour after boot. */
#define SCENARIO_REAL_US (UINT64_C(1767225600) * USEC_PER_SEC)
#define SCENARIO_BOOT_US (UINT64_C(3600) * USEC_PER_SEC)

#define SCENARIO_LINE_MAX 4096
#define SCENARIO_FIELDS_MAX 128

typedef struct Scenario {
        const char *path;
        unsigned line;
        Config *config;
        Watch *watch;
        Moment now;
        int64_t start_boot_us; /* the start on this boot's clock */
        char boot_id[16];
        uint64_t incidents;
        Buffer out;      /* what came out since the last input, a line each */
        char shown[256]; /* kinds of output that are compared */
        bool print;
        bool loose; /* what came out may be expected behind a later input */
        char why[2 * SCENARIO_LINE_MAX];
        json_object *records; /* of open incidents, as the store would have them */
        json_object *kept;    /* of machines */
} Scenario;

static int scenario_fail(Scenario *s, const char *format, ...)
        __attribute__((__format__(__printf__, 2, 3)));

static int scenario_fail(Scenario *s, const char *format, ...) {
        va_list ap;
        int n;

        n = snprintf(s->why, sizeof(s->why), "line %u: ", s->line);
        va_start(ap, format);
        (void) vsnprintf(s->why + n, sizeof(s->why) - (size_t) n, format, ap);
        va_end(ap);
        return -EBADMSG;
}

static void scenario_say(Scenario *s, const char *kind, const char *format, ...)
        __attribute__((__format__(__printf__, 3, 4)));

static void scenario_say(Scenario *s, const char *kind, const char *format, ...) {
        char text[SCENARIO_LINE_MAX];
        va_list ap;

        if (!strstr(s->shown, kind))
                return;
        va_start(ap, format);
        (void) vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        (void) buffer_printf(&s->out, "%s %s\n", kind, text);
}

static uint64_t scenario_next_incident(void *userdata) {
        return ++((Scenario *) userdata)->incidents;
}

/* What control.sock's clients are told of an incident. */
static void scenario_announce_incident(const WatchAnnouncement *a, Scenario *s) {
        _cleanup_(incident_event_freep) IncidentEvent *event = NULL;

        if (strcmp(a->event, "INCIDENT") != 0 || incident_event_from_json(a->data, &event, NULL) != 0)
                return;
        scenario_say(s,
                     "say",
                     "%llu %s %s %s: %s",
                     (unsigned long long) event->id,
                     a->machine->name,
                     incident_kind_to_string(event->kind),
                     incident_status_to_string(event->status),
                     event->text);
}

static void scenario_announce(const WatchAnnouncement *a, void *userdata) {
        if (a->control_only) {
                scenario_announce_incident(a, userdata);
                return;
        }
        scenario_say(userdata,
                     "event",
                     "%s %s%s %s",
                     a->machine->name,
                     a->synthetic ? "synthetic " : "",
                     a->event,
                     a->data ? json_object_to_json_string_ext(a->data, JSON_C_TO_STRING_NOSLASHESCAPE)
                             : "{}");
}

/* What a closed record tells of, in order. */
static void scenario_say_steps(Scenario *s, const IncidentInfo *info) {
        _cleanup_(buffer_deinit) Buffer text = BUFFER_NULL;

        for (size_t i = 0; i < info->n_steps; i++)
                (void) buffer_printf(&text, " %s", info->steps[i]->what);
        (void) buffer_append_char(&text, '\0');
        scenario_say(s, "steps", "%llu%s", (unsigned long long) info->id, buffer_content(&text));
}

static void scenario_record(const IncidentInfo *info, void *userdata) {
        _cleanup_(buffer_deinit) Buffer text = BUFFER_NULL;
        const DecisionInfo *decision = info->decision;
        Scenario *s = userdata;
        json_object *json = NULL;
        char id[32];

        if (info->has_outcome)
                (void) buffer_printf(&text, " %s", incident_outcome_to_string(info->outcome));
        if (decision)
                (void) buffer_printf(&text,
                                     ": %s by %s",
                                     action_to_string(decision->action),
                                     decision->by);
        if (decision && decision->has_would)
                (void) buffer_printf(&text, ", would %s", action_to_string(decision->would));
        if (info->has_resets)
                (void) buffer_printf(&text, ", %llu resets", (unsigned long long) info->resets);
        if (info->has_repeated)
                (void) buffer_printf(&text, ", repeated %llu", (unsigned long long) info->repeated);
        (void) buffer_append_char(&text, '\0');
        scenario_say(s,
                     "incident",
                     "%llu %s %s %s%s",
                     (unsigned long long) info->id,
                     info->machine,
                     incident_kind_to_string(info->kind),
                     incident_status_to_string(info->status),
                     buffer_content(&text));
        if (info->status == INCIDENT_STATUS_CLOSED)
                scenario_say_steps(s, info);
        (void) snprintf(id, sizeof(id), "%llu", (unsigned long long) info->id);
        if (incident_info_to_json(info, &json) == 0)
                (void) json_object_object_add(s->records, id, json);
}

static void scenario_act(const WatchMachine *m, const IncidentInfo *info, ActPoint from, void *userdata) {
        static const char *const commands[_PLAN_STEP_MAX] = {
                [PLAN_STOP] = "stop",
                [PLAN_SYSTEM_RESET] = "system_reset",
                [PLAN_CONT] = "cont",
                [PLAN_SYSTEM_POWERDOWN] = "system_powerdown",
                [PLAN_QUIT] = "quit",
                [PLAN_KILL] = "kill",
                [PLAN_INJECT_NMI] = "inject-nmi",
        };
        Plan plan = plan_make(info->kind, info->decision->action, m->running, from);
        char text[256] = "";

        for (size_t i = 0; i < plan.n_steps; i++)
                (void) snprintf(text + strlen(text),
                                sizeof(text) - strlen(text),
                                " %s",
                                commands[plan.steps[i]]);
        scenario_say(userdata,
                     "act",
                     "%llu %s %s:%s",
                     (unsigned long long) info->id,
                     m->name,
                     action_to_string(info->decision->action),
                     plan.n_steps ? text : " nothing");
}

static void scenario_ask(const WatchMachine *m, WatchQuestion question, void *userdata) {
        scenario_say(userdata,
                     "ask",
                     "%s %s",
                     m->name,
                     question == WATCH_ASK_STATUS ? "query-status" : "crash-information");
}

static bool scenario_tell(const WatchMachine *m, const ActionSet *set, void *userdata) {
        char text[256] = "";

        for (PolicyKey key = 0; key < _POLICY_KEY_MAX; key++)
                if (set->keys[key].set)
                        (void) snprintf(text + strlen(text),
                                        sizeof(text) - strlen(text),
                                        " %s=%s",
                                        policy_key_to_string(key),
                                        action_to_string(set->keys[key].action));
        scenario_say(userdata, "tell", "%s%s", m->name, text);
        return true;
}

static void scenario_changed(WatchMachine *m, WatchChange change, void *userdata) {
        Scenario *s = userdata;
        json_object *kept;

        if (change != WATCH_CHANGE_KEPT)
                return;
        kept = watch_machine_keep(m);
        (void) json_object_object_add(kept, "run", json_object_new_string(m->run));
        (void) json_object_object_add(s->kept, m->name, kept);
}

static void scenario_report(const WatchMachine *m, WatchLevel level, const char *text, void *userdata) {
        scenario_say(userdata, "log", "%s %s", m->name, text);
}

static void scenario_decided(const IncidentInfo *info, const char *text, void *userdata) {
        scenario_say(userdata,
                     "log",
                     "%s incident %llu: %s",
                     info->machine,
                     (unsigned long long) info->id,
                     text);
}

static const WatchOps scenario_ops = {
        .next_incident = scenario_next_incident,
        .announce = scenario_announce,
        .record = scenario_record,
        .act = scenario_act,
        .ask = scenario_ask,
        .tell = scenario_tell,
        .changed = scenario_changed,
        .decided = scenario_decided,
        .report = scenario_report,
};

/* Input: one function a verb */

static int scenario_state(Scenario *s, const char *word, Observation *o) {
        if (run_state_from_string(word, &o->state) < 0)
                return scenario_fail(s, "expected a run state, found '%s'", word);
        o->running = o->state == RUN_STATE_RUNNING;
        return 0;
}

/* MACHINE attached RUN STATE */
static int scenario_attached(Scenario *s, Observation *o, char **fields) {
        int r;

        if (!fields[1])
                return scenario_fail(s, "expected: MACHINE attached RUN STATE");
        o->type = OBSERVATION_ATTACHED;
        o->run = fields[0];
        o->backend = BACKEND_TYPE_QMP;
        o->abilities = ~0U;
        r = scenario_state(s, fields[1], o);
        if (r == 0)
                watch_observe(s->watch, o, s->now);
        return r;
}

static int scenario_simple(Scenario *s, Observation *o, ObservationType type) {
        o->type = type;
        watch_observe(s->watch, o, s->now);
        return 0;
}

static int scenario_detached(Scenario *s, Observation *o, char **fields) {
        return scenario_simple(s, o, OBSERVATION_DETACHED);
}

/* MACHINE gone [SIGNAL] */
static int scenario_gone(Scenario *s, Observation *o, char **fields) {
        o->signal = fields[0] ? atoi(fields[0]) : 0;
        return scenario_simple(s, o, OBSERVATION_GONE);
}

static int scenario_status(Scenario *s, Observation *o, char **fields) {
        int r = fields[0] ? scenario_state(s, fields[0], o)
                          : scenario_fail(s, "expected a run state");

        return r < 0 ? r : scenario_simple(s, o, OBSERVATION_STATUS);
}

static int scenario_silent(Scenario *s, Observation *o, char **fields) {
        o->seconds = fields[0] ? strtoull(fields[0], NULL, 10) : 60;
        return scenario_simple(s, o, OBSERVATION_SILENT);
}

static int scenario_answering(Scenario *s, Observation *o, char **fields) {
        return scenario_simple(s, o, OBSERVATION_ANSWERING);
}

/* The rest of the line as one JSON value; NULL when there is none. */
static int scenario_data(Scenario *s, char **fields, json_object **ret) {
        char text[SCENARIO_LINE_MAX] = "";
        _cleanup_free_ char *error = NULL;

        for (; *fields; fields++)
                (void) snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s ", *fields);
        *ret = NULL;
        if (text[0] && json_parse(text, strlen(text), ret, &error) < 0)
                return scenario_fail(s, "%s", error ? error : "not JSON");
        return 0;
}

static int scenario_crash_info(Scenario *s, Observation *o, char **fields) {
        json_object *data;
        int r = scenario_data(s, fields, &data);

        if (r < 0)
                return r;
        o->data = data;
        (void) scenario_simple(s, o, OBSERVATION_CRASH_INFO);
        json_object_put(data);
        return 0;
}

/* MACHINE EVENT [ago DURATION] [DATA] */
static int scenario_event(Scenario *s, Observation *o, const char *event, char **fields) {
        json_object *data;
        uint64_t ago_us;
        int r;

        if (fields[0] && strcmp(fields[0], "ago") == 0) {
                if (!fields[1] || duration_parse(fields[1], &ago_us) < 0)
                        return scenario_fail(s, "expected: ago DURATION");
                o->time_us -= ago_us;
                fields += 2;
        }
        r = scenario_data(s, fields, &data);
        if (r < 0)
                return r;
        o->event = event;
        o->data = data;
        (void) scenario_simple(s, o, OBSERVATION_EVENT);
        json_object_put(data);
        return 0;
}

/* MACHINE step INCIDENT WHAT: what the actor writes down */
static int scenario_step(Scenario *s, Observation *o, char **fields) {
        if (!fields[0] || !fields[1])
                return scenario_fail(s, "expected: MACHINE step INCIDENT WHAT");
        watch_stepped(s->watch,
                      o->machine,
                      strtoull(fields[0], NULL, 10),
                      fields[1],
                      NULL,
                      fields[1],
                      s->now);
        return 0;
}

/* MACHINE acted INCIDENT OUTCOME */
static int scenario_acted(Scenario *s, Observation *o, char **fields) {
        IncidentOutcome outcome;

        if (!fields[0] || !fields[1] || incident_outcome_from_string(fields[1], &outcome) < 0)
                return scenario_fail(s, "expected: MACHINE acted INCIDENT OUTCOME");
        watch_acted(s->watch, o->machine, strtoull(fields[0], NULL, 10), outcome, s->now);
        return 0;
}

static int scenario_hold(Scenario *s, Observation *o, char **fields) {
        WatchMachine *m = watch_find(s->watch, o->machine);
        uint64_t for_us;

        if (!m || !fields[0] || duration_parse(fields[0], &for_us) < 0)
                return scenario_fail(s, "expected: MACHINE hold DURATION");
        watch_hold(s->watch, m, for_us, s->now);
        return 0;
}

/* MACHINE override KEY ACTION */
static int scenario_override(Scenario *s, Observation *o, char **fields) {
        WatchMachine *m = watch_find(s->watch, o->machine);
        ActionSet set = {};
        PolicyKey key;

        if (!m || !fields[0] || !fields[1] || policy_key_from_string(fields[0], &key) < 0 ||
            action_from_string(fields[1], &set.keys[key].action) < 0)
                return scenario_fail(s, "expected: MACHINE override KEY ACTION");
        set.keys[key].set = true;
        watch_override(s->watch, m, &set, s->now);
        return 0;
}

static const struct {
        const char *verb;
        int (*func)(Scenario *s, Observation *o, char **fields);
} scenario_verbs[] = {
        { "attached", scenario_attached },
        { "detached", scenario_detached },
        { "gone", scenario_gone },
        { "status", scenario_status },
        { "silent", scenario_silent },
        { "answering", scenario_answering },
        { "crash-info", scenario_crash_info },
        { "step", scenario_step },
        { "acted", scenario_acted },
        { "hold", scenario_hold },
        { "override", scenario_override },
};

static int scenario_restart_watch(Scenario *s) {
        s->watch = watch_free(s->watch);
        if (watch_new(&s->watch, &scenario_ops, s->config->policy, s->boot_id, s) < 0)
                return -ENOMEM;
        json_object_object_foreach(s->kept, name, kept) {
                json_object *run;

                (void) json_object_object_get_ex(kept, "run", &run);
                (void) watch_restore_machine(s->watch, name, json_object_get_string(run), kept, s->now);
        }
        json_object_object_foreach(s->records, id, record) {
                IncidentInfo *info = NULL;

                if (incident_info_from_json(record, &info, NULL) != 0)
                        return scenario_fail(s,
                                             "incident %s was kept in a form that can't be read",
                                             id);
                if (info->status != INCIDENT_STATUS_CLOSED) {
                        (void) watch_restore_incident(s->watch, info, s->now);
                } else {
                        (void) watch_restore_history(s->watch, info, s->now);
                        incident_info_free(info);
                }
        }
        return 0;
}

/* `reboot SECONDS`: the host was away so long. Its guests have ended with it. */
static int scenario_reboot(Scenario *s, const char *seconds) {
        uint64_t away_us = strtoull(seconds, NULL, 10) * USEC_PER_SEC;
        uint64_t since_start_us = s->now.boot_us - (uint64_t) s->start_boot_us;

        s->now.real_us += away_us;
        s->now.boot_us = USEC_PER_SEC;
        s->start_boot_us = (int64_t) USEC_PER_SEC - (int64_t) (since_start_us + away_us);
        s->boot_id[5]++;
        return scenario_restart_watch(s);
}

static int scenario_input(Scenario *s, const char *machine, char **fields) {
        const WatchMachine *m = watch_find(s->watch, machine);
        Observation o = { .machine = machine,
                          .run = m && m->run ? m->run : "-",
                          .time_us = s->now.real_us };
        const char *verb = fields[0];

        if (!verb)
                return scenario_fail(s, "expected a verb or an event behind '%s'", machine);
        for (size_t i = 0; i < ELEMENTSOF(scenario_verbs); i++)
                if (strcmp(scenario_verbs[i].verb, verb) == 0)
                        return scenario_verbs[i].func(s, &o, fields + 1);
        if (!isupper((unsigned char) verb[0]))
                return scenario_fail(s, "unknown verb '%s'", verb);
        return scenario_event(s, &o, verb, fields + 1);
}

/* Lets the time pass up to a moment, deadline by deadline. */
static void scenario_pass(Scenario *s, uint64_t until_boot_us) {
        for (;;) {
                uint64_t deadline_us = watch_get_deadline(s->watch);

                if (deadline_us > until_boot_us)
                        break;
                if (deadline_us > s->now.boot_us) {
                        s->now.real_us += deadline_us - s->now.boot_us;
                        s->now.boot_us = deadline_us;
                }
                watch_tick(s->watch, s->now);
        }
        s->now.real_us += until_boot_us - s->now.boot_us;
        s->now.boot_us = until_boot_us;
}

/* `at TIME [MACHINE VERB ...]`: time since the start; then the input, if any. */
static int scenario_at(Scenario *s, char **fields) {
        uint64_t at_us;

        if (!fields[0] || duration_parse(fields[0], &at_us) < 0)
                return scenario_fail(s, "expected: at TIME");
        at_us += (uint64_t) s->start_boot_us;
        if (at_us < s->now.boot_us)
                return scenario_fail(s, "time runs forward");
        scenario_pass(s, at_us);
        return fields[1] ? scenario_input(s, fields[1], fields + 2) : 0;
}

static int scenario_expect(Scenario *s, const char *line) {
        const char *content = buffer_length(&s->out) ? buffer_content(&s->out) : "";
        size_t n = buffer_length(&s->out) ? strcspn(content, "\n") : 0;

        if (n == 0)
                return scenario_fail(s, "expected '%s', and nothing more came", line);
        if (strlen(line) != n || strncmp(content, line, n) != 0)
                return scenario_fail(s, "expected '%s', found '%.*s'", line, (int) n, content);
        buffer_consume(&s->out, n + 1);
        return 0;
}

static int scenario_nothing_left(Scenario *s) {
        if (buffer_length(&s->out) == 0)
                return 0;
        if (s->print) {
                while (buffer_length(&s->out) > 0) {
                        size_t n = strcspn(buffer_content(&s->out), "\n");

                        (void) printf("> %.*s\n", (int) n, buffer_content(&s->out));
                        buffer_consume(&s->out, n + 1);
                }
                return 0;
        }
        return scenario_fail(s,
                             "not expected: '%.*s'",
                             (int) strcspn(buffer_content(&s->out), "\n"),
                             buffer_content(&s->out));
}

static int scenario_load_policy(Scenario *s, const char *text) {
        _cleanup_(config_errors_deinit) ConfigErrors errors = {};
        char path[] = "/tmp/tocsin-scenario-XXXXXX";
        Config *config = NULL, *old = s->config;
        int fd = mkstemp(path), r;
        FILE *f = fd < 0 ? NULL : fdopen(fd, "w");

        if (!f)
                return scenario_fail(s, "no temporary file: %s", strerror(errno));
        (void) fputs(text, f);
        (void) fclose(f);
        r = config_load(path, false, &config, &errors);
        (void) unlink(path);
        if (r != 0)
                return scenario_fail(s,
                                     "policy: %s",
                                     errors.n_items ? errors.items[0].text : "can't be read");
        s->config = config;
        if (s->watch)
                watch_set_policy(s->watch, config->policy, s->now);
        else
                r = watch_new(&s->watch, &scenario_ops, config->policy, s->boot_id, s);
        config_free(old);
        return r;
}

static size_t scenario_split(char *line, char **fields) {
        size_t n = 0;

        for (char *p = strtok(line, " \t"); p && n < SCENARIO_FIELDS_MAX - 1; p = strtok(NULL, " \t"))
                fields[n++] = p;
        fields[n] = NULL;
        return n;
}

static int scenario_line(Scenario *s, char *line) {
        char *fields[SCENARIO_FIELDS_MAX + 1] = {};
        int r;

        if (line[0] == '>') {
                if (s->print)
                        return 0;
                return scenario_expect(s, line + 1 + strspn(line + 1, " "));
        }
        r = s->loose && !s->print ? 0 : scenario_nothing_left(s);
        if (s->print)
                (void) puts(line);
        if (r < 0 || line[0] == '#' || scenario_split(line, fields) == 0)
                return r;
        if (strcmp(fields[0], "show") == 0) {
                s->shown[0] = '\0';
                for (char **f = fields + 1; *f; f++)
                        (void) snprintf(s->shown + strlen(s->shown),
                                        sizeof(s->shown) - strlen(s->shown),
                                        "%s ",
                                        *f);
                return 0;
        }
        if (strcmp(fields[0], "loose") == 0) {
                s->loose = true;
                return 0;
        }
        if (!s->watch)
                return scenario_fail(s, "a scenario begins with its policy");
        if (strcmp(fields[0], "at") == 0)
                return scenario_at(s, fields + 1);
        if (strcmp(fields[0], "restart") == 0)
                return scenario_restart_watch(s);
        if (strcmp(fields[0], "reboot") == 0 && fields[1])
                return scenario_reboot(s, fields[1]);
        if (strcmp(fields[0], "clock") == 0 && fields[1]) {
                /* a jump of CLOCK_REALTIME alone */
                s->now.real_us += (uint64_t) (strtoll(fields[1], NULL, 10) * (long long) USEC_PER_SEC);
                return 0;
        }
        return scenario_fail(s,
                             "expected at, show, loose, policy, restart, clock or '>', found '%s'",
                             fields[0]);
}

static int scenario_read(Scenario *s, FILE *f) {
        _cleanup_(buffer_deinit) Buffer policy = BUFFER_NULL;
        char line[SCENARIO_LINE_MAX];
        bool inside = false;
        int r = 0;

        while (r == 0 && fgets(line, sizeof(line), f)) {
                s->line++;
                line[strcspn(line, "\n")] = '\0';
                if (inside && strcmp(line, "end") == 0) {
                        _cleanup_free_ char *text = buffer_take_string(&policy);

                        inside = false;
                        r = scenario_load_policy(s, text);
                        if (s->print)
                                (void) printf("policy\n%send\n", text);
                } else if (inside) {
                        r = buffer_printf(&policy, "%s\n", line);
                } else if (strcmp(line, "policy") == 0) {
                        inside = true;
                } else {
                        r = scenario_line(s, line);
                }
        }
        return r < 0 ? r : scenario_nothing_left(s);
}

static int scenario_run(const char *path, bool print) {
        Scenario s = { .path = path,
                       .print = print,
                       .now = { SCENARIO_REAL_US, SCENARIO_BOOT_US },
                       .start_boot_us = (int64_t) SCENARIO_BOOT_US,
                       .boot_id = "boot 1",
                       .shown = "event incident act tell ask",
                       .records = json_object_new_object(),
                       .kept = json_object_new_object() };
        FILE *f = fopen(path, "re");
        char *copy = strdup(path);
        int r = f ? scenario_read(&s, f) : scenario_fail(&s, "%s", strerror(errno));

        if (f)
                (void) fclose(f);
        if (r < 0)
                (void) printf("not ok %s: %s\n", basename(copy), s.why[0] ? s.why : strerror(-r));
        else if (!print)
                (void) printf("ok %s\n", basename(copy));
        free(copy);
        watch_free(s.watch);
        config_free(s.config);
        buffer_deinit(&s.out);
        json_object_put(s.records);
        json_object_put(s.kept);
        return r;
}

int main(int argc, char *argv[]) {
        bool print = argc > 1 && strcmp(argv[1], "--print") == 0;
        int failed = 0;

        for (int i = print ? 2 : 1; i < argc; i++)
                failed += scenario_run(argv[i], print) < 0;
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
