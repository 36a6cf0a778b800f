/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The commands of vmm.sock. */
#include <stdlib.h>

#include "daemon/source/vmm-private.h"
#include "qapi-commands.h"

void qmp_register_machine(QmpCall *call, const RegisterMachineArg *arg) {
        vmm_register(vmm_from_call(call), call, arg);
}

void qmp_unregister_machine(QmpCall *call, const UnregisterMachineArg *arg) {
        VmmGuest *guest = vmm_check(call, arg->machine, arg->client);

        if (!guest)
                return;
        vmm_guest_end(guest);
        qmp_call_return(call, NULL);
}

#define VMM_HANDLER(name, Arg, read)                                                               \
        void qmp_##name(QmpCall *call, const Arg *arg) {                                           \
                _cleanup_(qapi_error_deinit) QapiError error = QAPI_ERROR_NULL;                    \
                VmmNotice notice = VMM_NOTICE_NULL;                                                \
                                                                                                   \
                vmm_take(call, read(arg, &notice, &error), &notice, &error);                       \
        }                                                                                          \
        struct vmm_handlers_semicolon_

VMM_HANDLER(report_panic, ReportPanicArg, vmm_notice_panic);
VMM_HANDLER(report_crashloaded, ReportCrashloadedArg, vmm_notice_crashloaded);
VMM_HANDLER(report_watchdog, ReportWatchdogArg, vmm_notice_watchdog);
VMM_HANDLER(report_memory_failure, ReportMemoryFailureArg, vmm_notice_memory_failure);
VMM_HANDLER(report_notify_vmexit, ReportNotifyVmexitArg, vmm_notice_notify_vmexit);
VMM_HANDLER(report_vfio_migration, ReportVfioMigrationArg, vmm_notice_vfio_migration);
VMM_HANDLER(relay_event, RelayEventArg, vmm_notice_relayed);

/* A report that is no event: its guest, when it is new; NULL when the call has been answered. */
static VmmGuest *vmm_handlers_take(QmpCall *call, const VmmReport *report, VmmNotice *notice) {
        _cleanup_(qapi_error_deinit) QapiError error = QAPI_ERROR_NULL;
        int r = vmm_notice_plain(report, notice, &error);
        VmmGuest *guest;

        if (r != 0) {
                vmm_take(call, r, notice, &error);
                return NULL;
        }
        guest = vmm_check(call, report->machine, report->client);
        if (!guest)
                return NULL;
        if (!vmm_client_count(guest->client, report->number)) {
                qmp_call_return(call, NULL);
                return NULL;
        }
        return guest;
}

void qmp_report_run_state(QmpCall *call, const ReportRunStateArg *arg) {
        VmmNotice notice = VMM_NOTICE_NULL;
        VmmGuest *guest = vmm_handlers_take(call, arg->report, &notice);

        if (!guest)
                return;
        vmm_guest_set_state(guest,
                            arg->state,
                            arg->has_reason ? arg->reason : SHUTDOWN_CAUSE_GUEST_SHUTDOWN,
                            notice.time_us);
        qmp_call_return(call, NULL);
}

void qmp_report_done(QmpCall *call, const ReportDoneArg *arg) {
        VmmNotice notice = VMM_NOTICE_NULL;
        VmmGuest *guest = vmm_handlers_take(call, arg->report, &notice);

        if (!guest)
                return;
        vmm_act_done(guest, arg);
        vmm_confirm(guest->client, call, arg->report->number);
}
