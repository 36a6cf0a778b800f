/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "daemon/ctl/attach.h"
#include "daemon/ctl/event.h"
#include "daemon/ctl/report.h"
#include "daemon/ctl/spec.h"
#include "daemon/ctl/top.h"
#include "policy/qapi/json.h"
#include "policy/util/moment.h"
#include "tests/unit/harness.h"

#define WHEN "'time': {'seconds': 1795230727, 'microseconds': 412000}"
#define OPENED "'opened': {'seconds': 1795230727, 'microseconds': 413000}"

static json_object *parse(const char *text) {
        json_object *value = NULL;

        CU_ASSERT_EQUAL_FATAL(json_parse(text, strlen(text), &value, NULL), 0);
        return value;
}

static void check_same(const char *json, const char *here, const char *all, const char *wanted) {
        json_object *incident = parse(json),
                    *groups[] = { here ? parse(here) : NULL, all ? parse(all) : NULL };
        Text text = TEXT_NULL;
        _cleanup_free_ char *got = NULL;

        report_add_incident(&text, incident, &(ReportMore){ .here = groups[0], .all = groups[1] });
        json_object_put(incident);
        json_object_put(groups[0]);
        json_object_put(groups[1]);
        got = text_take(&text);
        CU_ASSERT_PTR_NOT_NULL_FATAL(got);
        CU_ASSERT_STRING_EQUAL(got, wanted);
        if (strcmp(got, wanted) != 0)
                printf("%s\n", got);
}

static void check_incident(const char *json, const char *wanted) {
        check_same(json, NULL, NULL, wanted);
}

static void test_report(void) {
        check_incident(
                "{'id': 1042, 'machine': 'web-7', 'run': 'r', 'kind': 'panic', 'status': 'closed', 'outcome': 'done', " WHEN
                "," OPENED ", 'closed': {'seconds': 1795230751, 'microseconds': 874000},"
                " 'state': 'guest-panicked', 'event': 'GUEST_PANICKED',"
                " 'info': {'type': 'hyper-v', 'arg1': 159, 'arg2': 3, 'arg3': 18446638520632676448, 'arg4': 0, 'arg5': 1},"
                " 'decision': {'action': 'reset', 'by': 'rule known-power-bug', 'reason': 'first of three',"
                "              'evidence': ['registers', 'memory'],"
                "              'trail': [{'by': 'action-set', 'action': 'pause', 'text': 'panic=pause', 'origin': 'web.conf:4'},"
                "                        {'by': 'plugin escalate', 'text': 'agreed', 'took': 38}]},"
                " 'steps': [{" WHEN ", 'what': 'STOP', 'text': 'QEMU paused the guest'},"
                "           {" WHEN ", 'what': 'system_reset', 'text': 'system_reset', 'error': 'no'}],"
                " 'evidence': [{'name': 'registers.txt', 'size': 2048, 'kind': 'registers'}], 'acknowledged': true,"
                " 'headline': 'Windows stopped: DRIVER_POWER_STATE_FAILURE (0x9f)', 'signature': '9f-3'}",
                "incident 1042   panic   web-7                        2026-11-21 03:12:07.412 UTC\n"
                "  Windows stopped: DRIVER_POWER_STATE_FAILURE (0x9f)\n"
                "    a driver is in an inconsistent or invalid power state\n"
                "    a device object has been blocking a power IRP for too long (parameter 1 = 0x3)\n"
                "      1  0x3                 what is wrong\n"
                "      2  0xffffa00002591060  physical device object of the stack\n"
                "      3  0x0                 nt!TRIAGE_9F_POWER\n"
                "      4  0x1                 the blocked IRP\n"
                "    run state: guest-panicked\n"
                "    signature 9f-3\n"
                "  Decided  reset, by rule known-power-bug; evidence asked for: registers, memory\n"
                "    first of three\n"
                "    action-set       pause  panic=pause  web.conf:4\n"
                "    plugin escalate         agreed       38 us\n"
                "  Done\n"
                "    03:12:07.412  QEMU paused the guest\n"
                "    03:12:07.412  system_reset: no\n"
                "  Evidence\n"
                "    registers.txt  2.0 KiB  registers\n"
                "  Outcome  tocsin carried the action out (done), closed after 24.46 s; acknowledged\n");
}

