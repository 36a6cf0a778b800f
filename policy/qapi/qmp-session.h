/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * The server's side of one QMP connection, without the connection: bytes of a client go in, calls
 * and bytes for the client come out. Negotiation, order, ids and QEMU's errors are here; what a
 * command does is not. One command at a time, as QEMU without `oob`: while a call is under way
 * the session takes no more input (qmp_session_is_busy()).
 */
#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "policy/qapi/qapi-error.h"
#include "policy/util/buffer.h"

typedef struct QmpSession QmpSession;
typedef struct QmpCall QmpCall; /* one command under way */
typedef struct QmpCommand QmpCommand;

/* Which schema an endpoint speaks (qapi-commands.h, qapi-introspect.h, generated). */
typedef enum QapiProfile {
        QAPI_PROFILE_MACHINE, /* qmp/NAME.sock: control.json run-state.json vfio.json */
        QAPI_PROFILE_CONTROL, /* control.sock: control.json tocsin.json, events of all */
        QAPI_PROFILE_VMM,     /* vmm.sock: control.json vmm.json */
        _QAPI_PROFILE_MAX,
} QapiProfile;

typedef struct QmpSessionOps {
        /* May this client run this command? NULL: yes; else the words of the refusal. Not asked
         * about qmp_capabilities. */
        const char *(*refuse)(const QmpCommand *command, void *userdata);
        /* The client has finished the negotiation: events may be sent from here on. */
        void (*negotiated)(void *userdata);
        /* A reply to a call that did not end within its handler was written to `out`. */
        void (*answered)(void *userdata);
} QmpSessionOps;

/* `out` is borrowed: replies and the greeting are appended to it. `userdata` must outlive it. */
int qmp_session_new(QmpSession **ret,
                    QapiProfile profile,
                    const QmpSessionOps *ops,
                    Buffer *out,
                    void *userdata);
QmpSession *qmp_session_free(QmpSession *session); /* calls still under way are orphaned */
DEFINE_CLEANUP(QmpSession *, qmp_session_free);

/* The greeting. */
int qmp_session_greet(QmpSession *session);
/* query-version's answer, which the greeting holds too: the QEMU whose QMP this is (a client may
 * choose its words by that), and as its package us. */
int qmp_session_get_version(json_object **ret);
/* Returns 0 or a fatal error (-ENOMEM, or -ENOBUFS when `out` is full): close the connection.
 * *ret_used < n when a call is under way: give the rest again when the session is not busy. If a
 * late answer could not be written, the next feed says so. Must not be called, nor the session
 * freed, from within a handler or an op; but answered() may do both. */
int qmp_session_feed(QmpSession *session, const char *data, size_t n, size_t *ret_used);
bool qmp_session_is_busy(const QmpSession *session);
bool qmp_session_is_negotiated(const QmpSession *session);

/* For handlers: what the session was made with, and the answer, now or later, exactly once.
 * Each takes the call; `ret` is taken too, NULL answers with {}. An answer to an orphaned call is
 * dropped. */
void *qmp_call_get_userdata(const QmpCall *call); /* NULL once orphaned */
/* The session goes on with what comes next: this answer may come after those of later commands, which
 * QMP without `oob` does not do. How many are detached is the handler's to bound. */
void qmp_call_detach(QmpCall *call);
void qmp_call_return(QmpCall *call, json_object *ret);
void qmp_call_fail(QmpCall *call, QapiErrorClass class, const char *format, ...) _printf_(3, 4);

/* Appends {"timestamp": ..., "event": ..., "data": ...}\r\n; data may be NULL. */
int qmp_write_event(Buffer *out, const char *event, json_object *data, uint64_t real_us);

/* A command of the schema (table in the generated qapi-commands.c). `marshal` checks the arguments
 * (an object, or NULL: none), answers the call when they are wrong, and calls the handler qmp_NAME()
 * otherwise. qmp_qmp_capabilities() is the session's own. */
struct QmpCommand {
        const char *name;
        bool allow_preconfig;
        void (*marshal)(QmpCall *call, json_object *arguments);
};

/* Generated. NULL when the profile has no such command. */
const QmpCommand *qmp_command_find(QapiProfile profile, const char *name);
/* Calls func for every command of the profile, in the order of the schema. */
void qmp_command_foreach(QapiProfile profile,
                         void (*func)(const QmpCommand *command, void *userdata),
                         void *userdata);
/* Generated: the answer to query-qmp-schema, as text. */
const char *qapi_schema_text(QapiProfile profile);
