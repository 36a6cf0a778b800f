/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * QMP events, and the run states that follow from them. The one difficulty is whose an event is:
 * QEMU throttles WATCHDOG and may send it a second late, after the guest was reset; its firmware
 * makes RESETs of its own; another manager may have resumed the guest. An event belongs by its own
 * timestamp, never by when it came.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/run-state.h"
#include "policy/watch-internal.h"

void watch_set_state(WatchMachine *m, RunState state, Moment now) {
        if (m->state_known && !run_state_can_follow(m->state, state)) {
                watch_report(m,
                             WATCH_LEVEL_WARNING,
                             "went from %s to %s, which QEMU never does at once",
                             run_state_to_string(m->state),
                             run_state_to_string(state));
                watch_ask(m, WATCH_ASK_STATUS);
        }
        m->state = state;
        m->state_known = true;
        m->running = run_state_is_running(state);
}

/* Whose an event is that names none: the newest incident's of which something is still to come, else the
 * newest one's that only waits for what may follow. What tocsin did for an incident that is over has
 * happened; a stop after that is the next one's. */
static Incident *watch_find_noting(WatchMachine *m) {
        Incident *settling = NULL;

        for (List *i = m->incidents.prev; i != &m->incidents; i = i->prev) {
                Incident *incident = list_entry(i, Incident, link);

                if (incident->info->has_outcome)
                        continue;
                if (incident->acts || incident->awaits_stop || incident->awaits_info ||
                    incident->settle_us == USEC_INFINITY)
                        return incident;
                if (!settling)
                        settling = incident;
        }
        return settling;
}

static void watch_note(WatchMachine *m, Incident *incident, const Observation *o, const char *text) {
        if (incident)
                watch_lost(m->watch,
                           incident_add_step(incident, o->time_us, o->event, NULL, "%s", text));
}

static Incident *watch_find_stopping(WatchMachine *m) {
        list_foreach(i, &m->incidents) {
                Incident *incident = list_entry(i, Incident, link);

                if (incident->awaits_stop)
                        return incident;
        }
        return NULL;
}

static bool watch_is_acting(const WatchMachine *m) {
        list_foreach(i, &m->incidents) {
                const Incident *incident = list_entry(i, const Incident, link);

                /* while evidence is taken, whatever happens is somebody else's doing */
                if (incident->info->status == INCIDENT_STATUS_ACTING &&
                    !incident_is_gathering(incident))
                        return true;
        }
        return false;
}

static void watch_on_stop(WatchMachine *m, const Observation *o, Moment now) {
        Incident *incident = watch_find_stopping(m);

        m->stop_us = o->time_us;
        m->running = false;
        watch_announce_event(m, o->event, o->data, o->time_us, false);
        watch_note(m, incident ? incident : watch_find_noting(m), o, "the machine stopped");
        if (!incident) {
                m->state_known = false; /* STOP does not say what for */
                watch_ask(m, WATCH_ASK_STATUS);
                return;
        }
        watch_set_state(m,
                        incident->info->kind == INCIDENT_KIND_PANIC ? RUN_STATE_GUEST_PANICKED
                                                                    : RUN_STATE_WATCHDOG,
                        now);
        timestamp_free(incident->info->stop_time);
        incident->info->stop_time = timestamp_new(o->time_us);
        incident->settle_us = USEC_INFINITY;
        watch_go_on(m, incident, now);
}

/* Running again: by our cont, or somebody did what we had not yet. */
static void watch_on_resume(WatchMachine *m, const Observation *o, Moment now) {
        bool ours = watch_is_acting(m);

        watch_announce_event(m, o->event, o->data, o->time_us, false);
        watch_note(m, watch_find_noting(m), o, "the machine runs");
        watch_set_state(m, RUN_STATE_RUNNING, now);
        if (m->stop_incident != 0) {
                m->stop_incident = 0;
                m->watch->ops.changed(m, WATCH_CHANGE_KEPT, m->watch->userdata);
        }
        list_foreach_safe(i, n, &m->incidents) {
                Incident *incident = list_entry(i, Incident, link);

                if (incident->stopped && !ours)
                        watch_close(m, incident, INCIDENT_OUTCOME_OVERTAKEN, now);
                else
                        incident->stopped = false;
        }
}

