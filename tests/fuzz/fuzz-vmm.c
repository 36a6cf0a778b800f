/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reports of a VMM, from the arguments of a command to the event they become: a notice is whole, or
 * there are words why there is none. And the line as libtocsin reads what tocsind sends.
 */
#include <stdlib.h>
#include <string.h>

#include "daemon/source/vmm-notice.h"
#include "plugins/sdk/lib/vmm-encode.h"
#include "policy/qapi/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_check(bool good) {
        if (!good)
                abort();
}

#define FUZZ_REPORT(Arg, arg, read)                                                                \
        static void fuzz_##arg(json_object *json) {                                                \
                _cleanup_(qapi_error_deinit) QapiError error = QAPI_ERROR_NULL;                    \
                _cleanup_(vmm_notice_deinit) VmmNotice notice = VMM_NOTICE_NULL;                   \
                _cleanup_(arg##_freep) Arg *value = NULL;                                          \
                                                                                                   \
                if (arg##_from_json(json, &value, NULL) != 0)                                      \
                        return;                                                                    \
                if (read(value, &notice, &error) == 0) {                                           \
                        fuzz_check(notice.event &&notice.report == value->report);                 \
                        fuzz_check(!notice.decided || notice.data);                                \
                } else {                                                                           \
                        fuzz_check(error.desc);                                                    \
                }                                                                                  \
        }                                                                                          \
        struct fuzz_semicolon_

FUZZ_REPORT(ReportPanicArg, report_panic_arg, vmm_notice_panic);
FUZZ_REPORT(ReportCrashloadedArg, report_crashloaded_arg, vmm_notice_crashloaded);
FUZZ_REPORT(ReportMemoryFailureArg, report_memory_failure_arg, vmm_notice_memory_failure);
FUZZ_REPORT(ReportVfioMigrationArg, report_vfio_migration_arg, vmm_notice_vfio_migration);
FUZZ_REPORT(RelayEventArg, relay_event_arg, vmm_notice_relayed);

static void fuzz_line(const uint8_t *data, size_t size) {
        struct tocsin_vmm_decision decision;
        char *copy = malloc(size + 1); /* not a byte more, for the sanitizer to see */
        struct vmm_text text = { copy, size };

        fuzz_check(copy);
        memcpy(copy, data, size);
        if (tocsin_vmm_decode(copy, size, &decision) == 0)
                fuzz_check(memchr(decision.reason, 0, sizeof(decision.reason)));
        (void) vmm_json_is_object(text);
        free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        json_object *json;

        fuzz_line(data, size);
        if (json_parse((const char *) data, size, &json, NULL) != 0)
                return 0;
        fuzz_report_panic_arg(json);
        fuzz_report_crashloaded_arg(json);
        fuzz_report_memory_failure_arg(json);
        fuzz_report_vfio_migration_arg(json);
        fuzz_relay_event_arg(json);
        json_object_put(json);
        return 0;
}
