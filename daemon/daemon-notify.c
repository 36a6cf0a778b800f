/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Telling [notify] programs of incidents. Nothing waits for them: what a program is to be told is written
 * down when it happens, and handed to tocsin-kernel when a place is free. What does not fit into the
 * queue is left out, counted and said; a machine has its own share of it, so that one that floods leaves
 * room for the others.
 *
 * The one difficulty is to hear of each moment once. The watch has a record kept at every step, and an
 * incident is closed once; but opened it is for all records from its decision on, so those that are open
 * and told of are remembered. What had been opened before tocsind began was told of by its predecessor, as
 * far as that came: a notification is never repeated.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/daemon.h"
#include "daemon/kernel/notify-request.h"
#include "daemon/kernel/protocol.h"
#include "daemon/report.h"
#include "policy/qapi/json.h"
#include "policy/util/glob.h"

/* Notifications that wait for a place; each is a record of some KiB. */
#define DAEMON_NOTIFY_WAITING_MAX 256
#define DAEMON_NOTIFY_WAITING_MACHINE_MAX 16
/* Programs of a tocsind before us may still have all places. */
#define DAEMON_NOTIFY_PAUSE_US (1 * USEC_PER_SEC)

typedef struct DaemonNotification {
        Daemon *daemon;
        List link;
        char *section, *machine;
        uint64_t incident, within_us;
        char *text;
} DaemonNotification;

struct DaemonNotify {
        List waiting, running;
        size_t n_waiting, n_running;
        uint64_t left_out; /* since the queue was last empty */
        sd_event_source *timer;
        uint64_t *opened; /* told of and not closed; ascending */
        size_t n_opened, opened_size;
};

static void daemon_notification_free(DaemonNotification *n) {
        list_remove(&n->link);
        free(n->section);
        free(n->machine);
        free(n->text);
        free(n);
}

/* The index of that incident, or where it belongs. */
static size_t daemon_notify_find_opened(const DaemonNotify *notify, uint64_t incident) {
        size_t first = 0, end = notify->n_opened;

        while (first < end) {
                size_t middle = first + (end - first) / 2;

                if (notify->opened[middle] < incident)
                        first = middle + 1;
                else
                        end = middle;
        }
        return first;
}

static bool daemon_notify_has_opened(const DaemonNotify *notify, uint64_t incident) {
        size_t at = daemon_notify_find_opened(notify, incident);

        return at < notify->n_opened && notify->opened[at] == incident;
}

static int daemon_notify_add_opened(DaemonNotify *notify, uint64_t incident) {
        size_t at = daemon_notify_find_opened(notify, incident);

        if (notify->n_opened == notify->opened_size) {
                size_t size = notify->opened_size == 0 ? 64 : notify->opened_size * 2;
                uint64_t *opened = reallocarray(notify->opened, size, sizeof(*opened));

                if (!opened)
                        return -ENOMEM;
                notify->opened = opened;
                notify->opened_size = size;
        }
        memmove(notify->opened + at + 1,
                notify->opened + at,
                (notify->n_opened - at) * sizeof(*notify->opened));
        notify->opened[at] = incident;
        notify->n_opened++;
        return 0;
}

static void daemon_notify_remove_opened(DaemonNotify *notify, uint64_t incident) {
        size_t at = daemon_notify_find_opened(notify, incident);

        if (at == notify->n_opened || notify->opened[at] != incident)
                return;
        notify->n_opened--;
        memmove(notify->opened + at,
                notify->opened + at + 1,
                (notify->n_opened - at) * sizeof(*notify->opened));
}

/* The moments this record is the first to tell of, 1 << NotifyMoment. */
static unsigned daemon_notify_get_moments(Daemon *daemon, const IncidentInfo *incident) {
        DaemonNotify *notify = daemon->notify;
        bool is_closed = incident->status == INCIDENT_STATUS_CLOSED;
        unsigned moments = is_closed ? 1U << NOTIFY_CLOSED : 0;

        if (incident->decision && timestamp_get_us(incident->opened) >= daemon->started_us &&
            !daemon_notify_has_opened(notify, incident->id)) {
                moments |= 1U << NOTIFY_OPENED;
                if (!is_closed && daemon_notify_add_opened(notify, incident->id) < 0)
                        moments &= ~(1U << NOTIFY_OPENED); /* rather not than at each step */
        }
        if (is_closed)
                daemon_notify_remove_opened(notify, incident->id);
        return moments;
}

