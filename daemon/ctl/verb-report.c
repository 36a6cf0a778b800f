/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a VMM does, by hand: register a machine, report, hear the decision, say that it was carried
 * out. The machine lives as long as this command.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "daemon/ctl/spec.h"
#include "daemon/ctl/value.h"
#include "daemon/ctl/verbs.h"

#define REPORT_UUID_FILE "/proc/sys/kernel/random/uuid"
#define REPORT_UUID_SIZE 37
/* The least that one can wait for a decision that comes later. */
#define REPORT_SLACK_US (5 * UINT64_C(1000000))

typedef struct VerbReport {
        const char *machine, *panic, *memory_failure, *action, *message;
        bool watchdog, crashloaded, notify_vmexit, wait;
        char client[REPORT_UUID_SIZE];
        uint64_t number;
} VerbReport;

static int verb_report_make_client(VerbReport *what) {
        FILE *file = fopen(REPORT_UUID_FILE, "re");
        int r;

        if (!file)
                return -errno;
        r = fgets(what->client, sizeof(what->client), file) ? 0 : -EIO;
        (void) fclose(file);
        return r;
}

/* vmm.sock lies beside control.sock. */
static char *verb_report_find_socket(const Ctl *ctl) {
        const char *slash = strrchr(ctl->socket, '/');
        char *path;
        int n = slash ? (int) (slash - ctl->socket) + 1 : 0;

        return asprintf(&path, "%.*svmm.sock", n, ctl->socket) < 0 ? NULL : path;
}

/* Arguments with a report in them; NULL: no memory. */
static json_object *verb_report_new_arguments(VerbReport *what, const char *action) {
        json_object *arguments = json_object_new_object(), *report = json_object_new_object();

        if (ctl_add_string(report, "machine", what->machine) == 0 &&
            ctl_add_string(report, "client", what->client) == 0 &&
            ctl_add_uint(report, "number", ++what->number) == 0 &&
            ctl_add_string(report, "action", action) == 0 && arguments &&
            json_object_object_add(arguments, "report", report) == 0)
                return arguments;
        json_object_put(arguments);
        json_object_put(report);
        return NULL;
}

static int verb_report_register(Ctl *ctl, const VerbReport *what) {
        json_object *arguments = json_object_new_object(), *ret = NULL;
        int r;

        if (ctl_add_string(arguments, "machine", what->machine) < 0 ||
            ctl_add_string(arguments, "client", what->client) < 0 ||
            ctl_add_string(arguments, "version", "tocsinctl report") < 0) {
                json_object_put(arguments);
                return ctl_fail_memory();
        }
        r = ctl_call(ctl, "register-machine", arguments, &ret);
        json_object_put(ret);
        return r;
}

/* The command of the report, with its own arguments added. 0, -EINVAL or -ENOMEM. */
static int verb_report_describe(const VerbReport *what, json_object *arguments, const char **ret) {
        json_object *info = NULL;
        int r = 0;

        if (what->panic) {
                *ret = "report-panic";
                r = spec_parse_panic(what->panic, &info);
                if (r == 0 && info && json_object_object_add(arguments, "info", info) < 0)
                        r = -ENOMEM;
                if (r == 0)
                        r = ctl_add_string(arguments, "message", what->message);
        } else if (what->memory_failure) {
                *ret = "report-memory-failure";
                r = ctl_add_string(arguments, "recipient", what->memory_failure);
        } else if (what->watchdog) {
                *ret = "report-watchdog";
        } else if (what->crashloaded) {
                *ret = "report-crashloaded";
        } else {
                *ret = "report-notify-vmexit";
        }
        return r;
}

static int verb_report_ask(Ctl *ctl, VerbReport *what, json_object **ret) {
        json_object *arguments = verb_report_new_arguments(what, what->action);
        const char *command = NULL;
        int r = arguments ? verb_report_describe(what, arguments, &command) : -ENOMEM;

        if (r == 0)
                return ctl_call(ctl, command, arguments, ret);
        json_object_put(arguments);
        if (r == -EINVAL)
                return ctl_fail_usage(ctl, "%s can't be read as panic information", what->panic);
        return ctl_fail_memory();
}

