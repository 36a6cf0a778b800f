/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The machines of the watch, their deadlines, and the way in for observations and commands. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/watch-internal.h"

int watch_new(Watch **ret,
              const WatchOps *ops,
              const Policy *policy,
              const char *boot_id,
              void *userdata) {
        _cleanup_(watch_freep) Watch *watch = NULL;

        watch = calloc(1, sizeof(*watch));
        if (!watch)
                return -ENOMEM;
        watch->ops = *ops;
        watch->userdata = userdata;
        watch->policy = policy;
        watch->boot_id = strdup(boot_id);
        watch->machines = lh_kchar_table_new(64, NULL);
        if (!watch->boot_id || !watch->machines)
                return -ENOMEM;
        *ret = TAKE_PTR(watch);
        return 0;
}

static void watch_vfio_clear(WatchMachine *m) {
        for (size_t i = 0; i < m->n_vfio; i++)
                vfio_device_free(m->vfio[i]);
        free(m->vfio);
        m->vfio = NULL;
        m->n_vfio = 0;
}

static void watch_machine_free(WatchMachine *m) {
        list_foreach_safe(i, n, &m->incidents)
                incident_free(list_entry(i, Incident, link));
        (void) prioq_set(&m->watch->deadlines, &m->deadline, USEC_INFINITY);
        watch_vfio_clear(m);
        history_deinit(&m->history);
        history_deinit(&m->past);
        json_object_put(m->folded_data);
        free(m->folded_event);
        free(m->name);
        free(m->run);
        free(m->shown);
        free(m->uuid);
        free(m->version);
        free(m->last_stop);
        free(m);
}

Watch *watch_free(Watch *watch) {
        struct lh_entry *entry, *next;

        if (!watch)
                return NULL;
        if (watch->machines) {
                lh_foreach_safe(watch->machines, entry, next) {
                        WatchMachine *m = (WatchMachine *) (uintptr_t) lh_entry_v(entry);

                        (void) lh_table_delete_entry(watch->machines, entry);
                        watch_machine_free(m);
                }
                lh_table_free(watch->machines);
        }
        prioq_deinit(&watch->deadlines);
        free(watch->cap);
        free(watch->boot_id);
        free(watch);
        return NULL;
}

void watch_lost(Watch *watch, int r) {
        if (r < 0)
                watch->lost++;
}

uint64_t watch_get_lost(const Watch *watch) {
        return watch->lost;
}

void watch_report(WatchMachine *m, WatchLevel level, const char *format, ...) {
        _cleanup_free_ char *text = NULL;
        va_list ap;
        int r;

        va_start(ap, format);
        r = vasprintf(&text, format, ap);
        va_end(ap);
        if (r < 0) {
                text = NULL;
                watch_lost(m->watch, -ENOMEM);
                return;
        }
        m->watch->ops.report(m, level, text, m->watch->userdata);
}

void watch_ask(WatchMachine *m, WatchQuestion question) {
        if (!m->attached)
                return; /* the next ATTACHED brings the answer */
        if (question == WATCH_ASK_STATUS) {
                if (m->status_asked)
                        return;
                m->status_asked = true;
        }
        m->watch->ops.ask(m, question, m->watch->userdata);
}

void watch_announce_event(WatchMachine *m,
                          const char *event,
                          json_object *data,
                          uint64_t real_us,
                          bool synthetic) {
        const WatchAnnouncement announcement = {
                .machine = m,
                .event = event,
                .data = data,
                .real_us = real_us,
                .synthetic = synthetic,
                /* a word of ours, which QEMU has none for */
                .control_only = strcmp(event, "NOTIFY_VMEXIT") == 0,
        };

        m->watch->ops.announce(&announcement, m->watch->userdata);
}

