/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * A VMM's report as an event: what QEMU would have sent had it been QEMU, so that the watch needs no
 * second way. Pure: arguments of a command in, values out.
 */
#include <stdbool.h>
#include <stdint.h>

#include "policy/qapi/qapi-error.h"
#include "qapi-types.h"

/* One page, as Hyper-V's message form has it, of which each byte may have become a U+FFFD. */
#define VMM_MESSAGE_MAX (3 * 4096)
/* Longest relayed event name there is is 30 characters. */
#define VMM_EVENT_MAX 64

typedef struct VmmNotice {
        const VmmReport *report; /* borrowed */
        bool decided;            /* it is of a kind that gets a decision */
        IncidentKind kind;       /* if so */
        Action action;           /* by itself */
        const char *event;
        json_object *data;   /* owned */
        const char *message; /* borrowed; or NULL */
        char text[128];      /* for people; "" if there is nothing to add */
        uint64_t time_us;    /* 0: now */
} VmmNotice;

#define VMM_NOTICE_NULL                                                                            \
        {}

void vmm_notice_deinit(VmmNotice *notice);

/* All return 0, VMM_NOTICE_E_INVALID with the words in *ret_error, or -ENOMEM. */
#define VMM_NOTICE_E_INVALID 1
int vmm_notice_panic(const ReportPanicArg *arg, VmmNotice *ret, QapiError *error);
int vmm_notice_crashloaded(const ReportCrashloadedArg *arg, VmmNotice *ret, QapiError *error);
int vmm_notice_watchdog(const ReportWatchdogArg *arg, VmmNotice *ret, QapiError *error);
int vmm_notice_memory_failure(const ReportMemoryFailureArg *arg, VmmNotice *ret, QapiError *error);
int vmm_notice_notify_vmexit(const ReportNotifyVmexitArg *arg, VmmNotice *ret, QapiError *error);
int vmm_notice_vfio_migration(const ReportVfioMigrationArg *arg, VmmNotice *ret, QapiError *error);
int vmm_notice_relayed(const RelayEventArg *arg, VmmNotice *ret, QapiError *error);
/* Of what makes no event by itself. */
int vmm_notice_plain(const VmmReport *report, VmmNotice *ret, QapiError *error);

/* The event that going from one state to another is told by; NULL: none. */
const char *vmm_notice_get_transition(RunState from, RunState to);
bool vmm_client_is_valid(const char *client);
