/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From an incident to its end: open, wait for what must come first, act, close; the decision is made
 * in watch-decide.c. What every step below relies on: an incident is in its machine's list from watch_open() until watch_close(),
 * and at most one of a machine's incidents is acted on at a time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/run-state.h"
#include "policy/util/duration.h"
#include "policy/watch-internal.h"

Incident *watch_find_incident(WatchMachine *m, uint64_t id) {
        list_foreach(i, &m->incidents) {
                Incident *incident = list_entry(i, Incident, link);

                if (incident->info->id == id)
                        return incident;
        }
        return NULL;
}

static Incident *watch_find_acting(WatchMachine *m) {
        list_foreach(i, &m->incidents) {
                Incident *incident = list_entry(i, Incident, link);

                if (incident->info->status == INCIDENT_STATUS_ACTING)
                        return incident;
        }
        return NULL;
}

void watch_record(WatchMachine *m, Incident *incident) {
        m->watch->ops.record(incident->info, m->watch->userdata);
}

void watch_announce_incident(WatchMachine *m, const Incident *incident, Moment now) {
        const IncidentInfo *info = incident->info;
        _cleanup_free_ char *text = incident_describe(info);
        json_object *data = NULL;
        IncidentEvent event = {
                .id = info->id,
                .kind = info->kind,
                .status = info->status,
                .has_outcome = info->has_outcome,
                .outcome = info->outcome,
                .has_action = info->decision,
                .action = info->decision ? info->decision->action : ACTION_NONE,
                .text = text,
        };

        if (!text || incident_event_to_json(&event, &data) < 0) {
                watch_lost(m->watch, -ENOMEM);
                return;
        }
        m->watch->ops.announce(&(WatchAnnouncement){ .machine = m,
                                                     .event = "INCIDENT",
                                                     .data = data,
                                                     .real_us = now.real_us,
                                                     .control_only = true },
                               m->watch->userdata);
        json_object_put(data);
}

json_object *watch_action_data(WatchMachine *m, Action action) {
        json_object *data = json_object_new_object();

        if (data && json_object_object_add(data,
                                           "action",
                                           json_object_new_string(action_to_string(action))) == 0)
                return data;
        json_object_put(data);
        watch_lost(m->watch, -ENOMEM);
        return NULL;
}

/* A record that only waits for what may follow is the first to be closed when there are too many. */
static bool watch_make_room(WatchMachine *m, Moment now) {
        list_foreach(i, &m->incidents) {
                Incident *incident = list_entry(i, Incident, link);

                if (incident->acts || incident->settle_us == USEC_INFINITY || incident->awaits_info)
                        continue;
                watch_close(m, incident, incident->outcome, now);
                return true;
        }
        return false;
}

Incident *watch_open(WatchMachine *m, IncidentKind kind, uint64_t time_us, Moment now) {
        Watch *watch = m->watch;
        Incident *incident;

        if (m->n_incidents >= WATCH_OPEN_MAX && !watch_make_room(m, now)) {
                watch_lost(watch, -ENOBUFS);
                return NULL;
        }
        incident = incident_new(watch->ops.next_incident(watch->userdata),
                                m->name,
                                m->run,
                                kind,
                                time_us,
                                now,
                                watch->boot_id);
        if (!incident) {
                watch_lost(watch, -ENOMEM);
                return NULL;
        }
        if (m->state_known) {
                incident->info->has_state = true;
                incident->info->state = m->state;
        }
        list_append(&m->incidents, &incident->link);
        m->n_incidents++;
        return incident;
}

void watch_remember(WatchMachine *m,
                    History *history,
                    const Incident *incident,
                    Action action,
                    Moment now) {
        watch_lost(m->watch,
                   history_add(history,
                               &(HistoryEntry){ .boot_us = (int64_t) now.boot_us,
                                                .incident = incident->info->id,
                                                .rule = incident->rule,
                                                .kind = (uint8_t) incident->info->kind,
                                                .action = (uint8_t) action }));
}