static int verb_report_done(Ctl *ctl, VerbReport *what, uint64_t incident, const char *action) {
        json_object *arguments = verb_report_new_arguments(what, NULL), *ret = NULL;
        int r;

        if (ctl_add_uint(arguments, "incident", incident) < 0 ||
            ctl_add_string(arguments, "action", action) < 0) {
                json_object_put(arguments);
                return ctl_fail_memory();
        }
        r = ctl_call(ctl, "report-done", arguments, &ret);
        json_object_put(ret);
        return r;
}

static int verb_report_print(const Ctl *ctl, json_object *decision) {
        json_object *due = value_get_object(decision, "due");
        Text text = TEXT_NULL;

        if (ctl->json)
                return ctl_print_json(decision);
        text_printf(&text,
                    "incident %" PRIu64 ": %s (%s)%s\n",
                    value_get_uint(decision, "incident"),
                    value_get_word(decision, "action"),
                    value_get_word(decision, "reason"),
                    due ? ", and more when its time has come" : "");
        return ctl_print(&text);
}

/* The decision that comes as ACT. */
static int verb_report_wait(Ctl *ctl, VerbReport *what) {
        json_object *event = NULL, *data;
        int r;

        for (;;) {
                r = connection_wait_event(ctl->connection, UINT64_MAX, -1, &event);
                if (r < 0)
                        return ctl_fail_connection(ctl, ctl->connection);
                if (strcmp(value_get_word(event, "event"), "ACT") == 0)
                        break;
                json_object_put(event);
        }
        data = value_get_object(event, "data");
        r = verb_report_print(ctl, data);
        if (r == CTL_EXIT_OK)
                r = verb_report_done(ctl,
                                     what,
                                     value_get_uint(data, "incident"),
                                     value_get_word(data, "action"));
        json_object_put(event);
        return r;
}

static int verb_report_play(Ctl *ctl, VerbReport *what) {
        json_object *decision = NULL;
        uint64_t incident;
        bool more;
        int r;

        r = verb_report_register(ctl, what);
        if (r == CTL_EXIT_OK)
                r = verb_report_ask(ctl, what, &decision);
        if (r != CTL_EXIT_OK)
                return r;
        incident = value_get_uint(decision, "incident");
        more = value_get_object(decision, "due");
        r = verb_report_print(ctl, decision);
        if (r == CTL_EXIT_OK && more && what->wait)
                r = verb_report_wait(ctl, what);
        else if (r == CTL_EXIT_OK && !more && incident > 0)
                r = verb_report_done(ctl, what, incident, value_get_word(decision, "action"));
        json_object_put(decision);
        return r;
}

int verb_report(Ctl *ctl, int argc, char **argv) {
        VerbReport what = {};
        const Option options[] = { { "panic", 0, &what.panic, NULL },
                                   { "message", 0, &what.message, NULL },
                                   { "memory-failure", 0, &what.memory_failure, NULL },
                                   { "action", 0, &what.action, NULL },
                                   { "watchdog", 0, NULL, &what.watchdog },
                                   { "crashloaded", 0, NULL, &what.crashloaded },
                                   { "notify-vmexit", 0, NULL, &what.notify_vmexit },
                                   { "wait", 0, NULL, &what.wait },
                                   {} };
        int r = ctl_parse_options(ctl, options, &argc, argv, 1, 1);
        char *socket;

        if (r != CTL_EXIT_OK)
                return r;
        if (!!what.panic + !!what.memory_failure + what.watchdog + what.crashloaded +
                    what.notify_vmexit !=
            1)
                return ctl_fail_usage(ctl,
                                      "what happened: one of --panic, --memory-failure, --watchdog, "
                                      "--crashloaded and --notify-vmexit");
        if (what.message && !what.panic)
                return ctl_fail_usage(ctl, "--message goes with --panic");
        what.machine = argv[0];
        socket = verb_report_find_socket(ctl);
        if (!socket || verb_report_make_client(&what) < 0) {
                free(socket);
                return ctl_fail_memory();
        }
        ctl->socket = socket;
        r = verb_report_play(ctl, &what);
        /* nothing of the connection remembers the name */
        ctl->socket = NULL;
        free(socket);
        return r;
}
