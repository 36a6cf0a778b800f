/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * All questions are sent at once: QEMU answers in order, and a host with 10,000 guests starts in one
 * round trip each. The state is asked last, so that it is the newest of all answers. Only that
 * answer is needed; what an old, new or strange QEMU won't tell is left out.
 *
 * The one difficulty is that answers outlive the wish for them: the inquiry lives until its last
 * question has ended, which the end of the client brings about too.
 */
#include "daemon/machine/qmp-identity.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "policy/qapi/qmp-message.h"

struct QmpInquiry {
        QmpIdentity identity;
        unsigned version;
        QmpInquiryFunc func; /* NULL: nobody wants to know any more */
        void *userdata;
        unsigned n_pending;
        bool has_status, abandoned;
};

/* Abilities that are a command; what needs a newer QEMU than the command itself has the version. */
static const struct {
        const char *command;
        unsigned abilities;
        unsigned since;
} qmp_identity_abilities[] = {
        { "set-action", ABILITY_SET_ACTION | ABILITY_PANIC_NONE, 0 },
        { "set-action", ABILITY_EXIT_FAILURE, QMP_MESSAGE_VERSION(7, 1, 0) },
        { "watchdog-set-action", ABILITY_WATCHDOG_SET_ACTION, 0 },
        { "system_reset", ABILITY_RESET, 0 },
        { "stop", ABILITY_STOP, 0 },
        { "cont", ABILITY_CONT, 0 },
        { "system_powerdown", ABILITY_POWERDOWN, 0 },
        { "quit", ABILITY_QUIT, 0 },
        { "inject-nmi", ABILITY_INJECT_NMI, 0 },
        { "dump-guest-memory", ABILITY_DUMP, 0 },
        { "qom-get", ABILITY_CRASH_INFO, 0 },
};

void qmp_identity_deinit(QmpIdentity *identity) {
        free(identity->name);
        free(identity->uuid);
        identity->name = identity->uuid = NULL;
}

/* A string member that is no longer than anything we want to keep, or NULL. */
static const char *qmp_identity_get_text(json_object *ret, const char *key) {
        json_object *value;

        if (!json_object_is_type(ret, json_type_object) ||
            !json_object_object_get_ex(ret, key, &value) ||
            !json_object_is_type(value, json_type_string))
                return NULL;
        if (json_object_get_string_len(value) > QMP_IDENTITY_TEXT_MAX)
                return NULL;
        return json_object_get_string(value);
}

int qmp_identity_read_status(json_object *ret, RunState *ret_state, bool *ret_running) {
        const char *status = qmp_identity_get_text(ret, "status");
        json_object *running;
        RunState state;

        if (!status || run_state_from_string(status, &state) < 0)
                return -EINVAL;
        if (!json_object_object_get_ex(ret, "running", &running) ||
            !json_object_is_type(running, json_type_boolean))
                return -EINVAL;
        *ret_state = state;
        *ret_running = json_object_get_boolean(running);
        return 0;
}

int qmp_identity_read_commands(QmpIdentity *identity, json_object *ret, unsigned version) {
        if (!json_object_is_type(ret, json_type_array))
                return -EINVAL;
        for (size_t i = 0; i < json_object_array_length(ret); i++) {
                const char *name = qmp_identity_get_text(json_object_array_get_idx(ret, i), "name");

                for (size_t k = 0; name && k < ELEMENTSOF(qmp_identity_abilities); k++)
                        if (strcmp(name, qmp_identity_abilities[k].command) == 0 &&
                            version >= qmp_identity_abilities[k].since)
                                identity->abilities |= qmp_identity_abilities[k].abilities;
        }
        return 0;
}

static void qmp_inquiry_finish(QmpInquiry *inquiry, int r, const char *error) {
        QmpInquiryFunc func = inquiry->func;

        inquiry->func = NULL;
        if (func)
                func(r, &inquiry->identity, error, inquiry->userdata);
}

/* Each question ends here, once. It counts until it has been told: the inquiry may be freed then. */
static void qmp_inquiry_end_question(QmpInquiry *inquiry, int r, const char *error) {
        bool last = inquiry->n_pending == 1;

        if (r == -ENOTCONN || r == -ETIMEDOUT)
                qmp_inquiry_finish(inquiry, r, error);
        else if (last && !inquiry->has_status)
                qmp_inquiry_finish(inquiry, -EBADMSG, "it does not say in which state it is");
        else if (last)
                qmp_inquiry_finish(inquiry, 0, NULL);

        inquiry->n_pending--;
        if (inquiry->n_pending == 0 && inquiry->abandoned) {
                qmp_identity_deinit(&inquiry->identity);
                free(inquiry);
        }
}

