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
 * EPOLLIN and EPOLLOUT are switched only when the state that wants it lasts: a round trip of a
 * command costs one recv() and one send().
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
#define CLIENT_TURN_BYTES (64 << 10)

/* Events queued within one turn of the loop, beyond which sending does not wait for its end. */
#define CLIENT_BURST_BYTES (64 << 10)

/* The session is given this many bytes at once, or up to a '}', so that the queue is looked at
 * after every command, and garbage, which makes up to 100 bytes of errors a byte, stays harmless. */
#define CLIENT_PIECE_BYTES 512

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

        uint64_t lost_first, lost_last; /* dropped and not yet told; 0: none */
        const char *lost_reason;

        int fd;
        uid_t uid;
        Access access;
        bool deaf;    /* input came while none can be taken: EPOLLIN is off until it can */
        bool blocked; /* the socket took less than it was given: EPOLLOUT tells when */
        bool ended;   /* the peer has sent its last byte, and may still read */
        bool broken;  /* over */
};

static const char *client_refuse(const QmpCommand *command, void *userdata) {
        QmpPeer *client = userdata;

        return access_refuse(client->access, command->name);
}

static void client_answered(void *userdata) {
        qmp_peer_schedule(userdata);
}

static const QmpSessionOps client_session_ops = {
        .refuse = client_refuse,
        .answered = client_answered,
};

static void client_break(QmpPeer *client) {
        client->broken = true;
        qmp_peer_schedule(client);
}

/* An idle queue takes any single message, so that none is too long to be sent at all. */
static bool client_has_room(const QmpPeer *client, size_t n) {
        size_t length = buffer_length(&client->out);

        return length == 0 || length + n <= client->server->queue_bytes;
}

static bool client_can_take(const QmpPeer *client) {
        return !client->broken && !qmp_session_is_busy(client->session) &&
               buffer_length(&client->out) < client->server->queue_bytes;
}

/* Returns how many bytes the session took. */
static size_t client_feed(QmpPeer *client, const char *data, size_t n) {
        size_t used = 0, end = buffer_length(&client->out) + CLIENT_TURN_BYTES;

        while (used < n && client_can_take(client) && buffer_length(&client->out) < end) {
                size_t piece = n - used < CLIENT_PIECE_BYTES ? n - used : CLIENT_PIECE_BYTES;
                const char *brace = memchr(data + used, '}', piece);
                size_t taken = 0;

                if (brace)
                        piece = (size_t) (brace - (data + used)) + 1;
                if (qmp_session_feed(client->session, data + used, piece, &taken) < 0) {
                        client_break(client);
                        break;
                }
                used += taken;
        }
        return used;
}

static void client_feed_rest(QmpPeer *client) {
        if (buffer_length(&client->in) == 0)
                return;
        buffer_consume(&client->in,
                       client_feed(client, buffer_content(&client->in), buffer_length(&client->in)));
}

static void client_read(QmpPeer *client) {
        char *input = client->server->input;
        size_t used;
        ssize_t n;

        n = recv(client->fd, input, QMP_READ_BYTES, 0);
        if (n < 0) {
                if (errno != EAGAIN && errno != EINTR)
                        client->broken = true;
                return;
        }
        if (n == 0) {
                client->ended = true;
                return;
        }
        used = client_feed(client, input, (size_t) n);
        if (buffer_append(&client->in, input + used, (size_t) n - used) < 0)
                client->broken = true;
}

static void client_flush(QmpPeer *client) {
        size_t length = buffer_length(&client->out);
        ssize_t n;

        if (length == 0 || client->blocked || client->broken)
                return;
        n = send(client->fd, buffer_content(&client->out), length, MSG_NOSIGNAL);
        if (n < 0) {
                if (errno == EAGAIN)
                        client->blocked = true;
                else if (errno != EINTR)
                        client_break(client);
                return;
        }
        buffer_consume(&client->out, (size_t) n);
        client->blocked = (size_t) n < length;
}

