/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a plugin in C is asked, and that the public words have the values of ours. */
#include <errno.h>
#include <stdint.h>

#include "plugins/sdk/descriptor.h"
#include "plugins/sdk/host/question.h"
#include "tests/unit/harness.h"

static void test_enums(void) {
        CU_ASSERT_EQUAL((int) TOCSIN_ACTION_NONE, (int) ACTION_NONE);
        CU_ASSERT_EQUAL((int) TOCSIN_ACTION_DISABLE, (int) ACTION_DISABLE);
        CU_ASSERT_EQUAL((int) TOCSIN_ACTION_DISABLE + 1, (int) _ACTION_MAX);
        CU_ASSERT_EQUAL((int) TOCSIN_INCIDENT_KIND_NOTIFY_VMEXIT + 1, (int) _INCIDENT_KIND_MAX);
        CU_ASSERT_EQUAL((int) TOCSIN_RUN_STATE_COLO + 1, (int) _RUN_STATE_MAX);
        CU_ASSERT_EQUAL((int) TOCSIN_S390_CRASH_REASON_DISABLED_WAIT,
                        (int) S390_CRASH_REASON_DISABLED_WAIT);
        CU_ASSERT_EQUAL((int) TOCSIN_GUEST_PANIC_INFORMATION_TYPE_SEV + 1,
                        (int) _GUEST_PANIC_INFORMATION_TYPE_MAX);
        CU_ASSERT_EQUAL((int) TOCSIN_OPTION_LIMIT + 1, (int) _PLUGIN_OPTION_TYPE_MAX);
        CU_ASSERT_EQUAL((int) TOCSIN_OPTION_TIME, (int) PLUGIN_OPTION_TYPE_TIME);
}

static void test_question(void) {
        char machine[] = "vm", run[] = "r", by[] = "rule x", reason[] = "y";
        Timestamp time = { .seconds = 1, .microseconds = 2 };
        GuestPanicInformation info = { .type = GUEST_PANIC_INFORMATION_TYPE_S390 };
        IncidentInfo incident = { .id = UINT64_MAX,
                                  .machine = machine,
                                  .run = run,
                                  .kind = INCIDENT_KIND_PANIC,
                                  .time = &time,
                                  .info = &info };
        DecisionInfo decision = { .action = ACTION_PAUSE, .by = by, .reason = reason };
        PluginPast past = { .incident = 3,
                            .kind = INCIDENT_KIND_WATCHDOG,
                            .action = ACTION_RESET,
                            .ago = 7 },
                   *pasts[] = { &past };
        PluginQuestion from = {
                .incident = &incident, .decision = &decision, .history = pasts, .n_history = 1
        };
        _cleanup_(question_deinit) Question q = {};

        info.u.s390 = (GuestPanicInformationS390){ .core = 1,
                                                   .psw_mask = 2,
                                                   .psw_addr = UINT64_MAX,
                                                   .reason = S390_CRASH_REASON_PGMINT_LOOP };
        CU_ASSERT_EQUAL_FATAL(question_init(&q, &from, "{}"), 0);
        CU_ASSERT_EQUAL(q.question.size, sizeof(q.question));
        CU_ASSERT_EQUAL(q.question.incident->id, UINT64_MAX);
        CU_ASSERT_EQUAL(q.question.incident->time_us, 1000002);
        CU_ASSERT_FALSE(q.question.incident->has_state);
        CU_ASSERT_PTR_NULL(q.question.incident->flags);
        CU_ASSERT_EQUAL(q.question.incident->info->u.s390->psw_addr, UINT64_MAX);
        CU_ASSERT_EQUAL(q.question.incident->info->u.s390->reason,
                        TOCSIN_S390_CRASH_REASON_PGMINT_LOOP);
        CU_ASSERT_STRING_EQUAL(q.question.decision->by, "rule x");
        CU_ASSERT_EQUAL_FATAL(q.question.n_history, 1);
        CU_ASSERT_EQUAL(q.question.history[0].action, TOCSIN_ACTION_RESET);
        CU_ASSERT_EQUAL(q.question.history[0].ago_us, 7);
        CU_ASSERT_EQUAL(tocsin_count(&q.question, TOCSIN_ACTION_RESET, 8), 1);
        CU_ASSERT_EQUAL(tocsin_count(&q.question, TOCSIN_ACTION_RESET, 7), 0);
}

static void test_answer(void) {
        struct tocsin_answer answer = { .size = sizeof(answer) };
        char text[600] = "";

        memset(text, 'x', sizeof(text) - 1);
        tocsin_decide(&answer, TOCSIN_ACTION_RESET, "%s", text);
        CU_ASSERT_TRUE(answer.has_action);
        CU_ASSERT_EQUAL(strlen(answer.reason), TOCSIN_REASON_SIZE - 1);
        tocsin_leave(&answer, "no");
        CU_ASSERT_FALSE(answer.has_action);
        CU_ASSERT_STRING_EQUAL(answer.reason, "no");
}

static void test_options(void) {
        static const struct {
                PluginOptionType type;
                const char *text;
                int r;
                uint64_t number, within_us;
        } cases[] = {
                { PLUGIN_OPTION_TYPE_TEXT, "", 0, 0, 0 },
                { PLUGIN_OPTION_TYPE_BOOL, "yes", 0, 1, 0 },
                { PLUGIN_OPTION_TYPE_BOOL, "maybe", -EINVAL, 9, 9 },
                { PLUGIN_OPTION_TYPE_COUNT, "12", 0, 12, 0 },
                { PLUGIN_OPTION_TYPE_COUNT, "-1", -EINVAL, 9, 9 },
                { PLUGIN_OPTION_TYPE_TIME, "10min", 0, 600000000, 0 },
                { PLUGIN_OPTION_TYPE_LIMIT, "3/1s", 0, 3, 1000000 },
                { PLUGIN_OPTION_TYPE_LIMIT, "3", -EINVAL, 9, 9 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                uint64_t number = 9, within_us = 9;

                CU_ASSERT_EQUAL(option_parse(cases[i].type, cases[i].text, &number, &within_us),
                                cases[i].r);
                CU_ASSERT_EQUAL(number, cases[i].number);
                CU_ASSERT_EQUAL(within_us, cases[i].within_us);
        }
}

TEST_MAIN("plugin",
          { "enums", test_enums },
          { "question", test_question },
          { "answer", test_answer },
          { "options", test_options })
