/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The difficulty is whose memory lives how long: a call outlives the message it came with, and may
 * outlive the session; its answer may come while the stream is still within the message, or later.
 * So a call holds its id and a pointer to the session, which a session that goes away clears; input
 * stops behind the message of a call that is not answered when its handler returns.
 */
#include "policy/qapi/qmp-session.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "policy/qapi/json.h"
#include "policy/util/list.h"
#include "policy/util/moment.h"
#include "qapi-commands.h"
#include "qapi-types.h"
#include "tocsin-version.h"

/* The release whose QMP this is; facts and tests are of its 22nd stable update. */
#define QMP_VERSION_MAJOR 7
#define QMP_VERSION_MINOR 2
#define QMP_VERSION_MICRO 0

/* Returned by the message function: the stream stops, a call is under way. */
#define QMP_SESSION_BUSY 1

struct QmpSession {
        QapiProfile profile;
        bool negotiated;
        int error; /* of a late answer */
        const QmpSessionOps *ops;
        Buffer *out;
        void *userdata;
        JsonStream *stream;
        QmpCall *call;
        List detached; /* of QmpCall */
};

struct QmpCall {
        QmpSession *session; /* NULL: orphaned */
        json_object *id;
        bool has_id;
        bool late; /* its handler has returned */
        List link; /* once detached */
};

static int qmp_session_message(json_object *value, const char *error, void *userdata);

int qmp_session_new(QmpSession **ret,
                    QapiProfile profile,
                    const QmpSessionOps *ops,
                    Buffer *out,
                    void *userdata) {
        _cleanup_(qmp_session_freep) QmpSession *session = NULL;
        int r;

        session = malloc(sizeof(*session));
        if (!session)
                return -ENOMEM;

        *session = (QmpSession){
                .profile = profile,
                .ops = ops,
                .out = out,
                .userdata = userdata,
        };
        list_init(&session->detached);
        r = json_stream_new(&session->stream, &JSON_LIMITS_CLIENT, qmp_session_message, session);
        if (r < 0)
                return r;

        *ret = TAKE_PTR(session);
        return 0;
}

QmpSession *qmp_session_free(QmpSession *session) {
        if (!session)
                return NULL;

        if (session->call)
                session->call->session = NULL;
        list_foreach_safe(i, next, &session->detached) {
                list_entry(i, QmpCall, link)->session = NULL;
                list_remove(i);
        }
        json_stream_free(session->stream);
        free(session);
        return NULL;
}

bool qmp_session_is_busy(const QmpSession *session) {
        return session->call;
}

bool qmp_session_is_negotiated(const QmpSession *session) {
        return session->negotiated;
}

int qmp_session_get_version(json_object **ret) {
        _cleanup_(buffer_deinit) Buffer text = BUFFER_NULL;
        int r;

        r = buffer_printf(&text,
                          "{'qemu': {'micro': %d, 'minor': %d, 'major': %d}, 'package': 'tocsin %s'}",
                          QMP_VERSION_MICRO,
                          QMP_VERSION_MINOR,
                          QMP_VERSION_MAJOR,
                          TOCSIN_VERSION);
        if (r < 0)
                return r;

        return json_parse(buffer_content(&text), buffer_length(&text), ret, NULL);
}

int qmp_session_greet(QmpSession *session) {
        _cleanup_(json_object_putp) json_object *version = NULL;
        int r;

        r = qmp_session_get_version(&version);
        if (r == 0)
                r = buffer_append_string(session->out, "{\"QMP\": {\"version\": ");
        if (r == 0)
                r = json_write(session->out, version, JSON_STYLE_QMP);
        if (r == 0)
                r = buffer_append_string(session->out, ", \"capabilities\": []}}\r\n");
        return r;
}

/* `call` may be NULL: what can't be parsed has no id. */
static int qmp_write_id(Buffer *out, const QmpCall *call, const char *before, const char *after) {
        int r;

        if (!call || !call->has_id)
                return 0;

        r = buffer_append_string(out, before);
        if (r == 0)
                r = json_write(out, call->id, JSON_STYLE_QMP);
        return r < 0 ? r : buffer_append_string(out, after);
}

