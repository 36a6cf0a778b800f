/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * The QMP server: endpoints (listening Unix sockets), their clients, and events on their way to
 * them. Any number of clients, each with a bounded queue; nobody slows anybody.
 */
#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "daemon/store/store.h"
#include "policy/qapi/qmp-session.h"
#include "policy/util/cleanup.h"

typedef struct QmpServer QmpServer;
typedef struct QmpEndpoint QmpEndpoint;
typedef struct QmpPeer QmpPeer;

typedef struct QmpServerConfig {
        const char *runtime_dir;   /* sockets are made below it: qmp/NAME.sock, control.sock */
        const char *command_group; /* may command; NULL or unknown: root and our uid only */
        const char *monitor_group; /* may query and listen */
        unsigned clients_per_uid;  /* most connections of one uid, root's excepted */
        size_t queue_bytes;        /* most bytes waiting for one client */
} QmpServerConfig;

/* `userdata` is what handlers of commands get with qmp_call_get_server_userdata(). */
int qmp_server_new(QmpServer **ret,
                   sd_event *event,
                   const QmpServerConfig *config,
                   Store *store,
                   void *userdata);
/* After its endpoints, and when the loop runs no more: what the store was asked is answered to
 * nobody. */
QmpServer *qmp_server_free(QmpServer *server);
DEFINE_CLEANUP(QmpServer *, qmp_server_free);
/* At reload: groups and limits, for clients to come; runtime_dir stays as it was. May block on NSS,
 * as qmp_server_new() may. */
int qmp_server_configure(QmpServer *server, const QmpServerConfig *config);
unsigned qmp_server_count_clients(const QmpServer *server);
unsigned qmp_server_count_endpoints(const QmpServer *server);

/* profile MACHINE: qmp/NAME.sock, `machine` is its name; CONTROL: control.sock, VMM: vmm.sock. The
 * socket file is removed with the endpoint, and its clients see the end of the connection. */
int qmp_endpoint_new(QmpEndpoint **ret, QmpServer *server, QapiProfile profile, const char *machine);
QmpEndpoint *qmp_endpoint_free(QmpEndpoint *endpoint);
DEFINE_CLEANUP(QmpEndpoint *, qmp_endpoint_free);

/* For an endpoint that keeps something of its own for its clients (vmm.sock). */
typedef struct QmpEndpointOps {
        /* May this user be a client at all? NULL: root, our own user, and the two groups. */
        bool (*admits)(uid_t uid, void *userdata);
        /* The peer is about to be freed. Not called for those left when the endpoint is freed. */
        void (*closed)(QmpPeer *peer, void *userdata);
} QmpEndpointOps;

void qmp_endpoint_set_ops(QmpEndpoint *endpoint, const QmpEndpointOps *ops, void *userdata);

/* Who connected, as the kernel says; a process in another PID namespace has the number it has here,
 * or 0. */
int qmp_peer_get_credentials(const QmpPeer *peer, pid_t *ret_pid, uid_t *ret_uid);
/* What the endpoint's owner keeps for it; NULL at first. */
void qmp_peer_set_owner(QmpPeer *peer, void *owner);
void *qmp_peer_get_owner(const QmpPeer *peer);
/* An event for this client alone, without a number. False: it can't be told, for its queue is full. */
bool qmp_peer_tell(QmpPeer *peer, const char *event, json_object *data, uint64_t real_us);

/* One event of a machine: numbered, logged, sent to the machine's endpoint (NULL: has none) as it
 * is, and to control.sock with `machine` and `seq` (and `synthetic` where true) in its data. */
typedef struct QmpAnnouncement {
        QmpEndpoint *endpoint;
        const char *machine;
        const char *event;
        json_object *data; /* or NULL */
        uint64_t real_us;  /* the event's own timestamp */
        bool own;          /* made by tocsin: throttled as QEMU would, on the endpoint only */
        bool synthetic;    /* QEMU never sent it */
        bool control_only; /* one of our own events */
} QmpAnnouncement;

/* Returns its number. */
uint64_t qmp_server_announce(QmpServer *server, const QmpAnnouncement *announcement);

/* For handlers. The client is NULL when it has gone meanwhile. */
void *qmp_call_get_server_userdata(const QmpCall *call);
QmpPeer *qmp_call_get_peer(const QmpCall *call);
void *qmp_call_get_endpoint_userdata(const QmpCall *call); /* of qmp_endpoint_set_ops() */
const char *qmp_call_get_machine(const QmpCall *call);     /* of a machine's endpoint, else NULL */
