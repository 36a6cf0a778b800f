/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What tocsind knows: itself, the machines, what is in force for one of them. */
#include <inttypes.h>

#include "daemon/ctl/progress.h"
#include "daemon/ctl/table.h"
#include "daemon/ctl/value.h"
#include "daemon/ctl/verbs.h"
#include "policy/util/glob.h"

static void verb_add_status(Text *text, json_object *status) {
        json_object *problems = value_get_array(status, "problems");
        Table table = TABLE_INIT(2);

        text_printf(text,
                    "tocsind %s, process %" PRIu64 ", since ",
                    value_get_word(status, "version"),
                    value_get_uint(status, "pid"));
        text_add_time(text, value_get_time(status, "started"));
        text_add(text, "\n");
        table_add(&table, "machines");
        table_printf(&table,
                     "%" PRIu64 " known, %" PRIu64 " attached",
                     value_get_uint(status, "machines"),
                     value_get_uint(status, "attached"));
        table_add(&table, "incidents");
        table_printf(&table, "%" PRIu64 " open", value_get_uint(status, "incidents"));
        table_add(&table, "clients");
        table_printf(&table, "%" PRIu64, value_get_uint(status, "clients"));
        table_add(&table, "store");
        table_add(&table, value_get_word(status, "store"));
        table_add(&table, "event log");
        table_printf(&table,
                     "newest event %" PRIu64 " of log %s",
                     value_get_uint(status, "last"),
                     value_get_word(status, "log"));
        if (value_get_uint(status, "lost") > 0) {
                table_add(&table, "lost");
                table_printf(&table,
                             "%" PRIu64 " events and records could not be kept",
                             value_get_uint(status, "lost"));
        }
        if (value_get_bool(status, "dry-run")) {
                table_add(&table, "dry-run");
                table_add(&table, "nothing is enforced anywhere");
        }
        for (size_t i = 0; i < value_get_length(problems); i++) {
                table_add(&table, "problem");
                table_add(&table, json_object_get_string(value_get_item(problems, i)));
        }
        table_write(&table, text, 2);
        table_deinit(&table);
}

int verb_status(Ctl *ctl, int argc, char **argv) {
        const Option options[] = { {} };
        json_object *status = NULL;
        Text text = TEXT_NULL;
        int r = ctl_parse_options(ctl, options, &argc, argv, 0, 0);

        if (r == CTL_EXIT_OK)
                r = ctl_call(ctl, "query-tocsin", NULL, &status);
        if (r != CTL_EXIT_OK)
                return r;
        if (ctl->json)
                r = ctl_print_json(status);
        else {
                verb_add_status(&text, status);
                r = ctl_print(&text);
        }
        json_object_put(status);
        return r;
}

/* "panic=pause watchdog=none" */
static void verb_add_keys(Text *text, json_object *keys) {
        const char *gap = "";

        json_object_object_foreach(keys, key, value) {
                text_printf(text, "%s%s=%s", gap, key, json_object_get_string(value));
                gap = " ";
        }
}

static void verb_add_keys_row(Table *table, const char *label, json_object *keys) {
        Text text = TEXT_NULL;

        if (!keys)
                return;
        verb_add_keys(&text, keys);
        table_add(table, label);
        table_take_text(table, &text);
}

static void verb_add_time_row(Table *table, const char *label, uint64_t time) {
        Text text = TEXT_NULL;

        if (time == 0)
                return;
        text_add_time(&text, time);
        table_add(table, label);
        table_take_text(table, &text);
}

static void verb_add_string_row(Table *table, const char *label, const char *value) {
        if (!value)
                return;
        table_add(table, label);
        table_add(table, value);
}

/* What stands under a machine's line in the list: what is not as usual. */
static void verb_add_notes(Table *table, json_object *machine) {
        static const struct {
                const char *key, *words;
        } sets[] = {
                { "enforced", "told the VMM" },
                { "overrides", "set for this run" },
                { "would", "enforce would set" },
        };
        const char *problem = value_get_string(machine, "problem");
        json_object *dump = value_get_object(machine, "dump");
        uint64_t held = value_get_uint(machine, "held"),
                 until = value_get_time(machine, "hold-until");

        if (problem)
                table_note(table, "problem: %s", problem);
        if (held > 0)
                table_note(table, "held: incident %" PRIu64 " waits for its delay", held);
        if (dump) {
                Text text = TEXT_NULL;
                _cleanup_free_ char *s = NULL;

                progress_add_dump(&text, dump);
                s = text_take(&text);
                table_note(table, "dump: %s", s ? s : "?");
        }
        if (until > 0) {
                Text text = TEXT_NULL;
                _cleanup_free_ char *s = NULL;

                text_add_time(&text, until);
                s = text_take(&text);
                table_note(table, "maintenance: nothing is decided until %s", s ? s : "?");
        }
        for (size_t i = 0; i < ELEMENTSOF(sets); i++) {
                json_object *keys = value_get_object(machine, sets[i].key);
                Text text = TEXT_NULL;
                _cleanup_free_ char *s = NULL;

                if (!keys || json_object_object_length(keys) == 0)
                        continue;
                verb_add_keys(&text, keys);
                s = text_take(&text);
                table_note(table, "%s: %s", sets[i].words, s ? s : "?");
        }
}

