/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ctl/event.h"

#include <inttypes.h>
#include <string.h>

#include "daemon/ctl/headline.h"
#include "daemon/ctl/value.h"

uint64_t event_get_time(json_object *event) {
        return value_get_time(event, "timestamp");
}

/* The members that are true, as words: flags. */
static void event_add_flags(Text *text, json_object *flags) {
        json_object_object_foreach(flags, key, value) {
                if (json_object_is_type(value, json_type_boolean) && json_object_get_boolean(value))
                        text_printf(text, " %s", key);
        }
}

/* Every member but those that control.sock adds, in the order they came. */
static void event_add_data(Text *text, json_object *data) {
        static const char *const added[] = { "machine", "seq", "synthetic" };
        const char *gap = "  ";

        if (!data)
                return;
        json_object_object_foreach(data, key, value) {
                bool skip = false;

                for (size_t i = 0; i < ELEMENTSOF(added); i++)
                        skip = skip || strcmp(key, added[i]) == 0;
                if (skip)
                        continue;
                text_add(text, gap);
                gap = ", ";
                if (strcmp(key, "info") == 0)
                        headline_add_info(text, value);
                else if (strcmp(key, "flags") == 0) {
                        text_add(text, "flags:");
                        event_add_flags(text, value);
                } else if (json_object_is_type(value, json_type_string))
                        text_printf(text, "%s %s", key, json_object_get_string(value));
                else
                        text_printf(text, "%s %s", key, json_object_to_json_string(value));
        }
}

static void event_add_incident(Text *text, json_object *data) {
        const char *outcome = value_get_string(data, "outcome"),
                   *action = value_get_string(data, "action");

        text_printf(text,
                    "  incident %" PRIu64 " %s",
                    value_get_uint(data, "id"),
                    value_get_word(data, "kind"));
        text_printf(text, " %s", outcome ? outcome : value_get_word(data, "status"));
        if (action)
                text_printf(text, ", action %s", action);
        text_printf(text, ": %s", value_get_word(data, "text"));
}

void event_add_line(Text *text, json_object *event) {
        json_object *data = value_get_object(event, "data");
        const char *name = value_get_word(event, "event");
        _cleanup_free_ char *words = NULL;
        Text rest = TEXT_NULL;

        if (strcmp(name, "INCIDENT") == 0)
                event_add_incident(&rest, data);
        else if (strcmp(name, "MACHINE") == 0)
                text_printf(&rest, "  %s", value_get_word(data, "text"));
        else
                event_add_data(&rest, data);
        if (value_get_bool(data, "synthetic"))
                text_add(&rest, "  (told by tocsin: the VMM sent none)");
        words = text_take(&rest);

        text_add_clock(text, event_get_time(event));
        text_printf(text, "  %-16s  ", value_get_word(data, "machine"));
        if (words && *words)
                text_printf(text, "%-14s%s\n", name, words);
        else
                text_printf(text, "%s\n", name);
}