void watch_announce_machine(WatchMachine *m, const char *text, Moment now) {
        json_object *data = NULL;
        MachineEvent event = {
                .attached = m->attached,
                .has_state = m->state_known,
                .state = m->state,
                .text = (char *) (uintptr_t) text,
        };

        if (machine_event_to_json(&event, &data) < 0) {
                watch_lost(m->watch, -ENOMEM);
                return;
        }
        m->watch->ops.announce(&(WatchAnnouncement){ .machine = m,
                                                     .event = "MACHINE",
                                                     .data = data,
                                                     .real_us = now.real_us,
                                                     .control_only = true },
                               m->watch->userdata);
        json_object_put(data);
}

EngineMachine watch_machine_for_engine(const WatchMachine *m, Moment now) {
        const Watch *watch = m->watch;

        return (EngineMachine){
                .name = m->name,
                .overrides = m->overridden ? &m->overrides : NULL,
                .history = &m->history,
                .abilities = m->abilities,
                .held = m->hold_until_us > now.boot_us,
                .plugin_kinds = watch->ops.plugin_kinds ? watch->ops.plugin_kinds(m, watch->userdata)
                                                        : 0,
        };
}

void watch_arm(WatchMachine *m, Moment now) {
        uint64_t next = USEC_INFINITY;

        list_foreach(i, &m->incidents) {
                const Incident *incident = list_entry(i, Incident, link);

                if (incident->due_us < next)
                        next = incident->due_us;
                if (incident->settle_us < next)
                        next = incident->settle_us;
        }
        if (m->folded_n > 0 && m->rate_start_us + USEC_PER_SEC < next)
                next = m->rate_start_us + USEC_PER_SEC;
        if (m->hold_until_us > 0 && m->hold_until_us < next)
                next = m->hold_until_us;
        if (m->told_until_us < next)
                next = m->told_until_us;
        if (m->ended_us > 0) {
                uint64_t age = now.real_us > m->ended_us ? now.real_us - m->ended_us : 0;
                uint64_t left = age < WATCH_ENDED_US ? WATCH_ENDED_US - age : 0;

                if (now.boot_us + left < next)
                        next = now.boot_us + left;
        }
        watch_lost(m->watch, prioq_set(&m->watch->deadlines, &m->deadline, next));
}

WatchMachine *watch_find(const Watch *watch, const char *machine) {
        void *value;

        if (!lh_table_lookup_ex(watch->machines, machine, &value))
                return NULL;
        return value;
}

size_t watch_count(const Watch *watch) {
        return (size_t) lh_table_length(watch->machines);
}

void watch_foreach(const Watch *watch,
                   void (*func)(WatchMachine *machine, void *userdata),
                   void *userdata) {
        struct lh_entry *entry, *next;

        lh_foreach_safe(watch->machines, entry, next)
                func((WatchMachine *) (uintptr_t) lh_entry_v(entry), userdata);
}

WatchMachine *watch_machine_get(Watch *watch, const char *name) {
        WatchMachine *m = watch_find(watch, name);

        if (m)
                return m;
        m = calloc(1, sizeof(*m));
        if (!m)
                return NULL;
        m->watch = watch;
        m->told_until_us = USEC_INFINITY;
        m->deadline.key = USEC_INFINITY;
        list_init(&m->incidents);
        m->name = strdup(name);
        if (!m->name || lh_table_insert(watch->machines, m->name, m) != 0) {
                free(m->name);
                free(m);
                return NULL;
        }
        watch->ops.changed(m, WATCH_CHANGE_APPEARED, watch->userdata);
        return m;
}

void watch_machine_remove(WatchMachine *m) {
        Watch *watch = m->watch;

        watch->ops.changed(m, WATCH_CHANGE_REMOVED, watch->userdata);
        if (m->ended_us > 0)
                watch->n_ended--;
        (void) lh_table_delete(watch->machines, m->name);
        watch_machine_free(m);
}

