/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reports on their way in, and their answers. The difficulty is that a report may come twice: a client
 * that lost its connection, or found tocsind started anew, can't know whether it was heard. So its
 * number is looked for among those the client sent before; then, for one that says it may be a repeat,
 * in the records of incidents, which outlive us.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/source/vmm-private.h"
#include "policy/incident.h"
#include "policy/util/name.h"

/* Closed records looked through for a report that may be a repeat: one machine's last ones. */
#define VMM_RECORDS_MAX 64

static void vmm_fail(QmpCall *call, int r) {
        qmp_call_fail(call, QAPI_ERROR_CLASS_GENERIC_ERROR, "%s", strerror(-r));
}

VmmCall *vmm_find_call(const VmmClient *client, uint64_t number) {
        list_foreach(i, &client->calls) {
                VmmCall *call = list_entry(i, VmmCall, link);

                if (call->number == number)
                        return call;
        }
        return NULL;
}

void vmm_call_free(VmmCall *call) {
        VmmClient *client = call->client;

        list_remove(&call->link);
        client->n_calls--;
        list_remove(&call->waiting);
        sd_event_source_disable_unref(call->timer);
        json_object_put(call->answer);
        free(call);
        vmm_client_settle(client);
}

/* What the VMM is to do now: a decision may wait, or have been made idle by what happened since. */
static Action vmm_get_action(const IncidentInfo *incident) {
        if (incident->status == INCIDENT_STATUS_HELD || !incident->decision)
                return ACTION_NONE;
        /* who has acted already is told with ACT what is left to do */
        if (incident->report && !incident->report->asked)
                return ACTION_NONE;
        if (incident->has_outcome && incident->outcome != INCIDENT_OUTCOME_DONE &&
            incident->outcome != INCIDENT_OUTCOME_BACKEND &&
            incident->outcome != INCIDENT_OUTCOME_LEFT)
                return ACTION_NONE;
        return incident->decision->action;
}

/* NULL: no memory. */
static json_object *vmm_make_answer(const VmmCall *call, const IncidentInfo *incident) {
        char counted[] = "recorded, or counted where there were too many within a second";
        char none[] = "it was over before anything was decided";
        VmmDecision decision = { .action = call->action, .reason = counted };
        json_object *answer = NULL;

        if (incident) {
                decision.has_incident = true;
                decision.incident = incident->id;
                decision.action = vmm_get_action(incident);
                decision.reason = incident->decision ? incident->decision->reason : none;
                if (incident->status == INCIDENT_STATUS_HELD)
                        decision.due = incident->decision->due;
        }
        return vmm_decision_to_json(&decision, &answer) < 0 ? NULL : answer;
}

/* Takes the answer. */
static void vmm_call_end(VmmCall *call, json_object *answer) {
        if (answer)
                qmp_call_return(call->call, answer);
        else
                vmm_fail(call->call, -ENOMEM);
        vmm_call_free(call);
}

void vmm_call_answer(VmmCall *call, const IncidentInfo *incident) {
        vmm_call_end(call, vmm_make_answer(call, incident));
}

void vmm_call_end_acted(VmmCall *call, uint64_t incident) {
        char reason[] = "what is left to do comes as ACT";
        VmmDecision decision = {
                .has_incident = true, .incident = incident, .action = ACTION_NONE, .reason = reason
        };
        json_object *answer = NULL;

        vmm_call_end(call, vmm_decision_to_json(&decision, &answer) < 0 ? NULL : answer);
}

static int vmm_call_on_late(sd_event_source *source, uint64_t usec, void *userdata) {
        VmmCall *call = userdata;

        vmm_call_end(call, TAKE_PTR(call->answer));
        return 0;
}

void vmm_calls_recorded(Vmm *vmm, uint64_t write) {
        list_foreach_safe(i, next, &vmm->waiting_calls) {
                VmmCall *call = list_entry(i, VmmCall, waiting);

                if (call->awaits > write)
                        return;
                if (call->awaits == write)
                        vmm_call_end(call, TAKE_PTR(call->answer));
        }
}

/* Takes the answer, which goes out when that write is down. */
static void vmm_call_wait(VmmCall *call, json_object *answer, uint64_t write) {
        Vmm *vmm = call->client->vmm;

        if (sd_event_add_time_relative(vmm->event,
                                       &call->timer,
                                       CLOCK_MONOTONIC,
                                       VMM_RECORD_US,
                                       USEC_PER_MSEC,
                                       vmm_call_on_late,
                                       call) < 0) {
                vmm_call_end(call, answer);
                return;
        }
        call->answer = answer;
        call->awaits = write;
        list_append(&vmm->waiting_calls, &call->waiting);
}