static const char *verb_get_state(json_object *machine) {
        const char *state = value_get_string(machine, "state");

        if (value_get_time(machine, "ended") > 0)
                return "ended";
        return state ? state : value_get_bool(machine, "attached") ? "unknown" : "not attached";
}

static void verb_add_machines(Text *text, json_object *machines) {
        Table table = TABLE_INIT(6);

        table_add(&table, "MACHINE");
        table_add(&table, "STATE");
        table_add(&table, "BACKEND");
        table_add(&table, "MODE");
        table_add(&table, "OPEN");
        table_add(&table, "LAST STOP");
        for (size_t i = 0; i < value_get_length(machines); i++) {
                json_object *machine = value_get_item(machines, i);

                table_add(&table, value_get_word(machine, "name"));
                table_add(&table, verb_get_state(machine));
                table_add(&table, value_get_word(machine, "backend"));
                table_add(&table, value_get_word(machine, "mode"));
                table_printf(&table, "%" PRIu64, value_get_uint(machine, "incidents"));
                table_add(&table, value_get_word(machine, "last-stop"));
                verb_add_notes(&table, machine);
        }
        table_write(&table, text, 0);
        table_deinit(&table);
}

static void verb_add_vfio(Text *text, json_object *devices) {
        Table table = TABLE_INIT(3);

        if (value_get_length(devices) > 0)
                text_add(text, "  VFIO devices\n");
        for (size_t i = 0; i < value_get_length(devices); i++) {
                json_object *device = value_get_item(devices, i);

                table_add(&table, value_get_word(device, "qom-path"));
                table_add(&table, value_get_word(device, "device-id"));
                table_add(&table, value_get_word(device, "device-state"));
        }
        table_write(&table, text, 4);
        table_deinit(&table);
}

/* One machine in full. */
static void verb_add_machine(Text *text, json_object *machine) {
        Table table = TABLE_INIT(2);
        uint64_t pid = value_get_uint(machine, "pid"), held = value_get_uint(machine, "held");

        text_printf(text, "%s\n", value_get_word(machine, "name"));
        verb_add_string_row(&table, "shown as", value_get_string(machine, "shown"));
        verb_add_string_row(&table, "state", verb_get_state(machine));
        verb_add_string_row(&table, "last stop", value_get_string(machine, "last-stop"));
        verb_add_time_row(&table, "ended", value_get_time(machine, "ended"));
        verb_add_string_row(&table, "problem", value_get_string(machine, "problem"));
        table_add(&table, "open incidents");
        table_printf(&table, "%" PRIu64, value_get_uint(machine, "incidents"));
        if (held > 0) {
                table_add(&table, "held");
                table_printf(&table, "incident %" PRIu64 " waits for its delay", held);
        }
        if (value_get_object(machine, "dump")) {
                Text progress = TEXT_NULL;

                progress_add_dump(&progress, value_get_object(machine, "dump"));
                table_add(&table, "dump");
                table_take_text(&table, &progress);
        }
        verb_add_time_row(&table, "maintenance until", value_get_time(machine, "hold-until"));
        verb_add_string_row(&table, "mode", value_get_string(machine, "mode"));
        verb_add_keys_row(&table, "told the VMM", value_get_object(machine, "enforced"));
        verb_add_keys_row(&table, "set for this run", value_get_object(machine, "overrides"));
        verb_add_keys_row(&table, "enforce would set", value_get_object(machine, "would"));
        verb_add_string_row(&table, "backend", value_get_string(machine, "backend"));
        verb_add_string_row(&table, "version", value_get_string(machine, "version"));
        if (pid > 0) {
                table_add(&table, "process");
                table_printf(&table, "%" PRIu64, pid);
        }
        verb_add_string_row(&table, "UUID", value_get_string(machine, "uuid"));
        verb_add_string_row(&table, "run", value_get_string(machine, "run"));
        table_write(&table, text, 2);
        table_deinit(&table);
        verb_add_vfio(text, value_get_array(machine, "vfio"));
}