bool watch_forget_ended(Watch *watch) {
        WatchMachine *oldest = NULL;
        struct lh_entry *entry;

        if (watch->n_ended == 0)
                return false;
        lh_foreach(watch->machines, entry) {
                WatchMachine *m = (WatchMachine *) (uintptr_t) lh_entry_v(entry);

                if (m->ended_us > 0 && (!oldest || m->ended_us < oldest->ended_us))
                        oldest = m;
        }
        if (oldest)
                watch_machine_remove(oldest);
        return oldest;
}

void watch_machine_end_run(WatchMachine *m, Moment now) {
        watch_flush_fold(m, now);
        watch_end_incidents(m, now);
        watch_vfio_clear(m);
        m->attached = m->running = m->state_known = m->status_asked = false;
        m->shutdown_seen = m->poweroff_seen = m->believed = m->overridden = false;
        m->overrides = m->told = (ActionSet){};
        m->tells = 0;
        m->told_until_us = USEC_INFINITY;
        m->stop_incident = m->stop_us = m->silent_incident = 0;
        if (m->ended_us == 0) {
                m->ended_us = now.real_us > 0 ? now.real_us : 1;
                m->watch->n_ended++;
        }
        m->watch->ops.changed(m, WATCH_CHANGE_KEPT, m->watch->userdata);
        watch_arm(m, now);
        if (m->watch->n_ended > WATCH_ENDED_MAX)
                (void) watch_forget_ended(m->watch);
}

void watch_set_last_stop(WatchMachine *m, const char *format, ...) {
        char *text;
        va_list ap;
        int r;

        va_start(ap, format);
        r = vasprintf(&text, format, ap);
        va_end(ap);
        if (r < 0) {
                watch_lost(m->watch, -ENOMEM);
                return;
        }
        free(m->last_stop);
        m->last_stop = text;
}

static void watch_detached(WatchMachine *m, const Observation *o, Moment now) {
        m->attached = false;
        m->status_asked = false;
        watch_announce_machine(m, o->text ? o->text : "connection lost", now);
}

void watch_close_answering(WatchMachine *m, Incident *incident, Moment now) {
        m->silent_incident = 0;
        watch_lost(m->watch,
                   incident_add_step(incident, now.real_us, "note", NULL, "it answers again"));
        watch_close(m, incident, INCIDENT_OUTCOME_RECOVERED, now);
}

static void watch_silent(WatchMachine *m, const Observation *o, Moment now) {
        Incident *incident = NULL;
        json_object *data = NULL;

        if (o->type == OBSERVATION_ANSWERING) {
                incident = watch_find_incident(m, m->silent_incident);
                if (incident)
                        watch_close_answering(m, incident, now);
                m->silent_incident = 0;
                watch_ask(m, WATCH_ASK_STATUS);
                return;
        }
        if (m->silent_incident != 0)
                return;
        incident = watch_open(m, INCIDENT_KIND_UNRESPONSIVE, o->time_us, now);
        if (!incident)
                return;
        m->silent_incident = incident->info->id;
        if (machine_unresponsive_event_to_json(&(MachineUnresponsiveEvent){ .seconds = o->seconds },
                                               &data) >= 0) {
                m->watch->ops.announce(&(WatchAnnouncement){ .machine = m,
                                                             .event = "MACHINE_UNRESPONSIVE",
                                                             .data = data,
                                                             .real_us = o->time_us,
                                                             .control_only = true },
                                       m->watch->userdata);
                json_object_put(data);
        }
        watch_decide(m, incident, now);
}

