/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Coming back: to a run that is attached for the first time or again, to what the record says was
 * under way, and to the end of a run. The state of the machine is the truth; the record says how far
 * we had come; together they tell what is left to do (design section 2, "Once" and "Found").
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/run-state.h"
#include "policy/watch-internal.h"

/* A panic whose event was missed is decided when QEMU has said what it was about. */
static void watch_ask_and_decide(WatchMachine *m, Incident *incident, Moment now) {
        if (incident->info->kind == INCIDENT_KIND_PANIC && !incident->info->info && !m->believed &&
            (m->abilities & ABILITY_CRASH_INFO)) {
                incident->awaits_info = true;
                incident->settle_us = now.boot_us + WATCH_INFO_US;
                watch_ask(m, WATCH_ASK_CRASH_INFO);
                return;
        }
        watch_decide(m, incident, now);
}

/* A stop that no event told of: QEMU held the event back, or nobody was there to hear it. */
static void watch_open_by_state(WatchMachine *m, IncidentKind kind, bool found, Moment now) {
        static const char *const events[_INCIDENT_KIND_MAX] = {
                [INCIDENT_KIND_WATCHDOG] = "WATCHDOG",
                [INCIDENT_KIND_PANIC] = "GUEST_PANICKED",
                [INCIDENT_KIND_STOPPED] = "STOP",
        };
        uint64_t time_us = !found && m->stop_us ? m->stop_us : now.real_us;
        Incident *incident = watch_open(m, kind, time_us, now);
        json_object *data = NULL;
        GuestSettings settings;

        if (!incident)
                return;
        policy_get_guest(m->watch->policy, m->name, &settings);
        incident->unadopted = found && !m->known && !settings.adopt;
        if (incident->unadopted)
                m->stop_incident = incident->info->id;
        incident->backend = ACTION_PAUSE;
        incident->stopped = true;
        incident->info->stop_time = timestamp_new(time_us);
        incident->info->has_found = incident->info->found = found;
        if (kind != INCIDENT_KIND_STOPPED)
                data = watch_action_data(m, ACTION_PAUSE);
        watch_lost(m->watch, incident_set_event(incident, events[kind], data));
        json_object_put(data);
        watch_lost(m->watch,
                   incident_add_step(incident,
                                     time_us,
                                     "note",
                                     NULL,
                                     "%s in state %s",
                                     found ? "found stopped" : "stopped",
                                     run_state_to_string(m->state)));
        incident->is_told = kind == INCIDENT_KIND_STOPPED;

        watch_ask_and_decide(m, incident, now);
}

void watch_crash_info(WatchMachine *m, const Observation *o, Moment now) {
        list_foreach(i, &m->incidents) {
                Incident *incident = list_entry(i, Incident, link);
                json_object *data;

                if (!incident->awaits_info)
                        continue;
                if (o->data) {
                        m->believed = true; /* QEMU keeps it after cont: the next panic's is another */
                        data = watch_action_data(m, ACTION_PAUSE);
                        (void) json_object_object_add(data, "info", json_object_get(o->data));
                        watch_lost(m->watch, incident_set_event(incident, "GUEST_PANICKED", data));
                        incident->is_told = false;
                        json_object_put(data);
                        m->watch->ops.changed(m, WATCH_CHANGE_KEPT, m->watch->userdata);
                }
                watch_decide(m, incident, now);
                return;
        }
}

/* How an action that had been begun is taken up again. */
typedef enum Recovery {
        RECOVERY_START,     /* it was not done: do it */
        RECOVERY_CONT,      /* the reset has happened: the guest waits for its cont */
        RECOVERY_DONE,      /* it was done, and only the result is missing from the record */
        RECOVERY_OVERTAKEN, /* somebody else did something meanwhile */
        RECOVERY_UNKNOWN,   /* can't be told, so it is not done again */
} Recovery;

static Recovery watch_recover_reset(const Incident *incident, RunState state) {
        bool intent = incident_has_step(incident, "intent"),
             reset = incident_has_step(incident, "reset");

        if (run_state_is_running(state)) {
                if (reset)
                        return RECOVERY_DONE;
                /* A guest that ran on when the decision was made has been left running. */
                return intent || incident->info->stop_time ? RECOVERY_OVERTAKEN : RECOVERY_START;
        }
        if (state == RUN_STATE_PRELAUNCH)
                return intent ? RECOVERY_CONT : RECOVERY_OVERTAKEN;
        if (reset)
                return RECOVERY_DONE; /* and stopped again since: that is a new incident */
        return RECOVERY_START;
}