/* The queue is empty: time to tell what was dropped, and to go on with a replay. */
static void client_catch_up(QmpPeer *client) {
        if (client->broken || buffer_length(&client->out) > 0)
                return;
        if (client->lost_first > 0 &&
            qmp_peer_put_lost(client, client->lost_first, client->lost_last, client->lost_reason) == 0)
                client->lost_first = client->lost_last = 0;
        if (client->replay && replay_continue(client->replay) < 0)
                client->broken = true;
}

static bool client_is_over(const QmpPeer *client) {
        if (client->broken)
                return true;
        return client->ended && !client->replay && !qmp_session_is_busy(client->session) &&
               buffer_length(&client->in) == 0 && buffer_length(&client->out) == 0;
}

static int client_poll(QmpPeer *client) {
        bool idle = buffer_length(&client->in) == 0 && client_can_take(client);
        uint32_t events = 0;

        if (client->ended)
                client->deaf = true;
        else if (idle)
                client->deaf = false;
        if (!client->deaf)
                events |= EPOLLIN;
        if (client->blocked)
                events |= EPOLLOUT;
        return sd_event_source_set_io_events(client->source, events);
}

void qmp_peer_turn(QmpPeer *client) {
        list_remove(&client->ready);
        client_feed_rest(client);
        client_flush(client);
        client_catch_up(client);
        client_flush(client);

        if (client_is_over(client) || client_poll(client) < 0) {
                qmp_peer_free(client);
                return;
        }
        /* stopped by the bound of a turn, not by anything that will call again */
        if (!client->blocked && (buffer_length(&client->out) > 0 ||
                                 (buffer_length(&client->in) > 0 && client_can_take(client))))
                qmp_peer_schedule(client);
}

static int client_dispatch(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        QmpPeer *client = userdata;
        bool can_read = !client->ended && buffer_length(&client->in) == 0 && client_can_take(client);

        if (revents & EPOLLOUT)
                client->blocked = false;
        if (can_read && (revents & ~(uint32_t) EPOLLOUT))
                client_read(client);
        else if (revents & EPOLLIN)
                client->deaf = true;
        /* Gone, and nothing to be read any more: nobody waits for what is under way. */
        if ((revents & (EPOLLHUP | EPOLLERR)) && (!can_read || client->ended))
                client->broken = true;
        qmp_peer_turn(client);
        return 0;
}

int qmp_peer_new(QmpPeer **ret, QmpEndpoint *endpoint, int fd, uid_t uid, Access access) {
        QmpPeer *client;
        int r;

        client = malloc(sizeof(*client));
        if (!client) {
                close(fd);
                qmp_server_dismiss(endpoint->server, uid);
                return -ENOMEM;
        }
        *client = (QmpPeer){
                .server = endpoint->server,
                .endpoint = endpoint,
                .fd = fd,
                .uid = uid,
                .access = access,
        };
        list_init(&client->ready);
        list_init(&client->link);

        r = qmp_session_new(
                &client->session, endpoint->profile, &client_session_ops, &client->out, client);
        if (r >= 0)
                r = qmp_session_greet(client->session);
        if (r >= 0)
                r = sd_event_add_io(
                        client->server->event, &client->source, fd, EPOLLIN, client_dispatch, client);
        if (r < 0) {
                qmp_peer_free(client);
                return r;
        }
        list_append(&endpoint->clients, &client->link);
        *ret = client;
        return 0;
}

QmpPeer *qmp_peer_free(QmpPeer *client) {
        if (!client)
                return NULL;
        list_remove(&client->link);
        list_remove(&client->ready);
        qmp_session_free(client->session);
        replay_free(client->replay);
        sd_event_source_disable_unref(client->source);
        close(client->fd);
        buffer_deinit(&client->in);
        buffer_deinit(&client->out);
        qmp_server_dismiss(client->server, client->uid);
        free(client);
        return NULL;
}

