/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <time.h>

#include "daemon/ctl/input.h"
#include "daemon/ctl/report.h"
#include "daemon/ctl/spec.h"
#include "daemon/ctl/value.h"
#include "daemon/ctl/verbs.h"
#include "policy/util/size.h"

/* {"id": N} of what was typed; an exit status. */
static int verb_new_id(const Ctl *ctl, const char *text, json_object **ret) {
        json_object *arguments;
        uint64_t id;

        if (size_parse_number(text, &id) != 0)
                return ctl_fail_usage(ctl, "%s is no number of an incident", text);
        arguments = json_object_new_object();
        if (ctl_add_uint(arguments, "id", id) < 0) {
                json_object_put(arguments);
                return ctl_fail_memory();
        }
        *ret = arguments;
        return CTL_EXIT_OK;
}

int verb_query_incident(Ctl *ctl, const char *id, json_object **ret) {
        json_object *arguments = NULL;
        int r = verb_new_id(ctl, id, &arguments);

        return r == CTL_EXIT_OK ? ctl_call(ctl, "query-incident", arguments, ret) : r;
}

int verb_query_incident_raw(Ctl *ctl, const char *id, json_object **ret) {
        json_object *arguments = NULL;
        int r = verb_new_id(ctl, id, &arguments);

        return r == CTL_EXIT_OK ? ctl_call_raw(ctl, "query-incident", arguments, ret) : r;
}

/* How often the same has happened, as an array of one CrashGroup at most. A machine's name is no glob
 * here, since names have none of its characters. */
static int verb_query_same(Ctl *ctl, json_object *incident, const char *machine, json_object **ret) {
        const char *signature = value_get_string(incident, "signature");
        json_object *arguments;

        if (!signature)
                return CTL_EXIT_OK;
        arguments = json_object_new_object();
        if (ctl_add_string(arguments, "signature", signature) < 0 ||
            ctl_add_string(arguments, "machine", machine) < 0) {
                json_object_put(arguments);
                return ctl_fail_memory();
        }
        return ctl_call(ctl, "query-crashes", arguments, ret);
}

/* Without the map addresses stay numbers, which the reader should know is not all there is. */
static void verb_read_map(json_object *incident, Buffer *ret) {
        const char *path = value_get_string(incident, "system-map");
        int r = path ? input_read_file(path, INPUT_MAP_MAX, ret) : 0;

        if (r < 0)
                (void) fprintf(stderr, "tocsinctl: system-map %s: %s\n", path, input_say(r));
}

int verb_write_report(Ctl *ctl, json_object *incident, Text *text) {
        _cleanup_(buffer_deinit) Buffer map_text = BUFFER_NULL;
        json_object *here = NULL, *all = NULL;
        int r = verb_query_same(ctl, incident, value_get_string(incident, "machine"), &here);

        if (r == CTL_EXIT_OK)
                r = verb_query_same(ctl, incident, NULL, &all);
        if (r == CTL_EXIT_OK) {
                SystemMap map;
                ReportMore more = {
                        .here = value_get_item(here, 0),
                        .all = value_get_item(all, 0),
                };

                verb_read_map(incident, &map_text);
                if (buffer_length(&map_text) > 0) {
                        map = (SystemMap){ buffer_content(&map_text), buffer_length(&map_text) };
                        more.map = &map;
                }
                report_add_incident(text, incident, &more);
        }
        json_object_put(here);
        json_object_put(all);
        return r;
}

static int verb_show_incident(Ctl *ctl, const char *id) {
        json_object *incident = NULL;
        Text text = TEXT_NULL;
        int r = verb_query_incident(ctl, id, &incident);

        if (r != CTL_EXIT_OK)
                return r;
        if (ctl->json) {
                r = ctl_print_json(incident);
        } else if ((r = verb_write_report(ctl, incident, &text)) == CTL_EXIT_OK) {
                text_add(&text, "\n");
                r = ctl_print(&text);
        }
        json_object_put(incident);
        return r;
}

static int verb_acknowledge_incident(Ctl *ctl, const char *id) {
        json_object *arguments = NULL;
        int r = verb_new_id(ctl, id, &arguments);

        return r == CTL_EXIT_OK ? ctl_command(ctl, "acknowledge-incident", arguments) : r;
}

/* Each number in turn; the first that fails ends it. */
static int verb_each_incident(Ctl *ctl, int argc, char **argv, int (*func)(Ctl *ctl, const char *id)) {
        const Option options[] = { {} };
        int r = ctl_parse_options(ctl, options, &argc, argv, 2, INT_MAX);

        for (int i = 1; i < argc && r == CTL_EXIT_OK; i++)
                r = func(ctl, argv[i]);
        return r;
}

