/* SPDX-License-Identifier: MIT */
/* The words here are those of policy/qapi; a test compares them. */
#include "plugins/sdk/lib/vmm-encode.h"

#include <errno.h>
#include <stdio.h>

#define USEC_PER_SEC UINT64_C(1000000)
#define N_ELEMENTS(table) (sizeof(table) / sizeof((table)[0]))

static const char *const vmm_actions[] = {
        [TOCSIN_ACTION_NONE] = "none",
        [TOCSIN_ACTION_RUN] = "run",
        [TOCSIN_ACTION_PAUSE] = "pause",
        [TOCSIN_ACTION_RESET] = "reset",
        [TOCSIN_ACTION_SHUTDOWN] = "shutdown",
        [TOCSIN_ACTION_POWEROFF] = "poweroff",
        [TOCSIN_ACTION_EXIT_FAILURE] = "exit-failure",
        [TOCSIN_ACTION_DEBUG] = "debug",
        [TOCSIN_ACTION_INJECT_NMI] = "inject-nmi",
        [TOCSIN_ACTION_IGNORE] = "ignore",
        [TOCSIN_ACTION_INJECT] = "inject",
        [TOCSIN_ACTION_FATAL] = "fatal",
        [TOCSIN_ACTION_SOFT_OFFLINE] = "soft-offline",
        [TOCSIN_ACTION_HARD_OFFLINE] = "hard-offline",
        [TOCSIN_ACTION_INTERNAL_ERROR] = "internal-error",
        [TOCSIN_ACTION_DISABLE] = "disable",
};

static const char *const vmm_states[] = {
        [TOCSIN_RUN_STATE_DEBUG] = "debug",
        [TOCSIN_RUN_STATE_INMIGRATE] = "inmigrate",
        [TOCSIN_RUN_STATE_INTERNAL_ERROR] = "internal-error",
        [TOCSIN_RUN_STATE_IO_ERROR] = "io-error",
        [TOCSIN_RUN_STATE_PAUSED] = "paused",
        [TOCSIN_RUN_STATE_POSTMIGRATE] = "postmigrate",
        [TOCSIN_RUN_STATE_PRELAUNCH] = "prelaunch",
        [TOCSIN_RUN_STATE_FINISH_MIGRATE] = "finish-migrate",
        [TOCSIN_RUN_STATE_RESTORE_VM] = "restore-vm",
        [TOCSIN_RUN_STATE_RUNNING] = "running",
        [TOCSIN_RUN_STATE_SAVE_VM] = "save-vm",
        [TOCSIN_RUN_STATE_SHUTDOWN] = "shutdown",
        [TOCSIN_RUN_STATE_SUSPENDED] = "suspended",
        [TOCSIN_RUN_STATE_WATCHDOG] = "watchdog",
        [TOCSIN_RUN_STATE_GUEST_PANICKED] = "guest-panicked",
        [TOCSIN_RUN_STATE_COLO] = "colo",
};

static const char *const vmm_causes[] = {
        [TOCSIN_SHUTDOWN_CAUSE_NONE] = "guest-shutdown",
        [TOCSIN_SHUTDOWN_CAUSE_HOST_ERROR] = "host-error",
        [TOCSIN_SHUTDOWN_CAUSE_HOST_QMP_QUIT] = "host-qmp-quit",
        [TOCSIN_SHUTDOWN_CAUSE_HOST_QMP_SYSTEM_RESET] = "host-qmp-system-reset",
        [TOCSIN_SHUTDOWN_CAUSE_HOST_SIGNAL] = "host-signal",
        [TOCSIN_SHUTDOWN_CAUSE_HOST_UI] = "host-ui",
        [TOCSIN_SHUTDOWN_CAUSE_GUEST_SHUTDOWN] = "guest-shutdown",
        [TOCSIN_SHUTDOWN_CAUSE_GUEST_RESET] = "guest-reset",
        [TOCSIN_SHUTDOWN_CAUSE_GUEST_PANIC] = "guest-panic",
        [TOCSIN_SHUTDOWN_CAUSE_SUBSYSTEM_RESET] = "subsystem-reset",
        [TOCSIN_SHUTDOWN_CAUSE_SNAPSHOT_LOAD] = "snapshot-load",
};

static const char *const vmm_reasons[] = {
        [TOCSIN_S390_CRASH_REASON_UNKNOWN] = "unknown",
        [TOCSIN_S390_CRASH_REASON_DISABLED_WAIT] = "disabled-wait",
        [TOCSIN_S390_CRASH_REASON_EXTINT_LOOP] = "extint-loop",
        [TOCSIN_S390_CRASH_REASON_PGMINT_LOOP] = "pgmint-loop",
        [TOCSIN_S390_CRASH_REASON_OPINT_LOOP] = "opint-loop",
};