QmpPeer *qmp_peer_from_endpoint_link(List *link) {
        return list_entry(link, QmpPeer, link);
}

QmpPeer *qmp_peer_from_ready_link(List *link) {
        return list_entry(link, QmpPeer, ready);
}

void qmp_peer_hang_up(QmpPeer *client) {
        client_flush(client);
        list_remove(&client->link);
        client->endpoint = NULL;
        client_break(client);
}

void qmp_peer_send_event(QmpPeer *client, uint64_t seq, const char *text, size_t n) {
        bool waits = client->blocked;

        if (!qmp_session_is_negotiated(client->session) || client->replay || client->broken)
                return;
        /* After a loss nothing is queued before the client knows of it: the range is without holes. */
        if (client->lost_first > 0 || !client_has_room(client, n) ||
            buffer_append(&client->out, text, n) < 0) {
                qmp_peer_lose_event(client, seq, REPLAY_LOST_SLOW_CLIENT);
                return;
        }
        if (buffer_length(&client->out) >= CLIENT_BURST_BYTES)
                client_flush(client);
        if (!waits)
                qmp_peer_schedule(client);
}

void qmp_peer_lose_event(QmpPeer *client, uint64_t seq, const char *reason) {
        if (!qmp_session_is_negotiated(client->session) || client->replay || client->broken)
                return;
        if (client->lost_first == 0) {
                client->lost_first = client->lost_last = seq;
                client->lost_reason = reason;
        }
        /* A throttled event is sent late, with the number it had. */
        if (seq < client->lost_first)
                client->lost_first = seq;
        if (seq > client->lost_last)
                client->lost_last = seq;
        if (!client->blocked)
                qmp_peer_schedule(client);
}

int qmp_peer_replay(QmpPeer *client, uint64_t after) {
        Replay *replay = NULL;
        int r;

        if (after < store_last_seq(client->server->store)) {
                r = replay_new(&replay, client, after);
                if (r < 0)
                        return r;
        }
        replay_free(client->replay);
        client->replay = replay;
        /* What it missed is about to be replayed. */
        if (client->lost_first > after)
                client->lost_first = client->lost_last = 0;
        qmp_peer_schedule(client);
        return 0;
}

QmpServer *qmp_peer_get_server(const QmpPeer *client) {
        return client->server;
}

QmpEndpoint *qmp_peer_get_endpoint(const QmpPeer *client) {
        return client->endpoint;
}

int qmp_peer_put_logged(QmpPeer *client, const char *text, size_t n) {
        if (!client_has_room(client, n + 2))
                return QMP_CLIENT_E_FULL;
        if (buffer_append(&client->out, text, n) < 0 || buffer_append(&client->out, "\r\n", 2) < 0)
                client_break(client);
        return client->broken ? -ENOMEM : 0;
}

static int client_write_lost(Buffer *out, uint64_t first, uint64_t last, const char *reason) {
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

int qmp_peer_put_lost(QmpPeer *client, uint64_t first, uint64_t last, const char *reason) {
        _cleanup_(buffer_deinit) Buffer line = BUFFER_NULL;
        int r;

        r = client_write_lost(&line, first, last, reason);
        if (r == 0 && !client_has_room(client, buffer_length(&line)))
                return QMP_CLIENT_E_FULL;
        if (r == 0)
                r = buffer_append(&client->out, buffer_content(&line), buffer_length(&line));
        if (r < 0)
                client_break(client);
        return r;
}

void qmp_peer_end_replay(QmpPeer *client) {
        client->replay = replay_free(client->replay);
}

void qmp_peer_schedule(QmpPeer *client) {
        if (!list_is_empty(&client->ready))
                return;
        list_append(&client->server->ready, &client->ready);
        /* can't fail: a source of this loop, switched on and off */
        (void) sd_event_source_set_enabled(client->server->turns, SD_EVENT_ONESHOT);
}
