/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a QMP server sends; the good examples were recorded from QEMU 7.2. */
#include <errno.h>

#include "policy/qapi/json.h"
#include "policy/qapi/qmp-message.h"
#include "tests/unit/harness.h"

/* The message borrows from *ret. */
static int message_read(const char *text, json_object **ret, QmpMessage *ret_message) {
        CU_ASSERT_EQUAL_FATAL(json_parse(text, strlen(text), ret, NULL), 0);
        return qmp_message_parse(*ret, ret_message);
}

static void test_greeting(void) {
        static const char text[] =
                "{'QMP': {'version': {'qemu': {'micro': 22, 'minor': 2, 'major': 7}, 'package': 'Debian'}, "
                "'capabilities': ['oob']}}";
        _cleanup_(json_object_putp) json_object *value = NULL, *bare = NULL;
        QmpMessage m;

        CU_ASSERT_EQUAL(message_read(text, &value, &m), 0);
        CU_ASSERT_EQUAL(m.type, QMP_MESSAGE_GREETING);
        CU_ASSERT_EQUAL(m.version, QMP_MESSAGE_VERSION(7, 2, 22));
        CU_ASSERT(m.version > QMP_MESSAGE_VERSION(7, 1, 999));
        CU_ASSERT_STRING_EQUAL(m.package, "Debian");
        CU_ASSERT_TRUE(m.has_oob);

        CU_ASSERT_EQUAL(message_read("{'QMP': {'capabilities': [1, null, 'new'], 'new': 1, 'version': "
                                     "{'qemu': {'major': 11, 'minor': 0, 'micro': 50, 'new': 1}}}}",
                                     &bare,
                                     &m),
                        0);
        CU_ASSERT_EQUAL(m.version, QMP_MESSAGE_VERSION(11, 0, 50));
        CU_ASSERT_STRING_EQUAL(m.package, "");
        CU_ASSERT_FALSE(m.has_oob);
}

static void test_replies(void) {
        _cleanup_(json_object_putp) json_object *good = NULL, *null = NULL, *bad = NULL, *none = NULL;
        QmpMessage m;

        CU_ASSERT_EQUAL(message_read("{'id': 18446744073709551615, 'return': {'a': 1}}", &good, &m),
                        0);
        CU_ASSERT_EQUAL(m.type, QMP_MESSAGE_RETURN);
        CU_ASSERT_TRUE(m.has_id);
        CU_ASSERT_EQUAL(m.id, UINT64_MAX);
        CU_ASSERT_EQUAL(json_object_object_length(m.data), 1);

        CU_ASSERT_EQUAL(message_read("{'return': null}", &null, &m), 0);
        CU_ASSERT_EQUAL(m.type, QMP_MESSAGE_RETURN);
        CU_ASSERT_FALSE(m.has_id);
        CU_ASSERT_PTR_NULL(m.data);

        CU_ASSERT_EQUAL(message_read("{'id': 3, 'error': {'class': 'NewClass', 'desc': 'no', 'data': {}}}",
                                     &bad,
                                     &m),
                        0);
        CU_ASSERT_EQUAL(m.type, QMP_MESSAGE_ERROR);
        CU_ASSERT_EQUAL(m.id, 3);
        CU_ASSERT_STRING_EQUAL(m.class, "NewClass");
        CU_ASSERT_STRING_EQUAL(m.desc, "no");

        CU_ASSERT_EQUAL(message_read("{'error': {'class': 'GenericError', 'desc': 'JSON parse error'}}",
                                     &none,
                                     &m),
                        0);
        CU_ASSERT_FALSE(m.has_id);
}

