/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Events as they happen, over restarts of tocsind, without a gap or a repeat.
 *
 * A connection gets live events from its negotiation on, and after replay-events all that came after
 * a number and then the live ones: whatever came before the reply comes again. So what was kept
 * before the reply is dropped, and an event whose number was already printed is not printed again.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "daemon/ctl/event.h"
#include "daemon/ctl/value.h"
#include "daemon/ctl/verbs.h"
#include "policy/escape.h"
#include "policy/qapi/json.h"
#include "policy/util/glob.h"
#include "policy/util/moment.h"
#include "policy/util/size.h"

/* Between two attempts to reach a tocsind that has gone; each pause doubles the last one. */
#define MONITOR_PAUSE_MIN_US (50 * USEC_PER_MSEC)
#define MONITOR_PAUSE_MAX_US (2 * USEC_PER_SEC)

typedef struct Monitor {
        Ctl *ctl;
        const char *machine; /* glob, or NULL */
        const char *events;  /* names with commas between, or NULL */
        char *log;           /* the log `last` belongs to; NULL: not known */
        uint64_t last;       /* newest number printed or passed over */
        bool has_last;       /* else the first connection begins with the newest event */
        uint64_t day;        /* of the last line, in days since the Epoch */
} Monitor;

static void monitor_deinit(Monitor *monitor) {
        free(monitor->log);
}

static bool monitor_names_event(const Monitor *monitor, const char *name) {
        size_t n = strlen(name);

        for (const char *p = monitor->events; p && *p;) {
                size_t length = strcspn(p, ",");

                if (length == n && memcmp(p, name, n) == 0)
                        return true;
                p += length + (p[length] == ',');
        }
        return !monitor->events;
}

/* A day begins with its date. */
static void monitor_add_line(Monitor *monitor, Text *text, json_object *event) {
        uint64_t time = event_get_time(event), day = time / (24 * 3600 * USEC_PER_SEC);

        if (day != monitor->day) {
                text_add_day(text, time);
                text_add(text, " UTC\n");
                monitor->day = day;
        }
        event_add_line(text, event);
}

/* An exit status. */
static int monitor_print_event(Monitor *monitor, json_object *event) {
        json_object *data = value_get_object(event, "data"), *escaped = NULL;
        const char *machine = value_get_string(data, "machine"); /* EVENTS_LOST is of none */
        uint64_t seq = value_get_uint(data, "seq");
        Text text = TEXT_NULL;

        if (seq > 0 && seq <= monitor->last)
                return CTL_EXIT_OK;
        if (seq > 0)
                monitor->last = seq;
        if (!monitor_names_event(monitor, value_get_word(event, "event")) ||
            (monitor->machine && machine && !glob_match(monitor->machine, machine)))
                return CTL_EXIT_OK;

        if (monitor->ctl->json) {
                text.error = json_write(&text.buffer, event, JSON_STYLE_QMP);
                text_add(&text, "\n");
        } else {
                text.error = escape_json(event, &escaped);
                if (text.error == 0)
                        monitor_add_line(monitor, &text, escaped);
                json_object_put(escaped);
        }
        return ctl_print(&text);
}

/* Asks for what came after `last`; where that can't be had, what happens now must do. */
static int monitor_replay(Monitor *monitor) {
        Connection *connection = monitor->ctl->connection;
        json_object *arguments = json_object_new_object();
        QapiError error = QAPI_ERROR_NULL;
        int r;

        r = ctl_add_uint(arguments, "after", monitor->last);
        if (r == 0)
                r = ctl_add_string(arguments, "log", monitor->log);
        if (r < 0) {
                json_object_put(arguments);
                return r;
        }
        r = connection_call(connection, "replay-events", arguments, NULL, &error);
        if (r == 0)
                connection_drop_events(connection);
        if (r == CONNECTION_E_REFUSED)
                (void) ctl_fail_refused("replay-events", &error);
        qapi_error_deinit(&error);
        return r;
}