static void test_report_held(void) {
        check_incident(
                "{'id': 7, 'machine': 'z', 'kind': 'panic', 'status': 'held', " WHEN "," OPENED
                ", 'info': {'type': 's390', 'core': 2, 'psw-mask': 562956395872256, 'psw-addr': 1113582,"
                " 'reason': 'disabled-wait'}, 'found': true, 'repeated': 3,"
                " 'decision': {'action': 'none', 'would': 'reset', 'by': 'observe', 'reason': 'it only looks',"
                " 'due': {'seconds': 1795231027, 'microseconds': 0}, 'trail': []}, 'steps': []}",
                "incident 7   panic   z                               2026-11-21 03:12:07.412 UTC\n"
                "  The guest stopped in a disabled wait at 0x10fdee\n"
                "    Linux stops like this, in panic() most often\n"
                "    CPU 2 (disabled-wait) at 0x10fdee, 64-bit, supervisor state\n"
                "    PSW 0x0002000180000000 0x000000000010fdee    wait, I/O, external and machine-check "
                "interrupts off\n"
                "        DAT off, key 0, CC 0, program mask 0x0\n"
                "    repeated 3 times within its second\n"
                "    it happened while tocsind was away\n"
                "  Decided  none, by observe; enforce would have done reset\n"
                "    it only looks\n"
                "    waits until 2026-11-21 03:17:07.000 UTC\n"
                "  Status  held\n");
}

/* The guest's kernel log says what its registers can't; and it is not the first time. */
static void test_report_words(void) {
        check_same(
                "{'id': 7, 'machine': 'z', 'kind': 'panic', 'status': 'open', " WHEN "," OPENED
                ", 'info': {'type': 's390', 'core': 2, 'psw-mask': 562956395872256, 'psw-addr': 1113582,"
                " 'reason': 'disabled-wait'}, 'steps': [], 'signature': 'panic-oops',"
                " 'headline': 'Linux stopped: Kernel panic - not syncing: Oops', 'call-trace': 'panic, boom'}",
                "{'count': 1, 'first': {'seconds': 1795230727, 'microseconds': 0}}",
                "{'count': 11, 'first': {'seconds': 1793577600, 'microseconds': 0}}",
                "incident 7   panic   z                               2026-11-21 03:12:07.412 UTC\n"
                "  Linux stopped: Kernel panic - not syncing: Oops\n"
                "    The guest stopped in a disabled wait at 0x10fdee\n"
                "    Linux stops like this, in panic() most often\n"
                "    CPU 2 (disabled-wait) at 0x10fdee, 64-bit, supervisor state\n"
                "    PSW 0x0002000180000000 0x000000000010fdee    wait, I/O, external and machine-check "
                "interrupts off\n"
                "        DAT off, key 0, CC 0, program mask 0x0\n"
                "    call trace: panic, boom\n"
                "    the same crash: once on z, 11 times on this host since 2026-11-02 (signature "
                "panic-oops)\n"
                "  Status  open\n");
}

static void test_groups(void) {
        json_object *groups = parse(
                "[{'signature': '9f-3', 'kind': 'panic', 'headline': 'Windows stopped', 'count': 7,"
                " 'first': {'seconds': 1793577600, 'microseconds': 0},"
                " 'last': {'seconds': 1795230727, 'microseconds': 0}, 'newest': 1042, 'machines': 6,"
                " 'most': [{'machine': 'web-7', 'count': 2}, {'machine': 'a', 'count': 1},"
                " {'machine': 'b', 'count': 1}, {'machine': 'c', 'count': 1}]},"
                " {'signature': 'watchdog', 'kind': 'watchdog', 'count': 1, 'newest': 5, 'machines': 1,"
                " 'most': [{'machine': 'db', 'count': 1}]}]");
        _cleanup_free_ char *got = NULL;
        Text text = TEXT_NULL;

        report_add_groups(&text, groups);
        json_object_put(groups);
        got = text_take(&text);
        CU_ASSERT_PTR_NOT_NULL_FATAL(got);
        CU_ASSERT_STRING_EQUAL(
                got,
                "COUNT  SIGNATURE  FIRST (UTC)  LAST (UTC)  NEWEST  MACHINES                   WHAT\n"
                "7      9f-3       2026-11-02   2026-11-21  1042    web-7 2, a 1, b 1, 3 more  "
                "Windows stopped\n"
                "1      watchdog   1970-01-01   1970-01-01  5       db 1                       A "
                "watchdog expired\n");
}