static const char *const vmm_recipients[] = {
        [TOCSIN_MEMORY_FAILURE_RECIPIENT_HYPERVISOR] = "hypervisor",
        [TOCSIN_MEMORY_FAILURE_RECIPIENT_GUEST] = "guest",
};

static const char *const vmm_devices[] = {
        [TOCSIN_QAPI_VFIO_MIGRATION_STATE_STOP] = "stop",
        [TOCSIN_QAPI_VFIO_MIGRATION_STATE_RUNNING] = "running",
        [TOCSIN_QAPI_VFIO_MIGRATION_STATE_STOP_COPY] = "stop-copy",
        [TOCSIN_QAPI_VFIO_MIGRATION_STATE_RESUMING] = "resuming",
        [TOCSIN_QAPI_VFIO_MIGRATION_STATE_RUNNING_P2P] = "running-p2p",
        [TOCSIN_QAPI_VFIO_MIGRATION_STATE_PRE_COPY] = "pre-copy",
        [TOCSIN_QAPI_VFIO_MIGRATION_STATE_PRE_COPY_P2P] = "pre-copy-p2p",
};

static const char *const vmm_commands[] = {
        [TOCSIN_VMM_PANIC] = "report-panic",
        [TOCSIN_VMM_CRASHLOADED] = "report-crashloaded",
        [TOCSIN_VMM_WATCHDOG] = "report-watchdog",
        [TOCSIN_VMM_MEMORY_FAILURE] = "report-memory-failure",
        [TOCSIN_VMM_NOTIFY_VMEXIT] = "report-notify-vmexit",
        [TOCSIN_VMM_RUN_STATE] = "report-run-state",
        [TOCSIN_VMM_VFIO_MIGRATION] = "report-vfio-migration",
        [TOCSIN_VMM_EVENT] = "relay-event",
        [TOCSIN_VMM_DONE] = "report-done",
};

/* The number is as untrusted as any enum that crosses a library's border. */
#define VMM_WORD(table, number) ((size_t) (number) < N_ELEMENTS(table) ? (table)[number] : NULL)

const char *vmm_action_to_string(enum tocsin_action action) {
        return VMM_WORD(vmm_actions, action);
}

int vmm_action_from_string(const char *word, enum tocsin_action *ret) {
        for (size_t i = 0; i < N_ELEMENTS(vmm_actions); i++)
                if (strcmp(vmm_actions[i], word) == 0) {
                        *ret = (enum tocsin_action) i;
                        return 0;
                }
        return -EINVAL;
}

bool vmm_is_uuid(const char *text) {
        if (strlen(text) != 36)
                return false;
        for (size_t i = 0; i < 36; i++) {
                bool dash = i == 8 || i == 13 || i == 18 || i == 23;

                if (dash ? text[i] != '-' : !strchr("0123456789abcdefABCDEF", text[i]))
                        return false;
        }
        return true;
}

bool vmm_report_is_decided(const struct tocsin_vmm_report *report) {
        return report->kind <= TOCSIN_VMM_NOTIFY_VMEXIT;
}

static bool vmm_info_is_good(const struct tocsin_guest_panic_information *info) {
        switch (info->type) {
        case TOCSIN_GUEST_PANIC_INFORMATION_TYPE_HYPER_V:
                return info->u.hyper_v;
        case TOCSIN_GUEST_PANIC_INFORMATION_TYPE_S390:
                return info->u.s390 && VMM_WORD(vmm_reasons, info->u.s390->reason);
        case TOCSIN_GUEST_PANIC_INFORMATION_TYPE_TDX:
                return info->u.tdx && info->u.tdx->message;
        case TOCSIN_GUEST_PANIC_INFORMATION_TYPE_SEV:
                return info->u.sev;
        }
        return false;
}