static int qmp_write_return(Buffer *out, const QmpCall *call, json_object *ret) {
        int r;

        r = buffer_append_string(out, "{\"return\": ");
        if (r == 0)
                r = ret ? json_write(out, ret, JSON_STYLE_QMP) : buffer_append_string(out, "{}");
        if (r == 0)
                r = qmp_write_id(out, call, ", \"id\": ", "");
        return r < 0 ? r : buffer_append_string(out, "}\r\n");
}

static int qmp_write_error(Buffer *out, const QmpCall *call, QapiErrorClass class, const char *desc) {
        int r;

        r = buffer_append_char(out, '{');
        if (r == 0)
                r = qmp_write_id(out, call, "\"id\": ", ", ");
        if (r == 0)
                r = buffer_printf(out,
                                  "\"error\": {\"class\": \"%s\", \"desc\": ",
                                  qapi_error_class_to_string(class));
        if (r == 0)
                r = json_write_string(out, desc, strlen(desc));
        return r < 0 ? r : buffer_append_string(out, "}}\r\n");
}

int qmp_write_event(Buffer *out, const char *event, json_object *data, uint64_t real_us) {
        size_t length = buffer_length(out);
        int r;

        r = buffer_printf(out,
                          "{\"timestamp\": {\"seconds\": %" PRIu64 ", \"microseconds\": %" PRIu64
                          "}, \"event\": \"%s\"",
                          real_us / USEC_PER_SEC,
                          real_us % USEC_PER_SEC,
                          event);
        if (r == 0 && data) {
                r = buffer_append_string(out, ", \"data\": ");
                if (r == 0)
                        r = json_write(out, data, JSON_STYLE_QMP);
        }
        if (r == 0)
                r = buffer_append_string(out, "}\r\n");
        if (r < 0)
                out->end = out->start + length;
        return r;
}

static QmpCall *qmp_call_free(QmpCall *call) {
        json_object_put(call->id);
        free(call);
        return NULL;
}

/* The answer was written (r == 0) or could not be. Takes the call. */
static void qmp_call_end(QmpCall *call, int r) {
        QmpSession *session = call->session;
        bool late = call->late;

        if (session && session->call == call)
                session->call = NULL;
        list_remove(&call->link);
        qmp_call_free(call);
        if (!session)
                return;

        session->error = r;
        if (late && session->ops->answered)
                session->ops->answered(session->userdata);
}

void qmp_call_detach(QmpCall *call) {
        if (!call->session || call->session->call != call)
                return;
        call->session->call = NULL;
        call->late = true;
        list_append(&call->session->detached, &call->link);
}

void *qmp_call_get_userdata(const QmpCall *call) {
        return call->session ? call->session->userdata : NULL;
}

void qmp_call_return(QmpCall *call, json_object *ret) {
        int r = call->session ? qmp_write_return(call->session->out, call, ret) : 0;

        json_object_put(ret);
        qmp_call_end(call, r);
}

void qmp_call_fail(QmpCall *call, QapiErrorClass class, const char *format, ...) {
        _cleanup_free_ char *desc = NULL;
        va_list ap;
        int r = 0;

        if (call->session) {
                va_start(ap, format);
                if (vasprintf(&desc, format, ap) < 0) {
                        desc = NULL;
                        r = -ENOMEM;
                }
                va_end(ap);
                if (r == 0)
                        r = qmp_write_error(call->session->out, call, class, desc);
        }

        qmp_call_end(call, r);
}

void qmp_qmp_capabilities(QmpCall *call, const QmpCapabilitiesArg *arg) {
        QmpSession *session = call->session;

        if (session->negotiated) {
                qmp_call_fail(call,
                              QAPI_ERROR_CLASS_COMMAND_NOT_FOUND,
                              "Capabilities negotiation is already complete, command ignored");
                return;
        }
        if (arg->n_enable > 0) {
                qmp_call_fail(call,
                              QAPI_ERROR_CLASS_GENERIC_ERROR,
                              "Capability %s not available",
                              qmp_capability_to_string(arg->enable[0]));
                return;
        }

        /* The reply comes before the first event. */
        qmp_call_return(call, NULL);
        session->negotiated = true;
        if (session->ops->negotiated)
                session->ops->negotiated(session->userdata);
}

