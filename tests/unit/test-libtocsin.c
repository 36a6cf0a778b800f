/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What libtocsin writes and reads, against the types and the reader of tocsind. */
#include <CUnit/CUnit.h>
#include <errno.h>
#include <string.h>
#include <tocsin/vmm.h>

#include "daemon/source/vmm-notice.h"
#include "plugins/sdk/lib/vmm-encode.h"
#include "policy/qapi/json.h"
#include "tests/unit/harness.h"

#define CLIENT "6a1bb02e-8d4a-4a6e-95b5-2c4b7b4c3b11"

/* The arguments of a message that must be one; its command must be this. */
static json_object *read_arguments(const char *text, int64_t length, const char *command) {
        json_object *message = NULL, *execute = NULL, *arguments = NULL;

        CU_ASSERT_FATAL(length > 0 && (size_t) length == strlen(text));
        CU_ASSERT_FATAL(json_parse(text, (size_t) length, &message, NULL) == 0);
        CU_ASSERT_FATAL(json_object_object_get_ex(message, "execute", &execute));
        CU_ASSERT_STRING_EQUAL(json_object_get_string(execute), command);
        CU_ASSERT_FATAL(json_object_object_get_ex(message, "arguments", &arguments));
        json_object_get(arguments);
        json_object_put(message);
        return arguments;
}

static ReportPanicArg *read_panic(const struct tocsin_vmm_report *report, unsigned flags) {
        _cleanup_(json_object_putp) json_object *arguments = NULL;
        _cleanup_(qapi_error_deinit) QapiError error = QAPI_ERROR_NULL;
        ReportPanicArg *arg = NULL;
        char text[32768];

        arguments = read_arguments(text,
                                   tocsin_vmm_encode(text, sizeof(text), report, CLIENT, 7, flags),
                                   "report-panic");
        CU_ASSERT_EQUAL_FATAL(report_panic_arg_from_json(arguments, &arg, &error), 0);
        return arg;
}

static void test_words(void) {
        for (Action action = 0; action < _ACTION_MAX; action++)
                CU_ASSERT_STRING_EQUAL_FATAL(vmm_action_to_string((enum tocsin_action) action),
                                             action_to_string(action));
        CU_ASSERT_PTR_NULL(vmm_action_to_string((enum tocsin_action) _ACTION_MAX));

        for (RunState state = 0; state < _RUN_STATE_MAX; state++) {
                struct tocsin_vmm_report report = tocsin_vmm_report(TOCSIN_VMM_RUN_STATE, "vm");
                _cleanup_(report_run_state_arg_freep) ReportRunStateArg *arg = NULL;
                _cleanup_(json_object_putp) json_object *arguments = NULL;
                char text[512];

                report.state = (enum tocsin_run_state) state;
                report.cause = TOCSIN_SHUTDOWN_CAUSE_GUEST_PANIC;
                arguments = read_arguments(text,
                                           tocsin_vmm_encode(text, sizeof(text), &report, CLIENT, 1, 0),
                                           "report-run-state");
                CU_ASSERT_EQUAL_FATAL(report_run_state_arg_from_json(arguments, &arg, NULL), 0);
                CU_ASSERT_EQUAL(arg->state, state);
                CU_ASSERT_EQUAL(arg->has_reason, state == RUN_STATE_SHUTDOWN);
        }
}

static void test_causes_and_devices(void) {
        for (ShutdownCause cause = 1; cause < _SHUTDOWN_CAUSE_MAX; cause++) {
                struct tocsin_vmm_report report = tocsin_vmm_report(TOCSIN_VMM_RUN_STATE, "vm");
                _cleanup_(report_run_state_arg_freep) ReportRunStateArg *arg = NULL;
                _cleanup_(json_object_putp) json_object *arguments = NULL;
                char text[512];

                report.state = TOCSIN_RUN_STATE_SHUTDOWN;
                report.cause = (enum tocsin_shutdown_cause) cause;
                arguments = read_arguments(text,
                                           tocsin_vmm_encode(text, sizeof(text), &report, CLIENT, 1, 0),
                                           "report-run-state");
                CU_ASSERT_EQUAL_FATAL(report_run_state_arg_from_json(arguments, &arg, NULL), 0);
                CU_ASSERT_EQUAL(arg->reason, cause);
        }
        for (QapiVfioMigrationState state = 0; state < _QAPI_VFIO_MIGRATION_STATE_MAX; state++) {
                struct tocsin_vmm_report report = tocsin_vmm_report(TOCSIN_VMM_VFIO_MIGRATION, "vm");
                _cleanup_(report_vfio_migration_arg_freep) ReportVfioMigrationArg *arg = NULL;
                _cleanup_(json_object_putp) json_object *arguments = NULL;
                char text[512];

                report.device_id = "nic";
                report.qom_path = "/nic";
                report.device_state = (enum tocsin_qapi_vfio_migration_state) state;
                arguments = read_arguments(text,
                                           tocsin_vmm_encode(text, sizeof(text), &report, CLIENT, 1, 0),
                                           "report-vfio-migration");
                CU_ASSERT_EQUAL_FATAL(report_vfio_migration_arg_from_json(arguments, &arg, NULL), 0);
                CU_ASSERT_EQUAL(arg->device_state, state);
        }
}

