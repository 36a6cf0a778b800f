/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * One connection to an endpoint: input while its session takes it, a bounded queue of replies and
 * events to be sent, and what became of events that found the queue full.
 */
#include <sys/types.h>

#include "daemon/qmp/access.h"
#include "daemon/qmp/server.h"
#include "policy/util/list.h"

/* Takes `fd`, in any case. Counted by qmp_server_admit() before; dismisses itself. */
int qmp_client_new(QmpClient **ret, QmpEndpoint *endpoint, int fd, uid_t uid, Access access);
/* Never from within a handler: see qmp_client_hang_up(). */
QmpClient *qmp_client_free(QmpClient *client);
QmpClient *qmp_client_from_endpoint_link(List *link);
QmpClient *qmp_client_from_ready_link(List *link);

/* Its endpoint is going: sends what the socket takes, and is freed in its next turn. */
void qmp_client_hang_up(QmpClient *client);
/* Work that waits: input left over, queued output, what it fell behind with. May free it. */
void qmp_client_turn(QmpClient *client);

/* Live events. One that finds the queue full is lost, and the client is told so once there is room. */
void qmp_client_send_event(QmpClient *client, uint64_t seq, const char *text, size_t n);
void qmp_client_lose_event(QmpClient *client, uint64_t seq, const char *reason);

/* Every event after `after` from the log, then live ones; replaces a replay under way. */
int qmp_client_replay(QmpClient *client, uint64_t after);

/* For the replay. The two that put return QMP_CLIENT_E_FULL when it is to wait for room. */
#define QMP_CLIENT_E_FULL 1
QmpServer *qmp_client_get_server(const QmpClient *client);
QmpEndpoint *qmp_client_get_endpoint(const QmpClient *client); /* NULL: removed */
int qmp_client_put_logged(QmpClient *client, const char *text, size_t n);
int qmp_client_put_lost(QmpClient *client, uint64_t first, uint64_t last, const char *reason);
void qmp_client_end_replay(QmpClient *client);
/* A turn soon, from the loop. */
void qmp_client_schedule(QmpClient *client);
