/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The generated types through qapi-visit.c: round trips, and QEMU's words for what is wrong. */
#include <errno.h>

#include "policy/qapi/qapi-visit.h"
#include "policy/qapi/qmp-session.h"
#include "qapi-types.h"
#include "tests/unit/harness.h"

static void json_putp(json_object **json) {
        json_object_put(*json);
}

static json_object *parse(const char *text) {
        json_object *json = json_tokener_parse(text);

        CU_ASSERT_PTR_NOT_NULL_FATAL(json);
        return json;
}

/* Reads `text` as an IncidentInfo, which has every kind of member, and expects it back. */
static void check_incident(const char *text, const char *expected) {
        _cleanup_(json_putp) json_object *json = parse(text), *back = NULL;
        _cleanup_(incident_info_freep) IncidentInfo *incident = NULL;
        _cleanup_(qapi_error_deinit) QapiError error = QAPI_ERROR_NULL;

        CU_ASSERT_EQUAL_FATAL(incident_info_from_json(json, &incident, &error), 0);
        CU_ASSERT_PTR_NULL(error.desc);
        CU_ASSERT_EQUAL_FATAL(incident_info_to_json(incident, &back), 0);
        CU_ASSERT_STRING_EQUAL(json_object_to_json_string_ext(back, JSON_C_TO_STRING_PLAIN),
                               expected);
}

#define INCIDENT_HEAD                                                                              \
        "{\"id\":18446744073709551615,\"machine\":\"db1\",\"run\":\"1-2\",\"kind\":\"panic\","     \
        "\"status\":\"open\","
#define INCIDENT_TIMES                                                                             \
        "\"time\":{\"seconds\":-1,\"microseconds\":-1},"                                           \
        "\"opened\":{\"seconds\":9223372036854775807,\"microseconds\":0},"
#define INCIDENT_BOOT "\"opened-boot\":0,\"boot-id\":\"b\","

static void test_minimal(void) {
        static const char text[] = INCIDENT_HEAD INCIDENT_TIMES INCIDENT_BOOT "\"steps\":[]}";

        check_incident(text, text);
}

static void test_full(void) {
        static const char text[] = INCIDENT_HEAD
                "\"outcome\":\"done\"," INCIDENT_TIMES
                "\"closed\":{\"seconds\":3,\"microseconds\":4}," INCIDENT_BOOT
                "\"state\":\"guest-panicked\",\"found\":false,\"event\":\"GUEST_PANICKED\","
                "\"data\":{\"x\":[null,1.5,18446744073709551615]},"
                "\"info\":{\"type\":\"s390\",\"core\":4294967295,\"psw-mask\":562956395872256,"
                "\"psw-addr\":18446744073709551615,\"reason\":\"disabled-wait\"},"
                "\"recipient\":\"guest\",\"flags\":{\"action-required\":true,\"recursive\":false},"
                "\"repeated\":0,"
                "\"decision\":{\"action\":\"exit-failure\",\"by\":\"rule a\",\"reason\":\"\","
                "\"evidence\":[\"log\",\"memory\"],\"trail\":[{\"by\":\"clamp\",\"text\":\"t\"}]},"
                "\"steps\":[{\"time\":{\"seconds\":1,\"microseconds\":2},\"what\":\"note\","
                "\"text\":\"one\"},{\"time\":{\"seconds\":1,\"microseconds\":2},\"what\":\"reset\","
                "\"text\":\"two\",\"error\":\"e\"}],\"acknowledged\":true}";

        check_incident(text, text);
}

static void test_order_does_not_matter(void) {
        check_incident("{\"steps\":[],\"boot-id\":\"b\",\"opened-boot\":0," INCIDENT_TIMES
                       "\"status\":\"open\",\"kind\":\"panic\",\"run\":\"1-2\",\"machine\":\"db1\","
                       "\"id\":18446744073709551615,\"evidence\":[]}",
                       INCIDENT_HEAD INCIDENT_TIMES INCIDENT_BOOT "\"steps\":[]}");
}

static void test_values(void) {
        _cleanup_(json_putp) json_object *json = parse(
                "{\"type\":\"tdx\",\"error-code\":7,\"message\":\"m\",\"gpa\":0}");
        _cleanup_(guest_panic_information_freep) GuestPanicInformation *info = NULL;

        CU_ASSERT_EQUAL_FATAL(guest_panic_information_from_json(json, &info, NULL), 0);
        CU_ASSERT_EQUAL(info->type, GUEST_PANIC_INFORMATION_TYPE_TDX);
        CU_ASSERT_EQUAL(info->u.tdx.error_code, 7);
        CU_ASSERT_STRING_EQUAL(info->u.tdx.message, "m");
        CU_ASSERT_TRUE(info->u.tdx.has_gpa);
        CU_ASSERT_EQUAL(info->u.tdx.gpa, 0);
}

