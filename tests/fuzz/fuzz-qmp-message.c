/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a hostile QEMU sends: everything that is taken for a message has what its type promises. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/qapi/json.h"
#include "policy/qapi/qmp-message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int fuzz_message(json_object *value, const char *error, void *userdata) {
        QmpMessage m = {};
        bool good = false;

        if (error)
                return 0;
        if (qmp_message_parse(value, &m) < 0) {
                if (!m.problem)
                        abort();
                return 0;
        }

        switch (m.type) {
        case QMP_MESSAGE_GREETING:
                good = m.version < QMP_MESSAGE_VERSION(1000, 0, 0) && strlen(m.package) < 10000;
                break;
        case QMP_MESSAGE_RETURN:
                good = m.has_id || m.id == 0;
                break;
        case QMP_MESSAGE_ERROR:
                good = strlen(m.class) + strlen(m.desc) < 10000;
                break;
        case QMP_MESSAGE_EVENT:
                good = strlen(m.event) < 10000 && m.time_us < UINT64_C(1) << 63 &&
                       (!m.data || json_object_is_type(m.data, json_type_object));
                break;
        }
        if (!good)
                abort();
        return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        JsonStream *s;

        if (size > 4096 || json_stream_new(&s, &JSON_LIMITS_BACKEND, fuzz_message, NULL) < 0)
                return 0;

        (void) json_stream_feed(s, (const char *) data, size, NULL);
        json_stream_free(s);
        return 0;
}