static void qmp_inquiry_take_name(int r, json_object *ret, const char *error, void *userdata) {
        QmpInquiry *inquiry = userdata;
        const char *name = qmp_identity_get_text(ret, "name");

        if (name && *name)
                inquiry->identity.name = strdup(name);
        qmp_inquiry_end_question(inquiry, r, error);
}

static void qmp_inquiry_take_uuid(int r, json_object *ret, const char *error, void *userdata) {
        QmpInquiry *inquiry = userdata;
        const char *uuid = qmp_identity_get_text(ret, "UUID");

        /* a QEMU without one says all zeros */
        if (uuid && uuid[strspn(uuid, "0-")] != '\0')
                inquiry->identity.uuid = strdup(uuid);
        qmp_inquiry_end_question(inquiry, r, error);
}

static void qmp_inquiry_take_cpus(int r, json_object *ret, const char *error, void *userdata) {
        QmpInquiry *inquiry = userdata;
        json_object *thread = NULL;

        if (json_object_is_type(ret, json_type_array) && json_object_array_length(ret) > 0)
                (void) json_object_object_get_ex(json_object_array_get_idx(ret, 0),
                                                 "thread-id",
                                                 &thread);
        if (json_object_is_type(thread, json_type_int)) {
                int64_t id = json_object_get_int64(thread);

                if (id > 0 && id <= INT32_MAX)
                        inquiry->identity.thread = (pid_t) id;
        }
        qmp_inquiry_end_question(inquiry, r, error);
}

static void qmp_inquiry_take_commands(int r, json_object *ret, const char *error, void *userdata) {
        QmpInquiry *inquiry = userdata;

        (void) qmp_identity_read_commands(&inquiry->identity, ret, inquiry->version);
        qmp_inquiry_end_question(inquiry, r, error);
}

static void qmp_inquiry_take_status(int r, json_object *ret, const char *error, void *userdata) {
        QmpInquiry *inquiry = userdata;

        inquiry->has_status = qmp_identity_read_status(ret,
                                                       &inquiry->identity.state,
                                                       &inquiry->identity.running) == 0;
        qmp_inquiry_end_question(inquiry, r, error);
}

static const struct {
        const char *command;
        QmpClientDone take;
} qmp_inquiry_questions[] = {
        { "query-name", qmp_inquiry_take_name },
        { "query-uuid", qmp_inquiry_take_uuid },
        { "query-cpus-fast", qmp_inquiry_take_cpus },
        { "query-commands", qmp_inquiry_take_commands },
        { "query-status", qmp_inquiry_take_status },
};

int qmp_inquiry_new(QmpInquiry **ret, QmpClient *client, QmpInquiryFunc func, void *userdata) {
        QmpInquiry *inquiry;
        unsigned version = qmp_client_get_version(client);
        int r = 0;

        inquiry = calloc(1, sizeof(*inquiry));
        if (!inquiry)
                return -ENOMEM;
        inquiry->version = version;
        (void) snprintf(inquiry->identity.version,
                        sizeof(inquiry->identity.version),
                        "%u.%u.%u",
                        version / 1000000,
                        version / 1000 % 1000,
                        version % 1000);
        for (size_t i = 0; i < ELEMENTSOF(qmp_inquiry_questions); i++) {
                r = qmp_client_call(client,
                                    qmp_inquiry_questions[i].command,
                                    NULL,
                                    -1,
                                    QMP_CLIENT_NEGOTIATION_US,
                                    qmp_inquiry_questions[i].take,
                                    inquiry);
                if (r < 0) {
                        qmp_inquiry_free(inquiry);
                        return r;
                }
                inquiry->n_pending++;
        }
        inquiry->func = func;
        inquiry->userdata = userdata;
        *ret = inquiry;
        return 0;
}

QmpInquiry *qmp_inquiry_free(QmpInquiry *inquiry) {
        if (!inquiry)
                return NULL;
        inquiry->func = NULL;
        inquiry->abandoned = true;
        if (inquiry->n_pending == 0) {
                qmp_identity_deinit(&inquiry->identity);
                free(inquiry);
        }
        return NULL;
}