static void test_flags(void) {
        struct tocsin_vmm_report report = tocsin_vmm_report(TOCSIN_VMM_PANIC, "we\"ird \xff name");
        _cleanup_(report_panic_arg_freep) ReportPanicArg *plain = NULL, *both = NULL;

        report.action = TOCSIN_ACTION_EXIT_FAILURE;
        report.time_us = UINT64_C(1700000000123456);
        plain = read_panic(&report, 0);
        CU_ASSERT_STRING_EQUAL(plain->report->machine, "we\"ird \xef\xbf\xbd name");
        CU_ASSERT_STRING_EQUAL(plain->report->client, CLIENT);
        CU_ASSERT_EQUAL(plain->report->number, 7);
        CU_ASSERT_EQUAL(plain->report->action, ACTION_EXIT_FAILURE);
        CU_ASSERT_EQUAL(plain->report->time->seconds, 1700000000);
        CU_ASSERT_EQUAL(plain->report->time->microseconds, 123456);
        CU_ASSERT_FALSE(plain->report->has_again);
        CU_ASSERT_FALSE(plain->report->has_acted);
        both = read_panic(&report, TOCSIN_VMM_AGAIN | TOCSIN_VMM_ACTED);
        CU_ASSERT_TRUE(both->report->again);
        CU_ASSERT_TRUE(both->report->acted);
}

static void test_hyperv(void) {
        const struct tocsin_vmm_msr msrs[] = {
                { 0x40000100, 0 },      { 0x40000101, 0 }, { 0x40000102, 0 },
                { 0x40000103, 0x1000 }, { 0x40000104, 5 }, { 0x40000105, UINT64_C(3) << 62 },
        };
        struct tocsin_vmm_report report = tocsin_vmm_report(TOCSIN_VMM_PANIC, "vm");
        _cleanup_(report_panic_arg_freep) ReportPanicArg *arg = NULL;
        _cleanup_(qapi_error_deinit) QapiError error = QAPI_ERROR_NULL;
        _cleanup_(vmm_notice_deinit) VmmNotice notice = VMM_NOTICE_NULL;

        report.hyperv = msrs;
        report.n_hyperv = 6;
        report.message = "a\0\x1b\xc3\xa4\xe4";
        report.message_length = 6;
        arg = read_panic(&report, 0);
        CU_ASSERT_STRING_EQUAL(arg->message, "a\xef\xbf\xbd\x1b\xc3\xa4\xef\xbf\xbd");
        CU_ASSERT_EQUAL_FATAL(vmm_notice_panic(arg, &notice, &error), 0);
        CU_ASSERT_STRING_EQUAL(json_object_to_json_string_ext(notice.data, JSON_C_TO_STRING_PLAIN),
                               "{\"action\":\"run\",\"info\":{\"type\":\"hyper-v\",\"arg1\":0,\"arg2\":0,\"arg3\":0,"
                               "\"arg4\":4096,\"arg5\":5}}");
        CU_ASSERT_STRING_EQUAL(notice.text, "Hyper-V message of 5 bytes at 0x1000");
}

static void test_s390(void) {
        const struct tocsin_vmm_s390 s390 = {
                .core = 3,
                .psw = { UINT64_C(0x0000000180000000), 0x2000 },
                .has_new_psws = true,
                .program_new = { UINT64_C(0x0000000180000000), 0x2001 },
        };
        struct tocsin_vmm_report report = tocsin_vmm_report(TOCSIN_VMM_PANIC, "vm");
        _cleanup_(report_panic_arg_freep) ReportPanicArg *arg = NULL;
        _cleanup_(qapi_error_deinit) QapiError error = QAPI_ERROR_NULL;
        _cleanup_(vmm_notice_deinit) VmmNotice notice = VMM_NOTICE_NULL;

        report.s390 = &s390;
        arg = read_panic(&report, 0);
        CU_ASSERT_EQUAL_FATAL(vmm_notice_panic(arg, &notice, &error), 0);
        CU_ASSERT_PTR_NOT_NULL(strstr(json_object_to_json_string(notice.data), "pgmint-loop"));
}

