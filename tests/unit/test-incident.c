/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a record says of its cause: headline, signature, and the cause by which it is found. */
#include <string.h>

#include "policy/decode/decode.h"
#include "policy/incident.h"
#include "policy/qapi/json.h"
#include "tests/unit/harness.h"

static Incident *test_new(IncidentKind kind, const char *panic) {
        Moment now = { .boot_us = 1, .real_us = 2 };
        Incident *incident = incident_new(1, "vm1", "run", kind, 2, now, "boot");
        json_object *json = NULL;

        CU_ASSERT_PTR_NOT_NULL_FATAL(incident);
        if (panic) {
                CU_ASSERT_EQUAL_FATAL(json_parse(panic, strlen(panic), &json, NULL), 0);
                CU_ASSERT_EQUAL_FATAL(incident_set_info(incident, json), 0);
                json_object_put(json);
        }
        return incident;
}

static void test_headlines(void) {
        static const struct {
                IncidentKind kind;
                const char *panic, *words;                /* what goes in */
                const char *headline, *signature, *cause; /* what comes out */
        } cases[] = {
                { INCIDENT_KIND_PANIC,
                  "{'type': 'hyper-v', 'arg1': 159, 'arg2': 3, 'arg3': 0, 'arg4': 0, 'arg5': 0}",
                  NULL,
                  "Windows stopped: DRIVER_POWER_STATE_FAILURE (0x9f)",
                  "9f-3",
                  "9f" },
                { INCIDENT_KIND_PANIC,
                  "{'type': 's390', 'core': 0, 'psw-mask': 562956395872256, 'psw-addr': 1113582,"
                  " 'reason': 'disabled-wait'}",
                  "Kernel panic - not syncing: sysrq triggered crash",
                  "Linux stopped: Kernel panic - not syncing: sysrq triggered crash",
                  "panic-sysrq-triggered-crash",
                  "disabled-wait" },
                { INCIDENT_KIND_PANIC, NULL, NULL, NULL, "panic", NULL },
                { INCIDENT_KIND_WATCHDOG, NULL, NULL, NULL, "watchdog", NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(incident_freep)
                        Incident *incident = test_new(cases[i].kind, cases[i].panic);
                const IncidentInfo *info = incident->info;
                char buffer[DECODE_CAUSE_SIZE];
                const char *cause = decode_get_cause(info, buffer);

                CU_ASSERT_EQUAL(incident_set_headline(incident->info, cases[i].words), 0);
                CU_ASSERT_STRING_EQUAL(info->signature, cases[i].signature);
                CU_ASSERT_EQUAL(!info->headline, !cases[i].headline);
                if (info->headline && cases[i].headline)
                        CU_ASSERT_STRING_EQUAL(info->headline, cases[i].headline);
                CU_ASSERT_EQUAL(!cause, !cases[i].cause);
                if (cause && cases[i].cause)
                        CU_ASSERT_STRING_EQUAL(cause, cases[i].cause);
        }
}

/* The words come with the evidence, after the panic information. */
static void test_words_come_late(void) {
        _cleanup_(incident_freep) Incident *incident =
                test_new(INCIDENT_KIND_PANIC,
                         "{'type': 's390', 'core': 0, 'psw-mask': 562956395872256, 'psw-addr': 1113582,"
                         " 'reason': 'disabled-wait'}");
        _cleanup_free_ char *before = NULL, *after = NULL;

        CU_ASSERT_EQUAL(incident_set_headline(incident->info, NULL), 0);
        before = incident_describe(incident->info);
        CU_ASSERT_STRING_EQUAL(before,
                               "guest panicked: The guest stopped in a disabled wait at 0x10fdee");
        CU_ASSERT_EQUAL(incident_set_headline(incident->info,
                                              "Kernel panic - not syncing: Fatal exception"),
                        0);
        after = incident_describe(incident->info);
        CU_ASSERT_STRING_EQUAL(
                after, "guest panicked: Linux stopped: Kernel panic - not syncing: Fatal exception");
}

TEST_MAIN("incident",
          { "headline, signature and cause", test_headlines },
          { "the words of a kernel come late", test_words_come_late })