/* A record of a newer tocsind: what is not known is shown as it came, and nothing crashes. */
static void test_report_unknown(void) {
        check_incident(
                "{'id': 8, 'machine': 'm', 'kind': 'meteor', 'status': 'open', 'time': 'soon',"
                " 'info': {'type': 'tdx', 'error-code': 18446744073709551615, 'message': 'x'}, 'steps': 5}",
                "incident 8   meteor   m                              1970-01-01 00:00:00.000 UTC\n"
                "  meteor\n"
                "      error-code  18446744073709551615\n"
                "      message  x\n"
                "  Status  open\n");
        check_incident("{}",
                       "incident 0   -   -                                   1970-01-01 00:00:00.000 UTC\n"
                       "  -\n"
                       "  Status  -\n");
}

static void test_memory_failure(void) {
        check_incident(
                "{'id': 9, 'machine': 'db', 'kind': 'memory-failure', 'status': 'open', " WHEN
                ", 'recipient': 'guest', 'flags': {'action-required': true, 'recursive': true}, 'steps': []}",
                "incident 9   memory-failure   db                     2026-11-21 03:12:07.412 UTC\n"
                "  Memory of the guest failed\n"
                "    it was being used when it failed (action required)\n"
                "    it failed while an earlier failure was still being handled\n"
                "  Status  open\n");
}

static void check_event(const char *json, const char *wanted) {
        json_object *event = parse(json);
        Text text = TEXT_NULL;
        _cleanup_free_ char *got = NULL;

        event_add_line(&text, event);
        json_object_put(event);
        got = text_take(&text);
        CU_ASSERT_PTR_NOT_NULL_FATAL(got);
        CU_ASSERT_STRING_EQUAL(got, wanted);
}

static void test_events(void) {
#define STAMP "'timestamp': {'seconds': 1795230727, 'microseconds': 412000}"
        check_event("{" STAMP ", 'event': 'STOP', 'data': {'machine': 'web-7', 'seq': 4}}",
                    "03:12:07.412  web-7             STOP\n");
        check_event("{" STAMP ", 'event': 'SHUTDOWN', 'data': {'guest': true, 'reason': 'host-error',"
                    " 'machine': 'web-7', 'seq': 4, 'synthetic': true}}",
                    "03:12:07.412  web-7             SHUTDOWN        guest true, reason host-error"
                    "  (told by tocsin: the VMM sent none)\n");
        check_event("{" STAMP
                    ", 'event': 'MEMORY_FAILURE', 'data': {'machine': 'a', 'recipient': 'guest',"
                    " 'flags': {'action-required': true, 'recursive': false}, 'seq': 5}}",
                    "03:12:07.412  a                 MEMORY_FAILURE  recipient guest, flags: action-required\n");
        check_event(
                "{" STAMP ", 'event': 'INCIDENT', 'data': {'machine': 'a', 'id': 3, 'kind': 'panic',"
                " 'status': 'closed', 'outcome': 'left', 'action': 'pause', 'text': 'waits', 'seq': 6}}",
                "03:12:07.412  a                 INCIDENT        incident 3 panic left, action pause: waits\n");
}

static void test_specs(void) {
        json_object *info = NULL;
        uint64_t s = 0;

        CU_ASSERT_EQUAL_FATAL(spec_parse_panic("hyper-v:0x9f,3,18446744073709551615", &info), 0);
        CU_ASSERT_STRING_EQUAL(json_object_to_json_string_ext(info, JSON_C_TO_STRING_PLAIN),
                               "{\"type\":\"hyper-v\",\"arg1\":159,\"arg2\":3,\"arg3\":18446744073709551615,"
                               "\"arg4\":0,\"arg5\":0}");
        json_object_put(info);
        CU_ASSERT_EQUAL_FATAL(spec_parse_panic("s390:disabled-wait,0x2000180000000,0x10fdee,2", &info),
                              0);
        CU_ASSERT_STRING_EQUAL(json_object_to_json_string_ext(info, JSON_C_TO_STRING_PLAIN),
                               "{\"type\":\"s390\",\"core\":2,\"psw-mask\":562956395872256,"
                               "\"psw-addr\":1113582,\"reason\":\"disabled-wait\"}");
        json_object_put(info);
        CU_ASSERT_EQUAL(spec_parse_panic("plain", &info), 0);
        CU_ASSERT_PTR_NULL(info);
        CU_ASSERT_EQUAL(spec_parse_panic("hyper-v:1,2,3,4,5,6", &info), -EINVAL);
        CU_ASSERT_EQUAL(spec_parse_panic("hyper-v:1,,2", &info), -EINVAL);
        CU_ASSERT_EQUAL(spec_parse_panic("hyper-v:bug", &info), -EINVAL);
        CU_ASSERT_EQUAL(spec_parse_panic("vax:1", &info), -EINVAL);
        CU_ASSERT_EQUAL(spec_parse_s390("disabled-wait,1", &info), -EINVAL);

        CU_ASSERT_EQUAL(spec_parse_since("2h", 10000, &s), 0);
        CU_ASSERT_EQUAL(s, 2800);
        CU_ASSERT_EQUAL(spec_parse_since("2026-11-21 03:12", 0, &s), 0);
        CU_ASSERT_EQUAL(s, 1795230720);
        CU_ASSERT_EQUAL(spec_parse_since("2026-11-21", 0, &s), 0);
        CU_ASSERT_EQUAL(s, 1795219200);
        CU_ASSERT_EQUAL(spec_parse_since("yesterday", 10000, &s), -EINVAL);
        CU_ASSERT_EQUAL(spec_parse_since("5h", 10000, &s), -EINVAL);
}