void vmm_answer(Vmm *vmm, const IncidentInfo *incident, uint64_t write) {
        VmmClient *client = vmm_find_client(vmm, incident->report->client);
        VmmCall *call = client ? vmm_find_call(client, incident->report->number) : NULL;

        if (!call)
                return;
        /* Who is told that more will come relies on it, whatever becomes of us. */
        if (incident->status == INCIDENT_STATUS_HELD)
                vmm_call_wait(call, vmm_make_answer(call, incident), write);
        else
                vmm_call_answer(call, incident);
}

VmmGuest *vmm_check(QmpCall *call, const char *machine, const char *client) {
        VmmClient *owner = qmp_peer_get_owner(qmp_call_get_peer(call));
        _cleanup_free_ char *name = NULL;
        VmmGuest *guest = NULL;

        if (owner && strcasecmp(owner->uuid, client) == 0 && name_escape(machine, &name) == 0)
                guest = vmm_find_guest(owner->vmm, name);
        if (!guest || guest->client != owner) {
                qmp_call_fail(call,
                              QAPI_ERROR_CLASS_DEVICE_NOT_FOUND,
                              "Machine '%s' is not registered by this client on this connection",
                              machine);
                return NULL;
        }
        if (!vmm_guest_get_machine(guest)) {
                qmp_call_fail(call,
                              QAPI_ERROR_CLASS_DEVICE_NOT_ACTIVE,
                              "Machine '%s' is reached another way",
                              machine);
                return NULL;
        }
        return guest;
}

static VmmCall *vmm_call_new(VmmClient *client, QmpCall *call, uint64_t number, Action action) {
        VmmCall *former = vmm_find_call(client, number), *new;

        if (former) {
                /* of a connection that is gone: it goes to nobody */
                qmp_call_return(former->call, NULL);
                vmm_call_free(former);
        }
        new = calloc(1, sizeof(*new));
        if (!new)
                return NULL;
        new->client = client;
        list_init(&new->waiting);
        new->call = call;
        new->number = number;
        new->action = action;
        list_append(&client->calls, &new->link);
        /* what was done about one report must be heard while another one waits */
        if (++client->n_calls < VMM_CALLS_MAX)
                qmp_call_detach(call);
        return new;
}

void vmm_confirm(VmmClient *client, QmpCall *call, uint64_t number) {
        VmmCall *waiting = vmm_call_new(client, call, number, ACTION_NONE);

        if (waiting)
                vmm_call_wait(waiting,
                              json_object_new_object(),
                              client->vmm->ops->get_writes(client->vmm->userdata));
        else
                vmm_fail(call, -ENOMEM);
}

/* A new report that wants a decision. */
static void vmm_decide(VmmGuest *guest, VmmCall *call, const VmmNotice *notice) {
        const VmmReport *report = notice->report;
        Observation o = vmm_guest_observation(guest, OBSERVATION_EVENT);
        VmmClient *client = guest->client;
        Vmm *vmm = guest->vmm;

        if (notice->time_us > 0 && notice->time_us < o.time_us)
                o.time_us = notice->time_us;
        o.event = notice->event;
        o.data = notice->data;
        o.client = client->uuid;
        o.number = report->number;
        o.action = notice->action;
        o.asks = !report->has_acted || !report->acted;
        o.message = notice->message;
        o.text = notice->text[0] ? notice->text : NULL;
        /* what it has done by itself shows before what is made of it */
        vmm->ops->observe(&o, vmm->userdata);
        call = vmm_find_call(client, report->number);
        if (!call || call->awaits > 0)
                return;
        /* One that was not asked about is answered now; and one that opened no incident. */
        if (!o.asks || !watch_find_report(vmm->watch, guest->name, client->uuid, report->number))
                vmm_call_answer(
                        call,
                        watch_find_report(vmm->watch, guest->name, client->uuid, report->number));
}

/* An open incident of this report: true if there is one, and the call is, or will be, answered. */
static bool vmm_decide_again(VmmGuest *guest, VmmCall *call, const VmmNotice *notice) {
        const VmmReport *report = notice->report;
        const IncidentInfo *incident = watch_find_report(guest->vmm->watch,
                                                         guest->name,
                                                         guest->client->uuid,
                                                         report->number);
        bool acted = report->has_acted && report->acted;

        if (!incident)
                return false;
        if (guest->act && guest->act->incident == incident->id)
                vmm_act_asked(guest->act, call, acted, notice->action);
        else if (incident->decision || acted)
                vmm_call_answer(call, incident);
        /* else plugins are being asked */
        return true;
}

/* A report that may be a repeat, while the store is asked. Everything is looked up anew after. */
typedef struct VmmSearch {
        Vmm *vmm;
        char client[VMM_UUID_SIZE];
        bool fresh; /* its number has not been seen */
        char *machine, *message;
        VmmReport *report; /* copies */
        VmmNotice notice;
} VmmSearch;

