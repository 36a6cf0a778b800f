/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The decision of an incident, and its announcement. With plugins to be asked it takes up to their
 * deadlines, and the world goes on meanwhile: a STOP may come, the run may end. So between
 * watch_decide() and watch_conclude() the incident is open, has no decision, and awaits_plugins.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/decode/klog.h"
#include "policy/watch-internal.h"

/* The event as our clients see it: where tocsin acts at once, a WATCHDOG's action is the one in force
 * (GuestPanicAction and MemoryFailureAction tell what happened, so they stand as they came). One that
 * is still to come, held back by QEMU, is not announced before it comes. What a VMM asks about has not
 * happened yet: its event says what is answered, whatever its kind. */
static void watch_announce_fault(WatchMachine *m, Incident *incident) {
        const IncidentInfo *info = incident->info;
        bool found = info->has_found && info->found;
        bool held = incident->due_us != USEC_INFINITY;
        json_object *own = NULL;

        if (!info->event || info->kind == INCIDENT_KIND_STOPPED || (!incident->is_told && !found))
                return;
        if (incident->asks && info->decision)
                watch_lost(m->watch,
                           incident_make_data(info, held ? ACTION_NONE : info->decision->action, &own));
        else if (info->kind == INCIDENT_KIND_WATCHDOG && incident->acts && !held)
                own = watch_action_data(m, info->decision->action);
        watch_announce_event(m,
                             info->event,
                             own ? own : info->data,
                             timestamp_get_us(info->time),
                             !incident->is_told);
        json_object_put(own);
        incident->is_told = incident->announced = true;
}

/* What the record says of the crash (in the guest's own words, where it handed some along), and where a
 * reader finds the names of its addresses. */
static int watch_describe(const WatchMachine *m, IncidentInfo *info) {
        GuestSettings settings;
        KlogPanic panic;

        policy_get_guest(m->watch->policy, m->name, &settings);
        if (info->info && settings.system_map && !info->system_map) {
                info->system_map = strdup(settings.system_map);
                if (!info->system_map)
                        return -ENOMEM;
        }
        if (info->message && klog_find_panic(info->message, strlen(info->message), &panic))
                return incident_set_words(info, panic.line, panic.trace);
        return incident_set_headline(info, NULL);
}

/* A run nobody has seen before may be stopped because somebody debugs it. */
static int watch_decide_found(Incident *incident) {
        DecisionInfo *info = calloc(1, sizeof(*info));

        if (!info)
                return -ENOMEM;
        incident->info->decision = info;
        info->action = incident->backend;
        info->by = strdup("found");
        info->reason = strdup("it had stopped before tocsin knew this run; adopt=no leaves it alone");
        if (!info->by || !info->reason)
                return -ENOMEM;
        incident->outcome = INCIDENT_OUTCOME_FOUND;
        return decision_info_say(info, "found", (int) info->action, NULL, "%s", info->reason);
}

/* Begins a decision; true when plugins are asked, and it is concluded later. */
static bool watch_begin_decision(WatchMachine *m, Incident *incident, Moment now) {
        EngineMachine em = watch_machine_for_engine(m, now);
        Watch *watch = m->watch;
        int r;

        em.asks = incident->asks;
        decision_deinit(&incident->draft);
        r = engine_begin(watch->policy, &em, incident->info, incident->backend, now, &incident->draft);
        watch_lost(watch, r);
        if (r < 0 || !(em.plugin_kinds & (1U << incident->info->kind)) || !watch->ops.consult)
                return false;
        incident->awaits_plugins =
                watch->ops.consult(m, incident->info, &incident->draft, watch->userdata);
        return incident->awaits_plugins;
}

static int watch_finish_decision(WatchMachine *m, Incident *incident, Moment now) {
        EngineMachine em = watch_machine_for_engine(m, now);
        Decision *draft = &incident->draft;
        int r;

        if (!draft->info)
                return -ENOMEM;
        em.asks = incident->asks;
        r = engine_finish(m->watch->policy, &em, incident->info, incident->backend, now, draft);
        if (r < 0)
                return r;
        decision_info_free(incident->info->decision);
        incident->info->decision = TAKE_PTR(draft->info);
        incident->acts = draft->acts;
        incident->rule = draft->rule;
        if (draft->acts && draft->delay_us > 0) {
                watch_hold_back(m, incident, draft->delay_us, now);
                return watch_copy_cancel(incident, draft->cancel_on);
        }
        return 0;
}

/* What follows from a decision that stands in incident->info. */
static void watch_conclude(WatchMachine *m, Incident *incident, Moment now) {
        IncidentInfo *info = incident->info;
        _cleanup_free_ char *text = NULL;

        if (!incident->announced)
                watch_announce_fault(m, incident);
        text = incident_describe(info);
        if (text)
                m->watch->ops.decided(info, text, m->watch->userdata);
        watch_set_last_stop(m,
                            "%s (incident %llu)",
                            text ? text : incident_kind_to_string(info->kind),
                            (unsigned long long) info->id);
        if (info->decision)
                watch_remember(m, &m->past, incident, info->decision->action, now);
        watch_record(m, incident);
        watch_announce_incident(m, incident, now);

        if (incident->unadopted) {
                watch_close(m, incident, INCIDENT_OUTCOME_FOUND, now);
        } else if (info->status == INCIDENT_STATUS_HELD) {
                incident->stopped &= !incident->asks; /* it is told to go on */
                watch_answer(m, incident, now);
        } else if (!incident->acts) {
                watch_answer(m, incident, now);
                watch_leave(m, incident, now);
        } else if (incident->awaits_stop) {
                incident->settle_us = now.boot_us + WATCH_STOP_US;
        } else {
                watch_start(m, incident, ACT_FROM_START, now);
        }
}

void watch_decide(WatchMachine *m, Incident *incident, Moment now) {
        incident->awaits_info = false;
        incident->settle_us = USEC_INFINITY;
        watch_lost(m->watch, watch_describe(m, incident->info));
        /* Only a WATCHDOG tells what will be done; what happened is told at once. */
        if (incident->info->kind != INCIDENT_KIND_WATCHDOG && !incident->asks)
                watch_announce_fault(m, incident);
        if (incident->unadopted) {
                watch_lost(m->watch, watch_decide_found(incident));
        } else {
                if (watch_begin_decision(m, incident, now))
                        return;
                watch_lost(m->watch, watch_finish_decision(m, incident, now));
        }
        watch_conclude(m, incident, now);
}

static Incident *watch_find_consulting(Watch *watch, const char *machine, uint64_t id) {
        WatchMachine *m = watch_find(watch, machine);
        Incident *incident = m ? watch_find_incident(m, id) : NULL;

        return incident && incident->awaits_plugins ? incident : NULL;
}

const Decision *watch_proposed(Watch *watch,
                               const char *machine,
                               uint64_t id,
                               const EngineProposal *proposal) {
        Incident *incident = watch_find_consulting(watch, machine, id);

        if (!incident)
                return NULL;
        watch_lost(watch, engine_hear(&incident->draft, incident->info->kind, proposal));
        return &incident->draft;
}

void watch_consulted(Watch *watch, const char *machine, uint64_t id, Moment now) {
        Incident *incident = watch_find_consulting(watch, machine, id);
        WatchMachine *m = watch_find(watch, machine);

        if (!incident)
                return;
        incident->awaits_plugins = false;
        watch_lost(watch, watch_finish_decision(m, incident, now));
        watch_conclude(m, incident, now);
        watch_arm(m, now);
}