int vmm_report_check(const struct tocsin_vmm_report *report) {
        bool good = true;

        if (report->size < sizeof(*report) || !report->machine || !report->machine[0] ||
            !VMM_WORD(vmm_commands, report->kind))
                return -EINVAL;
        if (vmm_report_is_decided(report) || report->kind == TOCSIN_VMM_DONE)
                good = vmm_action_to_string(report->action) != NULL;
        if (report->info)
                good &= vmm_info_is_good(report->info);
        if (report->kind == TOCSIN_VMM_MEMORY_FAILURE)
                good &= VMM_WORD(vmm_recipients, report->recipient) != NULL;
        else if (report->kind == TOCSIN_VMM_RUN_STATE)
                good &= VMM_WORD(vmm_states, report->state) && VMM_WORD(vmm_causes, report->cause);
        else if (report->kind == TOCSIN_VMM_VFIO_MIGRATION)
                good &= report->device_id && report->qom_path &&
                        VMM_WORD(vmm_devices, report->device_state);
        else if (report->kind == TOCSIN_VMM_EVENT)
                good &= report->event &&
                        (!report->data ||
                         vmm_json_is_object((struct vmm_text){ report->data, strlen(report->data) }));
        return good ? 0 : -EINVAL;
}

/* Members, each behind a comma. */

static void vmm_add_key(struct vmm_json *json, const char *key) {
        vmm_json_add(json, ", \"");
        vmm_json_add(json, key);
        vmm_json_add(json, "\": ");
}

static void vmm_add_text(struct vmm_json *json, const char *key, const char *value) {
        if (!value)
                return;
        vmm_add_key(json, key);
        vmm_json_add_string(json, value, strlen(value));
}

static void vmm_add_number(struct vmm_json *json, const char *key, uint64_t value) {
        vmm_add_key(json, key);
        vmm_json_add_number(json, value);
}

static void vmm_add_bool(struct vmm_json *json, const char *key, bool value) {
        vmm_add_key(json, key);
        vmm_json_add(json, value ? "true" : "false");
}

static void vmm_add_time(struct vmm_json *json, uint64_t time_us) {
        if (time_us == 0)
                return;
        vmm_json_add(json, ", \"time\": {\"seconds\": ");
        vmm_json_add_number(json, time_us / USEC_PER_SEC);
        vmm_add_number(json, "microseconds", time_us % USEC_PER_SEC);
        vmm_json_add(json, "}");
}

static void vmm_add_info(struct vmm_json *json, const struct tocsin_guest_panic_information *info) {
        if (!info)
                return;
        vmm_json_add(json, ", \"info\": {\"type\": ");
        switch (info->type) {
        case TOCSIN_GUEST_PANIC_INFORMATION_TYPE_HYPER_V:
                vmm_json_add(json, "\"hyper-v\"");
                vmm_add_number(json, "arg1", info->u.hyper_v->arg1);
                vmm_add_number(json, "arg2", info->u.hyper_v->arg2);
                vmm_add_number(json, "arg3", info->u.hyper_v->arg3);
                vmm_add_number(json, "arg4", info->u.hyper_v->arg4);
                vmm_add_number(json, "arg5", info->u.hyper_v->arg5);
                break;
        case TOCSIN_GUEST_PANIC_INFORMATION_TYPE_S390:
                vmm_json_add(json, "\"s390\"");
                vmm_add_number(json, "core", info->u.s390->core);
                vmm_add_number(json, "psw-mask", info->u.s390->psw_mask);
                vmm_add_number(json, "psw-addr", info->u.s390->psw_addr);
                vmm_add_text(json, "reason", vmm_reasons[info->u.s390->reason]);
                break;
        case TOCSIN_GUEST_PANIC_INFORMATION_TYPE_TDX:
                vmm_json_add(json, "\"tdx\"");
                vmm_add_number(json, "error-code", info->u.tdx->error_code);
                vmm_add_text(json, "message", info->u.tdx->message);
                if (info->u.tdx->has_gpa)
                        vmm_add_number(json, "gpa", info->u.tdx->gpa);
                break;
        case TOCSIN_GUEST_PANIC_INFORMATION_TYPE_SEV:
                vmm_json_add(json, "\"sev\"");
                vmm_add_number(json, "set", info->u.sev->set);
                vmm_add_number(json, "code", info->u.sev->code);
                break;
        }
        vmm_json_add(json, "}");
}

static void vmm_add_psw(struct vmm_json *json, const char *key, struct tocsin_vmm_psw psw) {
        vmm_add_key(json, key);
        vmm_json_add(json, "{\"mask\": ");
        vmm_json_add_number(json, psw.mask);
        vmm_add_number(json, "addr", psw.addr);
        vmm_json_add(json, "}");
}