static const char *watch_get_reason(json_object *data) {
        json_object *reason;

        if (!json_object_object_get_ex(data, "reason", &reason) ||
            !json_object_is_type(reason, json_type_string))
                return "";
        return json_object_get_string(reason);
}

/* A RESET is the newest incident's that is not held: the first reset after a decision is held may be
 * the guest helping itself, and is looked at by watch_cancel(). */
static Incident *watch_find_resetting(WatchMachine *m) {
        for (List *i = m->incidents.prev; i != &m->incidents; i = i->prev) {
                Incident *incident = list_entry(i, Incident, link);

                if (incident->info->status != INCIDENT_STATUS_HELD)
                        return incident;
        }
        return NULL;
}

static void watch_on_reset(WatchMachine *m, const Observation *o, Moment now) {
        Incident *incident = watch_find_resetting(m);

        watch_announce_event(m, o->event, o->data, o->time_us, false);
        if (!m->running && m->state_known)
                watch_set_state(m, RUN_STATE_PRELAUNCH, now);
        if (!incident)
                return;
        if (watch_is_acting(m))
                list_foreach(i, &m->incidents)
                        list_entry(i, Incident, link)->outdated = true;
        incident->info->has_resets = true;
        incident->info->resets++;
        watch_lost(m->watch,
                   incident_add_step(incident,
                                     o->time_us,
                                     o->event,
                                     NULL,
                                     "reset (%s)",
                                     watch_get_reason(o->data)));
        if (incident->settle_us != USEC_INFINITY)
                incident->settle_us = now.boot_us + WATCH_SETTLE_US;
        if (incident->stopped && incident->acts && !watch_is_acting(m))
                watch_close(m, incident, INCIDENT_OUTCOME_OVERTAKEN, now);
}

static void watch_on_shutdown(WatchMachine *m, const Observation *o, Moment now) {
        m->shutdown_seen = true;
        watch_announce_event(m, o->event, o->data, o->time_us, false);
        watch_note(m, watch_find_noting(m), o, watch_get_reason(o->data));
        if (list_is_empty(&m->incidents))
                watch_set_last_stop(m, "shut down (%s)", watch_get_reason(o->data));
        /* A panic that shuts down stops nothing: its record ends with the run. */
        list_foreach(i, &m->incidents) {
                Incident *incident = list_entry(i, Incident, link);

                if (!incident->acts)
                        incident->settle_us = now.boot_us + WATCH_SETTLE_US;
        }
        watch_set_state(m, RUN_STATE_SHUTDOWN, now);
}

static void watch_on_state(WatchMachine *m, const Observation *o, Moment now) {
        watch_announce_event(m, o->event, o->data, o->time_us, false);
        watch_note(m, watch_find_noting(m), o, "told by the machine");
        if (strcmp(o->event, "SUSPEND") == 0)
                watch_set_state(m, RUN_STATE_SUSPENDED, now);
        else if (strcmp(o->event, "WAKEUP") == 0)
                watch_set_state(m, RUN_STATE_RUNNING, now);
}

/* A WATCHDOG that QEMU held back: its stop was seen, and opened an incident, before. */
static bool watch_complete_late(WatchMachine *m, const Observation *o, Moment now) {
        list_foreach(i, &m->incidents) {
                Incident *incident = list_entry(i, Incident, link);
                uint64_t stop_us = timestamp_get_us(incident->info->stop_time);
                json_object *data;
                Action action;

                if (incident->is_told || incident->info->kind != INCIDENT_KIND_WATCHDOG ||
                    o->time_us > stop_us || stop_us - o->time_us > WATCH_STOP_US)
                        continue;
                action = incident->info->decision ? incident->info->decision->action : ACTION_PAUSE;
                watch_lost(m->watch, incident_set_event(incident, o->event, o->data));
                data = action == ACTION_PAUSE ? NULL : watch_action_data(m, action);
                watch_announce_event(m, o->event, data ? data : o->data, o->time_us, false);
                json_object_put(data);
                if (incident->settle_us != USEC_INFINITY &&
                    incident->info->status == INCIDENT_STATUS_OPEN &&
                    incident->outcome == INCIDENT_OUTCOME_LEFT)
                        watch_close(m, incident, incident->outcome, now);
                return true;
        }
        return false;
}

static bool watch_flag(json_object *flags, const char *name) {
        json_object *value;

        return json_object_object_get_ex(flags, name, &value) && json_object_get_boolean(value);
}

