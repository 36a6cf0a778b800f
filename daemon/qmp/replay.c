/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The difficulty is the seam between the log and now. It is closed by numbers alone:
 *
 * While a replay is under way its client gets no live events; `position` is the number up to which
 * it has had each event, or was told that it is lost. A number is given and its event put within one
 * call, in which no read is asked for, and a read sees every event put before it: so an answer that
 * reaches the end of the log accounts for every number up to `asked`, the newest one given when it
 * was asked for; those that are missing do not exist. It may hold later ones as well: the writer
 * works in order, so these are without a gap, too.
 * The replay ends in the one place where position is the newest number given now: all later events
 * have larger numbers and go the live way, none of the earlier ones does. If events came while the
 * store was reading, it is asked once more, from where the client is.
 *
 * The next part is read when the client's queue has drained: a replay of a long log to a slow client
 * holds one part in memory. A producer that outruns the client for ever keeps it in the log, where
 * it belongs.
 */
#include "daemon/qmp/replay.h"

#include <errno.h>
#include <string.h>

#include "daemon/qmp/peer.h"
#include "daemon/qmp/server-private.h"

/* Events of one read. With usual ones about 64 KiB, what a socket takes at once. */
#define REPLAY_EVENTS STORE_EVENTS_LIMIT

struct Replay {
        QmpPeer *peer; /* NULL: has gone or asked anew; the answer under way is dropped */
        QmpServer *server;
        uint64_t position;
        uint64_t asked;
        bool reading;
        List link; /* in server->replays */
};

int replay_new(Replay **ret, QmpPeer *peer, uint64_t after) {
        Replay *replay;

        replay = malloc(sizeof(*replay));
        if (!replay)
                return -ENOMEM;
        *replay = (Replay){
                .peer = peer,
                .server = qmp_peer_get_server(peer),
                .position = after,
        };
        list_append(&replay->server->replays, &replay->link);
        *ret = replay;
        return 0;
}

static void replay_drop(Replay *replay) {
        list_remove(&replay->link);
        free(replay);
}

void replay_drop_all(List *replays) {
        list_foreach_safe(i, n, replays)
                replay_drop(list_entry(i, Replay, link));
}

Replay *replay_free(Replay *replay) {
        if (!replay)
                return NULL;
        if (replay->reading)
                replay->peer = NULL; /* freed when the store answers */
        else
                replay_drop(replay);
        return NULL;
}

/* The client has no use for what does not exist: it learns the range, and why. */
static int replay_skip(Replay *replay, uint64_t last) {
        uint64_t first = replay->position + 1;
        int r;

        if (first > last)
                return 0;
        r = qmp_peer_put_lost(replay->peer,
                              first,
                              last,
                              store_explain_missing(replay->server->store, first));
        if (r == 0)
                replay->position = last;
        return r;
}

static int replay_put(Replay *replay, uint64_t seq, const char *text) {
        int r;

        if (seq <= replay->position)
                return 0;
        r = replay_skip(replay, seq - 1);
        if (r == 0)
                r = qmp_peer_put_logged(replay->peer, text, strlen(text));
        if (r == 0)
                replay->position = seq;
        return r;
}

static void replay_on_events(int error,
                             const uint64_t *seqs,
                             char *const *texts,
                             size_t n,
                             void *userdata) {
        Replay *replay = userdata;
        QmpPeer *peer = replay->peer;
        uint64_t now = store_last_seq(replay->server->store);
        int r = 0;

        replay->reading = false;
        if (!peer) {
                replay_drop(replay);
                return;
        }

        if (error < 0) {
                /* A log that can't be read will not be readable for the asking. */
                r = replay_skip(replay, now);
        } else {
                for (size_t i = 0; i < n && r == 0; i++)
                        r = replay_put(replay, seqs[i], texts[i]);
                if (r == 0 && n < REPLAY_EVENTS)
                        r = replay_skip(replay, replay->asked);
        }

        if (r == 0 && replay->position >= now)
                qmp_peer_end_replay(peer);
        qmp_peer_schedule(peer);
}

int replay_continue(Replay *replay) {
        StoreEventFilter filter = { .after = replay->position, .limit = REPLAY_EVENTS };
        int r;

        if (replay->reading)
                return 0;
        replay->asked = store_last_seq(replay->server->store);
        r = store_read_events(replay->server->store, &filter, replay_on_events, replay);
        if (r < 0)
                return r;
        replay->reading = true;
        return 0;
}