static bool daemon_notify_wants(const NotifyConfig *config,
                                const IncidentInfo *incident,
                                unsigned moments) {
        return (config->on & moments) &&
               (config->kinds == 0 || (config->kinds & (1U << incident->kind))) &&
               (!config->machine || glob_match(config->machine, incident->machine));
}

/* The record, without what makes it too long for one request. */
static int daemon_notify_append_record(Buffer *text, const IncidentInfo *incident) {
        static const char *const spared[] = { NULL, "data", "info", "evidence", "steps" };
        _cleanup_(json_object_putp) json_object *json = NULL;
        size_t length = buffer_length(text);
        int r;

        r = incident_info_to_json(incident, &json);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(spared); i++) {
                _cleanup_(buffer_deinit) Buffer line = BUFFER_NULL;

                if (spared[i])
                        json_object_object_del(json, spared[i]);
                r = json_write(&line, json, JSON_STYLE_QMP);
                if (r < 0)
                        return r;
                if (length + buffer_length(&line) + 1 > KERNEL_TEXT_MAX)
                        continue;
                r = buffer_append(text, buffer_content(&line), buffer_length(&line));
                return r < 0 ? r : buffer_append_char(text, '\n');
        }
        return r < 0 ? r : -EMSGSIZE;
}

static int daemon_notification_new(DaemonNotification **ret,
                                   Daemon *daemon,
                                   const NotifyConfig *config,
                                   const IncidentInfo *incident) {
        _cleanup_(buffer_deinit) Buffer text = BUFFER_NULL;
        DaemonNotification *n;
        int r;

        r = notify_request_append_head(&text, config->name, incident);
        if (r >= 0)
                r = daemon_notify_append_record(&text, incident);
        if (r < 0)
                return r;
        n = calloc(1, sizeof(*n));
        if (!n)
                return -ENOMEM;
        list_init(&n->link);
        n->daemon = daemon;
        n->incident = incident->id;
        n->within_us = config->deadline_us;
        n->section = strdup(config->name);
        n->machine = strdup(incident->machine);
        n->text = buffer_take_string(&text);
        if (!n->section || !n->machine || !n->text) {
                daemon_notification_free(n);
                return -ENOMEM;
        }
        *ret = n;
        return 0;
}

static bool daemon_notify_has_room(const DaemonNotify *notify, const char *machine) {
        size_t n = 0;

        if (notify->n_waiting >= DAEMON_NOTIFY_WAITING_MAX)
                return false;
        list_foreach(i, &notify->waiting)
                if (strcmp(list_entry(i, DaemonNotification, link)->machine, machine) == 0)
                        n++;
        return n < DAEMON_NOTIFY_WAITING_MACHINE_MAX;
}

static void daemon_notify_leave_out(Daemon *daemon, const IncidentInfo *incident) {
        /* the first one is a problem, and how many there were is said at the end of it */
        if (daemon->notify->left_out++ > 0)
                return;
        report(LOG_WARNING,
               incident->machine,
               "incident %llu: nobody is notified",
               (unsigned long long) incident->id);
        daemon_problem("notify",
                       "notifications are left out: too many wait for their programs",
                       daemon);
}

static void daemon_notify_kick(Daemon *daemon);

static int daemon_notify_dispatch(sd_event_source *source, uint64_t usec, void *userdata) {
        Daemon *daemon = userdata;

        daemon->notify->timer = sd_event_source_disable_unref(daemon->notify->timer);
        daemon_notify_kick(daemon);
        return 0;
}

static void daemon_notify_pause(Daemon *daemon, uint64_t for_us) {
        if (!daemon->notify->timer)
                (void) sd_event_add_time_relative(daemon->event,
                                                  &daemon->notify->timer,
                                                  CLOCK_MONOTONIC,
                                                  for_us,
                                                  0,
                                                  daemon_notify_dispatch,
                                                  daemon);
}