static void vmm_add_panic(struct vmm_json *json, const struct tocsin_vmm_report *report) {
        const struct tocsin_vmm_s390 *s390 = report->s390;

        vmm_add_info(json, report->info);
        for (size_t i = 0; i < report->n_hyperv; i++) {
                vmm_json_add(json, i == 0 ? ", \"hyperv\": [{\"index\": " : ", {\"index\": ");
                vmm_json_add_number(json, report->hyperv[i].index);
                vmm_add_number(json, "value", report->hyperv[i].value);
                vmm_json_add(json, i + 1 == report->n_hyperv ? "}]" : "}");
        }
        if (report->message && report->message_length > 0) {
                size_t n = report->message_length;

                vmm_add_key(json, "message");
                vmm_json_add_string(json,
                                    report->message,
                                    n < TOCSIN_VMM_MESSAGE_MAX ? n : TOCSIN_VMM_MESSAGE_MAX);
        }
        if (!s390)
                return;
        vmm_json_add(json, ", \"s390\": {\"core\": ");
        vmm_json_add_number(json, s390->core);
        vmm_add_psw(json, "psw", s390->psw);
        if (s390->has_new_psws) {
                vmm_add_psw(json, "program-new", s390->program_new);
                vmm_add_psw(json, "external-new", s390->external_new);
        }
        vmm_json_add(json, "}");
}

static void vmm_add_memory_failure(struct vmm_json *json, const struct tocsin_vmm_report *report) {
        vmm_add_text(json, "recipient", vmm_recipients[report->recipient]);
        vmm_json_add(json, ", \"flags\": {\"action-required\": ");
        vmm_json_add(json, report->action_required ? "true" : "false");
        vmm_add_bool(json, "recursive", report->recursive);
        vmm_json_add(json, "}");
        if (report->address != 0)
                vmm_add_number(json, "address", report->address);
        if (report->guest_address != 0)
                vmm_add_number(json, "guest-address", report->guest_address);
}

static void vmm_add_rest(struct vmm_json *json, const struct tocsin_vmm_report *report) {
        switch (report->kind) {
        case TOCSIN_VMM_PANIC:
                vmm_add_panic(json, report);
                break;
        case TOCSIN_VMM_CRASHLOADED:
                vmm_add_info(json, report->info);
                break;
        case TOCSIN_VMM_MEMORY_FAILURE:
                vmm_add_memory_failure(json, report);
                break;
        case TOCSIN_VMM_RUN_STATE:
                vmm_add_text(json, "state", vmm_states[report->state]);
                if (report->state == TOCSIN_RUN_STATE_SHUTDOWN)
                        vmm_add_text(json, "reason", vmm_causes[report->cause]);
                break;
        case TOCSIN_VMM_VFIO_MIGRATION:
                vmm_add_text(json, "device-id", report->device_id);
                vmm_add_text(json, "qom-path", report->qom_path);
                vmm_add_text(json, "device-state", vmm_devices[report->device_state]);
                break;
        case TOCSIN_VMM_EVENT:
                vmm_add_text(json, "event", report->event);
                if (report->data) {
                        vmm_add_key(json, "data");
                        vmm_json_add(json, report->data);
                }
                break;
        case TOCSIN_VMM_DONE:
                vmm_add_number(json, "incident", report->incident);
                vmm_add_text(json, "action", vmm_actions[report->action]);
                vmm_add_text(json, "error", report->error);
                break;
        case TOCSIN_VMM_WATCHDOG:
        case TOCSIN_VMM_NOTIFY_VMEXIT:
                break;
        }
}

void vmm_report_encode(struct vmm_json *json,
                       const struct tocsin_vmm_report *report,
                       const char *client,
                       uint64_t number,
                       size_t *ret_flags) {
        vmm_json_add(json, "{\"execute\": \"");
        vmm_json_add(json, vmm_commands[report->kind]);
        vmm_json_add(json, "\", \"id\": ");
        vmm_json_add_number(json, number);
        vmm_json_add(json, ", \"arguments\": {\"report\": {\"machine\": ");
        vmm_json_add_string(json, report->machine, strlen(report->machine));
        vmm_add_text(json, "client", client);
        vmm_add_number(json, "number", number);
        vmm_add_time(json, report->time_us);
        if (vmm_report_is_decided(report))
                vmm_add_text(json, "action", vmm_actions[report->action]);
        *ret_flags = json->length;
        vmm_json_add(json, "}");
        vmm_add_rest(json, report);
        vmm_json_add(json, "}}\r\n");
}

void vmm_flags_encode(struct vmm_json *json, unsigned flags) {
        if (flags & TOCSIN_VMM_AGAIN)
                vmm_add_bool(json, "again", true);
        if (flags & TOCSIN_VMM_ACTED)
                vmm_add_bool(json, "acted", true);
}