int watch_copy_cancel(Incident *incident, char *const *cancel_on) {
        size_t n = 0;

        while (cancel_on[n])
                n++;
        if (n == 0)
                return 0;
        incident->cancel_on = calloc(n + 1, sizeof(*incident->cancel_on));
        if (!incident->cancel_on)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                incident->cancel_on[i] = strdup(cancel_on[i]);
                if (!incident->cancel_on[i])
                        return -ENOMEM;
        }
        return 0;
}

/* What the machine did, or waits in, by itself: how long the record stays open for what follows. */
void watch_leave(WatchMachine *m, Incident *incident, Moment now) {
        incident->outcome = INCIDENT_OUTCOME_BACKEND;
        if (incident->info->kind == INCIDENT_KIND_UNRESPONSIVE) {
                incident->outcome = INCIDENT_OUTCOME_LEFT; /* until it answers, or ends */
                return;
        }
        if (incident->backend == ACTION_PAUSE) {
                incident->outcome = INCIDENT_OUTCOME_LEFT;
                if (incident->awaits_stop)
                        incident->settle_us = now.boot_us + WATCH_STOP_US;
                else
                        watch_go_on(m, incident, now);
                return;
        }
        if (incident->backend == ACTION_NONE || incident->backend == ACTION_DEBUG)
                incident->outcome = INCIDENT_OUTCOME_LEFT;
        if (incident->backend == ACTION_RESET)
                watch_remember(m, &m->history, incident, ACTION_RESET, now);
        incident->settle_us = now.boot_us + WATCH_SETTLE_US;
        watch_tell(m, now, false); /* the loop guard may be exhausted by now */
}

static void watch_note_answer(WatchMachine *m, Incident *incident, Moment now) {
        const IncidentInfo *info = incident->info;
        const char *text = "told what is decided";

        incident->asks = false;
        if (info->status == INCIDENT_STATUS_HELD)
                text = "told to go on: the decision waits";
        else if (info->status == INCIDENT_STATUS_CLOSED)
                text = "told that it is over";
        watch_lost(m->watch, incident_add_step(incident, now.real_us, "answer", NULL, "%s", text));
        watch_record(m, incident);
}

void watch_answer(WatchMachine *m, Incident *incident, Moment now) {
        if (!incident->asks)
                return;
        watch_note_answer(m, incident, now);
        if (m->watch->ops.answer)
                m->watch->ops.answer(m, incident->info, m->watch->userdata);
}

void watch_answered(Watch *watch, const char *machine, uint64_t id, Moment now) {
        WatchMachine *m = watch_find(watch, machine);
        Incident *incident = m ? watch_find_incident(m, id) : NULL;

        if (incident && incident->asks)
                watch_note_answer(m, incident, now);
}

const IncidentInfo *watch_find_report(const Watch *watch,
                                      const char *machine,
                                      const char *client,
                                      uint64_t number) {
        WatchMachine *m = watch_find(watch, machine);

        if (!m)
                return NULL;
        list_foreach(i, &m->incidents) {
                const IncidentInfo *info = list_entry(i, const Incident, link)->info;

                if (info->report && info->report->number == number &&
                    strcmp(info->report->client, client) == 0)
                        return info;
        }
        return NULL;
}

void watch_hold_back(WatchMachine *m, Incident *incident, uint64_t delay_us, Moment now) {
        IncidentInfo *info = incident->info;

        incident->due_us = now.boot_us + delay_us;
        incident->awaits_stop = false;
        incident->settle_us = USEC_INFINITY;
        info->status = INCIDENT_STATUS_HELD;
        timestamp_free(info->decision->due);
        info->decision->due = timestamp_new(now.real_us + delay_us);
        if (!info->decision->due)
                watch_lost(m->watch, -ENOMEM);
}