static bool qmp_session_refuse_member(QmpCall *call, const char *member, const char *problem) {
        qmp_call_fail(call, QAPI_ERROR_CLASS_GENERIC_ERROR, "QMP input member '%s' %s", member, problem);
        return false;
}

/* True if the message has the shape of a command; else the call has been answered. Where several
 * members are wrong the order is QEMU's, but of several unknown ones it tells what its hash table
 * picks, and we the first. */
static bool qmp_session_check(QmpCall *call, json_object *message) {
        json_object *execute, *arguments;
        bool has_execute = json_object_object_get_ex(message, "execute", &execute);

        if (json_object_object_get_ex(message, "exec-oob", NULL))
                return qmp_session_refuse_member(call, "exec-oob", "is unexpected");
        if (has_execute && !json_object_is_type(execute, json_type_string))
                return qmp_session_refuse_member(call, "execute", "must be a string");
        if (json_object_object_get_ex(message, "arguments", &arguments) &&
            !json_object_is_type(arguments, json_type_object))
                return qmp_session_refuse_member(call, "arguments", "must be an object");

        json_object_object_foreach(message, member, value) {
                (void) value;
                if (strcmp(member, "execute") != 0 && strcmp(member, "arguments") != 0 &&
                    strcmp(member, "id") != 0)
                        return qmp_session_refuse_member(call, member, "is unexpected");
        }
        if (!has_execute) {
                qmp_call_fail(call, QAPI_ERROR_CLASS_GENERIC_ERROR, "QMP input lacks member 'execute'");
                return false;
        }

        return true;
}

static void qmp_session_dispatch(QmpSession *session, QmpCall *call, json_object *message) {
        const char *name, *refusal = NULL;
        const QmpCommand *command;
        bool is_negotiation;

        if (!json_object_is_type(message, json_type_object)) {
                qmp_call_fail(call, QAPI_ERROR_CLASS_GENERIC_ERROR, "QMP input must be a JSON object");
                return;
        }
        if (!qmp_session_check(call, message))
                return;

        name = json_object_get_string(json_object_object_get(message, "execute"));
        is_negotiation = strcmp(name, "qmp_capabilities") == 0;
        if (!session->negotiated && !is_negotiation) {
                qmp_call_fail(call,
                              QAPI_ERROR_CLASS_COMMAND_NOT_FOUND,
                              "Expecting capabilities negotiation with 'qmp_capabilities'");
                return;
        }

        command = qmp_command_find(session->profile, name);
        if (!command) {
                qmp_call_fail(call,
                              QAPI_ERROR_CLASS_COMMAND_NOT_FOUND,
                              "The command %s has not been found",
                              name);
                return;
        }
        if (session->ops->refuse && !is_negotiation)
                refusal = session->ops->refuse(command, session->userdata);
        if (refusal) {
                qmp_call_fail(call, QAPI_ERROR_CLASS_GENERIC_ERROR, "%s", refusal);
                return;
        }

        command->marshal(call, json_object_object_get(message, "arguments"));
}

static int qmp_session_message(json_object *value, const char *error, void *userdata) {
        QmpSession *session = userdata;
        QmpCall *call;

        if (error)
                return qmp_write_error(session->out, NULL, QAPI_ERROR_CLASS_GENERIC_ERROR, error);

        call = calloc(1, sizeof(*call));
        if (!call)
                return -ENOMEM;
        call->session = session;
        list_init(&call->link);
        if (json_object_is_type(value, json_type_object))
                call->has_id = json_object_object_get_ex(value, "id", &call->id);
        json_object_get(call->id);

        session->call = call;
        qmp_session_dispatch(session, call, value);
        if (!session->call)
                return session->error;

        session->call->late = true;
        return QMP_SESSION_BUSY;
}

int qmp_session_feed(QmpSession *session, const char *data, size_t n, size_t *ret_used) {
        int r;

        if (session->error < 0)
                return session->error;
        if (session->call || n == 0) {
                *ret_used = 0;
                return 0;
        }

        r = json_stream_feed(session->stream, data, n, ret_used);
        return r == QMP_SESSION_BUSY ? 0 : r;
}
