/* SPDX-License-Identifier: MIT */
/*
 * The public enums have the values of the inner ones: both come out of one schema, and a value keeps
 * its number (tests/unit/test-plugin.c).
 */
#include "plugins/sdk/host/question.h"

#include <errno.h>
#include <stdlib.h>

static uint64_t question_time(const Timestamp *time) {
        return (uint64_t) time->seconds * 1000000 + (uint64_t) time->microseconds;
}

static void question_set_info(Question *q, const GuestPanicInformation *from) {
        q->info = (struct tocsin_guest_panic_information){
                .size = sizeof(q->info),
                .type = (enum tocsin_guest_panic_information_type) from->type,
        };
        q->incident.info = &q->info;
        switch (from->type) {
        case GUEST_PANIC_INFORMATION_TYPE_HYPER_V:
                q->hyper_v = (struct tocsin_guest_panic_information_hyper_v){
                        .size = sizeof(q->hyper_v),
                        .arg1 = from->u.hyper_v.arg1,
                        .arg2 = from->u.hyper_v.arg2,
                        .arg3 = from->u.hyper_v.arg3,
                        .arg4 = from->u.hyper_v.arg4,
                        .arg5 = from->u.hyper_v.arg5,
                };
                q->info.u.hyper_v = &q->hyper_v;
                break;
        case GUEST_PANIC_INFORMATION_TYPE_S390:
                q->s390 = (struct tocsin_guest_panic_information_s390){
                        .size = sizeof(q->s390),
                        .core = from->u.s390.core,
                        .psw_mask = from->u.s390.psw_mask,
                        .psw_addr = from->u.s390.psw_addr,
                        .reason = (enum tocsin_s390_crash_reason) from->u.s390.reason,
                };
                q->info.u.s390 = &q->s390;
                break;
        case GUEST_PANIC_INFORMATION_TYPE_TDX:
                q->tdx = (struct tocsin_guest_panic_information_tdx){
                        .size = sizeof(q->tdx),
                        .error_code = from->u.tdx.error_code,
                        .message = from->u.tdx.message,
                        .has_gpa = from->u.tdx.has_gpa,
                        .gpa = from->u.tdx.gpa,
                };
                q->info.u.tdx = &q->tdx;
                break;
        case GUEST_PANIC_INFORMATION_TYPE_SEV:
                q->sev = (struct tocsin_guest_panic_information_sev){
                        .size = sizeof(q->sev),
                        .set = from->u.sev.set,
                        .code = from->u.sev.code,
                };
                q->info.u.sev = &q->sev;
                break;
        case _GUEST_PANIC_INFORMATION_TYPE_MAX:
                break;
        }
}

static void question_set_incident(Question *q, const IncidentInfo *from, const char *json) {
        q->incident = (struct tocsin_incident){
                .size = sizeof(q->incident),
                .id = from->id,
                .machine = from->machine,
                .run = from->run,
                .kind = (enum tocsin_incident_kind) from->kind,
                .time_us = question_time(from->time),
                .has_state = from->has_state,
                .state = (enum tocsin_run_state) from->state,
                .found = from->has_found && from->found,
                .event = from->event,
                .has_recipient = from->has_recipient,
                .recipient = (enum tocsin_memory_failure_recipient) from->recipient,
                .repeated = from->has_repeated ? from->repeated : 0,
                .json = json,
        };
        if (from->info)
                question_set_info(q, from->info);
        if (from->flags) {
                q->flags = (struct tocsin_memory_failure_flags){
                        .size = sizeof(q->flags),
                        .action_required = from->flags->action_required,
                        .recursive = from->flags->recursive,
                };
                q->incident.flags = &q->flags;
        }
}

static int question_set_history(Question *q, const PluginQuestion *from) {
        if (from->n_history == 0)
                return 0;
        q->history = calloc(from->n_history, sizeof(*q->history));
        if (!q->history)
                return -ENOMEM;
        for (size_t i = 0; i < from->n_history; i++)
                q->history[i] = (struct tocsin_past){
                        .incident = from->history[i]->incident,
                        .kind = (enum tocsin_incident_kind) from->history[i]->kind,
                        .action = (enum tocsin_action) from->history[i]->action,
                        .ago_us = from->history[i]->ago,
                };
        q->question.history = q->history;
        q->question.n_history = from->n_history;
        return 0;
}

int question_init(Question *q, const PluginQuestion *from, const char *incident_json) {
        *q = (Question){};
        q->question = (struct tocsin_question){
                .size = sizeof(q->question),
                .incident = &q->incident,
                .decision = &q->decision,
        };
        q->decision = (struct tocsin_decision){
                .size = sizeof(q->decision),
                .action = (enum tocsin_action) from->decision->action,
                .by = from->decision->by,
                .reason = from->decision->reason,
        };
        question_set_incident(q, from->incident, incident_json);
        return question_set_history(q, from);
}

void question_deinit(Question *q) {
        free(q->history);
        q->history = NULL;
}