/* One machine check tells every CPU: QEMU says so once per CPU. */
static bool watch_join_memory_failure(WatchMachine *m, const Observation *o) {
        json_object *flags = NULL;
        Action action;

        if (o->client || strcmp(o->event, "MEMORY_FAILURE") != 0 ||
            !incident_read_action(o->event, o->data, &action) || action != ACTION_INJECT ||
            !json_object_object_get_ex(o->data, "flags", &flags) ||
            watch_flag(flags, "action-required") || watch_flag(flags, "recursive"))
                return false;
        list_foreach(i, &m->incidents) {
                Incident *incident = list_entry(i, Incident, link);

                if (incident->info->kind != INCIDENT_KIND_MEMORY_FAILURE ||
                    incident->backend != ACTION_INJECT ||
                    o->time_us - timestamp_get_us(incident->info->time) > WATCH_JOIN_US)
                        continue;
                incident->info->has_repeated = true;
                incident->info->repeated++;
                watch_announce_event(m, o->event, o->data, o->time_us, false);
                return true;
        }
        return false;
}

/* QEMU up to 5.2 says GUEST_PANICKED twice for one panic: pause, then poweroff. */
static bool watch_join_panic(WatchMachine *m, const Observation *o, Action backend) {
        Incident *incident = watch_find_stopping(m);

        if (o->client || !incident || incident->info->kind != INCIDENT_KIND_PANIC ||
            backend != ACTION_SHUTDOWN || strcmp(o->event, "GUEST_PANICKED") != 0 || incident->acts)
                return false;
        incident->awaits_stop = false;
        incident->backend = backend;
        incident->outcome = INCIDENT_OUTCOME_BACKEND;
        if (incident->info->decision)
                incident->info->decision->action = backend;
        watch_announce_event(m, o->event, o->data, o->time_us, false);
        watch_note(m, incident, o, "QEMU shuts down instead");
        return true;
}

static void watch_on_fault(WatchMachine *m, const Observation *o, Moment now) {
        IncidentKind kind;
        Incident *incident;
        Action backend = ACTION_NONE;

        if (!incident_kind_of_event(o->event, &kind))
                return;
        (void) incident_read_action(o->event, o->data, &backend);
        if (o->client)
                backend = o->action;
        if ((kind == INCIDENT_KIND_WATCHDOG && !o->client && watch_complete_late(m, o, now)) ||
            watch_join_memory_failure(m, o) || watch_join_panic(m, o, backend) ||
            watch_fold(m, o, now))
                return;

        m->poweroff_seen |= kind == INCIDENT_KIND_WATCHDOG && backend == ACTION_POWEROFF;
        incident = watch_open(m, kind, o->time_us, now);
        if (!incident) {
                watch_announce_event(m, o->event, o->data, o->time_us, false);
                return;
        }
        incident->backend = backend;
        /* In prelaunch nothing runs, so nothing stops. */
        incident->awaits_stop = backend == ACTION_PAUSE && !o->client &&
                                (m->running || !m->state_known);
        watch_lost(m->watch, incident_set_event(incident, o->event, o->data));
        if (o->client) {
                watch_lost(m->watch, incident_set_report(incident, o));
                /* the CPU that reports waits, or has been stopped */
                incident->stopped = o->asks || backend == ACTION_PAUSE;
        }
        watch_lost(m->watch,
                   incident_add_step(incident,
                                     o->time_us,
                                     o->event,
                                     NULL,
                                     o->asks ? "the backend asks; by itself: %s" : "the backend: %s",
                                     action_to_string(backend)));
        if (o->text)
                watch_lost(m->watch,
                           incident_add_step(incident, o->time_us, "note", NULL, "%s", o->text));
        if (o->text && m->backend == BACKEND_TYPE_HOST) {
                watch_report(m, WATCH_LEVEL_WARNING, "%s", o->text);
                incident->info->headline = strdup(o->text);
                watch_lost(m->watch, incident->info->headline ? 0 : -ENOMEM);
        }
        watch_decide(m, incident, now);
}

static VfioDevice *watch_vfio_find(WatchMachine *m, const char *qom_path, size_t *ret_index) {
        for (size_t i = 0; i < m->n_vfio; i++)
                if (strcmp(m->vfio[i]->qom_path, qom_path) == 0) {
                        if (ret_index)
                                *ret_index = i;
                        return m->vfio[i];
                }
        return NULL;
}

