/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * A QMP server on real sockets in a folder of its own, with clients in the same process: the world
 * around it is made up. Its event log lives in memory and answers reads when it is told to, so that
 * anything can happen meanwhile; its commands are a few with a known behaviour:
 *
 *     query-status   answers at once         stop   answers when fixture_answer() says so
 *     set-action     answers {}, and is not for everybody
 */
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "daemon/qmp/server.h"
#include "policy/util/buffer.h"

#define FIXTURE_MACHINE "vm1"
#define FIXTURE_LOG "11111111-2222-3333-4444-555555555555"

typedef struct Fixture {
        char *dir;
        sd_event *event;
        Store *store;
        QmpServer *server;
        QmpEndpoint *control, *machine;
        QmpCall *held; /* the last `stop` */
        unsigned n_held;
} Fixture;

/* Aborts when it can't be made. queue_bytes 0: 64 KiB. `last_seq`: the log had so many before. */
void fixture_init(Fixture *f, size_t queue_bytes, uint64_t last_seq);
void fixture_deinit(Fixture *f);
/* Runs the loop until nothing is left to do at once. */
void fixture_spin(Fixture *f);
/* Event number n with {"n": n} in its data, on the machine's endpoint and control.sock. */
uint64_t fixture_announce(Fixture *f);
/* Answers the call that waits. */
void fixture_answer(Fixture *f);

/* The made-up log. */
void store_fake_hold(Store *store, bool hold); /* reads wait; false: those that do are answered */
void store_fake_fail(Store *store, int error); /* reads are answered with it */
void store_fake_see_late(Store *store, bool late); /* reads see what was put after they were asked for */
void store_fake_drop(Store *store, uint64_t seq);     /* the number stays, the event is gone */
void store_fake_expire(Store *store, uint64_t first); /* everything below is gone */

/* A client. */
typedef struct Peer {
        int fd;
        Buffer in;
} Peer;

void peer_dial(Peer *peer, const Fixture *f, const char *socket);
/* The same, and the loop has had its turn. */
void peer_connect(Peer *peer, Fixture *f, const char *socket);
/* The same, and the negotiation with everything it brings is over. */
void peer_open(Peer *peer, Fixture *f, const char *socket);
void peer_close(Peer *peer);
void peer_send(Peer *peer, const char *text);
/* Next line without CRLF, to be freed; NULL: none has come (yet). */
char *peer_line(Peer *peer);
/* The same for a process whose loop this is not: waits for the line, at most some seconds; "" then. */
char *peer_wait_line(Peer *peer);
/* The next line as JSON. */
json_object *peer_message(Peer *peer);
/* CUnit's assertions: the next line is this; none has come; the next message is fixture_announce()'s
 * event with this number. */
void peer_assert_line(Peer *peer, const char *expected);
void peer_assert_nothing(Peer *peer);
void peer_assert_event(Peer *peer, uint64_t n);
/* True when the server has closed and everything it sent was taken. */
bool peer_is_at_end(Peer *peer);
/* Reads at most `n` bytes from the socket, as a slow client does. */
void peer_pull(Peer *peer, size_t n);

/* Member of a message by a path like "data.seq"; NULL: not there. Borrowed. */
json_object *message_get(json_object *message, const char *path);
uint64_t message_get_number(json_object *message, const char *path);    /* 0: not there */
const char *message_get_string(json_object *message, const char *path); /* "": not there */
