/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/source/vmm-notice.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "policy/decode/s390-psw.h"
#include "policy/incident.h"

/* HV_X64_MSR_CRASH_P0 and HV_X64_MSR_CRASH_CTL (Linux, asm/hyperv-tlfs.h). */
#define HYPERV_MSR_P0 0x40000100U
#define HYPERV_MSR_CTL 0x40000105U
#define HYPERV_CTL_NOTIFY (UINT64_C(1) << 63)
#define HYPERV_CTL_MESSAGE (UINT64_C(1) << 62)

#define CLIENT_LENGTH 36
/* Some 30,000 years; in microseconds it fits into 64 bits. */
#define SECONDS_MAX (INT64_C(1) << 40)

static const char *const vmm_notice_events[_INCIDENT_KIND_MAX] = {
        [INCIDENT_KIND_WATCHDOG] = "WATCHDOG",
        [INCIDENT_KIND_PANIC] = "GUEST_PANICKED",
        [INCIDENT_KIND_CRASHLOADED] = "GUEST_CRASHLOADED",
        [INCIDENT_KIND_MEMORY_FAILURE] = "MEMORY_FAILURE",
        [INCIDENT_KIND_NOTIFY_VMEXIT] = "NOTIFY_VMEXIT",
};

void vmm_notice_deinit(VmmNotice *notice) {
        json_object_put(notice->data);
        *notice = (VmmNotice) VMM_NOTICE_NULL;
}

/* 8-4-4-4-12 hexadecimal digits */
bool vmm_client_is_valid(const char *client) {
        if (strlen(client) != CLIENT_LENGTH)
                return false;
        for (size_t i = 0; i < CLIENT_LENGTH; i++) {
                bool dash = i == 8 || i == 13 || i == 18 || i == 23;

                if (dash ? client[i] != '-' : !strchr("0123456789abcdefABCDEF", client[i]))
                        return false;
        }
        return true;
}

static int vmm_notice_refuse(QapiError *error, const char *member, const char *expected) {
        int r = qapi_error_set(error,
                               QAPI_ERROR_CLASS_GENERIC_ERROR,
                               "Parameter '%s' expects %s",
                               member,
                               expected);

        return r < 0 ? r : VMM_NOTICE_E_INVALID;
}

int vmm_notice_plain(const VmmReport *report, VmmNotice *ret, QapiError *error) {
        VmmNotice notice = { .report = report };

        if (!vmm_client_is_valid(report->client))
                return vmm_notice_refuse(error, "client", "a UUID");
        if (report->number == 0)
                return vmm_notice_refuse(error, "number", "a number from 1 on");
        if (report->time && (report->time->seconds < 0 || report->time->seconds > SECONDS_MAX ||
                             report->time->microseconds < 0 || report->time->microseconds > 999999))
                return vmm_notice_refuse(error, "time", "a time since the Epoch");
        notice.time_us = timestamp_get_us(report->time);
        *ret = notice;
        return 0;
}

/* What every report of a kind has: its event, and the action in the event's own word. */
static int vmm_notice_begin(const VmmReport *report,
                            IncidentKind kind,
                            VmmNotice *ret,
                            QapiError *error) {
        Action initial = kind == INCIDENT_KIND_PANIC            ? ACTION_PAUSE
                         : kind == INCIDENT_KIND_MEMORY_FAILURE ? ACTION_IGNORE
                         : kind == INCIDENT_KIND_NOTIFY_VMEXIT  ? ACTION_RUN
                                                                : ACTION_NONE;
        VmmNotice notice;
        const char *word;
        int r;

        r = vmm_notice_plain(report, &notice, error);
        if (r != 0)
                return r;
        notice.decided = true;
        notice.kind = kind;
        notice.action = report->has_action ? report->action : initial;
        if (!policy_kind_allows(kind, notice.action))
                return vmm_notice_refuse(error, "action", "an action of this kind of incident");
        notice.event = vmm_notice_events[kind];
        notice.data = json_object_new_object();
        word = incident_get_action_word(kind, notice.action);
        if (!notice.data ||
            json_object_object_add(notice.data, "action", json_object_new_string(word)) < 0) {
                vmm_notice_deinit(&notice);
                return -ENOMEM;
        }
        *ret = notice;
        return 0;
}

static int vmm_notice_add_info(VmmNotice *notice, const GuestPanicInformation *info) {
        json_object *json = NULL;
        int r;

        if (!info)
                return 0;
        r = guest_panic_information_to_json(info, &json);
        if (r == 0 && json_object_object_add(notice->data, "info", json) < 0) {
                json_object_put(json);
                r = -ENOMEM;
        }
        return r;
}

