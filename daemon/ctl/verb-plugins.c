/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "daemon/ctl/table.h"
#include "daemon/ctl/value.h"
#include "daemon/ctl/verbs.h"

static void verb_add_list(Table *table, json_object *array) {
        Text text = TEXT_NULL;

        for (size_t i = 0; i < value_get_length(array); i++)
                text_printf(&text,
                            "%s%s",
                            i > 0 ? ", " : "",
                            json_object_get_string(value_get_item(array, i)));
        if (value_get_length(array) == 0)
                text_add(&text, "-");
        table_take_text(table, &text);
}

static void verb_add_time_taken(Table *table, json_object *plugin, const char *key) {
        Text text = TEXT_NULL;

        if (json_object_object_get_ex(plugin, key, NULL))
                text_add_span(&text, value_get_uint(plugin, key));
        else
                text_add(&text, "-");
        table_take_text(table, &text);
}

static void verb_add_plugins(Text *text, json_object *plugins) {
        static const char *const heads[] = { "NAME",    "STATE",  "ABOUT", "ASKED",
                                             "DECIDED", "FAILED", "P50",   "P99" };
        Table table = TABLE_INIT(ELEMENTSOF(heads));

        for (size_t i = 0; i < ELEMENTSOF(heads); i++)
                table_add(&table, heads[i]);
        for (size_t i = 0; i < value_get_length(plugins); i++) {
                json_object *plugin = value_get_item(plugins, i);
                const char *error = value_get_string(plugin, "last-error");

                table_add(&table, value_get_word(plugin, "name"));
                table_add(&table, value_get_word(plugin, "state"));
                verb_add_list(&table, value_get_array(plugin, "abilities"));
                table_printf(&table, "%llu", (unsigned long long) value_get_uint(plugin, "asked"));
                table_printf(&table, "%llu", (unsigned long long) value_get_uint(plugin, "decided"));
                table_printf(&table, "%llu", (unsigned long long) value_get_uint(plugin, "failures"));
                verb_add_time_taken(&table, plugin, "p50");
                verb_add_time_taken(&table, plugin, "p99");
                if (error)
                        table_note(&table, "last failure: %s", error);
        }
        table_write(&table, text, 0);
        table_deinit(&table);
}

static void verb_add_options(Text *text, json_object *plugin) {
        json_object *set = value_get_object(plugin, "options"),
                    *known = value_get_array(value_get_object(plugin, "description"), "options");

        for (size_t i = 0; i < value_get_length(known); i++) {
                json_object *option = value_get_item(known, i);
                const char *name = value_get_word(option, "name"),
                           *value = value_get_string(set, name);

                text_printf(text,
                            "  %s = %s%s\n      %s\n",
                            name,
                            value ?: value_get_word(option, "default"),
                            value ? "" : " (default)",
                            value_get_word(option, "doc"));
        }
        if (known || !set)
                return;
        json_object_object_foreach(set, name, value) {
                text_printf(text, "  %s = %s\n", name, json_object_get_string(value));
        }
}

static void verb_add_plugin(Text *text, json_object *plugin) {
        json_object *description = value_get_object(plugin, "description");
        const char *error = value_get_string(plugin, "last-error");

        text_printf(text,
                    "%s: %s, %s",
                    value_get_word(plugin, "name"),
                    value_get_word(plugin, "state"),
                    value_get_word(plugin, "file"));
        if (value_get_string(plugin, "version"))
                text_printf(text, ", version %s", value_get_string(plugin, "version"));
        text_printf(text, "\n  configured at %s\n", value_get_word(plugin, "origin"));
        if (description)
                text_printf(text, "  %s\n", value_get_word(description, "doc"));
        if (error)
                text_printf(text, "  last failure: %s\n", error);
        verb_add_options(text, plugin);
}

static json_object *verb_find_plugin(json_object *plugins, const char *name) {
        for (size_t i = 0; i < value_get_length(plugins); i++)
                if (strcmp(value_get_word(value_get_item(plugins, i), "name"), name) == 0)
                        return value_get_item(plugins, i);
        return NULL;
}

int verb_plugins(Ctl *ctl, int argc, char **argv) {
        const Option options[] = { {} };
        json_object *plugins = NULL, *one = NULL;
        Text text = TEXT_NULL;
        int r = ctl_parse_options(ctl, options, &argc, argv, 0, 1);

        if (r == CTL_EXIT_OK)
                r = ctl_call(ctl, "query-plugins", NULL, &plugins);
        if (r != CTL_EXIT_OK)
                return r;
        if (argc > 0)
                one = verb_find_plugin(plugins, argv[0]);
        if (argc > 0 && !one) {
                (void) fprintf(stderr, "tocsinctl: no plugin is called %s\n", argv[0]);
                r = CTL_EXIT_NOT_FOUND;
        } else if (ctl->json) {
                r = ctl_print_json(one ?: plugins);
        } else {
                if (one)
                        verb_add_plugin(&text, one);
                else if (value_get_length(plugins) > 0)
                        verb_add_plugins(&text, plugins);
                else
                        text_add(&text, "no plugin is configured\n");
                r = ctl_print(&text);
        }
        json_object_put(plugins);
        return r;
}

static int verb_restart_plugin(Ctl *ctl, const char *name) {
        json_object *arguments = json_object_new_object();

        if (ctl_add_string(arguments, "plugin", name) < 0) {
                json_object_put(arguments);
                return ctl_fail_memory();
        }
        return ctl_command(ctl, "restart-plugin", arguments);
}

int verb_plugin(Ctl *ctl, int argc, char **argv) {
        bool c = false, python = false, sh = false;
        const Option options[] = {
                { "c", 0, NULL, &c }, { "python", 0, NULL, &python }, { "sh", 0, NULL, &sh }, {}
        };
        int r = ctl_parse_options(ctl, options, &argc, argv, 2, 2);

        if (r != CTL_EXIT_OK)
                return r;
        if (strcmp(argv[0], "restart") == 0 && !c && !python && !sh)
                return verb_restart_plugin(ctl, argv[1]);
        if (strcmp(argv[0], "new") != 0 || c + python + sh > 1)
                return ctl_fail_usage(ctl, "expected restart NAME, or new NAME and one language");
        return verb_new_plugin(ctl, argv[1], python ? "python" : sh ? "sh" : "c");
}
