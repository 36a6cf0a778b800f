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
int qmp_peer_new(QmpPeer **ret, QmpEndpoint *endpoint, int fd, uid_t uid, Access access);
/* Never from within a handler: see qmp_peer_hang_up(). */
QmpPeer *qmp_peer_free(QmpPeer *peer);
QmpPeer *qmp_peer_from_endpoint_link(List *link);
QmpPeer *qmp_peer_from_ready_link(List *link);

/* Its endpoint is going: sends what the socket takes, and is freed in its next turn. */
void qmp_peer_hang_up(QmpPeer *peer);
/* Work that waits: input left over, queued output, what it fell behind with. May free it. */
void qmp_peer_turn(QmpPeer *peer);

/* Live events. One that finds the queue full is lost, and the client is told so once there is room.
 * `at_once`: the first since its last turn does not wait for the next. */
void qmp_peer_send_event(QmpPeer *peer, uint64_t seq, const char *text, size_t n, bool at_once);
void qmp_peer_lose_event(QmpPeer *peer, uint64_t seq, const char *reason);

/* Every event after `after` from the log, then live ones; replaces a replay under way. */
int qmp_peer_replay(QmpPeer *peer, uint64_t after);

/* For the replay. The two that put return QMP_PEER_E_FULL when it is to wait for room. */
#define QMP_PEER_E_FULL 1
QmpServer *qmp_peer_get_server(const QmpPeer *peer);
QmpEndpoint *qmp_peer_get_endpoint(const QmpPeer *peer); /* NULL: removed */
int qmp_peer_put_logged(QmpPeer *peer, const char *text, size_t n);
int qmp_peer_put_lost(QmpPeer *peer, uint64_t first, uint64_t last, const char *reason);
void qmp_peer_end_replay(QmpPeer *peer);
/* A turn soon, from the loop. */
void qmp_peer_schedule(QmpPeer *peer);