static int vmm_notice_read_hyperv(const ReportPanicArg *arg,
                                  VmmNotice *notice,
                                  GuestPanicInformation *info,
                                  QapiError *error) {
        GuestPanicInformationHyperV *hv = &info->u.hyper_v;
        uint64_t *const args[] = { &hv->arg1, &hv->arg2, &hv->arg3, &hv->arg4, &hv->arg5 };
        uint64_t control = HYPERV_CTL_NOTIFY;
        unsigned seen = 0;

        info->type = GUEST_PANIC_INFORMATION_TYPE_HYPER_V;
        for (size_t i = 0; i < arg->n_hyperv; i++) {
                uint32_t n = arg->hyperv[i]->index - HYPERV_MSR_P0;

                if (n > HYPERV_MSR_CTL - HYPERV_MSR_P0)
                        return vmm_notice_refuse(error, "index", "0x40000100 to 0x40000105");
                if (seen & (1U << n))
                        return vmm_notice_refuse(error, "hyperv", "each register once");
                seen |= 1U << n;
                if (n < ELEMENTSOF(args))
                        *args[n] = arg->hyperv[i]->value;
                else
                        control = arg->hyperv[i]->value;
        }
        if (!(control & HYPERV_CTL_NOTIFY))
                return vmm_notice_refuse(error, "hyperv", "bit 63 of the control register to be set");
        if (control & HYPERV_CTL_MESSAGE)
                (void) snprintf(notice->text,
                                sizeof(notice->text),
                                "Hyper-V message of %" PRIu64 " bytes at 0x%" PRIx64 "%s",
                                hv->arg5,
                                hv->arg4,
                                arg->message ? "" : ", not handed along");
        return 0;
}

static int vmm_notice_read_s390(const VmmS390Cpu *cpu, GuestPanicInformation *info, QapiError *error) {
        S390Psw psw = { cpu->psw->mask, cpu->psw->addr };
        S390NewPsws new_psws;

        if (!cpu->program_new != !cpu->external_new)
                return vmm_notice_refuse(error, "s390", "both new PSWs, or none");
        if (cpu->program_new)
                new_psws = (S390NewPsws){
                        .program = { cpu->program_new->mask, cpu->program_new->addr },
                        .external = { cpu->external_new->mask, cpu->external_new->addr },
                };
        if (s390_psw_is_quiesce(psw))
                return vmm_notice_refuse(error, "s390", "a crash; this CPU says that it has shut down");
        info->type = GUEST_PANIC_INFORMATION_TYPE_S390;
        info->u.s390 = (GuestPanicInformationS390){
                .core = cpu->core,
                .psw_mask = psw.mask,
                .psw_addr = psw.addr,
                .reason = s390_psw_get_reason(psw, cpu->program_new ? &new_psws : NULL),
        };
        return 0;
}

int vmm_notice_panic(const ReportPanicArg *arg, VmmNotice *ret, QapiError *error) {
        _cleanup_(vmm_notice_deinit) VmmNotice notice = VMM_NOTICE_NULL;
        GuestPanicInformation made = {};
        const GuestPanicInformation *info = arg->info;
        int r;

        r = vmm_notice_begin(arg->report, INCIDENT_KIND_PANIC, &notice, error);
        if (r != 0)
                return r;
        if ((arg->info != NULL) + (arg->n_hyperv > 0) + (arg->s390 != NULL) > 1)
                return vmm_notice_refuse(error, "info", "to be alone, without hyperv or s390");
        if (arg->message && strlen(arg->message) > VMM_MESSAGE_MAX)
                return vmm_notice_refuse(error, "message", "at most 12288 bytes");
        if (arg->n_hyperv > 0)
                r = vmm_notice_read_hyperv(arg, &notice, &made, error);
        else if (arg->s390)
                r = vmm_notice_read_s390(arg->s390, &made, error);
        if (r != 0)
                return r;
        if (arg->n_hyperv > 0 || arg->s390)
                info = &made;
        notice.message = arg->message;
        r = vmm_notice_add_info(&notice, info);
        if (r < 0)
                return r;
        *ret = notice;
        notice = (VmmNotice) VMM_NOTICE_NULL;
        return 0;
}