void watch_observe(Watch *watch, const Observation *o, Moment now) {
        WatchMachine *m;

        if (o->type == OBSERVATION_ATTACHED)
                m = watch_machine_get(watch, o->machine);
        else
                m = watch_find(watch, o->machine);
        if (!m) {
                watch_lost(watch, o->type == OBSERVATION_ATTACHED ? -ENOMEM : 0);
                return;
        }
        /* What a former run still had to say belongs to nobody. */
        if (o->type != OBSERVATION_ATTACHED &&
            (!m->run || strcmp(m->run, o->run) != 0 || m->ended_us > 0))
                return;

        switch (o->type) {
        case OBSERVATION_ATTACHED:
                watch_attached(m, o, now);
                break;
        case OBSERVATION_DETACHED:
                watch_detached(m, o, now);
                break;
        case OBSERVATION_EVENT:
                watch_event(m, o, now);
                break;
        case OBSERVATION_STATUS:
                watch_status(m, o, now);
                break;
        case OBSERVATION_CRASH_INFO:
                watch_crash_info(m, o, now);
                break;
        case OBSERVATION_GONE:
                watch_gone(m, o, now);
                return; /* it may have been removed */
        case OBSERVATION_WITHDRAWN:
                watch_withdraw(m, o, now);
                return;
        case OBSERVATION_SILENT:
        case OBSERVATION_ANSWERING:
                watch_silent(m, o, now);
                break;
        case _OBSERVATION_TYPE_MAX:
                break;
        }
        watch_arm(m, now);
}

uint64_t watch_get_deadline(const Watch *watch) {
        const PrioqNode *node = prioq_peek(&watch->deadlines);

        return node ? node->key : USEC_INFINITY;
}

static void watch_machine_tick(WatchMachine *m, Moment now) {
        if (m->ended_us > 0) {
                watch_machine_remove(m);
                return;
        }
        if (m->folded_n > 0 && m->rate_start_us + USEC_PER_SEC <= now.boot_us)
                watch_flush_fold(m, now);
        if (m->hold_until_us > 0 && m->hold_until_us <= now.boot_us) {
                watch_report(m, WATCH_LEVEL_NOTICE, "the hold is over: decisions are made again");
                watch_hold(m->watch, m, 0, now);
        }
        if (m->told_until_us <= now.boot_us)
                watch_tell(m, now, false);
        /* Acting on one incident may close another: look for the next one anew each time. */
        for (size_t n = m->n_incidents; n > 0; n--) {
                Incident *ripe = NULL;

                list_foreach(i, &m->incidents) {
                        Incident *incident = list_entry(i, Incident, link);

                        if (incident->due_us <= now.boot_us || incident->settle_us <= now.boot_us) {
                                ripe = incident;
                                break;
                        }
                }
                if (!ripe)
                        break;
                watch_incident_tick(m, ripe, now);
        }
        watch_arm(m, now);
}

void watch_tick(Watch *watch, Moment now) {
        for (;;) {
                PrioqNode *node = prioq_peek(&watch->deadlines);

                if (!node || node->key > now.boot_us)
                        return;
                watch_machine_tick(CONTAINER_OF(node, WatchMachine, deadline), now);
        }
}

const Policy *watch_get_policy(const Watch *watch) {
        return watch->policy;
}

int watch_explain(Watch *watch, const IncidentInfo *incident, Moment now, DecisionInfo **ret) {
        static const History no_history;
        const WatchMachine *m = watch_find(watch, incident->machine);
        EngineMachine em = { .name = incident->machine, .history = &no_history, .abilities = ~0U };
        GuestSettings settings;
        Decision decision;
        int r;

        if (m)
                em = watch_machine_for_engine(m, now);
        if (m && em.abilities == 0)
                em.abilities = ~0U; /* not attached: what a QEMU of today can do */
        policy_get_guest(watch->policy, incident->machine, &settings);
        /* Had tocsin a say, the backend would wait; else nobody knows what it would do. */
        r = engine_begin(watch->policy, &em, incident, ACTION_PAUSE, now, &decision);
        if (r < 0)
                return r;
        r = engine_finish(watch->policy, &em, incident, ACTION_PAUSE, now, &decision);
        if (r == 0)
                *ret = TAKE_PTR(decision.info);
        decision_deinit(&decision);
        return r;
}