void watch_go_on(WatchMachine *m, Incident *incident, Moment now) {
        incident->awaits_stop = false;
        incident->stopped = true;
        if (incident->awaits_plugins)
                return;
        if (incident->acts) {
                watch_start(m, incident, ACT_FROM_START, now);
                return;
        }
        m->stop_incident = incident->info->id;
        m->watch->ops.changed(m, WATCH_CHANGE_KEPT, m->watch->userdata);
        /* An untold watchdog's event may come a second late, and belongs in the record. */
        if (incident->info->kind == INCIDENT_KIND_WATCHDOG && !incident->is_told)
                incident->settle_us = now.boot_us + WATCH_SETTLE_US;
        else
                watch_close(m, incident, incident->outcome, now);
}

/* One fault that hits many machines is acted on with a cap on how many at once. Returns how long this
 * machine has to wait for its turn. */
static uint64_t watch_ask_cap(Watch *watch, const WatchMachine *m, Moment now) {
        const Policy *policy = watch->policy;
        uint32_t key = history_rule_key(m->name);
        uint64_t oldest = USEC_INFINITY;
        unsigned n = 0;

        if (policy->cap_machines == 0)
                return 0;
        if (watch->cap_size != policy->cap_machines) {
                free(watch->cap);
                watch->cap_size = watch->cap_n = watch->cap_next = 0;
                watch->cap = calloc(policy->cap_machines, sizeof(*watch->cap));
                if (!watch->cap) {
                        watch_lost(watch, -ENOMEM);
                        return 0;
                }
                watch->cap_size = policy->cap_machines;
        }
        for (size_t i = 0; i < watch->cap_n; i++) {
                const CapEntry *entry = &watch->cap[i];

                if (now.boot_us - entry->boot_us >= policy->cap_time_us)
                        continue;
                if (entry->machine == key)
                        return 0; /* counted already; its own limits are the loop guard's */
                n++;
                if (entry->boot_us < oldest)
                        oldest = entry->boot_us;
        }
        if (n >= policy->cap_machines)
                return oldest + policy->cap_time_us - now.boot_us;
        watch->cap[watch->cap_next] = (CapEntry){ .boot_us = now.boot_us, .machine = key };
        watch->cap_next = (watch->cap_next + 1) % watch->cap_size;
        if (watch->cap_n < watch->cap_size)
                watch->cap_n++;
        return 0;
}

void watch_start(WatchMachine *m, Incident *incident, ActPoint from, Moment now) {
        IncidentInfo *info = incident->info;
        char span[DURATION_TEXT_SIZE];
        uint64_t wait_us;

        incident->due_us = incident->settle_us = USEC_INFINITY;
        if (watch_find_acting(m))
                return; /* watch_acted() comes back to it */
        wait_us = from == ACT_FROM_START ? watch_ask_cap(m->watch, m, now) : 0;
        if (wait_us > 0) {
                watch_hold_back(m, incident, wait_us, now);
                watch_lost(m->watch,
                           decision_info_say(info->decision,
                                             "cap",
                                             -1,
                                             NULL,
                                             "%u machines were acted on within %s: waits for its turn",
                                             m->watch->policy->cap_machines,
                                             duration_format(m->watch->policy->cap_time_us, span)));
                watch_record(m, incident);
                watch_announce_incident(m, incident, now);
                watch_answer(m, incident, now);
                return;
        }

        info->status = INCIDENT_STATUS_ACTING;
        if (from == ACT_FROM_START)
                watch_remember(m, &m->history, incident, info->decision->action, now);
        watch_record(m, incident);
        watch_announce_incident(m, incident, now);
        m->watch->ops.act(m, info, from, m->watch->userdata);
}

void watch_close(WatchMachine *m, Incident *incident, IncidentOutcome outcome, Moment now) {
        IncidentInfo *info = incident->info;

        info->status = INCIDENT_STATUS_CLOSED;
        info->has_outcome = true;
        info->outcome = outcome;
        timestamp_free(info->closed);
        info->closed = timestamp_new(now.real_us);
        watch_lost(m->watch, info->closed ? 0 : -ENOMEM);
        if (incident->asks)
                watch_answer(m, incident, now); /* which keeps the record, too */
        else
                watch_record(m, incident);
        watch_announce_incident(m, incident, now);
        if (m->folding == incident)
                m->folding = NULL;
        m->n_incidents--;
        incident_free(incident);
        watch_tell(m, now, false);
}

