/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What `tocsinctl top` shows, apart from the terminal it shows it on (verb-top.c).
 */
#include "daemon/ctl/top.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/ctl/headline.h"
#include "daemon/ctl/progress.h"
#include "daemon/ctl/table.h"
#include "daemon/ctl/value.h"

#define TOP_INCIDENTS 8
#define TOP_MACHINES_MIN 3 /* shown even on the smallest terminal */

static unsigned top_get_urgency(json_object *machine) {
        const char *state = value_get_string(machine, "state");

        if (value_get_uint(machine, "held") > 0)
                return 4;
        if (value_get_string(machine, "problem") || value_get_uint(machine, "incidents") > 0)
                return 3;
        if (value_get_time(machine, "ended") > 0)
                return 0;
        return state && strcmp(state, "running") != 0 ? 2 : 1;
}

static int top_compare(const void *a, const void *b) {
        json_object *x = *(json_object *const *) a, *y = *(json_object *const *) b;
        unsigned ux = top_get_urgency(x), uy = top_get_urgency(y);

        if (ux != uy)
                return ux > uy ? -1 : 1;
        return strcmp(value_get_word(x, "name"), value_get_word(y, "name"));
}

static void top_add_note(Table *table, json_object *machine) {
        const char *problem = value_get_string(machine, "problem");
        uint64_t until = value_get_time(machine, "hold-until");
        Text text = TEXT_NULL;

        if (problem)
                text_add(&text, problem);
        else if (value_get_object(machine, "dump"))
                progress_add_dump(&text, value_get_object(machine, "dump"));
        else if (value_get_uint(machine, "held") > 0)
                text_printf(&text,
                            "incident %" PRIu64 " waits for its delay",
                            value_get_uint(machine, "held"));
        else if (until > 0) {
                text_add(&text, "maintenance until ");
                text_add_clock(&text, until);
        } else if (value_get_string(machine, "last-stop"))
                text_add(&text, value_get_string(machine, "last-stop"));
        table_take_text(table, &text);
}

static void top_add_machines(Text *text, json_object *machines, size_t most) {
        size_t n = value_get_length(machines), shown = n < most ? n : most;
        json_object **sorted = calloc(n + 1, sizeof(json_object *));
        Table table = TABLE_INIT(5);

        if (!sorted) {
                text_add(text, "out of memory\n");
                return;
        }
        for (size_t i = 0; i < n; i++)
                sorted[i] = value_get_item(machines, i);
        qsort(sorted, n, sizeof(json_object *), top_compare);

        table_add(&table, "MACHINE");
        table_add(&table, "STATE");
        table_add(&table, "MODE");
        table_add(&table, "OPEN");
        table_add(&table, "");
        for (size_t i = 0; i < shown; i++) {
                const char *state = value_get_word(sorted[i], "state");

                table_add(&table, value_get_word(sorted[i], "name"));
                table_add(&table, value_get_time(sorted[i], "ended") > 0 ? "ended" : state);
                table_add(&table, value_get_word(sorted[i], "mode"));
                table_printf(&table, "%" PRIu64, value_get_uint(sorted[i], "incidents"));
                top_add_note(&table, sorted[i]);
        }
        table_write(&table, text, 0);
        if (n > shown)
                text_printf(text, "... and %zu more\n", n - shown);
        table_deinit(&table);
        free(sorted);
}

static void top_add_incidents(Text *text, json_object *incidents, size_t n) {
        Table table = TABLE_INIT(5);

        for (size_t i = 0; i < n; i++) {
                json_object *incident = value_get_item(incidents, i);
                const char *outcome = value_get_string(incident, "outcome");
                Text cell = TEXT_NULL;

                table_printf(&table, "%" PRIu64, value_get_uint(incident, "id"));
                text_add_clock(&cell, value_get_time(incident, "time"));
                table_take_text(&table, &cell);
                table_add(&table, value_get_word(incident, "machine"));
                table_add(&table, outcome ? outcome : value_get_word(incident, "status"));
                headline_add(&cell, incident, NULL);
                table_take_text(&table, &cell);
        }
        table_write(&table, text, 0);
        table_deinit(&table);
}

static void top_add_status(Text *text, const TopView *view) {
        json_object *problems = value_get_array(view->status, "problems");
        json_object *problem = value_get_item(problems, 0);

        text_add(text, "tocsin  ");
        text_add_time(text, view->now_us);
        if (!view->status) {
                text_add(text, "\ntocsind does not answer; trying again\n\n");
                return;
        }
        text_printf(text,
                    "  %" PRIu64 " machines, %" PRIu64 " attached, %" PRIu64 " open\n",
                    value_get_uint(view->status, "machines"),
                    value_get_uint(view->status, "attached"),
                    value_get_uint(view->status, "incidents"));
        text_printf(text, "%s\n\n", problem ? json_object_get_string(problem) : "");
}

/* At most `columns` characters of each line. */
static void top_add_cut(Text *text, const char *s, unsigned columns) {
        unsigned column = 0;
        Buffer *out = &text->buffer;

        for (; *s; s++) {
                bool starts = ((unsigned char) *s & 0xc0) != 0x80;

                if (*s == '\n')
                        column = 0;
                else if (starts && columns > 0 && ++column > columns)
                        continue;
                else if (!starts && columns > 0 && column > columns)
                        continue;
                if (text->error == 0)
                        text->error = buffer_append_char(out, *s);
        }
}

void top_add_view(Text *text, const TopView *view) {
        size_t n = value_get_length(view->incidents), machines = SIZE_MAX;
        /* three lines above, a header, a line for more, one between, one the cursor needs */
        unsigned others = 7;
        Text whole = TEXT_NULL;
        _cleanup_free_ char *s = NULL;

        if (n > TOP_INCIDENTS)
                n = TOP_INCIDENTS;
        if (view->rows > 0) {
                machines = view->rows > others + n ? view->rows - others - n : 0;
                if (machines < TOP_MACHINES_MIN) {
                        machines = TOP_MACHINES_MIN;
                        n = view->rows > others + machines ? view->rows - others - machines : 0;
                }
        }
        top_add_status(&whole, view);
        top_add_machines(&whole, view->machines, machines);
        text_add(&whole, "\n");
        top_add_incidents(&whole, view->incidents, n);
        s = text_take(&whole);
        if (s)
                top_add_cut(text, s, view->columns);
}
