/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * What the files of the QMP server share; everybody else includes server.h.
 */
#include <systemd/sd-event.h>

#include "daemon/qmp/access.h"
#include "daemon/qmp/server.h"
#include "daemon/qmp/throttle.h"
#include "policy/util/list.h"

/* Longest event that is sent. The qemu.qmp client, the strictest known, gives up on a longer line.
 * No honest QEMU comes near it. */
#define QMP_EVENT_BYTES_MAX (256 << 10)

/* Bytes a client may send in one turn: about 400 small commands, one millisecond. */
#define QMP_READ_BYTES (16 << 10)

typedef struct QmpServerUser {
        uid_t uid;
        unsigned n_clients;
} QmpServerUser;

struct QmpServer {
        sd_event *event;
        Store *store;
        void *userdata;

        char *runtime_dir;
        char *command_group, *monitor_group; /* for the words of a refusal */
        AccessGroups groups;
        unsigned clients_per_uid;
        size_t queue_bytes;

        QmpEndpoint *control; /* NULL: none yet */
        unsigned n_endpoints, n_clients;
        QmpServerUser *users; /* with clients now; root is not counted */
        size_t n_users;

        List replays;           /* under way, and those left behind by their peer */
        List ready;             /* of QmpPeer: want a turn without having been polled */
        sd_event_source *turns; /* gives it to them */
        int spare_fd; /* given up for a moment to turn a client away when there are no more */
        char input[QMP_READ_BYTES]; /* of the client that has its turn */
};

struct QmpEndpoint {
        QmpServer *server;
        QapiProfile profile;
        char *machine; /* NULL: not a machine's */
        sd_event_source *source;
        List clients;
        const QmpEndpointOps *ops; /* NULL: none */
        void *userdata;
        Throttle throttle;
        sd_event_source *window; /* its timer; NULL while no window is open */
};

/* Reasons of EVENTS_LOST that are the server's; the others are the store's. */
#define QMP_LOST_SLOW_CLIENT "slow-client"
#define QMP_LOST_STORE "store" /* as for all that can't be kept */

#define QMP_SERVER_E_FULL 1
/* Counts a new client. QMP_SERVER_E_FULL: this user has as many as allowed. */
int qmp_server_admit(QmpServer *server, uid_t uid);
void qmp_server_dismiss(QmpServer *server, uid_t uid);

/* An event as its endpoint sends it (CRLF included). */
void qmp_endpoint_send(QmpEndpoint *endpoint, uint64_t seq, const char *text, size_t n);
/* The same, throttled as QEMU would. */
void qmp_endpoint_send_throttled(QmpEndpoint *endpoint, uint64_t seq, const char *text, size_t n);
/* It can't be sent: every client is told that it missed it, and why. */
void qmp_endpoint_lose(QmpEndpoint *endpoint, uint64_t seq, const char *reason);