static int watch_vfio_add(WatchMachine *m, const VfioMigrationEvent *event) {
        _cleanup_(vfio_device_freep) VfioDevice *device = NULL;
        VfioDevice **devices;

        if (m->n_vfio >= WATCH_VFIO_MAX)
                return -ENOBUFS;
        device = calloc(1, sizeof(*device));
        if (!device)
                return -ENOMEM;
        device->qom_path = strdup(event->qom_path);
        device->device_id = strdup(event->device_id);
        device->device_state = event->device_state;
        devices = reallocarray(m->vfio, m->n_vfio + 1, sizeof(*devices));
        if (!devices)
                return -ENOMEM;
        m->vfio = devices;
        if (!device->qom_path || !device->device_id)
                return -ENOMEM;
        m->vfio[m->n_vfio++] = TAKE_PTR(device);
        return 0;
}

static void watch_on_vfio(WatchMachine *m, const Observation *o, Moment now) {
        _cleanup_(vfio_migration_event_freep) VfioMigrationEvent *event = NULL;
        VfioDevice *device;

        watch_announce_event(m, o->event, o->data, o->time_us, false);
        if (vfio_migration_event_from_json(o->data, &event, NULL) != 0)
                return; /* a state of a newer QEMU: relayed as it came */
        device = watch_vfio_find(m, event->qom_path, NULL);
        if (device)
                device->device_state = event->device_state;
        else
                watch_lost(m->watch, watch_vfio_add(m, event));
}

/* DEVICE_DELETED is no word of ours: it is heard, and not passed on. */
static void watch_on_unplug(WatchMachine *m, const Observation *o, Moment now) {
        json_object *path;
        size_t i;

        if (!json_object_object_get_ex(o->data, "path", &path) ||
            !json_object_is_type(path, json_type_string) ||
            !watch_vfio_find(m, json_object_get_string(path), &i))
                return;
        vfio_device_free(m->vfio[i]);
        m->vfio[i] = m->vfio[--m->n_vfio];
}

static void watch_relay(WatchMachine *m, const Observation *o, Moment now) {
        watch_announce_event(m, o->event, o->data, o->time_us, false);
        watch_note(m, watch_find_noting(m), o, "told by the machine");
}

static const struct {
        const char *event;
        void (*func)(WatchMachine *m, const Observation *o, Moment now);
} watch_events[] = {
        { "STOP", watch_on_stop },
        { "RESUME", watch_on_resume },
        { "RESET", watch_on_reset },
        { "SHUTDOWN", watch_on_shutdown },
        { "POWERDOWN", watch_on_state },
        { "SUSPEND", watch_on_state },
        { "SUSPEND_DISK", watch_on_state },
        { "WAKEUP", watch_on_state },
        { "WATCHDOG", watch_on_fault },
        { "GUEST_PANICKED", watch_on_fault },
        { "GUEST_CRASHLOADED", watch_on_fault },
        { "MEMORY_FAILURE", watch_on_fault },
        { "NOTIFY_VMEXIT", watch_on_fault },
        { "GUEST_PVSHUTDOWN", watch_relay },
        { "VFIO_MIGRATION", watch_on_vfio },
        { "DEVICE_DELETED", watch_on_unplug },
};

/* The guest helped itself: what was held for that case is let go. */
static void watch_cancel(WatchMachine *m, const Observation *o, Moment now) {
        list_foreach_safe(i, n, &m->incidents) {
                Incident *incident = list_entry(i, Incident, link);

                if (incident->info->status != INCIDENT_STATUS_HELD || !incident->cancel_on)
                        continue;
                for (char **event = incident->cancel_on; *event; event++) {
                        if (strcmp(*event, o->event) != 0)
                                continue;
                        watch_lost(m->watch,
                                   incident_add_step(incident,
                                                     o->time_us,
                                                     o->event,
                                                     NULL,
                                                     "the guest helped itself: nothing is done"));
                        watch_close(m, incident, INCIDENT_OUTCOME_RECOVERED, now);
                        break;
                }
        }
}

void watch_event(WatchMachine *m, const Observation *o, Moment now) {
        watch_cancel(m, o, now);
        for (size_t i = 0; i < ELEMENTSOF(watch_events); i++)
                if (strcmp(watch_events[i].event, o->event) == 0) {
                        watch_events[i].func(m, o, now);
                        return;
                }
}