static void test_largest(void) {
        struct tocsin_vmm_report report = tocsin_vmm_report(TOCSIN_VMM_PANIC, "vm");
        _cleanup_(report_panic_arg_freep) ReportPanicArg *arg = NULL;
        _cleanup_(qapi_error_deinit) QapiError error = QAPI_ERROR_NULL;
        _cleanup_(vmm_notice_deinit) VmmNotice notice = VMM_NOTICE_NULL;
        char message[2 * TOCSIN_VMM_MESSAGE_MAX];

        memset(message, 0xff, sizeof(message));
        report.message = message;
        report.message_length = sizeof(message);
        arg = read_panic(&report, 0);
        CU_ASSERT_EQUAL(strlen(arg->message), 3 * TOCSIN_VMM_MESSAGE_MAX);
        CU_ASSERT_EQUAL(vmm_notice_panic(arg, &notice, &error), 0);
}

static void test_refused(void) {
        struct tocsin_vmm_report report = tocsin_vmm_report(TOCSIN_VMM_EVENT, "vm");
        char text[256];

        report.event = "STOP";
        report.data = "{} {}";
        CU_ASSERT_EQUAL(tocsin_vmm_encode(text, sizeof(text), &report, CLIENT, 1, 0), -EINVAL);
        report.data = "{\"a\": [1, \"}\"]}";
        CU_ASSERT(tocsin_vmm_encode(text, sizeof(text), &report, CLIENT, 1, 0) > 0);
        CU_ASSERT_EQUAL(tocsin_vmm_encode(text, sizeof(text), &report, "me", 1, 0), -EINVAL);
        CU_ASSERT_EQUAL(tocsin_vmm_encode(text, sizeof(text), &report, CLIENT, 0, 0), -EINVAL);
        report.kind = (enum tocsin_vmm_report_kind) 99;
        CU_ASSERT_EQUAL(tocsin_vmm_encode(text, sizeof(text), &report, CLIENT, 1, 0), -EINVAL);
        report = tocsin_vmm_report(TOCSIN_VMM_PANIC, "vm");
        report.action = (enum tocsin_action) 99;
        CU_ASSERT_EQUAL(tocsin_vmm_encode(text, sizeof(text), &report, CLIENT, 1, 0), -EINVAL);
}

/* The length is told, whatever the room; what does not fit is not written. */
static void test_room(void) {
        struct tocsin_vmm_report report = tocsin_vmm_report(TOCSIN_VMM_WATCHDOG, "vm");
        int64_t length = tocsin_vmm_encode(NULL, 0, &report, CLIENT, 1, TOCSIN_VMM_AGAIN);
        char text[512];

        memset(text, 'x', sizeof(text));
        CU_ASSERT_EQUAL(tocsin_vmm_encode(text, (size_t) length, &report, CLIENT, 1, TOCSIN_VMM_AGAIN),
                        length);
        CU_ASSERT_EQUAL(text[length], 'x');
        CU_ASSERT_EQUAL(
                tocsin_vmm_encode(text, (size_t) length + 1, &report, CLIENT, 1, TOCSIN_VMM_AGAIN),
                length);
        CU_ASSERT_EQUAL(strlen(text), (size_t) length);
}

static void test_decode(void) {
        static const char good[] =
                "{\"return\": {\"incident\": 18446744073709551615, \"reason\": \"a \\\"b\\\" "
                "\\u00e4\\ud83d\\ude00\", \"action\": \"inject-nmi\", \"due\": {\"seconds\": 2, "
                "\"microseconds\": 3}}, \"id\": 4}\r\n";
        static const char bad[] =
                "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no\"}, \"id\": 4}\r\n";
        struct tocsin_vmm_decision decision;

        CU_ASSERT_EQUAL(tocsin_vmm_decode(good, strlen(good), &decision), 0);
        CU_ASSERT_EQUAL(decision.incident, UINT64_MAX);
        CU_ASSERT_EQUAL(decision.action, TOCSIN_ACTION_INJECT_NMI);
        CU_ASSERT_EQUAL(decision.due_us, 2000003);
        CU_ASSERT_STRING_EQUAL(decision.reason, "a \"b\" \xc3\xa4\xf0\x9f\x98\x80");
        CU_ASSERT_EQUAL(tocsin_vmm_decode(bad, strlen(bad), &decision), -EREMOTEIO);
        CU_ASSERT_STRING_EQUAL(decision.reason, "no");
        /* cut anywhere, it is nothing */
        for (size_t i = 0; i < strlen(good) - 3; i++)
                CU_ASSERT_EQUAL(tocsin_vmm_decode(good, i, &decision) == -EBADMSG || i > 150, 1);
}

TEST_MAIN("libtocsin",
          { "words", test_words },
          { "causes and devices", test_causes_and_devices },
          { "flags", test_flags },
          { "Hyper-V registers", test_hyperv },
          { "s390 PSWs", test_s390 },
          { "the largest message", test_largest },
          { "what can't be sent", test_refused },
          { "room", test_room },
          { "decode", test_decode })