static IncidentOutcome watch_outcome_at_end(const WatchMachine *m, const Incident *incident) {
        const IncidentInfo *info = incident->info;
        Action action = info->decision ? info->decision->action : ACTION_NONE;

        if (m->state_known && run_state_is_migrated(m->state))
                return INCIDENT_OUTCOME_MIGRATED;
        if (info->status == INCIDENT_STATUS_ACTING &&
            (action == ACTION_SHUTDOWN || action == ACTION_POWEROFF ||
             action == ACTION_EXIT_FAILURE || action == ACTION_FATAL))
                return INCIDENT_OUTCOME_DONE;
        if (info->status == INCIDENT_STATUS_OPEN && !incident->acts)
                return incident->outcome;
        return INCIDENT_OUTCOME_ENDED;
}

void watch_end_incidents(WatchMachine *m, Moment now) {
        list_foreach_safe(i, n, &m->incidents) {
                Incident *incident = list_entry(i, Incident, link);

                incident->acts = incident->acts && incident->info->status != INCIDENT_STATUS_OPEN;
                watch_close(m, incident, watch_outcome_at_end(m, incident), now);
        }
}

void watch_incident_tick(WatchMachine *m, Incident *incident, Moment now) {
        if (incident->due_us <= now.boot_us) {
                watch_start(m, incident, ACT_FROM_START, now);
                return;
        }
        incident->settle_us = USEC_INFINITY;
        if (incident->awaits_info) {
                watch_lost(m->watch,
                           incident_add_step(incident,
                                             now.real_us,
                                             "note",
                                             NULL,
                                             "no answer about the crash information"));
                watch_decide(m, incident, now);
        } else if (incident->awaits_stop) {
                /* No STOP: it may be in prelaunch (where a panic stops nothing), or somebody was quicker. */
                incident->settle_us = now.boot_us + WATCH_INFO_US;
                m->status_asked = false;
                watch_ask(m, WATCH_ASK_STATUS);
        } else {
                if (!incident->is_told && incident->info->kind == INCIDENT_KIND_WATCHDOG)
                        watch_announce_event(m,
                                             "WATCHDOG",
                                             incident->info->data,
                                             timestamp_get_us(incident->info->time),
                                             true);
                watch_close(m, incident, incident->outcome, now);
        }
}

void watch_stepped(Watch *watch,
                   const char *machine,
                   uint64_t id,
                   const char *what,
                   const char *error,
                   const char *text,
                   Moment now) {
        WatchMachine *m = watch_find(watch, machine);
        Incident *incident = m ? watch_find_incident(m, id) : NULL;

        if (!incident)
                return;
        watch_lost(watch, incident_add_step(incident, now.real_us, what, error, "%s", text));
        watch_record(m, incident);
}

void watch_kept(Watch *watch, const char *machine, uint64_t id, const EvidenceFile *file) {
        WatchMachine *m = watch_find(watch, machine);
        Incident *incident = m ? watch_find_incident(m, id) : NULL;

        if (incident)
                watch_lost(watch, incident_add_file(incident->info, file));
}

void watch_dropped(Watch *watch, const char *machine, uint64_t id, const char *name) {
        WatchMachine *m = watch_find(watch, machine);
        Incident *incident = m ? watch_find_incident(m, id) : NULL;

        if (incident)
                incident_drop_file(incident->info, name);
}

void watch_heard(Watch *watch, const char *machine, uint64_t id, const char *words, const char *trace) {
        WatchMachine *m = watch_find(watch, machine);
        Incident *incident = m ? watch_find_incident(m, id) : NULL;

        if (incident)
                watch_lost(watch, incident_set_words(incident->info, words, trace));
}

bool watch_is_open(const Watch *watch, const char *machine, uint64_t id) {
        WatchMachine *m = watch_find(watch, machine);

        return m && watch_find_incident(m, id);
}

