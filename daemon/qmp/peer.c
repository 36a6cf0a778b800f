/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One client, which may send anything, read nothing and vanish at any moment, and must not be felt
 * by a guest or by another client. Hence:
 *
 * - It gets turns: one when its socket is ready, one (through the server's `ready` list) when
 *   something happened for it elsewhere. A turn takes and makes a bounded number of bytes.
 * - It is freed at the end of its own turn and nowhere else, for everything that finds it dead is
 *   called from within its session, a handler or a walk over the clients of an endpoint; there it
 *   is marked broken and scheduled.
 * - Replies are never dropped: with a full queue no more commands are taken. Events wait for nobody:
 *   with a full queue they are dropped, until the client has read all of it and is told the range.
 *
 * The socket is polled edge-triggered: what is known of it is kept in `readable` and `blocked`, so
 * that a round trip of a command costs one recv() and one send() and nothing else; and since sd-event
 * polls anew before each source it serves, each of a thousand clients that are ready at once would
 * otherwise be reported again before every single one of them.
 */
#include "daemon/qmp/peer.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "daemon/qmp/replay.h"
#include "daemon/qmp/server-private.h"
#include "policy/qapi/json.h"
#include "policy/qapi/qmp-session.h"
#include "policy/util/buffer.h"
#include "policy/util/moment.h"
#include "qapi-types.h"

/* Replies made in one turn, beyond which the others get theirs first. */
#define PEER_TURN_BYTES (64 << 10)

/* Events queued within one turn of the loop, beyond which sending does not wait for its end. */
#define PEER_BURST_BYTES (64 << 10)

/* The session is given this many bytes at once, or up to a '}', so that the queue is looked at
 * after every command, and garbage, which makes up to 100 bytes of errors a byte, stays harmless. */
#define PEER_PIECE_BYTES 512

#define PEER_EVENTS (EPOLLIN | EPOLLRDHUP | EPOLLET)

struct QmpPeer {
        QmpServer *server;
        QmpEndpoint *endpoint; /* NULL: removed */
        QmpSession *session;
        Replay *replay; /* NULL: live */
        sd_event_source *source;
        Buffer in;  /* read, and not yet taken by the session */
        Buffer out; /* at most queue_bytes and one message */
        List link;  /* in endpoint->clients */
        List ready; /* in server->ready */

        void *owner; /* see qmp_peer_set_owner() */

        uint64_t lost_first, lost_last; /* dropped and not yet told; 0: none */
        const char *lost_reason;

        int fd;
        uid_t uid;
        Access access;
        bool readable; /* the socket may hold more than was read */
        bool blocked;  /* it took less than it was given: EPOLLOUT tells when it takes more */
        bool polled;   /* EPOLLOUT is asked for */
        bool closing;  /* the peer has sent its last byte, which may not have been read yet */
        bool ended;    /* it has; the peer may still want answers */
        bool gone;     /* it does not: it has closed */
        bool broken;   /* over */
};

static const char *peer_refuse(const QmpCommand *command, void *userdata) {
        QmpPeer *peer = userdata;

        return access_refuse(peer->access, command->name);
}

static void peer_answered(void *userdata) {
        qmp_peer_schedule(userdata);
}

static const QmpSessionOps peer_session_ops = {
        .refuse = peer_refuse,
        .answered = peer_answered,
};

static void peer_break(QmpPeer *peer) {
        peer->broken = true;
        qmp_peer_schedule(peer);
}

/* An idle queue takes any single message, so that none is too long to be sent at all. */
static bool peer_has_room(const QmpPeer *peer, size_t n) {
        size_t length = buffer_length(&peer->out);

        return length == 0 || length + n <= peer->server->queue_bytes;
}

static bool peer_can_take(const QmpPeer *peer) {
        return !peer->broken && !qmp_session_is_busy(peer->session) &&
               buffer_length(&peer->out) < peer->server->queue_bytes;
}

/* Returns how many bytes the session took. */
static size_t peer_feed(QmpPeer *peer, const char *data, size_t n) {
        size_t used = 0, end = buffer_length(&peer->out) + PEER_TURN_BYTES;

        while (used < n && peer_can_take(peer) && buffer_length(&peer->out) < end) {
                size_t piece = n - used < PEER_PIECE_BYTES ? n - used : PEER_PIECE_BYTES;
                const char *brace = memchr(data + used, '}', piece);
                size_t taken = 0;

                if (brace)
                        piece = (size_t) (brace - (data + used)) + 1;
                if (qmp_session_feed(peer->session, data + used, piece, &taken) < 0) {
                        peer_break(peer);
                        break;
                }
                used += taken;
        }
        return used;
}

static void peer_feed_rest(QmpPeer *peer) {
        if (buffer_length(&peer->in) == 0)
                return;
        buffer_consume(&peer->in,
                       peer_feed(peer, buffer_content(&peer->in), buffer_length(&peer->in)));
}

static bool peer_can_read(const QmpPeer *peer) {
        return peer->readable && !peer->ended && buffer_length(&peer->in) == 0 && peer_can_take(peer);
}

static void peer_read(QmpPeer *peer) {
        char *input = peer->server->input;
        size_t used;
        ssize_t n;

        n = recv(peer->fd, input, QMP_READ_BYTES, 0);
        if (n < 0) {
                peer->readable = errno == EINTR;
                if (errno != EAGAIN && errno != EINTR)
                        peer->broken = true;
                return;
        }
        if (n == 0) {
                peer->ended = true;
                return;
        }
        /* Less than it was asked for: a stream has no more, but for its end, if that is near. */
        peer->readable = n == QMP_READ_BYTES || peer->closing;
        used = peer_feed(peer, input, (size_t) n);
        if (buffer_append(&peer->in, input + used, (size_t) n - used) < 0)
                peer->broken = true;
}

static void peer_flush(QmpPeer *peer) {
        size_t length = buffer_length(&peer->out);
        ssize_t n;

        if (length == 0 || peer->blocked || peer->broken)
                return;
        n = send(peer->fd, buffer_content(&peer->out), length, MSG_NOSIGNAL);
        if (n < 0) {
                if (errno == EAGAIN || errno == EINTR)
                        peer->blocked = true;
                else
                        peer_break(peer);
                return;
        }
        buffer_consume(&peer->out, (size_t) n);
        peer->blocked = (size_t) n < length;
}

/* The queue is empty: time to tell what was dropped, and to go on with a replay. */
static void peer_catch_up(QmpPeer *peer) {
        if (peer->broken || buffer_length(&peer->out) > 0)
                return;
        if (peer->lost_first > 0 &&
            qmp_peer_put_lost(peer, peer->lost_first, peer->lost_last, peer->lost_reason) == 0)
                peer->lost_first = peer->lost_last = 0;
        if (peer->replay && replay_continue(peer->replay) < 0)
                peer->broken = true;
}

static bool peer_is_over(const QmpPeer *peer) {
        /* Nobody waits for the answer of what is under way, or for what a full queue keeps back. */
        if (peer->broken || (peer->gone && (peer->ended || !peer_can_take(peer))))
                return true;
        return peer->ended && !peer->replay && !qmp_session_is_busy(peer->session) &&
               buffer_length(&peer->in) == 0 && buffer_length(&peer->out) == 0;
}

/* Switching it on reports at once if it is ready already, so no edge is missed. */
static int peer_poll(QmpPeer *peer) {
        if (peer->polled == peer->blocked)
                return 0;
        peer->polled = peer->blocked;
        return sd_event_source_set_io_events(peer->source,
                                             PEER_EVENTS | (peer->blocked ? EPOLLOUT : 0));
}

/* True if a turn ended at its own bound, and not at anything that will call again. */
static bool peer_has_work(const QmpPeer *peer) {
        return peer_can_read(peer) || (buffer_length(&peer->in) > 0 && peer_can_take(peer));
}

void qmp_peer_turn(QmpPeer *peer) {
        list_remove(&peer->ready);
        peer_feed_rest(peer);
        if (peer_can_read(peer))
                peer_read(peer);
        peer_flush(peer);
        peer_catch_up(peer);
        peer_flush(peer);

        if (peer_is_over(peer) || peer_poll(peer) < 0)
                qmp_peer_free(peer);
        else if (peer_has_work(peer))
                qmp_peer_schedule(peer);
}

static int peer_dispatch(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        QmpPeer *peer = userdata;

        if (revents & EPOLLOUT)
                peer->blocked = false;
        if (revents & ~(uint32_t) EPOLLOUT)
                peer->readable = true;
        if (revents & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
                peer->closing = true;
        if (revents & (EPOLLHUP | EPOLLERR))
                peer->gone = true;
        qmp_peer_turn(peer);
        return 0;
}

int qmp_peer_new(QmpPeer **ret, QmpEndpoint *endpoint, int fd, uid_t uid, Access access) {
        QmpPeer *peer;
        int r;

        peer = malloc(sizeof(*peer));
        if (!peer) {
                close(fd);
                qmp_server_dismiss(endpoint->server, uid);
                return -ENOMEM;
        }
        *peer = (QmpPeer){
                .server = endpoint->server,
                .endpoint = endpoint,
                .fd = fd,
                .uid = uid,
                .access = access,
        };
        list_init(&peer->ready);
        list_init(&peer->link);

        r = qmp_session_new(&peer->session, endpoint->profile, &peer_session_ops, &peer->out, peer);
        if (r >= 0)
                r = qmp_session_greet(peer->session);
        if (r >= 0)
                r = sd_event_add_io(
                        peer->server->event, &peer->source, fd, PEER_EVENTS, peer_dispatch, peer);
        if (r < 0) {
                qmp_peer_free(peer);
                return r;
        }
        list_append(&endpoint->clients, &peer->link);
        *ret = peer;
        return 0;
}

QmpPeer *qmp_peer_free(QmpPeer *peer) {
        if (!peer)
                return NULL;
        if (peer->endpoint && peer->endpoint->ops && peer->endpoint->ops->closed)
                peer->endpoint->ops->closed(peer, peer->endpoint->userdata);
        list_remove(&peer->link);
        list_remove(&peer->ready);
        qmp_session_free(peer->session);
        replay_free(peer->replay);
        sd_event_source_disable_unref(peer->source);
        close(peer->fd);
        buffer_deinit(&peer->in);
        buffer_deinit(&peer->out);
        qmp_server_dismiss(peer->server, peer->uid);
        free(peer);
        return NULL;
}

QmpPeer *qmp_peer_from_endpoint_link(List *link) {
        return list_entry(link, QmpPeer, link);
}

QmpPeer *qmp_peer_from_ready_link(List *link) {
        return list_entry(link, QmpPeer, ready);
}

void qmp_peer_hang_up(QmpPeer *peer) {
        peer_flush(peer);
        list_remove(&peer->link);
        peer->endpoint = NULL;
        peer_break(peer);
}

int qmp_peer_get_credentials(const QmpPeer *peer, pid_t *ret_pid, uid_t *ret_uid) {
        socklen_t size = sizeof(struct ucred);
        struct ucred cred;

        if (getsockopt(peer->fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0)
                return -errno;
        *ret_pid = cred.pid;
        *ret_uid = cred.uid;
        return 0;
}

void qmp_peer_set_owner(QmpPeer *peer, void *owner) {
        peer->owner = owner;
}

void *qmp_peer_get_owner(const QmpPeer *peer) {
        return peer->owner;
}

bool qmp_peer_tell(QmpPeer *peer, const char *event, json_object *data, uint64_t real_us) {
        _cleanup_(buffer_deinit) Buffer line = BUFFER_NULL;

        if (!qmp_session_is_negotiated(peer->session) || peer->broken ||
            qmp_write_event(&line, event, data, real_us) < 0 ||
            !peer_has_room(peer, buffer_length(&line)) ||
            buffer_append(&peer->out, buffer_content(&line), buffer_length(&line)) < 0)
                return false;
        if (!peer->blocked)
                qmp_peer_schedule(peer);
        return true;
}

void qmp_peer_send_event(QmpPeer *peer, uint64_t seq, const char *text, size_t n, bool at_once) {
        bool first = list_is_empty(&peer->ready);

        if (!qmp_session_is_negotiated(peer->session) || peer->replay || peer->broken)
                return;
        /* After a loss nothing is queued before the client knows of it: the range is without holes. */
        if (peer->lost_first > 0 || !peer_has_room(peer, n) ||
            buffer_append(&peer->out, text, n) < 0) {
                qmp_peer_lose_event(peer, seq, QMP_LOST_SLOW_CLIENT);
                return;
        }
        if (!peer->blocked)
                qmp_peer_schedule(peer);
        if ((first && at_once) || buffer_length(&peer->out) >= PEER_BURST_BYTES)
                peer_flush(peer);
}

void qmp_peer_lose_event(QmpPeer *peer, uint64_t seq, const char *reason) {
        if (!qmp_session_is_negotiated(peer->session) || peer->replay || peer->broken)
                return;
        if (peer->lost_first == 0) {
                peer->lost_first = peer->lost_last = seq;
                peer->lost_reason = reason;
        }
        /* A throttled event is sent late, with the number it had. */
        if (seq < peer->lost_first)
                peer->lost_first = seq;
        if (seq > peer->lost_last)
                peer->lost_last = seq;
        if (!peer->blocked)
                qmp_peer_schedule(peer);
}

int qmp_peer_replay(QmpPeer *peer, uint64_t after) {
        Replay *replay = NULL;
        int r;

        if (after < store_last_seq(peer->server->store)) {
                r = replay_new(&replay, peer, after);
                if (r < 0)
                        return r;
        }
        replay_free(peer->replay);
        peer->replay = replay;
        /* What it missed is about to be replayed. */
        if (peer->lost_first > after)
                peer->lost_first = peer->lost_last = 0;
        qmp_peer_schedule(peer);
        return 0;
}

QmpServer *qmp_peer_get_server(const QmpPeer *peer) {
        return peer->server;
}

QmpEndpoint *qmp_peer_get_endpoint(const QmpPeer *peer) {
        return peer->endpoint;
}

int qmp_peer_put_logged(QmpPeer *peer, const char *text, size_t n) {
        if (!peer_has_room(peer, n + 2))
                return QMP_PEER_E_FULL;
        if (buffer_append(&peer->out, text, n) < 0 || buffer_append(&peer->out, "\r\n", 2) < 0)
                peer_break(peer);
        return peer->broken ? -ENOMEM : 0;
}

static int peer_write_lost(Buffer *out, uint64_t first, uint64_t last, const char *reason) {
        _cleanup_(json_object_putp) json_object *data = NULL;
        _cleanup_free_ char *copy = strdup(reason);
        EventsLostEvent event = { .first = first, .last = last, .reason = copy };
        struct timespec now;
        int r;

        if (!copy)
                return -ENOMEM;
        r = events_lost_event_to_json(&event, &data);
        if (r < 0)
                return r;
        clock_gettime(CLOCK_REALTIME, &now);
        return qmp_write_event(out,
                               "EVENTS_LOST",
                               data,
                               (uint64_t) now.tv_sec * USEC_PER_SEC + (uint64_t) now.tv_nsec / 1000);
}

int qmp_peer_put_lost(QmpPeer *peer, uint64_t first, uint64_t last, const char *reason) {
        _cleanup_(buffer_deinit) Buffer line = BUFFER_NULL;
        int r;

        r = peer_write_lost(&line, first, last, reason);
        if (r == 0 && !peer_has_room(peer, buffer_length(&line)))
                return QMP_PEER_E_FULL;
        if (r == 0)
                r = buffer_append(&peer->out, buffer_content(&line), buffer_length(&line));
        if (r < 0)
                peer_break(peer);
        return r;
}

void qmp_peer_end_replay(QmpPeer *peer) {
        peer->replay = replay_free(peer->replay);
}

void qmp_peer_schedule(QmpPeer *peer) {
        if (!list_is_empty(&peer->ready))
                return;
        list_append(&peer->server->ready, &peer->ready);
        /* can't fail: a source of this loop, switched on and off */
        (void) sd_event_source_set_enabled(peer->server->turns, SD_EVENT_ONESHOT);
}