int vmm_notice_crashloaded(const ReportCrashloadedArg *arg, VmmNotice *ret, QapiError *error) {
        _cleanup_(vmm_notice_deinit) VmmNotice notice = VMM_NOTICE_NULL;
        int r;

        r = vmm_notice_begin(arg->report, INCIDENT_KIND_CRASHLOADED, &notice, error);
        if (r == 0)
                r = vmm_notice_add_info(&notice, arg->info);
        if (r != 0)
                return r;
        *ret = notice;
        notice = (VmmNotice) VMM_NOTICE_NULL;
        return 0;
}

int vmm_notice_watchdog(const ReportWatchdogArg *arg, VmmNotice *ret, QapiError *error) {
        return vmm_notice_begin(arg->report, INCIDENT_KIND_WATCHDOG, ret, error);
}

int vmm_notice_notify_vmexit(const ReportNotifyVmexitArg *arg, VmmNotice *ret, QapiError *error) {
        return vmm_notice_begin(arg->report, INCIDENT_KIND_NOTIFY_VMEXIT, ret, error);
}

/* Appends to the text; what does not fit is left out. */
static void vmm_notice_say(VmmNotice *notice, const char *what, uint64_t address) {
        size_t n = strlen(notice->text);

        (void) snprintf(notice->text + n,
                        sizeof(notice->text) - n,
                        "%s%s 0x%" PRIx64,
                        n > 0 ? ", " : "",
                        what,
                        address);
}

int vmm_notice_memory_failure(const ReportMemoryFailureArg *arg, VmmNotice *ret, QapiError *error) {
        _cleanup_(vmm_notice_deinit) VmmNotice notice = VMM_NOTICE_NULL;
        static const MemoryFailureFlags no_flags;
        json_object *flags = NULL;
        int r;

        r = vmm_notice_begin(arg->report, INCIDENT_KIND_MEMORY_FAILURE, &notice, error);
        if (r == 0)
                r = memory_failure_flags_to_json(arg->flags ? arg->flags : &no_flags, &flags);
        if (r != 0)
                return r;
        if (json_object_object_add(notice.data, "flags", flags) < 0) {
                json_object_put(flags);
                return -ENOMEM;
        }
        if (json_object_object_add(notice.data,
                                   "recipient",
                                   json_object_new_string(
                                           memory_failure_recipient_to_string(arg->recipient))) < 0)
                return -ENOMEM;
        if (arg->has_address)
                vmm_notice_say(&notice, "address", arg->address);
        if (arg->has_guest_address)
                vmm_notice_say(&notice, "guest address", arg->guest_address);
        *ret = notice;
        notice = (VmmNotice) VMM_NOTICE_NULL;
        return 0;
}

int vmm_notice_vfio_migration(const ReportVfioMigrationArg *arg, VmmNotice *ret, QapiError *error) {
        VfioMigrationEvent event = {
                .device_id = arg->device_id,
                .qom_path = arg->qom_path,
                .device_state = arg->device_state,
        };
        VmmNotice notice;
        int r;

        r = vmm_notice_plain(arg->report, &notice, error);
        if (r != 0)
                return r;
        notice.event = "VFIO_MIGRATION";
        r = vfio_migration_event_to_json(&event, &notice.data);
        if (r < 0)
                return r;
        *ret = notice;
        return 0;
}

int vmm_notice_relayed(const RelayEventArg *arg, VmmNotice *ret, QapiError *error) {
        VmmNotice notice;
        int r;

        r = vmm_notice_plain(arg->report, &notice, error);
        if (r != 0)
                return r;
        if (strlen(arg->event) > VMM_EVENT_MAX ||
            strspn(arg->event, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789") != strlen(arg->event))
                return vmm_notice_refuse(error, "event", "the name of a QMP event");
        if (arg->data && !json_object_is_type(arg->data, json_type_object))
                return vmm_notice_refuse(error, "data", "an object");
        notice.event = arg->event;
        notice.data = json_object_get(arg->data);
        *ret = notice;
        return 0;
}

const char *vmm_notice_get_transition(RunState from, RunState to) {
        if (from == to)
                return NULL;
        if (to == RUN_STATE_SHUTDOWN)
                return "SHUTDOWN";
        if (to == RUN_STATE_SUSPENDED)
                return "SUSPEND";
        if (from == RUN_STATE_SUSPENDED && to == RUN_STATE_RUNNING)
                return "WAKEUP";
        if (to == RUN_STATE_RUNNING)
                return "RESUME";
        return from == RUN_STATE_RUNNING ? "STOP" : NULL;
}