/* A number that was typed, if any was. */
static int verb_add_number(json_object *arguments, const char *key, const char *text) {
        uint64_t number;

        if (!text)
                return 0;
        if (size_parse_number(text, &number) != 0)
                return -EINVAL;
        return ctl_add_uint(arguments, key, number);
}

static int verb_add_time(json_object *arguments, const char *key, const char *text) {
        uint64_t seconds;
        int r;

        if (!text)
                return 0;
        r = spec_parse_since(text, (uint64_t) time(NULL), &seconds);
        return r < 0 ? r : ctl_add_uint(arguments, key, seconds);
}

/* What `list` was asked for; NULL: any. */
typedef struct VerbFilter {
        const char *machine, *kind, *status, *since, *until, *signature, *stop_code, *reason,
                *before, *limit;
        bool group;
} VerbFilter;

static int verb_add_filter(json_object *arguments, const VerbFilter *filter) {
        int r = ctl_add_string(arguments, "machine", filter->machine);

        if (r == 0)
                r = ctl_add_string(arguments, "kind", filter->kind);
        if (r == 0)
                r = verb_add_time(arguments, "since", filter->since);
        if (r == 0)
                r = verb_add_time(arguments, "until", filter->until);
        if (r == 0)
                r = ctl_add_string(arguments, "signature", filter->signature);
        if (r == 0)
                r = verb_add_number(arguments, "limit", filter->limit);
        if (r < 0 || filter->group)
                return r;
        r = ctl_add_string(arguments, "status", filter->status);
        if (r == 0)
                r = verb_add_number(arguments, "stop-code", filter->stop_code);
        if (r == 0)
                r = ctl_add_string(arguments, "reason", filter->reason);
        if (r == 0)
                r = verb_add_number(arguments, "before", filter->before);
        return r;
}

static int verb_query_list(Ctl *ctl, const VerbFilter *filter, json_object **ret) {
        json_object *arguments;
        int r;

        if (filter->group && (filter->status || filter->stop_code || filter->reason || filter->before))
                return ctl_fail_usage(ctl,
                                      "--group goes with --machine, --kind, --since, --until, "
                                      "--signature and --limit");
        arguments = json_object_new_object();
        r = verb_add_filter(arguments, filter);
        if (r == 0)
                return ctl_call(ctl,
                                filter->group ? "query-crashes" : "query-incidents",
                                arguments,
                                ret);
        json_object_put(arguments);
        return r == -EINVAL ? ctl_fail_usage(ctl,
                                             "--since and --until take a span or a date, "
                                             "--stop-code, --before and --limit a number")
                            : ctl_fail_memory();
}

static int verb_list_incidents(Ctl *ctl, int argc, char **argv) {
        VerbFilter filter = {};
        const Option options[] = { { "machine", 0, &filter.machine, NULL },
                                   { "kind", 0, &filter.kind, NULL },
                                   { "status", 0, &filter.status, NULL },
                                   { "since", 0, &filter.since, NULL },
                                   { "until", 0, &filter.until, NULL },
                                   { "signature", 0, &filter.signature, NULL },
                                   { "stop-code", 0, &filter.stop_code, NULL },
                                   { "reason", 0, &filter.reason, NULL },
                                   { "before", 0, &filter.before, NULL },
                                   { "limit", 0, &filter.limit, NULL },
                                   { "group", 0, NULL, &filter.group },
                                   {} };
        json_object *list = NULL;
        Text text = TEXT_NULL;
        int r = ctl_parse_options(ctl, options, &argc, argv, 0, 1);

        if (r == CTL_EXIT_OK)
                r = verb_query_list(ctl, &filter, &list);
        if (r != CTL_EXIT_OK)
                return r;
        if (ctl->json)
                r = ctl_print_json(list);
        else {
                if (value_get_length(list) == 0)
                        text_add(&text, "no incidents\n");
                else if (filter.group)
                        report_add_groups(&text, list);
                else
                        report_add_incidents(&text, list);
                r = ctl_print(&text);
        }
        json_object_put(list);
        return r;
}

int verb_incidents(Ctl *ctl, int argc, char **argv) {
        if (argc == 0 || argv[0][0] == '-' || strcmp(argv[0], "list") == 0)
                return verb_list_incidents(ctl, argc, argv);
        if (strcmp(argv[0], "show") == 0)
                return verb_each_incident(ctl, argc, argv, verb_show_incident);
        if (strcmp(argv[0], "ack") == 0)
                return verb_each_incident(ctl, argc, argv, verb_acknowledge_incident);
        if (strcmp(argv[0], "export") == 0)
                return verb_export_incident(ctl, argc, argv);
        return ctl_fail_usage(ctl, "%s is none of list, show, ack and export", argv[0]);
}