/* Learns which log it is, and goes on in it where we were. Negative when the connection is lost. */
static int monitor_start(Monitor *monitor) {
        QapiError error = QAPI_ERROR_NULL;
        json_object *info = NULL;
        const char *log;
        int r;

        r = connection_call(monitor->ctl->connection, "query-event-log", NULL, &info, &error);
        if (r == CONNECTION_E_REFUSED)
                (void) ctl_fail_refused("query-event-log", &error);
        qapi_error_deinit(&error);
        if (r != 0)
                return r;

        log = value_get_word(info, "log");
        if (monitor->log && strcmp(monitor->log, log) != 0) {
                (void) fputs("tocsinctl: tocsind has begun a new event log; what was not yet seen of "
                             "the old one is lost\n",
                             stderr);
                monitor->last = 0;
        }
        if (!monitor->has_last)
                monitor->last = value_get_uint(info, "last");
        monitor->has_last = true;
        free(monitor->log);
        monitor->log = strdup(log);
        json_object_put(info);
        return monitor->log ? monitor_replay(monitor) : -ENOMEM;
}

/* We were too slow, and tocsind did not wait for us: the events are still in its log. */
static bool monitor_has_overrun(json_object *event) {
        return strcmp(value_get_word(event, "event"), "EVENTS_LOST") == 0 &&
               strcmp(value_get_word(value_get_object(event, "data"), "reason"), "slow-client") == 0;
}

/* Prints until the connection is lost (0) or something else goes wrong (an exit status). */
static int monitor_run(Monitor *monitor) {
        for (;;) {
                json_object *event = NULL;
                int r;

                if (connection_wait_event(monitor->ctl->connection, USEC_INFINITY, -1, &event) < 0)
                        return CTL_EXIT_OK;
                if (!event)
                        continue;
                if (monitor_has_overrun(event) && monitor_replay(monitor) == 0)
                        r = CTL_EXIT_OK;
                else
                        r = monitor_print_event(monitor, event);
                json_object_put(event);
                if (r != CTL_EXIT_OK)
                        return r;
        }
}

/* Tries until tocsind answers again. */
static void monitor_reconnect(Monitor *monitor) {
        uint64_t pause_us = MONITOR_PAUSE_MIN_US;
        Ctl *ctl = monitor->ctl;

        (void) fputs("tocsinctl: tocsind has gone; waiting for it\n", stderr);
        for (;;) {
                struct timespec ts = { .tv_sec = (time_t) (pause_us / USEC_PER_SEC),
                                       .tv_nsec = (long) (pause_us % USEC_PER_SEC * 1000) };

                ctl->connection = connection_close(ctl->connection);
                (void) nanosleep(&ts, NULL);
                if (connection_open(&ctl->connection, ctl->socket) == 0 && monitor_start(monitor) >= 0)
                        return;
                pause_us = 2 * pause_us < MONITOR_PAUSE_MAX_US ? 2 * pause_us : MONITOR_PAUSE_MAX_US;
        }
}

int verb_monitor(Ctl *ctl, int argc, char **argv) {
        Monitor monitor = { .ctl = ctl };
        const char *after = NULL;
        const Option options[] = { { "machine", 0, &monitor.machine, NULL },
                                   { "event", 0, &monitor.events, NULL },
                                   { "after", 0, &after, NULL },
                                   {} };
        int r = ctl_parse_options(ctl, options, &argc, argv, 0, 0);

        if (r != CTL_EXIT_OK)
                return r;
        monitor.has_last = after;
        if (after && size_parse_number(after, &monitor.last) != 0)
                return ctl_fail_usage(ctl, "--after takes the number of an event");
        if (connection_open(&ctl->connection, ctl->socket) < 0 || monitor_start(&monitor) < 0)
                return ctl_fail_connection(ctl, ctl->connection);

        for (;;) {
                r = monitor_run(&monitor);
                if (r != CTL_EXIT_OK)
                        break;
                monitor_reconnect(&monitor);
        }
        monitor_deinit(&monitor);
        return r;
}
