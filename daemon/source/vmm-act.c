/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An action that a VMM carries out: the word for it is written down, the VMM is told (in reply to its
 * report, or with ACT), and its own word ends it. As in act.c, whoever returns after a crash must be
 * able to tell from the record what was said; what was done the client knows, and it repeats itself
 * until it is heard.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/source/vmm-private.h"

static uint64_t vmm_act_step(VmmAct *act, const char *what, const char *error, const char *text) {
        Vmm *vmm = act->guest->vmm;

        return vmm->ops->step(act->guest->name, act->incident, what, error, text, vmm->userdata);
}

VmmAct *vmm_act_free(VmmAct *act) {
        if (!act)
                return NULL;
        act->guest->act = NULL;
        list_remove(&act->waiting);
        sd_event_source_disable_unref(act->timer);
        free(act->reason);
        free(act);
        return NULL;
}

static void vmm_act_end(VmmAct *act, IncidentOutcome outcome) {
        VmmGuest *guest = act->guest;
        uint64_t incident = act->incident;

        vmm_act_free(act);
        guest->vmm->ops->end(guest->name, incident, outcome, guest->vmm->userdata);
}

static void vmm_act_set_timer(VmmAct *act, uint64_t us) {
        (void) sd_event_source_set_time_relative(act->timer, us);
        (void) sd_event_source_set_enabled(act->timer, SD_EVENT_ONESHOT);
}

static bool vmm_act_send_event(VmmAct *act) {
        VmmGuest *guest = act->guest;
        json_object *data = NULL;
        bool sent;
        ActEvent event = {
                .machine = guest->given,
                .incident = act->incident,
                .action = act->action,
                .reason = act->reason,
        };

        if (!guest->client->peer || act_event_to_json(&event, &data) < 0)
                return false;
        sent = qmp_peer_tell(guest->client->peer, "ACT", data, vmm_now(guest->vmm));
        json_object_put(data);
        return sent;
}

static void vmm_act_reply(VmmAct *act, VmmCall *call) {
        Vmm *vmm = act->guest->vmm;
        VmmDecision decision = {
                .has_incident = true,
                .incident = act->incident,
                .action = act->action,
                .reason = act->reason,
        };
        json_object *ret = NULL;

        if (vmm_decision_to_json(&decision, &ret) < 0)
                qmp_call_fail(call->call, QAPI_ERROR_CLASS_GENERIC_ERROR, "%s", strerror(ENOMEM));
        else
                qmp_call_return(call->call, ret);
        vmm_call_free(call);
        vmm->ops->answered(act->guest->name, act->incident, vmm->userdata);
}

/* Whoever waits for a reply gets that; others get the event. One who can't be reached asks again, or
 * is told when his machine is attached again. */
static void vmm_act_send(VmmAct *act) {
        VmmCall *call = act->number > 0 ? vmm_find_call(act->guest->client, act->number) : NULL;

        act->stage = VMM_ACT_TOLD;
        vmm_act_set_timer(act, VMM_DONE_US);
        if (call)
                vmm_act_reply(act, call);
        else if (!act->asks && !vmm_act_send_event(act))
                (void) vmm_act_step(act, "note", NULL, "its VMM can't be told now");
}

static void vmm_act_begin(VmmAct *act) {
        char text[64];

        (void) snprintf(text, sizeof(text), "about to tell its VMM: %s", action_to_string(act->action));
        act->stage = VMM_ACT_INTENT;
        act->awaits = vmm_act_step(act, "intent", NULL, text);
        list_append(&act->guest->vmm->waiting_acts, &act->waiting);
        vmm_act_set_timer(act, VMM_RECORD_US);
}

static int vmm_act_on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        VmmAct *act = userdata;

        switch (act->stage) {
        case VMM_ACT_NEW:
                vmm_act_begin(act);
                break;
        case VMM_ACT_INTENT:
                list_remove(&act->waiting);
                act->awaits = 0;
                if (act->action == ACTION_INJECT_NMI) {
                        (void) vmm_act_step(
                                act,
                                "note",
                                NULL,
                                "the record is not down: what can't be told afterwards is not sent");
                        vmm_act_end(act, INCIDENT_OUTCOME_FAILED);
                        break;
                }
                (void) vmm_act_step(act, "note", NULL, "went ahead before the record was down");
                vmm_act_send(act);
                break;
        case VMM_ACT_TOLD:
                (void) vmm_act_step(act, "note", NULL, "its VMM has not said what it did");
                vmm_act_end(act, INCIDENT_OUTCOME_FAILED);
                break;
        }
        return 0;
}

