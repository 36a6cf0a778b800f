/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The order is the order of a reader's questions: what happened, to whom and when; what was
 * decided, by whom and why; what was done; what is kept; how it ended.
 */
#include "daemon/ctl/report.h"

#include <inttypes.h>
#include <string.h>

#include "daemon/ctl/headline.h"
#include "daemon/ctl/table.h"
#include "daemon/ctl/value.h"

#define REPORT_WIDTH 80
/* Named in a line of a table */
#define REPORT_MACHINES 3

static const char *report_say_outcome(const char *outcome) {
        static const struct {
                const char *word, *text;
        } words[] = {
                { "done", "tocsin carried the action out" },
                { "backend", "the VMM acted by itself" },
                { "left", "the machine was left as it is" },
                { "recovered", "the machine helped itself while the decision waited" },
                { "overtaken", "somebody else acted first" },
                { "failed", "the action could not be carried out" },
                { "ended", "the run was over before anything could be done" },
                { "migrated", "the guest went to another host, which decides" },
                { "found", "it had stopped before tocsin knew this run, and is left alone" },
        };

        for (size_t i = 0; i < ELEMENTSOF(words); i++)
                if (strcmp(words[i].word, outcome) == 0)
                        return words[i].text;
        return outcome;
}

/* "incident 1042   panic   web-7" and the time at the right edge. */
static void report_add_title(Text *text, json_object *incident) {
        Text left = TEXT_NULL, right = TEXT_NULL;
        _cleanup_free_ char *l = NULL, *r = NULL;

        text_printf(&left,
                    "incident %" PRIu64 "   %s   %s",
                    value_get_uint(incident, "id"),
                    value_get_word(incident, "kind"),
                    value_get_word(incident, "machine"));
        text_add_time(&right, value_get_time(incident, "time"));
        l = text_take(&left);
        r = text_take(&right);
        if (l && r)
                text_printf(text, "%s   %*s\n", l, REPORT_WIDTH - 3 - (int) strlen(l), r);
}

/* Most often the last word is the reason, and need not be read twice. */
static bool report_is_in_trail(json_object *trail, const char *reason) {
        for (size_t i = 0; i < value_get_length(trail); i++)
                if (strcmp(value_get_word(value_get_item(trail, i), "text"), reason) == 0)
                        return true;
        return false;
}

static void report_add_trail(Text *text, json_object *trail) {
        Table table = TABLE_INIT(4);

        for (size_t i = 0; i < value_get_length(trail); i++) {
                json_object *entry = value_get_item(trail, i);
                const char *action = value_get_string(entry, "action");
                const char *origin = value_get_string(entry, "origin");
                uint64_t took = value_get_uint(entry, "took");

                table_add(&table, value_get_word(entry, "by"));
                table_add(&table, action ? action : "");
                table_add(&table, value_get_word(entry, "text"));
                if (origin)
                        table_add(&table, origin);
                else if (took > 0)
                        table_printf(&table, "%" PRIu64 " us", took);
                else
                        table_add(&table, "");
        }
        table_write(&table, text, 4);
        table_deinit(&table);
}

void report_add_decision(Text *text, json_object *decision, bool held) {
        json_object *evidence = value_get_array(decision, "evidence");
        json_object *trail = value_get_array(decision, "trail");
        const char *reason = value_get_word(decision, "reason");
        const char *would = value_get_string(decision, "would");
        uint64_t due = value_get_time(decision, "due");

        text_printf(text,
                    "  Decided  %s, by %s",
                    value_get_word(decision, "action"),
                    value_get_word(decision, "by"));
        for (size_t i = 0; i < value_get_length(evidence); i++) {
                json_object *item = value_get_item(evidence, i);

                text_printf(text,
                            "%s%s",
                            i == 0 ? "; evidence asked for: " : ", ",
                            json_object_get_string(item));
        }
        if (would)
                text_printf(text, "; enforce would have done %s", would);
        text_add(text, "\n");
        if (!report_is_in_trail(trail, reason))
                text_printf(text, "    %s\n", reason);
        if (due > 0) {
                text_add(text, held ? "    waits until " : "    was to wait until ");
                text_add_time(text, due);
                text_add(text, "\n");
        }
        report_add_trail(text, trail);
}

static void report_add_steps(Text *text, json_object *steps) {
        if (value_get_length(steps) > 0)
                text_add(text, "  Done\n");
        for (size_t i = 0; i < value_get_length(steps); i++) {
                json_object *step = value_get_item(steps, i);
                const char *error = value_get_string(step, "error");

                text_add(text, "    ");
                text_add_clock(text, value_get_time(step, "time"));
                text_printf(text, "  %s", value_get_word(step, "text"));
                if (error)
                        text_printf(text, ": %s", error);
                text_add(text, "\n");
        }
}

