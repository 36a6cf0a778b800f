/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The host's own kernel: what is listened to, and its watchdog devices. */
#include <inttypes.h>

#include "daemon/ctl/table.h"
#include "daemon/ctl/value.h"
#include "daemon/ctl/verbs.h"

static void verb_add_heads(Table *table, const char *const *heads, size_t n) {
        for (size_t i = 0; i < n; i++)
                table_add(table, heads[i]);
}

static void verb_add_last(Table *table, json_object *source) {
        uint64_t last = value_get_time(source, "last");
        Text text = TEXT_NULL;

        if (last == 0) {
                table_add(table, "-");
                return;
        }
        text_add_time(&text, last);
        table_take_text(table, &text);
}

static void verb_add_sources(Text *text, json_object *sources) {
        static const char *const heads[] = { "SOURCE", "STATE", "EVENTS", "OVERRUNS", "LAST EVENT" };
        Table table = TABLE_INIT(ELEMENTSOF(heads));

        verb_add_heads(&table, heads, ELEMENTSOF(heads));
        for (size_t i = 0; i < value_get_length(sources); i++) {
                json_object *source = value_get_item(sources, i);
                const char *why = value_get_string(source, "why");

                table_add(&table, value_get_word(source, "name"));
                table_add(&table, value_get_bool(source, "on") ? "on" : "off");
                table_printf(&table, "%" PRIu64, value_get_uint(source, "events"));
                table_printf(&table, "%" PRIu64, value_get_uint(source, "overruns"));
                verb_add_last(&table, source);
                table_note(&table, "%s", value_get_word(source, "through"));
                if (why)
                        table_note(&table, "off: %s", why);
        }
        table_write(&table, text, 0);
        table_deinit(&table);
}

/* Asks without arguments, and prints what comes as `add` shows it. */
static int verb_query(Ctl *ctl,
                      int argc,
                      char **argv,
                      const char *command,
                      void (*add)(Text *text, json_object *answer)) {
        const Option options[] = { {} };
        json_object *answer = NULL;
        Text text = TEXT_NULL;
        int r = ctl_parse_options(ctl, options, &argc, argv, 0, 0);

        if (r == CTL_EXIT_OK)
                r = ctl_call(ctl, command, NULL, &answer);
        if (r != CTL_EXIT_OK)
                return r;
        if (ctl->json)
                r = ctl_print_json(answer);
        else {
                add(&text, answer);
                r = ctl_print(&text);
        }
        json_object_put(answer);
        return r;
}

int verb_sources(Ctl *ctl, int argc, char **argv) {
        return verb_query(ctl, argc, argv, "query-sources", verb_add_sources);
}

static void verb_add_seconds(Table *table, json_object *watchdog, const char *key) {
        if (json_object_object_get_ex(watchdog, key, NULL))
                table_printf(table, "%" PRIu64 " s", value_get_uint(watchdog, key));
        else
                table_add(table, "-");
}

/* What is not as usual, or not in every device. */
static void verb_add_watchdog_notes(Table *table, json_object *watchdog) {
        const char *driver = value_get_string(watchdog, "driver"),
                   *governor = value_get_string(watchdog, "governor");
        uint64_t pretimeout = value_get_uint(watchdog, "pretimeout");

        if (driver)
                table_note(table, "driver %s", driver);
        if (pretimeout > 0)
                table_note(table,
                           "warns %" PRIu64 " s before: %s",
                           pretimeout,
                           governor ? governor : "no governor");
        if (value_get_bool(watchdog, "nowayout"))
                table_note(table, "can't be stopped once it runs");
        if (value_get_bool(watchdog, "bit"))
                table_note(table, "it did the last reset of the host");
        if (value_get_bool(watchdog, "running") && !value_get_object(watchdog, "holder"))
                table_note(table, "runs, and nobody is known to keep it alive");
}

static void verb_add_watchdogs(Text *text, json_object *watchdogs) {
        static const char *const heads[] = { "DEVICE", "STATE",   "TIMEOUT",
                                             "LEFT",   "HELD BY", "IDENTITY" };
        Table table = TABLE_INIT(ELEMENTSOF(heads));

        if (value_get_length(watchdogs) == 0) {
                text_add(text, "the host has no watchdog device\n");
                return;
        }
        verb_add_heads(&table, heads, ELEMENTSOF(heads));
        for (size_t i = 0; i < value_get_length(watchdogs); i++) {
                json_object *watchdog = value_get_item(watchdogs, i),
                            *holder = value_get_object(watchdog, "holder");

                table_add(&table, value_get_word(watchdog, "name"));
                table_add(&table, value_get_bool(watchdog, "running") ? "running" : "stopped");
                verb_add_seconds(&table, watchdog, "timeout");
                verb_add_seconds(&table, watchdog, "timeleft");
                if (holder)
                        table_printf(&table,
                                     "%s (%" PRIu64 ")",
                                     value_get_word(holder, "name"),
                                     value_get_uint(holder, "pid"));
                else
                        table_add(&table, "-");
                table_add(&table, value_get_word(watchdog, "identity"));
                verb_add_watchdog_notes(&table, watchdog);
        }
        table_write(&table, text, 0);
        table_deinit(&table);
}

int verb_watchdogs(Ctl *ctl, int argc, char **argv) {
        return verb_query(ctl, argc, argv, "query-watchdogs", verb_add_watchdogs);
}