int vmm_act(Vmm *vmm, const WatchMachine *machine, const IncidentInfo *incident, ActPoint from) {
        VmmGuest *guest = vmm_find_guest(vmm, machine->name);
        const IncidentReport *report = incident->report;
        bool answered = false;
        VmmAct *act;
        int r;

        if (!guest || !guest->client->peer)
                return 0; /* the next ATTACHED takes it up */
        for (size_t i = 0; i < incident->n_steps; i++)
                answered |= strcmp(incident->steps[i]->what, "answer") == 0;
        if (guest->act)
                vmm_act_free(guest->act);
        act = calloc(1, sizeof(*act));
        if (!act)
                return -ENOMEM;
        act->guest = guest;
        guest->act = act;
        act->incident = incident->id;
        act->kind = incident->kind;
        /* what a reset leaves to do once it has happened */
        act->action = from == ACT_FROM_CONT ? ACTION_RUN : incident->decision->action;
        list_init(&act->waiting);
        act->reason = strdup(incident->decision->reason);
        if (report && strcasecmp(report->client, guest->client->uuid) == 0)
                act->number = report->number;
        act->asks = report && report->asked && !answered;
        r = act->reason
                    ? sd_event_add_time_relative(
                              vmm->event, &act->timer, CLOCK_MONOTONIC, 0, 1, vmm_act_on_timer, act)
                    : -ENOMEM;
        if (r < 0) {
                vmm_act_free(act);
                return r;
        }
        if (from == ACT_FROM_TOLD && act->asks) {
                /* it has not been answered, so it asks again */
                act->stage = VMM_ACT_TOLD;
                vmm_act_set_timer(act, VMM_DONE_US);
        }
        return 0;
}

void vmm_closed(Vmm *vmm, const char *machine, uint64_t incident) {
        VmmGuest *guest = vmm_find_guest(vmm, machine);

        if (guest && guest->act && guest->act->incident == incident)
                vmm_act_free(guest->act);
}

void vmm_recorded(Vmm *vmm, uint64_t write, int r) {
        vmm_calls_recorded(vmm, write);
        list_foreach_safe(i, next, &vmm->waiting_acts) {
                VmmAct *act = list_entry(i, VmmAct, waiting);

                if (act->awaits > write)
                        break;
                if (act->awaits < write)
                        continue;
                list_remove(&act->waiting);
                act->awaits = 0;
                if (r < 0)
                        (void) vmm_act_step(act, "note", strerror(-r), "the record could not be kept");
                vmm_act_send(act);
        }
}

/* After these the guest is not what was decided about. */
static bool vmm_is_final(Action action) {
        return action == ACTION_RESET || action == ACTION_SHUTDOWN || action == ACTION_POWEROFF ||
               action == ACTION_EXIT_FAILURE || action == ACTION_FATAL;
}

void vmm_act_asked(VmmAct *act, VmmCall *call, bool acted, Action action) {
        char text[64];

        if (!acted) {
                if (act->stage == VMM_ACT_TOLD)
                        vmm_act_reply(act, call);
                /* else the call is found when its turn comes */
                return;
        }
        /* It could not wait for us: it has done what it does by itself. */
        act->number = 0;
        act->asks = false;
        (void) snprintf(text, sizeof(text), "its VMM did not wait: %s", action_to_string(action));
        (void) vmm_act_step(act, "note", NULL, text);
        vmm_call_end_acted(call, act->incident);
        act->guest->vmm->ops->answered(act->guest->name, act->incident, act->guest->vmm->userdata);
        if (action == act->action)
                vmm_act_end(act, INCIDENT_OUTCOME_DONE);
        else if (vmm_is_final(action))
                vmm_act_end(act, INCIDENT_OUTCOME_OVERTAKEN);
        else if (act->stage == VMM_ACT_TOLD)
                vmm_act_send(act);
}

void vmm_act_done(VmmGuest *guest, const ReportDoneArg *arg) {
        VmmAct *act = guest->act;
        IncidentOutcome outcome = INCIDENT_OUTCOME_DONE;
        IncidentKind kind;
        char text[64];

        if (!act || act->incident != arg->incident) {
                (void) snprintf(text, sizeof(text), "its VMM: %s", action_to_string(arg->action));
                (void) guest->vmm->ops->step(guest->name,
                                             arg->incident,
                                             action_to_string(arg->action),
                                             arg->error,
                                             text,
                                             guest->vmm->userdata);
                return;
        }
        kind = act->kind;
        if (arg->error)
                outcome = INCIDENT_OUTCOME_FAILED;
        else if (arg->action != act->action)
                outcome = INCIDENT_OUTCOME_OVERTAKEN;
        (void) vmm_act_step(act,
                            action_to_string(arg->action),
                            arg->error,
                            arg->error ? "its VMM could not" : "its VMM did it");
        if (!arg->error) {
                vmm_guest_did(guest, arg->action, kind);
                /* what it looked like may have ended the incident */
                act = guest->act;
        }
        if (act)
                vmm_act_end(act, outcome);
}
