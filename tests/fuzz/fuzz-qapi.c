/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * JSON to types of the schema and back: what one of them takes must be written as something that it
 * takes again as the same; what it refuses must leave words.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/qapi/json.h"
#include "qapi-types.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_check(bool good) {
        if (!good)
                abort();
}

static void fuzz_compare(json_object *a, json_object *b) {
        Buffer first = BUFFER_NULL, second = BUFFER_NULL;

        fuzz_check(json_write(&first, a, JSON_STYLE_QMP) == 0);
        fuzz_check(json_write(&second, b, JSON_STYLE_QMP) == 0);
        fuzz_check(buffer_length(&first) == buffer_length(&second));
        fuzz_check(memcmp(buffer_content(&first), buffer_content(&second), buffer_length(&first)) ==
                   0);
        buffer_deinit(&first);
        buffer_deinit(&second);
}

#define FUZZ_TYPE(Type, prefix)                                                                    \
        static void fuzz_##prefix(json_object *json) {                                             \
                _cleanup_(qapi_error_deinit) QapiError error = QAPI_ERROR_NULL;                    \
                _cleanup_(prefix##_freep) Type *value = NULL, *again = NULL;                       \
                json_object *first, *second;                                                       \
                int r = prefix##_from_json(json, &value, &error);                                  \
                                                                                                   \
                fuzz_check(r == (error.desc ? QAPI_E_INVALID : 0));                                \
                if (r != 0)                                                                        \
                        return;                                                                    \
                fuzz_check(prefix##_to_json(value, &first) == 0);                                  \
                fuzz_check(prefix##_from_json(first, &again, NULL) == 0);                          \
                fuzz_check(prefix##_to_json(again, &second) == 0);                                 \
                fuzz_compare(first, second);                                                       \
                json_object_put(first);                                                            \
                json_object_put(second);                                                           \
        }                                                                                          \
        struct fuzz_semicolon_

FUZZ_TYPE(ExplainArg, explain_arg);
FUZZ_TYPE(GuestPanickedEvent, guest_panicked_event);
FUZZ_TYPE(IncidentInfo, incident_info);
FUZZ_TYPE(MachineInfo, machine_info);
FUZZ_TYPE(QmpCapabilitiesArg, qmp_capabilities_arg);
FUZZ_TYPE(QueryIncidentsArg, query_incidents_arg);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        json_object *json;

        if (json_parse((const char *) data, size, &json, NULL) != 0)
                return 0;
        fuzz_explain_arg(json);
        fuzz_guest_panicked_event(json);
        fuzz_incident_info(json);
        fuzz_machine_info(json);
        fuzz_qmp_capabilities_arg(json);
        fuzz_query_incidents_arg(json);
        json_object_put(json);
        return 0;
}