/* Those whose name matches, in an array of their own; NULL when out of memory. */
static json_object *verb_select_machines(json_object *machines, const char *glob) {
        json_object *selected = json_object_new_array();

        for (size_t i = 0; selected && i < value_get_length(machines); i++) {
                json_object *machine = value_get_item(machines, i);

                if (!glob || glob_match(glob, value_get_word(machine, "name")))
                        (void) json_object_array_add(selected, json_object_get(machine));
        }
        return selected;
}

int verb_machines(Ctl *ctl, int argc, char **argv) {
        const Option options[] = { {} };
        json_object *all = NULL, *machines = NULL;
        const char *glob = NULL;
        Text text = TEXT_NULL;
        int r = ctl_parse_options(ctl, options, &argc, argv, 0, 1);

        if (r == CTL_EXIT_OK)
                r = ctl_call(ctl, "query-machines", NULL, &all);
        if (r != CTL_EXIT_OK)
                return r;
        if (argc > 0)
                glob = argv[0];
        machines = verb_select_machines(all, glob);
        json_object_put(all);
        if (!machines)
                return ctl_fail_memory();

        if (glob && value_get_length(machines) == 0) {
                (void) fprintf(stderr, "tocsinctl: no machine is called %s\n", glob);
                r = CTL_EXIT_NOT_FOUND;
        } else if (ctl->json)
                r = ctl_print_json(machines);
        else {
                if (glob && !glob_is_pattern(glob))
                        verb_add_machine(&text, value_get_item(machines, 0));
                else
                        verb_add_machines(&text, machines);
                r = ctl_print(&text);
        }
        json_object_put(machines);
        return r;
}

static void verb_add_policy(Text *text, json_object *policy) {
        json_object *values = value_get_array(policy, "values"),
                    *rules = value_get_array(policy, "rules");
        uint64_t until = value_get_time(policy, "hold-until");
        Table table = TABLE_INIT(5);

        text_printf(text,
                    "%s: mode %s%s\n",
                    value_get_word(policy, "machine"),
                    value_get_word(policy, "mode"),
                    value_get_bool(policy, "dry-run") ? ", dry-run: nothing is enforced anywhere"
                                                      : "");
        if (until > 0) {
                text_add(text, "  maintenance: nothing is decided until ");
                text_add_time(text, until);
                text_add(text, "\n");
        }
        table_add(&table, "KEY");
        table_add(&table, "VALUE");
        table_add(&table, "FROM");
        table_add(&table, "ENFORCE WOULD SET");
        table_add(&table, "ORIGIN");
        for (size_t i = 0; i < value_get_length(values); i++) {
                json_object *value = value_get_item(values, i);

                table_add(&table, value_get_word(value, "key"));
                table_add(&table, value_get_word(value, "value"));
                table_add(&table, value_get_word(value, "from"));
                table_add(&table, value_get_word(value, "would"));
                table_add(&table, value_get_word(value, "origin"));
        }
        table_write(&table, text, 2);
        table_deinit(&table);
        text_add(text,
                 value_get_length(rules) > 0 ? "  rules that can match, in order:"
                                             : "  no rule can match it");
        for (size_t i = 0; i < value_get_length(rules); i++)
                text_printf(text,
                            "%s %s",
                            i > 0 ? "," : "",
                            json_object_get_string(value_get_item(rules, i)));
        text_add(text, "\n");
}

int verb_policy(Ctl *ctl, int argc, char **argv) {
        const Option options[] = { {} };
        json_object *arguments, *policy = NULL;
        Text text = TEXT_NULL;
        int r = ctl_parse_options(ctl, options, &argc, argv, 1, 1);

        if (r != CTL_EXIT_OK)
                return r;
        arguments = json_object_new_object();
        if (ctl_add_string(arguments, "machine", argv[0]) < 0) {
                json_object_put(arguments);
                return ctl_fail_memory();
        }
        r = ctl_call(ctl, "query-policy", arguments, &policy);
        if (r != CTL_EXIT_OK)
                return r;
        if (ctl->json)
                r = ctl_print_json(policy);
        else {
                verb_add_policy(&text, policy);
                r = ctl_print(&text);
        }
        json_object_put(policy);
        return r;
}