static void report_add_evidence(Text *text, json_object *files) {
        Table table = TABLE_INIT(3);

        if (value_get_length(files) > 0)
                text_add(text, "  Evidence\n");
        for (size_t i = 0; i < value_get_length(files); i++) {
                json_object *file = value_get_item(files, i);
                Text size = TEXT_NULL;

                table_add(&table, value_get_word(file, "name"));
                text_add_size(&size, value_get_uint(file, "size"));
                table_take_text(&table, &size);
                table_add(&table, value_get_word(file, "kind"));
        }
        table_write(&table, text, 4);
        table_deinit(&table);
}

static void report_add_end(Text *text, json_object *incident) {
        const char *outcome = value_get_string(incident, "outcome");
        uint64_t opened = value_get_time(incident, "opened");
        uint64_t closed = value_get_time(incident, "closed");

        if (outcome)
                text_printf(text, "  Outcome  %s (%s)", report_say_outcome(outcome), outcome);
        else
                text_printf(text, "  Status  %s", value_get_word(incident, "status"));
        if (closed >= opened && closed > 0) {
                text_add(text, ", closed after ");
                text_add_span(text, closed - opened);
        }
        text_add(text, value_get_bool(incident, "acknowledged") ? "; acknowledged\n" : "\n");
}

void report_add_incident(Text *text, json_object *incident, const ReportMore *more) {
        json_object *decision = value_get_object(incident, "decision");

        report_add_title(text, incident);
        text_add(text, "  ");
        headline_add(text, incident, more->map);
        text_add(text, "\n");
        headline_add_details(text, incident, more->map);
        headline_add_signature(text, incident, more->here, more->all);
        if (decision)
                report_add_decision(text,
                                    decision,
                                    strcmp(value_get_word(incident, "status"), "held") == 0);
        report_add_steps(text, value_get_array(incident, "steps"));
        report_add_evidence(text, value_get_array(incident, "evidence"));
        report_add_end(text, incident);
}

void report_add_incidents(Text *text, json_object *incidents) {
        Table table = TABLE_INIT(7);

        table_add(&table, "INCIDENT");
        table_add(&table, "TIME (UTC)");
        table_add(&table, "MACHINE");
        table_add(&table, "KIND");
        table_add(&table, "STATUS");
        table_add(&table, "ACTION");
        table_add(&table, "WHAT");
        for (size_t i = 0; i < value_get_length(incidents); i++) {
                json_object *incident = value_get_item(incidents, i);
                json_object *decision = value_get_object(incident, "decision");
                const char *outcome = value_get_string(incident, "outcome");
                const char *would = value_get_string(decision, "would");
                uint64_t time = value_get_time(incident, "time");
                Text cell = TEXT_NULL;

                table_printf(&table, "%" PRIu64, value_get_uint(incident, "id"));
                text_add_day(&cell, time);
                text_add(&cell, " ");
                text_add_clock(&cell, time);
                table_take_text(&table, &cell);
                table_add(&table, value_get_word(incident, "machine"));
                table_add(&table, value_get_word(incident, "kind"));
                table_add(&table, outcome ? outcome : value_get_word(incident, "status"));
                if (would)
                        table_printf(&table, "(%s)", would);
                else
                        table_add(&table, value_get_word(decision, "action"));
                headline_add(&cell, incident, NULL);
                table_take_text(&table, &cell);
        }
        table_write(&table, text, 0);
        table_deinit(&table);
}

/* "web-7 3, web-8 2, 4 more" */
static void report_add_most(Text *text, json_object *group) {
        json_object *most = value_get_array(group, "most");
        uint64_t machines = value_get_uint(group, "machines");
        size_t n = value_get_length(most), shown = n < REPORT_MACHINES ? n : REPORT_MACHINES;

        for (size_t i = 0; i < shown; i++) {
                json_object *machine = value_get_item(most, i);

                text_printf(text,
                            "%s%s %" PRIu64,
                            i > 0 ? ", " : "",
                            value_get_word(machine, "machine"),
                            value_get_uint(machine, "count"));
        }
        if (machines > shown)
                text_printf(text, ", %" PRIu64 " more", machines - shown);
}

void report_add_groups(Text *text, json_object *groups) {
        Table table = TABLE_INIT(7);

        table_add(&table, "COUNT");
        table_add(&table, "SIGNATURE");
        table_add(&table, "FIRST (UTC)");
        table_add(&table, "LAST (UTC)");
        table_add(&table, "NEWEST");
        table_add(&table, "MACHINES");
        table_add(&table, "WHAT");
        for (size_t i = 0; i < value_get_length(groups); i++) {
                json_object *group = value_get_item(groups, i);
                Text cell = TEXT_NULL;

                table_printf(&table, "%" PRIu64, value_get_uint(group, "count"));
                table_add(&table, value_get_word(group, "signature"));
                text_add_day(&cell, value_get_time(group, "first"));
                table_take_text(&table, &cell);
                text_add_day(&cell, value_get_time(group, "last"));
                table_take_text(&table, &cell);
                table_printf(&table, "%" PRIu64, value_get_uint(group, "newest"));
                report_add_most(&cell, group);
                table_take_text(&table, &cell);
                headline_add(&cell, group, NULL);
                table_take_text(&table, &cell);
        }
        table_write(&table, text, 0);
        table_deinit(&table);
}