static void vmm_search_free(VmmSearch *search) {
        vmm_notice_deinit(&search->notice);
        vmm_report_free(search->report);
        free(search->machine);
        free(search->message);
        free(search);
}

static bool vmm_record_matches(json_object *record, const VmmSearch *search) {
        json_object *report, *client, *number;

        return json_object_object_get_ex(record, "report", &report) &&
               json_object_object_get_ex(report, "client", &client) &&
               json_object_object_get_ex(report, "number", &number) &&
               strcasecmp(json_object_get_string(client), search->client) == 0 &&
               json_object_get_uint64(number) == search->report->number;
}

static void vmm_searched(int r, json_object *const *records, size_t n, void *userdata) {
        VmmSearch *search = userdata;
        VmmClient *client = vmm_find_client(search->vmm, search->client);
        VmmGuest *guest = vmm_find_guest(search->vmm, search->machine);
        VmmCall *call = client ? vmm_find_call(client, search->report->number) : NULL;
        IncidentInfo *found = NULL;

        for (size_t i = 0; r >= 0 && i < n && !found; i++)
                if (vmm_record_matches(records[i], search))
                        (void) incident_info_from_json(records[i], &found, NULL);
        if (call && found)
                vmm_call_answer(call, found);
        else if (call && search->fresh && guest && guest->client == client &&
                 vmm_guest_get_machine(guest))
                vmm_decide(guest, call, &search->notice);
        else if (call)
                vmm_call_answer(call, NULL);
        incident_info_free(found);
        vmm_search_free(search);
}

/* The notice borrows from the arguments, which do not live as long. */
static VmmSearch *vmm_search_new(const VmmGuest *guest, VmmNotice *notice, bool fresh) {
        VmmSearch *search = calloc(1, sizeof(*search));
        json_object *json = NULL;
        int r = -ENOMEM;

        if (!search)
                return NULL;
        search->vmm = guest->vmm;
        memcpy(search->client, guest->client->uuid, VMM_UUID_SIZE);
        search->fresh = fresh;
        search->machine = strdup(guest->name);
        search->message = notice->message ? strdup(notice->message) : NULL;
        if (search->machine && (search->message || !notice->message) &&
            vmm_report_to_json(notice->report, &json) == 0)
                r = vmm_report_from_json(json, &search->report, NULL);
        json_object_put(json);
        if (r != 0) {
                vmm_search_free(search);
                return NULL;
        }
        search->notice = *notice;
        search->notice.report = search->report;
        search->notice.message = search->message;
        *notice = (VmmNotice) VMM_NOTICE_NULL;
        return search;
}

static int vmm_search(VmmGuest *guest, VmmNotice *notice, bool fresh) {
        StoreIncidentFilter filter = {
                .machine = guest->name, .kind = -1, .status = -1, .limit = VMM_RECORDS_MAX
        };
        VmmSearch *search = vmm_search_new(guest, notice, fresh);
        int r;

        if (!search)
                return -ENOMEM;
        r = store_read_incidents(guest->vmm->store, &filter, vmm_searched, search);
        if (r < 0)
                vmm_search_free(search);
        return r;
}

static void vmm_take_decided(VmmGuest *guest, QmpCall *call, VmmNotice *notice) {
        const VmmReport *report = notice->report;
        bool fresh = vmm_client_count(guest->client, report->number);
        VmmCall *waiting = vmm_call_new(guest->client, call, report->number, notice->action);

        if (!waiting) {
                vmm_fail(call, -ENOMEM);
                return;
        }
        if (!fresh || (report->has_again && report->again)) {
                if (vmm_decide_again(guest, waiting, notice))
                        return;
                if (vmm_search(guest, notice, fresh) < 0)
                        vmm_call_answer(waiting, NULL);
                return;
        }
        vmm_decide(guest, waiting, notice);
}

void vmm_take(QmpCall *call, int r, VmmNotice *notice, QapiError *error) {
        VmmGuest *guest;

        if (r != 0) {
                if (r < 0)
                        vmm_fail(call, r);
                else
                        qmp_call_fail(call, error->class, "%s", error->desc);
                return;
        }
        guest = vmm_check(call, notice->report->machine, notice->report->client);
        if (!guest) {
                vmm_notice_deinit(notice);
                return;
        }
        if (notice->decided) {
                vmm_take_decided(guest, call, notice);
        } else {
                if (vmm_client_count(guest->client, notice->report->number))
                        vmm_guest_tell(guest, notice->event, notice->data, notice->time_us);
                qmp_call_return(call, NULL);
        }
        vmm_notice_deinit(notice);
}