static void test_top(void) {
        TopView view = {
                .status = parse(
                        "{'machines': 4, 'attached': 3, 'incidents': 1, 'problems': ['disk is full']}"),
                .machines = parse(
                        "[{'name': 'gone', 'mode': 'observe', 'incidents': 0,"
                        "  'ended': {'seconds': 5, 'microseconds': 0}, 'state': 'running'},"
                        " {'name': 'b', 'state': 'running', 'mode': 'observe', 'incidents': 0,"
                        "  'dump': {'incident': 3, 'completed': 5, 'total': 10, 'kept': 2097152}},"
                        " {'name': 'a', 'state': 'running', 'mode': 'observe', 'incidents': 0},"
                        " {'name': 'z', 'state': 'guest-panicked', 'mode': 'enforce', 'incidents': 1,"
                        "  'held': 12}]"),
                .incidents = parse(
                        "[{'id': 12, 'machine': 'z', 'kind': 'panic', 'status': 'held', " WHEN "}]"),
                .now_us = UINT64_C(1795230727412000),
                .rows = 11,
                .columns = 60,
        };
        Text text = TEXT_NULL;
        _cleanup_free_ char *got = NULL;

        top_add_view(&text, &view);
        got = text_take(&text);
        CU_ASSERT_PTR_NOT_NULL_FATAL(got);
        CU_ASSERT_STRING_EQUAL(got,
                               "tocsin  2026-11-21 03:12:07.412 UTC  4 machines, 3 attached,\n"
                               "disk is full\n"
                               "\n"
                               "MACHINE  STATE           MODE     OPEN\n"
                               "z        guest-panicked  enforce  1     incident 12 waits fo\n"
                               "a        running         observe  0\n"
                               "b        running         observe  0     [##########         \n"
                               "... and 1 more\n"
                               "\n"
                               "12  03:12:07.412  z  held  The guest panicked\n");
        json_object_put(view.status);
        json_object_put(view.machines);
        json_object_put(view.incidents);
}

static void test_attach(void) {
        Text text = TEXT_NULL;
        _cleanup_free_ char *got = NULL;

        attach_add_lines(&text, "web-7", "/srv/run/control.sock");
        got = text_take(&text);
        CU_ASSERT_PTR_NOT_NULL_FATAL(got);
        CU_ASSERT_PTR_NOT_NULL(
                strstr(got,
                       "    -name web-7 \\\n"
                       "    -chardev socket,id=tocsin,path=/srv/run/attach.sock,reconnect=1 \\\n"
                       "    -mon chardev=tocsin,mode=control\n"));
        CU_ASSERT_PTR_NOT_NULL(strstr(
                got, "<qemu:arg value='socket,id=tocsin,path=/srv/run/attach.sock,reconnect=1'/>"));
        CU_ASSERT_PTR_NOT_NULL(
                strstr(got,
                       "    args: -chardev socket,id=tocsin,path=/srv/run/attach.sock,reconnect=1 "
                       "-mon chardev=tocsin,mode=control\n"));
}

TEST_MAIN("ctl-report",
          { "a closed incident", test_report },
          { "a held one that was found", test_report_held },
          { "the words of the guest, and not for the first time", test_report_words },
          { "groups of equal crashes", test_groups },
          { "what a newer tocsind may say", test_report_unknown },
          { "memory failure", test_memory_failure },
          { "events as lines", test_events },
          { "what people type", test_specs },
          { "top puts first what needs somebody", test_top },
          { "lines to attach a guest", test_attach })
