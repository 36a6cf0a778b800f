/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * One connection to a QEMU's monitor: greeting, negotiation (without `oob`), commands with their
 * answers, events. Every byte of the peer is hostile, and every wait has an end.
 */
#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "policy/util/cleanup.h"
#include "policy/util/moment.h"

/* The greeting comes from QEMU's I/O thread, however busy its main loop is. */
#define QMP_CLIENT_GREETING_US (5 * USEC_PER_SEC)
/* Everything else waits for the main loop, which a memory dump can hold for a long time. */
#define QMP_CLIENT_NEGOTIATION_US (30 * USEC_PER_SEC)
/* Commands whose answers are awaited, or come too late. */
#define QMP_CLIENT_CALLS_MAX 64
/* With so many bytes not yet taken by the peer no command is added. */
#define QMP_CLIENT_OUT_MAX (1U << 20)

typedef struct QmpClient QmpClient;

typedef struct QmpClientEvent {
        const char *name;
        json_object *data; /* NULL: none */
        uint64_t time_us;  /* QEMU's own timestamp; 0 when it had none */
} QmpClientEvent;

/* None of these may free the client, but for closed(). */
typedef struct QmpClientOps {
        /* negotiated: commands may be called, events come */
        void (*ready)(QmpClient *client, void *userdata);
        void (*event)(QmpClient *client, const QmpClientEvent *event, void *userdata);
        /* The connection is over: the last that is heard of it, and never from within a call of
         * the client's owner. Every command has had its answer. */
        void (*closed)(QmpClient *client, const char *why, void *userdata);
} QmpClientOps;

/* See BackendDone (machines.h). */
typedef void (*QmpClientDone)(int r, json_object *ret, const char *error, void *userdata);

/* Takes the connected, non-blocking socket. */
int qmp_client_new(QmpClient **ret, sd_event *event, int fd, const QmpClientOps *ops, void *userdata);
/* Commands under way are answered with -ENOTCONN from within. */
QmpClient *qmp_client_free(QmpClient *client);
DEFINE_CLEANUP(QmpClient *, qmp_client_free);

/* Sends a command; `fd` goes along with it (duplicated), or is -1. `deadline_us` is a span, or
 * USEC_INFINITY. 0: done() will be called. -ENOTCONN, -EBUSY (too many under way, or another
 * descriptor), -ENOBUFS, -ENOMEM: it won't. */
int qmp_client_call(QmpClient *client,
                    const char *command,
                    json_object *arguments,
                    int fd,
                    uint64_t deadline_us,
                    QmpClientDone done,
                    void *userdata);
/* Calls done(-EOPNOTSUPP) with these words from the loop: for what needs no question. */
int qmp_client_refuse(QmpClient *client, const char *text, QmpClientDone done, void *userdata);
/* The owner wants no more of it: closed() will come. */
void qmp_client_close(QmpClient *client, const char *why);
/* Reads what is there, all of it, now: for a peer that has ended. */
void qmp_client_drain(QmpClient *client);

bool qmp_client_is_ready(const QmpClient *client);
bool qmp_client_is_closed(const QmpClient *client);
unsigned qmp_client_get_version(const QmpClient *client); /* QMP_MESSAGE_VERSION() */
/* CLOCK_BOOTTIME of the last bytes. */
uint64_t qmp_client_get_heard(const QmpClient *client);
int qmp_client_get_fd(const QmpClient *client);
