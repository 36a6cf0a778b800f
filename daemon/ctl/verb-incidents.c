/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <time.h>

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

static int verb_show_incident(Ctl *ctl, const char *id) {
        json_object *incident = NULL;
        Text text = TEXT_NULL;
        int r = verb_query_incident(ctl, id, &incident);

        if (r != CTL_EXIT_OK)
                return r;
        if (ctl->json)
                r = ctl_print_json(incident);
        else {
                report_add_incident(&text, incident);
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

static int verb_add_since(json_object *arguments, const char *text) {
        uint64_t since;
        int r;

        if (!text)
                return 0;
        r = spec_parse_since(text, (uint64_t) time(NULL), &since);
        return r < 0 ? r : ctl_add_uint(arguments, "since", since);
}

static int verb_list_incidents(Ctl *ctl, int argc, char **argv) {
        const char *machine = NULL, *kind = NULL, *status = NULL, *since = NULL, *before = NULL,
                   *limit = NULL;
        const Option options[] = { { "machine", 0, &machine, NULL },
                                   { "kind", 0, &kind, NULL },
                                   { "status", 0, &status, NULL },
                                   { "since", 0, &since, NULL },
                                   { "before", 0, &before, NULL },
                                   { "limit", 0, &limit, NULL },
                                   {} };
        json_object *arguments, *incidents = NULL;
        Text text = TEXT_NULL;
        int r = ctl_parse_options(ctl, options, &argc, argv, 0, 1);

        if (r != CTL_EXIT_OK)
                return r;
        arguments = json_object_new_object();
        r = ctl_add_string(arguments, "machine", machine);
        if (r == 0)
                r = ctl_add_string(arguments, "kind", kind);
        if (r == 0)
                r = ctl_add_string(arguments, "status", status);
        if (r == 0)
                r = verb_add_since(arguments, since);
        if (r == 0)
                r = verb_add_number(arguments, "before", before);
        if (r == 0)
                r = verb_add_number(arguments, "limit", limit);
        if (r < 0) {
                json_object_put(arguments);
                return r == -EINVAL ? ctl_fail_usage(ctl,
                                                     "--since takes a span or a date, --before "
                                                     "and --limit a number")
                                    : ctl_fail_memory();
        }

        r = ctl_call(ctl, "query-incidents", arguments, &incidents);
        if (r != CTL_EXIT_OK)
                return r;
        if (ctl->json)
                r = ctl_print_json(incidents);
        else {
                if (value_get_length(incidents) > 0)
                        report_add_incidents(&text, incidents);
                else
                        text_add(&text, "no incidents\n");
                r = ctl_print(&text);
        }
        json_object_put(incidents);
        return r;
}

int verb_incidents(Ctl *ctl, int argc, char **argv) {
        if (argc == 0 || argv[0][0] == '-' || strcmp(argv[0], "list") == 0)
                return verb_list_incidents(ctl, argc, argv);
        if (strcmp(argv[0], "show") == 0)
                return verb_each_incident(ctl, argc, argv, verb_show_incident);
        if (strcmp(argv[0], "ack") == 0)
                return verb_each_incident(ctl, argc, argv, verb_acknowledge_incident);
        return ctl_fail_usage(ctl, "%s is none of list, show and ack", argv[0]);
}