/* What waited for this action while it went on: a reset has ended what came before it. */
static void watch_start_waiting(WatchMachine *m, Moment now) {
        list_foreach_safe(i, n, &m->incidents) {
                Incident *incident = list_entry(i, Incident, link);

                if (!incident->acts || incident->info->status != INCIDENT_STATUS_OPEN ||
                    incident->awaits_stop || incident->awaits_info || incident->awaits_plugins)
                        continue;
                if (!incident->outdated) {
                        watch_start(m, incident, ACT_FROM_START, now);
                        return;
                }
                watch_lost(m->watch,
                           incident_add_step(incident,
                                             now.real_us,
                                             "note",
                                             NULL,
                                             "the machine was reset for another incident"));
                watch_close(m, incident, INCIDENT_OUTCOME_OVERTAKEN, now);
        }
}

void watch_acted(Watch *watch, const char *machine, uint64_t id, IncidentOutcome outcome, Moment now) {
        WatchMachine *m = watch_find(watch, machine);
        Incident *incident = m ? watch_find_incident(m, id) : NULL;
        bool reset;

        if (!incident)
                return;
        incident->acts = false;
        incident->outcome = incident->info->outcome = outcome;
        incident->info->has_outcome = true;
        reset = incident->info->decision->action == ACTION_RESET && outcome == INCIDENT_OUTCOME_DONE;
        if (outcome == INCIDENT_OUTCOME_FAILED)
                watch_report(m,
                             WATCH_LEVEL_ERROR,
                             "incident %llu: %s could not be carried out",
                             (unsigned long long) id,
                             action_to_string(incident->info->decision->action));
        if (incident->stopped || (incident->info->report && m->state_known && !m->running)) {
                m->stop_incident = id;
                watch->ops.changed(m, WATCH_CHANGE_KEPT, watch->userdata);
        }
        /* The record stays open for the RESETs of the firmware, and for the event of a watchdog
         * that QEMU held back. */
        if (reset || (!incident->is_told && incident->info->kind == INCIDENT_KIND_WATCHDOG)) {
                incident->info->status = INCIDENT_STATUS_OPEN;
                incident->settle_us = now.boot_us + WATCH_SETTLE_US;
                watch_record(m, incident);
        } else {
                watch_close(m, incident, outcome, now);
        }
        watch_start_waiting(m, now);
        watch_tell(m, now, false);
        watch_arm(m, now);
}

bool watch_fold(WatchMachine *m, const Observation *o, Moment now) {
        unsigned rate = m->watch->policy->incident_rate;

        if (now.boot_us - m->rate_start_us >= USEC_PER_SEC) {
                watch_flush_fold(m, now);
                m->rate_start_us = now.boot_us;
                m->rate_count = 0;
        }
        if (m->rate_count < rate && m->n_incidents < WATCH_OPEN_MAX) {
                m->rate_count++;
                return false;
        }
        /* As QEMU throttles WATCHDOG: the newest one is kept and sent when the second is over. */
        if (!m->folded_event || strcmp(m->folded_event, o->event) != 0) {
                char *event = strdup(o->event);

                if (!event) {
                        watch_lost(m->watch, -ENOMEM);
                        return true;
                }
                free(m->folded_event);
                m->folded_event = event;
        }
        json_object_put(m->folded_data);
        m->folded_data = json_object_get(o->data);
        m->folded_us = o->time_us;
        m->folded_n++;
        return true;
}

void watch_flush_fold(WatchMachine *m, Moment now) {
        Incident *incident = NULL;

        if (m->folded_n == 0)
                return;
        watch_announce_event(m, m->folded_event, m->folded_data, m->folded_us, false);
        if (!list_is_empty(&m->incidents))
                incident = list_entry(m->incidents.prev, Incident, link);
        watch_report(m,
                     WATCH_LEVEL_WARNING,
                     "%s repeated %llu times within a second",
                     m->folded_event,
                     (unsigned long long) m->folded_n);
        if (incident) {
                incident->info->has_repeated = true;
                incident->info->repeated += m->folded_n;
                watch_record(m, incident);
                watch_announce_incident(m, incident, now);
        }
        json_object_put(m->folded_data);
        m->folded_data = NULL;
        m->folded_n = 0;
}