static Recovery watch_recover(const Incident *incident, RunState state) {
        bool intent = incident_has_step(incident, "intent"), running = run_state_is_running(state);
        Action action = incident->info->decision->action;

        if (action == ACTION_RESET)
                return watch_recover_reset(incident, state);
        if (action == ACTION_INJECT_NMI)
                return intent ? RECOVERY_UNKNOWN : RECOVERY_START;
        if (action == ACTION_PAUSE)
                return running || incident_is_gathering(incident) ? RECOVERY_START : RECOVERY_DONE;
        if (action == ACTION_NONE)
                return running ? RECOVERY_DONE : RECOVERY_START;
        /* Its process lives, so whatever was to end it has not. */
        return !running || !incident->info->stop_time ? RECOVERY_START : RECOVERY_OVERTAKEN;
}

static void watch_take_up(WatchMachine *m, Incident *incident, Moment now) {
        static const char *const texts[] = {
                [RECOVERY_START] = "tocsin returned: it had not been done",
                [RECOVERY_CONT] = "tocsin returned: reset had been done, cont had not",
                [RECOVERY_DONE] = "tocsin returned: it had been done",
                [RECOVERY_OVERTAKEN] = "tocsin returned: somebody else had acted meanwhile",
                [RECOVERY_UNKNOWN] =
                        "tocsin returned: whether it had been done can't be told, so it is not repeated",
        };
        Recovery recovery = watch_recover(incident, m->state);

        /* The word that was missing, for whoever may have to return once more. */
        watch_lost(m->watch,
                   incident_add_step(incident,
                                     now.real_us,
                                     recovery == RECOVERY_CONT ? "reset" : "note",
                                     NULL,
                                     "%s",
                                     texts[recovery]));
        switch (recovery) {
        case RECOVERY_START:
        case RECOVERY_CONT:
                incident->info->status = INCIDENT_STATUS_OPEN;
                incident->acts = true;
                watch_start(m,
                            incident,
                            recovery == RECOVERY_CONT ? ACT_FROM_CONT : ACT_FROM_START,
                            now);
                break;
        case RECOVERY_DONE:
                watch_close(m, incident, INCIDENT_OUTCOME_DONE, now);
                break;
        case RECOVERY_OVERTAKEN:
                watch_close(m, incident, INCIDENT_OUTCOME_OVERTAKEN, now);
                break;
        case RECOVERY_UNKNOWN:
                watch_close(m, incident, INCIDENT_OUTCOME_FAILED, now);
                break;
        }
}

/*
 * What a VMM asked about: it asks again where it was not answered, and says what it has done where it
 * was. So nothing is to be guessed from its state, and nothing is sent twice.
 */
static bool watch_resume_report(WatchMachine *m, Incident *incident, Moment now) {
        const IncidentInfo *info = incident->info;

        if (!info->report || !info->report->asked)
                return false;
        if (info->status == INCIDENT_STATUS_ACTING && info->decision &&
            (incident->asks || incident_has_step(incident, "intent"))) {
                incident->acts = true;
                m->watch->ops.act(m, info, ACT_FROM_TOLD, m->watch->userdata);
                return true;
        }
        if (incident->asks && !info->decision && !incident->awaits_plugins) {
                watch_decide(m, incident, now);
                return true;
        }
        if (incident->asks && incident->acts && info->status == INCIDENT_STATUS_OPEN) {
                watch_start(m, incident, ACT_FROM_START, now);
                return true;
        }
        return incident->asks;
}

/* An incident that was open when the connection, or tocsin itself, went away. */
static void watch_resume_incident(WatchMachine *m, Incident *incident, Moment now) {
        IncidentKind kind;

        if (incident->info->kind == INCIDENT_KIND_UNRESPONSIVE) {
                watch_close_answering(m, incident, now); /* whatever was to be done about it */
                return;
        }
        /* One that is done waits for what may follow it; a stop now is another one's. */
        incident->stopped = !incident->info->has_outcome &&
                            run_state_get_incident(m->state, &kind) && kind == incident->info->kind;
        if (watch_resume_report(m, incident, now))
                return;
        if (incident->info->status == INCIDENT_STATUS_ACTING) {
                watch_take_up(m, incident, now);
                return;
        }
        if (incident->info->status == INCIDENT_STATUS_HELD ||
            (incident->settle_us != USEC_INFINITY && !incident->awaits_info))
                return; /* time goes on for it as before */

        if (incident->stopped && !incident->info->decision) {
                watch_ask_and_decide(m, incident, now);
        } else if (incident->stopped) {
                if (!incident->info->stop_time)
                        incident->info->stop_time = timestamp_new(now.real_us);
                watch_go_on(m, incident, now);
        } else if (incident->acts) {
                watch_close(m, incident, INCIDENT_OUTCOME_OVERTAKEN, now);
        } else {
                watch_close(m, incident, incident->outcome, now);
        }
}