/* What QEMU 7.2 answered to a like value in a like place. */
static void test_errors(void) {
        static const struct {
                const char *text, *desc;
        } cases[] = {
                { "{}", "Parameter 'machine' is missing" },
                { "{\"x\":1}", "Parameter 'machine' is missing" },
                { "{\"machine\":1}", "Invalid parameter type for 'machine', expected: string" },
                { "{\"machine\":null}", "Invalid parameter type for 'machine', expected: string" },
                { "{\"machine\":\"m\",\"kind\":1}",
                  "Invalid parameter type for 'kind', expected: string" },
                { "{\"machine\":\"m\",\"kind\":\"Panic\"}",
                  "Parameter 'kind' does not accept value 'Panic'" },
                { "{\"machine\":\"m\",\"kind\":\"panic\",\"x\":1}", "Parameter 'x' is unexpected" },
                { "{\"machine\":\"m\",\"kind\":\"panic\",\"info\":[]}",
                  "Invalid parameter type for 'info', expected: object" },
                { "{\"machine\":\"m\",\"kind\":\"panic\",\"info\":{}}",
                  "Parameter 'info.type' is missing" },
                { "{\"machine\":\"m\",\"kind\":\"panic\",\"info\":{\"type\":\"vax\"}}",
                  "Parameter 'type' does not accept value 'vax'" },
                { "{\"machine\":\"m\",\"kind\":\"panic\",\"info\":{\"type\":\"sev\",\"set\":1}}",
                  "Parameter 'info.code' is missing" },
                { "{\"machine\":\"m\",\"kind\":\"panic\","
                  "\"info\":{\"type\":\"sev\",\"set\":1,\"code\":2,\"arg1\":3}}",
                  "Parameter 'info.arg1' is unexpected" },
                { "{\"machine\":\"m\",\"kind\":\"panic\",\"flags\":{\"action-required\":0}}",
                  "Invalid parameter type for 'flags.action-required', expected: boolean" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(json_putp) json_object *json = parse(cases[i].text);
                _cleanup_(qapi_error_deinit) QapiError error = QAPI_ERROR_NULL;
                ExplainArg *arg = NULL;

                CU_ASSERT_EQUAL_FATAL(explain_arg_from_json(json, &arg, &error), QAPI_E_INVALID);
                CU_ASSERT_PTR_NULL(arg);
                CU_ASSERT_EQUAL(error.class, QAPI_ERROR_CLASS_GENERIC_ERROR);
                CU_ASSERT_STRING_EQUAL(error.desc, cases[i].desc);
        }
}

static void test_list_errors(void) {
        static const struct {
                const char *text, *desc;
        } cases[] = {
                { "{\"enable\":\"oob\"}", "Invalid parameter type for 'enable', expected: array" },
                { "{\"enable\":[\"oob\",\"bogus\"]}",
                  "Parameter 'null' does not accept value 'bogus'" },
                { "{\"enable\":[\"oob\",1]}",
                  "Invalid parameter type for 'enable[1]', expected: string" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(json_putp) json_object *json = parse(cases[i].text);
                _cleanup_(qapi_error_deinit) QapiError error = QAPI_ERROR_NULL;
                QmpCapabilitiesArg *arg = NULL;

                CU_ASSERT_EQUAL_FATAL(qmp_capabilities_arg_from_json(json, &arg, &error),
                                      QAPI_E_INVALID);
                CU_ASSERT_STRING_EQUAL(error.desc, cases[i].desc);
        }
}

static void test_integers(void) {
        static const struct {
                const char *text, *desc;
        } cases[] = {
                { "{\"since\":9223372036854775807,\"before\":0,\"limit\":4294967295}", NULL },
                { "{\"since\":-9223372036854775808,\"before\":18446744073709551615}", NULL },
                { "{\"since\":9223372036854775808}",
                  "Invalid parameter type for 'since', expected: integer" },
                { "{\"since\":1.0}", "Invalid parameter type for 'since', expected: integer" },
                { "{\"since\":true}", "Invalid parameter type for 'since', expected: integer" },
                { "{\"before\":-1}", "Parameter 'before' expects uint64" },
                { "{\"before\":\"1\"}", "Parameter 'before' expects uint64" },
                { "{\"limit\":4294967296}", "Parameter 'limit' expects uint32_t" },
                { "{\"limit\":-1}", "Parameter 'limit' expects uint32_t" },
                { "{\"limit\":18446744073709551615}", "Parameter 'limit' expects uint32_t" },
                { "{\"limit\":null}", "Parameter 'limit' expects uint64" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(json_putp) json_object *json = parse(cases[i].text), *back = NULL;
                _cleanup_(query_incidents_arg_freep) QueryIncidentsArg *arg = NULL;
                _cleanup_(qapi_error_deinit) QapiError error = QAPI_ERROR_NULL;
                int r = query_incidents_arg_from_json(json, &arg, &error);

                if (cases[i].desc) {
                        CU_ASSERT_EQUAL_FATAL(r, QAPI_E_INVALID);
                        CU_ASSERT_STRING_EQUAL(error.desc, cases[i].desc);
                        continue;
                }
                CU_ASSERT_EQUAL_FATAL(r, 0);
                CU_ASSERT_EQUAL_FATAL(query_incidents_arg_to_json(arg, &back), 0);
                CU_ASSERT_STRING_EQUAL(json_object_to_json_string_ext(back, JSON_C_TO_STRING_PLAIN),
                                       cases[i].text);
        }
}

static void test_whole(void) {
        _cleanup_(json_putp) json_object *list = json_object_new_array(),
                                         *object = parse("{\"a\":1}");
        _cleanup_(set_action_arg_freep) SetActionArg *arg = NULL;
        _cleanup_(qapi_error_deinit) QapiError first = QAPI_ERROR_NULL, second = QAPI_ERROR_NULL;

        CU_ASSERT_EQUAL(set_action_arg_from_json(list, &arg, &first), QAPI_E_INVALID);
        CU_ASSERT_STRING_EQUAL(first.desc, "Invalid parameter type for 'null', expected: object");
        /* No arguments at all are an empty object. */
        CU_ASSERT_EQUAL(set_action_arg_from_json(NULL, &arg, NULL), 0);
        CU_ASSERT_EQUAL(qapi_check_empty(NULL, NULL), 0);
        CU_ASSERT_EQUAL(qapi_check_empty(object, &second), QAPI_E_INVALID);
        CU_ASSERT_STRING_EQUAL(second.desc, "Parameter 'a' is unexpected");
}

static void test_to_json_refuses(void) {
        _cleanup_(json_putp) json_object *json = NULL;
        IncidentStep no_time = { .what = NULL };
        WatchdogEvent no_action = { .action = _WATCHDOG_ACTION_MAX };
        VfioMigrationEvent no_strings = { .device_state = QAPI_VFIO_MIGRATION_STATE_STOP_COPY };

        CU_ASSERT_EQUAL(incident_step_to_json(&no_time, &json), -EINVAL);
        CU_ASSERT_EQUAL(watchdog_event_to_json(&no_action, &json), -EINVAL);
        CU_ASSERT_PTR_NULL(json);
        /* An id that a device has not is empty, as QEMU says it. */
        CU_ASSERT_EQUAL_FATAL(vfio_migration_event_to_json(&no_strings, &json), 0);
        CU_ASSERT_STRING_EQUAL(json_object_to_json_string_ext(json, JSON_C_TO_STRING_PLAIN),
                               "{\"device-id\":\"\",\"qom-path\":\"\","
                               "\"device-state\":\"stop-copy\"}");
}

static void test_enums(void) {
        RunState state = _RUN_STATE_MAX;

        CU_ASSERT_EQUAL(run_state_from_string("guest-panicked", &state), 0);
        CU_ASSERT_EQUAL(state, RUN_STATE_GUEST_PANICKED);
        CU_ASSERT_EQUAL(run_state_from_string("Running", &state), -EINVAL);
        CU_ASSERT_EQUAL(state, RUN_STATE_GUEST_PANICKED);
        CU_ASSERT_PTR_NULL(run_state_to_string(_RUN_STATE_MAX));
        for (unsigned i = 0; i < _RUN_STATE_MAX; i++) {
                CU_ASSERT_EQUAL(run_state_from_string(run_state_to_string((RunState) i), &state), 0);
                CU_ASSERT_EQUAL(state, i);
        }
}

static void test_schema_texts(void) {
        static const char machine[] = "\"name\": \"machine\"";

        for (unsigned i = 0; i < _QAPI_PROFILE_MAX; i++) {
                _cleanup_(json_putp) json_object *json = parse(qapi_schema_text((QapiProfile) i));

                CU_ASSERT_TRUE(json_object_is_type(json, json_type_array));
        }
        /* A machine's endpoint speaks nothing but QEMU's own words. */
        CU_ASSERT_PTR_NULL(strstr(qapi_schema_text(QAPI_PROFILE_MACHINE), "query-incidents"));
        CU_ASSERT_PTR_NULL(strstr(qapi_schema_text(QAPI_PROFILE_MACHINE), machine));
        CU_ASSERT_PTR_NULL(strstr(qapi_schema_text(QAPI_PROFILE_CONTROL), "query-status"));
        CU_ASSERT_PTR_NOT_NULL(strstr(qapi_schema_text(QAPI_PROFILE_CONTROL), machine));
        CU_ASSERT_PTR_NOT_NULL(strstr(qapi_schema_text(QAPI_PROFILE_CONTROL), "GUEST_PANICKED"));
}

TEST_MAIN("qapi",
          { "minimal incident", test_minimal },
          { "full incident", test_full },
          { "order of members", test_order_does_not_matter },
          { "union and optional zero", test_values },
          { "errors", test_errors },
          { "errors in lists", test_list_errors },
          { "integers", test_integers },
          { "the whole value", test_whole },
          { "to_json refuses", test_to_json_refuses },
          { "enums", test_enums },
          { "schema texts", test_schema_texts })
