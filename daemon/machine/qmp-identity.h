/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * Who is at the other end of a negotiated QMP connection: what it calls itself, what it can do, in
 * which state it is, and a thread of it by which its process is found.
 */
#include "daemon/machine/qmp-client.h"
#include "policy/observation.h"

/* Longest name or UUID kept as it was given; QEMU's own limit is a command line's. */
#define QMP_IDENTITY_TEXT_MAX 1024

typedef struct QmpIdentity {
        RunState state;
        bool running;
        char *name, *uuid; /* NULL: none */
        char version[48];  /* "7.2.22" */
        unsigned abilities;
        pid_t thread; /* of a vCPU; 0: unknown */
} QmpIdentity;

void qmp_identity_deinit(QmpIdentity *identity);

/* The answers, each alone. -EINVAL: it is none. Pure. */
int qmp_identity_read_status(json_object *ret, RunState *ret_state, bool *ret_running);
int qmp_identity_read_commands(QmpIdentity *identity, json_object *ret, unsigned version);

typedef struct QmpInquiry QmpInquiry;

/* r: 0 and the identity (its strings may be taken), or a negative errno and words. Never from within
 * qmp_inquiry_new(); the inquiry may be freed from here. */
typedef void (*QmpInquiryFunc)(int r, QmpIdentity *identity, const char *error, void *userdata);

/* Asks over the client, which is ready and must outlive the inquiry's questions: free it first. */
int qmp_inquiry_new(QmpInquiry **ret, QmpClient *client, QmpInquiryFunc func, void *userdata);
/* func is not called any more. */
QmpInquiry *qmp_inquiry_free(QmpInquiry *inquiry);
DEFINE_CLEANUP(QmpInquiry *, qmp_inquiry_free);