/* "STATUS\nOUTPUT" of the helper into the record: what was printed is the text, unless that is all. */
static void daemon_notify_record(const DaemonNotification *n, int r, const char *text) {
        _cleanup_free_ char *what = NULL, *status = NULL;
        const char *output;
        DaemonNote note = {};

        if (!text)
                text = strerror(-r);
        status = strndup(text, strcspn(text, "\n"));
        if (!status || asprintf(&what, "notify %s", n->section) < 0) {
                what = NULL;
                return;
        }
        output = text + strlen(status);
        output += *output == '\n';
        note.what = what;
        note.text = *output ? output : r < 0 ? "it did not end well" : status;
        note.error = r < 0 ? status : NULL;
        daemon_note(n->daemon, n->machine, n->incident, &note);
}

static void daemon_notified(int r, int fd, const char *text, void *userdata) {
        DaemonNotification *n = userdata;
        Daemon *daemon = n->daemon;
        DaemonNotify *notify = daemon->notify;

        list_remove(&n->link);
        notify->n_running--;
        if (r == -EBUSY) {
                list_append(notify->waiting.next, &n->link); /* before the first: the oldest again */
                notify->n_waiting++;
                daemon_notify_pause(daemon, DAEMON_NOTIFY_PAUSE_US);
                return;
        }
        daemon_notify_record(n, r, text);
        daemon_notification_free(n);
        daemon_notify_kick(daemon);
}

/* Hands over what waits, as far as there are places. */
static void daemon_notify_kick(Daemon *daemon) {
        DaemonNotify *notify = daemon->notify;

        while (notify->n_running < KERNEL_NOTIFY_MAX && !list_is_empty(&notify->waiting) &&
               !notify->timer) {
                DaemonNotification *n = list_entry(notify->waiting.next, DaemonNotification, link);
                int r;

                list_remove(&n->link);
                notify->n_waiting--;
                r = kernel_client_notify(daemon->kernel, n->text, n->within_us, daemon_notified, n);
                if (r < 0) {
                        daemon_notify_record(n, r, NULL);
                        daemon_notification_free(n);
                        continue;
                }
                list_append(&notify->running, &n->link);
                notify->n_running++;
        }
        if (notify->left_out > 0 && list_is_empty(&notify->waiting)) {
                report(LOG_WARNING,
                       NULL,
                       "notify: %llu notifications were left out",
                       (unsigned long long) notify->left_out);
                notify->left_out = 0;
                daemon_problem("notify", NULL, daemon);
        }
}

void daemon_notify(Daemon *daemon, const IncidentInfo *incident) {
        const Config *config = daemon->config;
        DaemonNotify *notify = daemon->notify;
        unsigned moments;

        if (config->n_notifies == 0) {
                notify->n_opened = 0;
                return;
        }
        moments = daemon_notify_get_moments(daemon, incident);
        for (size_t i = 0; moments && i < config->n_notifies; i++) {
                DaemonNotification *n;

                if (!daemon_notify_wants(&config->notifies[i], incident, moments))
                        continue;
                if (!daemon_notify_has_room(notify, incident->machine) ||
                    daemon_notification_new(&n, daemon, &config->notifies[i], incident) < 0) {
                        daemon_notify_leave_out(daemon, incident);
                        continue;
                }
                list_append(&notify->waiting, &n->link);
                notify->n_waiting++;
                /* from the loop: we are within the watch */
                daemon_notify_pause(daemon, 0);
        }
}

int daemon_open_notify(Daemon *daemon) {
        daemon->notify = calloc(1, sizeof(*daemon->notify));
        if (!daemon->notify)
                return -ENOMEM;
        list_init(&daemon->notify->waiting);
        list_init(&daemon->notify->running);
        return 0;
}

void daemon_close_notify(Daemon *daemon) {
        DaemonNotify *notify = daemon->notify;

        if (!notify)
                return;
        if (notify->n_waiting + notify->n_running > 0)
                report(LOG_WARNING,
                       NULL,
                       "notify: what became of %zu notifications is not recorded",
                       notify->n_waiting + notify->n_running);
        list_foreach_safe(i, next, &notify->running) {
                DaemonNotification *n = list_entry(i, DaemonNotification, link);

                kernel_client_cancel(daemon->kernel, n);
                daemon_notification_free(n);
        }
        list_foreach_safe(i, next, &notify->waiting)
                daemon_notification_free(list_entry(i, DaemonNotification, link));
        sd_event_source_disable_unref(notify->timer);
        free(notify->opened);
        free(notify);
        daemon->notify = NULL;
}