static bool watch_is_explained(WatchMachine *m, IncidentKind kind) {
        if (m->stop_incident != 0)
                return true;
        list_foreach(i, &m->incidents) {
                const Incident *incident = list_entry(i, const Incident, link);

                if (incident->info->kind != kind)
                        continue;
                if (incident->stopped || incident->awaits_stop)
                        return true;
                /* a VMM that carries out a pause enters the state of the incident */
                if (incident->info->report && incident->info->status == INCIDENT_STATUS_ACTING)
                        return true;
        }
        return false;
}

static int watch_set_string(char **s, const char *value) {
        char *copy = NULL;

        if (value) {
                copy = strdup(value);
                if (!copy)
                        return -ENOMEM;
        }
        free(*s);
        *s = copy;
        return 0;
}

static int watch_begin_run(WatchMachine *m, const Observation *o, Moment now) {
        if (m->run && m->ended_us == 0)
                watch_machine_end_run(m, now);
        if (m->ended_us > 0) {
                m->ended_us = 0;
                m->watch->n_ended--;
        }
        m->known = false;
        return watch_set_string(&m->run, o->run);
}

void watch_attached(WatchMachine *m, const Observation *o, Moment now) {
        bool again = m->run && strcmp(m->run, o->run) == 0 && m->ended_us == 0;
        IncidentKind kind;

        if (!again) {
                int r = watch_begin_run(m, o, now);

                if (r < 0) {
                        watch_lost(m->watch, r);
                        return;
                }
        }
        watch_lost(m->watch, watch_set_string(&m->shown, o->shown));
        watch_lost(m->watch, watch_set_string(&m->uuid, o->uuid));
        watch_lost(m->watch, watch_set_string(&m->version, o->version));
        m->backend = o->backend;
        m->abilities = o->abilities;
        m->pid = o->pid;
        m->attached = true;
        m->status_asked = false;
        m->tells = 0; /* what a lost connection owed will not be answered */
        m->state = o->state;
        m->state_known = o->backend != BACKEND_TYPE_PROCESS;
        m->running = o->running;
        if (o->running)
                m->stop_incident = 0;

        watch_announce_machine(m, again ? "attached again" : "attached", now);
        watch_tell(m, now, true);
        list_foreach_safe(i, n, &m->incidents)
                watch_resume_incident(m, list_entry(i, Incident, link), now);
        if (m->state_known && run_state_get_incident(m->state, &kind) && !watch_is_explained(m, kind))
                watch_open_by_state(m, kind, true, now);
        m->known = true;
        m->watch->ops.changed(m, WATCH_CHANGE_KEPT, m->watch->userdata);
}

void watch_status(WatchMachine *m, const Observation *o, Moment now) {
        bool changed = !m->state_known || m->state != o->state;
        IncidentKind kind;

        m->status_asked = false;
        m->state = o->state;
        m->state_known = true;
        m->running = o->running;
        if (changed)
                watch_announce_machine(m, "run state", now);

        list_foreach_safe(i, n, &m->incidents) {
                Incident *incident = list_entry(i, Incident, link);

                if (!incident->awaits_stop)
                        continue;
                if (run_state_get_incident(o->state, &kind) && kind == incident->info->kind) {
                        incident->info->stop_time = timestamp_new(m->stop_us ? m->stop_us
                                                                             : now.real_us);
                        incident->settle_us = USEC_INFINITY;
                        watch_go_on(m, incident, now);
                } else if (o->running) {
                        watch_close(m, incident, INCIDENT_OUTCOME_OVERTAKEN, now);
                } else {
                        incident->awaits_stop = false;
                        watch_lost(m->watch,
                                   incident_add_step(incident,
                                                     now.real_us,
                                                     "note",
                                                     NULL,
                                                     "not stopped for it: state %s",
                                                     run_state_to_string(o->state)));
                        watch_close(m, incident, INCIDENT_OUTCOME_LEFT, now);
                }
        }
        if (run_state_is_migrated(o->state))
                watch_end_incidents(m, now);
        if (run_state_get_incident(o->state, &kind) && !watch_is_explained(m, kind))
                watch_open_by_state(m, kind, false, now);
}

/* What was known of it stays with the other machine, which has a run of the same process. */
void watch_withdraw(WatchMachine *m, const Observation *o, Moment now) {
        m->attached = false;
        watch_announce_machine(m, o->text ? o->text : "it is another machine", now);
        watch_end_incidents(m, now);
        watch_machine_remove(m);
}

