/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A client that sends anything. Bytes of the input drive the owner of the session too: it answers
 * late, or goes away with a call under way. Whatever is sent back is a line of JSON in ASCII.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/qapi/json.h"
#include "policy/qapi/qmp-session.h"
#include "qapi-commands.h"
#include "qapi-types.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct FuzzOwner {
        QmpSession *session;
        Buffer out;
        QmpCall *waiting;
        unsigned n_answered;
} FuzzOwner;

static void fuzz_check(bool good) {
        if (!good)
                abort();
}

static void fuzz_marshal_capabilities(QmpCall *call, json_object *arguments) {
        QmpCapabilitiesArg *arg = NULL;
        QapiError error = QAPI_ERROR_NULL;

        if (qmp_capabilities_arg_from_json(arguments, &arg, &error) == 0)
                qmp_qmp_capabilities(call, arg);
        else
                qmp_call_fail(call, error.class, "%s", error.desc);
        qmp_capabilities_arg_free(arg);
        qapi_error_deinit(&error);
}

static void fuzz_marshal_echo(QmpCall *call, json_object *arguments) {
        qmp_call_return(call, json_object_get(arguments));
}

static void fuzz_marshal_wait(QmpCall *call, json_object *arguments) {
        FuzzOwner *owner = qmp_call_get_userdata(call);

        fuzz_check(!owner->waiting);
        owner->waiting = call;
}

const QmpCommand *qmp_command_find(QapiProfile profile, const char *name) {
        static const QmpCommand commands[] = {
                { "qmp_capabilities", true, fuzz_marshal_capabilities },
                { "echo", true, fuzz_marshal_echo },
                { "wait", true, fuzz_marshal_wait },
        };

        for (size_t i = 0; i < ELEMENTSOF(commands); i++)
                if (strcmp(commands[i].name, name) == 0)
                        return &commands[i];
        return NULL;
}

static void fuzz_answered(void *userdata) {
        FuzzOwner *owner = userdata;

        owner->n_answered++;
}

static void fuzz_check_output(FuzzOwner *owner) {
        while (buffer_length(&owner->out) > 0) {
                const char *line = buffer_content(&owner->out);
                const char *end = memmem(line, buffer_length(&owner->out), "\r\n", 2);
                json_object *value = NULL;

                fuzz_check(end);
                for (const char *p = line; p < end; p++)
                        fuzz_check(*p >= ' ' && *p < 0x7F);
                if (!memmem(line, (size_t) (end - line), "inf", 3))
                        fuzz_check(json_parse(line, (size_t) (end - line), &value, NULL) == 0 &&
                                   json_object_is_type(value, json_type_object));
                json_object_put(value);
                buffer_consume(&owner->out, (size_t) (end - line) + 2);
        }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static const QmpSessionOps ops = { .answered = fuzz_answered };
        FuzzOwner owner = {};
        size_t used, i = 0;

        if (qmp_session_new(&owner.session, QAPI_PROFILE_MACHINE, &ops, &owner.out, &owner) < 0)
                return 0;

        while (i < size && owner.session) {
                fuzz_check(qmp_session_feed(owner.session, (const char *) data + i, size - i, &used) ==
                           0);
                i += used;
                fuzz_check(qmp_session_is_busy(owner.session) == !!owner.waiting);
                fuzz_check(i == size || owner.waiting);
                fuzz_check_output(&owner);
                if (!owner.waiting)
                        continue;

                if (i < size && data[i] == '!')
                        owner.session = qmp_session_free(owner.session);
                if (i < size && data[i] == '?')
                        qmp_call_fail(TAKE_PTR(owner.waiting),
                                      QAPI_ERROR_CLASS_GENERIC_ERROR,
                                      "%s",
                                      "no");
                else
                        qmp_call_return(TAKE_PTR(owner.waiting), NULL);
        }
        fuzz_check_output(&owner);

        qmp_session_free(owner.session);
        buffer_deinit(&owner.out);
        return 0;
}
