/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "daemon/ctl/headline.h"
#include "daemon/ctl/report.h"
#include "daemon/ctl/spec.h"
#include "daemon/ctl/value.h"
#include "daemon/ctl/verbs.h"

/* What was typed about the made-up incident. */
typedef struct VerbExplain {
        const char *machine, *panic, *s390, *memory_failure, *kind, *state;
        bool watchdog, action_required, recursive;
} VerbExplain;

static int verb_add_object(json_object *arguments, const char *key, json_object *value) {
        if (!value || json_object_object_add(arguments, key, value) == 0)
                return 0;
        json_object_put(value);
        return -ENOMEM;
}

static int verb_add_flags(json_object *arguments, const VerbExplain *what) {
        json_object *flags = json_object_new_object();

        if (!flags)
                return -ENOMEM;
        (void) json_object_object_add(flags,
                                      "action-required",
                                      json_object_new_boolean(what->action_required));
        (void) json_object_object_add(flags, "recursive", json_object_new_boolean(what->recursive));
        return verb_add_object(arguments, "flags", flags);
}

/* Arguments of the command explain; 0, -EINVAL or -ENOMEM. */
static int verb_new_explain(const VerbExplain *what, json_object **ret) {
        json_object *arguments = json_object_new_object(), *info = NULL;
        const char *kind = what->kind;
        int r = 0;

        if (what->panic || what->s390) {
                kind = kind ? kind : "panic";
                r = what->panic ? spec_parse_panic(what->panic, &info)
                                : spec_parse_s390(what->s390, &info);
        } else if (what->memory_failure)
                kind = kind ? kind : "memory-failure";
        else if (what->watchdog)
                kind = "watchdog";

        if (r == 0)
                r = verb_add_object(arguments, "info", info);
        if (r == 0)
                r = ctl_add_string(arguments, "machine", what->machine);
        if (r == 0)
                r = ctl_add_string(arguments, "kind", kind);
        if (r == 0)
                r = ctl_add_string(arguments, "recipient", what->memory_failure);
        if (r == 0 && what->memory_failure)
                r = verb_add_flags(arguments, what);
        if (r == 0)
                r = ctl_add_string(arguments, "state", what->state);
        if (r < 0) {
                json_object_put(arguments);
                return r;
        }
        *ret = arguments;
        return 0;
}

static int verb_explain_made_up(Ctl *ctl, const VerbExplain *what) {
        int n_kinds = !!what->panic + !!what->s390 + !!what->memory_failure + what->watchdog;
        json_object *arguments = NULL, *decision = NULL;
        Text text = TEXT_NULL;
        int r;

        if (n_kinds > 1 || (n_kinds == 0 && !what->kind))
                return ctl_fail_usage(ctl,
                                      "what would have happened: one of --panic, --s390, "
                                      "--memory-failure, --watchdog and --kind");
        r = verb_new_explain(what, &arguments);
        if (r == -EINVAL)
                return ctl_fail_usage(ctl,
                                      "%s can't be read as panic information",
                                      what->panic ? what->panic : what->s390);
        if (r < 0)
                return ctl_fail_memory();
        r = ctl_call(ctl, "explain", arguments, &decision);
        if (r != CTL_EXIT_OK)
                return r;
        if (ctl->json)
                r = ctl_print_json(decision);
        else {
                text_printf(&text, "%s, if it happened now\n", what->machine);
                report_add_decision(&text, decision, false);
                r = ctl_print(&text);
        }
        json_object_put(decision);
        return r;
}

static int verb_explain_incident(Ctl *ctl, const char *id) {
        json_object *incident = NULL, *decision;
        Text text = TEXT_NULL;
        int r = verb_query_incident(ctl, id, &incident);

        if (r != CTL_EXIT_OK)
                return r;
        decision = value_get_object(incident, "decision");
        if (ctl->json)
                r = ctl_print_json(decision);
        else {
                text_printf(&text, "incident %s of %s: ", id, value_get_word(incident, "machine"));
                headline_add(&text, incident, NULL);
                text_add(&text, "\n");
                if (decision)
                        report_add_decision(&text,
                                            decision,
                                            strcmp(value_get_word(incident, "status"), "held") == 0);
                else
                        text_add(&text, "  nothing has been decided yet\n");
                r = ctl_print(&text);
        }
        json_object_put(incident);
        return r;
}

int verb_explain(Ctl *ctl, int argc, char **argv) {
        VerbExplain what = {};
        const Option options[] = { { "machine", 0, &what.machine, NULL },
                                   { "panic", 0, &what.panic, NULL },
                                   { "s390", 0, &what.s390, NULL },
                                   { "memory-failure", 0, &what.memory_failure, NULL },
                                   { "kind", 0, &what.kind, NULL },
                                   { "state", 0, &what.state, NULL },
                                   { "watchdog", 0, NULL, &what.watchdog },
                                   { "action-required", 0, NULL, &what.action_required },
                                   { "recursive", 0, NULL, &what.recursive },
                                   {} };
        int r = ctl_parse_options(ctl, options, &argc, argv, 0, 1);

        if (r != CTL_EXIT_OK)
                return r;
        if (argc == 1 && !what.machine)
                return verb_explain_incident(ctl, argv[0]);
        if (argc == 0 && what.machine)
                return verb_explain_made_up(ctl, &what);
        return ctl_fail_usage(ctl,
                              "either the number of an incident, or --machine and what happened");
}