void watch_gone(WatchMachine *m, const Observation *o, Moment now) {
        ShutdownEvent event = { .guest = false, .reason = SHUTDOWN_CAUSE_HOST_ERROR };
        const char *signal = o->signal > 0 ? sigabbrev_np(o->signal) : NULL;
        json_object *data = NULL;

        if (m->poweroff_seen) {
                event.guest = true;
                event.reason = SHUTDOWN_CAUSE_GUEST_SHUTDOWN;
        } else if (o->signal > 0 && !o->crashed) {
                event.reason = SHUTDOWN_CAUSE_HOST_SIGNAL;
        }
        if (!m->shutdown_seen && shutdown_event_to_json(&event, &data) >= 0) {
                watch_announce_event(m, "SHUTDOWN", data, o->time_us, true);
                json_object_put(data);
                if (list_is_empty(&m->incidents) && !m->poweroff_seen)
                        watch_set_last_stop(m,
                                            "its process ended%s%s (%s)",
                                            signal ? " by SIG" : "",
                                            signal ? signal : "",
                                            shutdown_cause_to_string(event.reason));
        }
        m->attached = false;
        watch_machine_end_run(m, now);
        /* `m` may be gone now: too many ended machines are forgotten, the oldest first. */
}

/* What lets a held decision go is its rule's to say, as that reads today. */
static int watch_restore_cancel(const Watch *watch, Incident *incident) {
        const char *by = incident->info->decision->by;

        for (size_t i = 0; i < watch->policy->n_rules; i++) {
                const Rule *rule = &watch->policy->rules[i];

                if (strncmp(by, "rule ", 5) == 0 && strcmp(by + 5, rule->name) == 0)
                        return watch_copy_cancel(incident, rule->cancel_on);
        }
        return 0;
}

int watch_restore_history(Watch *watch, const IncidentInfo *info, Moment now) {
        WatchMachine *m = watch_find(watch, info->machine);
        Moment then = { .real_us = timestamp_get_us(info->opened), .boot_us = info->opened_boot };
        HistoryEntry entry = { .incident = info->id, .kind = (uint8_t) info->kind };
        bool carried_out = info->status == INCIDENT_STATUS_ACTING ||
                           (info->has_outcome && (info->outcome == INCIDENT_OUTCOME_DONE ||
                                                  info->outcome == INCIDENT_OUTCOME_BACKEND));

        int r;

        if (!m || !info->decision)
                return 0;
        entry.boot_us = history_place(then, strcmp(info->boot_id, watch->boot_id) == 0, now);
        entry.action = (uint8_t) info->decision->action;
        if (strncmp(info->decision->by, "rule ", 5) == 0)
                entry.rule = history_rule_key(info->decision->by + 5);
        r = history_add(&m->past, &entry);
        return r < 0 || !carried_out ? r : history_add(&m->history, &entry);
}

/* Its two seconds run from the last that was written, not from our return. */
static uint64_t watch_left_to_settle(const IncidentInfo *info, Moment now) {
        uint64_t last_us = info->n_steps ? timestamp_get_us(info->steps[info->n_steps - 1]->time) : 0;
        uint64_t since_us = now.real_us > last_us ? now.real_us - last_us : 0;

        return since_us < WATCH_SETTLE_US ? WATCH_SETTLE_US - since_us : 0;
}

int watch_restore_incident(Watch *watch, IncidentInfo *take_info, Moment now) {
        _cleanup_(incident_freep) Incident *incident = incident_new_from_info(take_info);
        DecisionInfo *decision;
        IncidentInfo *info;
        WatchMachine *m;

        if (!incident)
                return -ENOMEM;
        info = incident->info;
        decision = info->decision;
        m = watch_find(watch, info->machine);
        if (!m || !m->run || strcmp(m->run, info->run) != 0 || info->status == INCIDENT_STATUS_CLOSED)
                return -ESRCH;
        if (!decision && info->status != INCIDENT_STATUS_OPEN)
                return -EBADMSG;
        incident->acts = decision && info->status != INCIDENT_STATUS_OPEN;
        if (info->status == INCIDENT_STATUS_OPEN && decision) {
                /* It waited for what follows (resets, a late event), or for the STOP to act on. */
                incident->acts = !info->has_outcome && !decision->has_would &&
                                 decision->action != incident->backend;
                if (!incident->acts)
                        incident->settle_us = now.boot_us + watch_left_to_settle(info, now);
                if (info->has_outcome)
                        incident->outcome = info->outcome;
        }
        if (info->status == INCIDENT_STATUS_HELD) {
                uint64_t wait_us = timestamp_get_us(decision->due) - timestamp_get_us(info->opened);

                incident->due_us = info->opened_boot + wait_us;
                watch_lost(watch, watch_restore_cancel(watch, incident));
        }
        watch_lost(watch, watch_restore_history(watch, info, now));
        list_append(&m->incidents, &incident->link);
        m->n_incidents++;
        incident = NULL;
        watch_arm(m, now);
        return 0;
}