static void test_events(void) {
        _cleanup_(json_object_putp) json_object *watchdog = NULL, *stop = NULL, *clock = NULL;
        QmpMessage m;

        CU_ASSERT_EQUAL(message_read("{'timestamp': {'seconds': 1700000000, 'microseconds': 7}, "
                                     "'event': 'WATCHDOG', 'data': {'action': 'reset'}, 'id': 'new'}",
                                     &watchdog,
                                     &m),
                        0);
        CU_ASSERT_EQUAL(m.type, QMP_MESSAGE_EVENT);
        CU_ASSERT_STRING_EQUAL(m.event, "WATCHDOG");
        CU_ASSERT_EQUAL(m.time_us, 1700000000000007);
        CU_ASSERT_PTR_NOT_NULL(m.data);
        CU_ASSERT_FALSE(m.has_id);

        CU_ASSERT_EQUAL(
                message_read("{'event': 'STOP', 'timestamp': {'microseconds': 999999, 'seconds': 0}}",
                             &stop,
                             &m),
                0);
        CU_ASSERT_EQUAL(m.time_us, 999999);
        CU_ASSERT_PTR_NULL(m.data);

        CU_ASSERT_EQUAL(message_read("{'event': 'STOP', 'timestamp': {'microseconds': -1, 'seconds': -1}}",
                                     &clock,
                                     &m),
                        0);
        CU_ASSERT_EQUAL(m.time_us, 0);
}

#define NOW "'timestamp': {'seconds': 1, 'microseconds': 1}"

static void test_refused(void) {
        static const char *const cases[][2] = {
                { "null", "no object" },
                { "[]", "no object" },
                { "{}", "neither a reply nor an event" },
                { "{'execute': 'quit'}", "neither a reply nor an event" },
                { "{'return': {}, 'error': {'class': 'a', 'desc': 'b'}}", "several messages in one" },
                { "{'return': {}, 'event': 'STOP', " NOW "}", "several messages in one" },
                { "{'return': {}, 'id': -1}", "a reply to what was never asked" },
                { "{'return': {}, 'id': 1.0}", "a reply to what was never asked" },
                { "{'return': {}, 'id': '1'}", "a reply to what was never asked" },
                { "{'return': {}, 'id': null}", "a reply to what was never asked" },
                { "{'error': null}", "an error without a class or description" },
                { "{'error': {'class': 'a'}}", "an error without a class or description" },
                { "{'error': {'class': 1, 'desc': 'b'}}", "an error without a class or description" },
                { "{'event': 1, " NOW "}", "an event whose name is no string" },
                { "{'event': null, " NOW "}", "an event whose name is no string" },
                { "{'event': 'STOP'}", "an event without a timestamp" },
                { "{'event': 'STOP', 'timestamp': 1}", "an event without a timestamp" },
                { "{'event': 'STOP', 'timestamp': {'seconds': 1}}", "an event without a timestamp" },
                { "{'event': 'STOP', 'timestamp': {'seconds': 1.5, 'microseconds': 1}}",
                  "an event without a timestamp" },
                { "{'event': 'STOP', 'timestamp': {'seconds': 1, 'microseconds': 1000000}}",
                  "an event without a timestamp" },
                { "{'event': 'STOP', 'timestamp': {'seconds': 18446744073709551615, 'microseconds': 1}}",
                  "an event without a timestamp" },
                { "{'event': 'STOP', 'timestamp': {'seconds': -2, 'microseconds': 1}}",
                  "an event without a timestamp" },
                { "{'event': 'STOP', 'data': [], " NOW "}", "an event whose data is no object" },
                { "{'event': 'STOP', 'data': null, " NOW "}", "an event whose data is no object" },
                { "{'QMP': null}", "a greeting without a version" },
                { "{'QMP': {'version': {'qemu': {'major': 7, 'minor': 2}}}}",
                  "a greeting without a version" },
                { "{'QMP': {'version': {'qemu': {'major': 7, 'minor': 2, 'micro': 1000}}}}",
                  "a greeting without a version" },
                { "{'QMP': {'version': {'qemu': {'major': 7, 'minor': 2, 'micro': 0}}}}",
                  "a greeting without capabilities" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(json_object_putp) json_object *value = NULL;
                QmpMessage m = { .id = 77 };

                CU_ASSERT_EQUAL(message_read(cases[i][0], &value, &m), -EINVAL);
                CU_ASSERT_STRING_EQUAL(m.problem, cases[i][1]);
                CU_ASSERT_EQUAL(m.id, 77);
        }
}

TEST_MAIN("qmp-message",
          { "greeting", test_greeting },
          { "replies", test_replies },
          { "events", test_events },
          { "what is refused", test_refused })