void vmm_machine_encode(struct vmm_json *json,
                        const struct tocsin_vmm_machine *machine,
                        const char *client) {
        const char *comma = "";

        vmm_json_add(json,
                     "{\"execute\": \"register-machine\", \"id\": 0, \"arguments\": {\"machine\": ");
        vmm_json_add_string(json, machine->name, strlen(machine->name));
        vmm_add_text(json, "client", client);
        vmm_add_text(json, "uuid", VMM_HAS(machine, uuid) ? machine->uuid : NULL);
        vmm_add_text(json, "version", VMM_HAS(machine, version) ? machine->version : NULL);
        if (VMM_HAS(machine, pid) && machine->pid > 0)
                vmm_add_number(json, "pid", (uint64_t) machine->pid);
        if (VMM_HAS(machine, can) && machine->can != 0) {
                vmm_add_key(json, "can");
                vmm_json_add(json, "[");
                for (size_t i = 0; i < N_ELEMENTS(vmm_actions); i++) {
                        if (!(machine->can & (1U << i)))
                                continue;
                        vmm_json_add(json, comma);
                        vmm_json_add_string(json, vmm_actions[i], strlen(vmm_actions[i]));
                        comma = ", ";
                }
                vmm_json_add(json, "]");
        }
        if (VMM_HAS(machine, relays) && machine->relays)
                vmm_add_bool(json, "relays", true);
        if (VMM_HAS(machine, state) && machine->has_state && VMM_WORD(vmm_states, machine->state))
                vmm_add_text(json, "state", vmm_states[machine->state]);
        vmm_json_add(json, "}}\r\n");
}

int vmm_decision_read(struct vmm_text value, struct tocsin_vmm_decision *ret) {
        struct tocsin_vmm_decision decision;
        struct vmm_text due;
        uint64_t seconds, us;
        char word[32];

        memset(&decision, 0, sizeof(decision));
        if (!vmm_json_get_string(value, "action", word, sizeof(word)) ||
            vmm_action_from_string(word, &decision.action) < 0)
                return -EBADMSG;
        (void) vmm_json_get_number(value, "incident", &decision.incident);
        (void) vmm_json_get_string(value, "reason", decision.reason, sizeof(decision.reason));
        if (vmm_json_get(value, "due", &due) && vmm_json_get_number(due, "seconds", &seconds) &&
            vmm_json_get_number(due, "microseconds", &us) && seconds < UINT64_MAX / USEC_PER_SEC)
                decision.due_us = seconds * USEC_PER_SEC + us;
        *ret = decision;
        return 0;
}

/* The public ones */

__attribute__((__visibility__("default"))) int64_t tocsin_vmm_encode(
        char *buffer,
        size_t size,
        const struct tocsin_vmm_report *report,
        const char *client,
        uint64_t number,
        unsigned flags) {
        struct vmm_json json = { buffer, size, 0 }, more = { NULL, 0, 0 };
        size_t at;

        if (vmm_report_check(report) < 0 || !client || !vmm_is_uuid(client) || number == 0 ||
            (flags & ~(TOCSIN_VMM_AGAIN | TOCSIN_VMM_ACTED)))
                return -EINVAL;
        vmm_report_encode(&json, report, client, number, &at);
        vmm_flags_encode(&more, flags);
        if (more.length > 0 && json.length + more.length < size) {
                char text[64];

                more = (struct vmm_json){ text, sizeof(text), 0 };
                vmm_flags_encode(&more, flags);
                memmove(buffer + at + more.length, buffer + at, json.length - at + 1);
                memcpy(buffer + at, text, more.length);
        }
        return (int64_t) (json.length + more.length);
}

__attribute__((__visibility__("default"))) int64_t tocsin_vmm_encode_machine(
        char *buffer,
        size_t size,
        const struct tocsin_vmm_machine *machine,
        const char *client) {
        struct vmm_json json = { buffer, size, 0 };

        if (!VMM_HAS(machine, name) || !machine->name || !machine->name[0] || !client ||
            !vmm_is_uuid(client))
                return -EINVAL;
        vmm_machine_encode(&json, machine, client);
        return (int64_t) json.length;
}

__attribute__((__visibility__("default"))) int tocsin_vmm_decode(const char *line,
                                                                 size_t length,
                                                                 struct tocsin_vmm_decision *ret) {
        struct vmm_text text = { line, length }, value;

        if (vmm_json_get(text, "return", &value))
                return vmm_decision_read(value, ret);
        if (!vmm_json_get(text, "error", &value))
                return -EBADMSG;
        memset(ret, 0, sizeof(*ret));
        (void) vmm_json_get_string(value, "desc", ret->reason, sizeof(ret->reason));
        return -EREMOTEIO;
}
