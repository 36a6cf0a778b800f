/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Events on their way to many clients, of which some do not read: what each gets, and what it is told
 * of what it does not get. */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "policy/qapi/json.h"
#include "policy/util/moment.h"
#include "tests/unit/harness.h"
#include "tests/unit/server-fixture.h"

#define CONTROL "control.sock"
#define MACHINE "qmp/" FIXTURE_MACHINE ".sock"

static void test_event_shapes(void) {
        _cleanup_(fixture_deinit) Fixture f;
        _cleanup_(peer_close) Peer control, machine, early;

        fixture_init(&f, 0, 41);
        peer_open(&control, &f, CONTROL);
        peer_open(&machine, &f, MACHINE);
        peer_connect(&early, &f, MACHINE);
        free(peer_line(&early));

        qmp_server_announce(f.server,
                            &(QmpAnnouncement){
                                    .endpoint = f.machine,
                                    .machine = FIXTURE_MACHINE,
                                    .event = "RESUME",
                                    .real_us = 1700000000000001,
                                    .synthetic = true,
                            });
        qmp_server_announce(f.server,
                            &(QmpAnnouncement){
                                    .endpoint = f.machine,
                                    .machine = FIXTURE_MACHINE,
                                    .event = "MACHINE",
                                    .real_us = 1700000000000002,
                                    .control_only = true,
                            });
        fixture_spin(&f);
        peer_assert_line(&machine,
                         "{\"timestamp\": {\"seconds\": 1700000000, \"microseconds\": 1}, "
                         "\"event\": \"RESUME\"}");
        peer_assert_nothing(&machine);
        peer_assert_line(&control,
                         "{\"timestamp\": {\"seconds\": 1700000000, \"microseconds\": 1}, "
                         "\"event\": \"RESUME\", \"data\": "
                         "{\"machine\": \"vm1\", \"seq\": 42, \"synthetic\": true}}");
        peer_assert_line(&control,
                         "{\"timestamp\": {\"seconds\": 1700000000, \"microseconds\": 2}, "
                         "\"event\": \"MACHINE\", \"data\": {\"machine\": \"vm1\", \"seq\": 43}}");

        /* Who has not finished the negotiation gets nothing, not later either. */
        peer_send(&early, "{'execute': 'qmp_capabilities'}");
        fixture_spin(&f);
        peer_assert_line(&early, "{\"return\": {}}");
        peer_assert_nothing(&early);
}

static json_object *data_with_text(size_t n) {
        json_object *data = json_object_new_object();
        char *text = malloc(n);

        CU_ASSERT_PTR_NOT_NULL_FATAL(text);
        memset(text, 'x', n);
        json_object_object_add(data, "text", json_object_new_string_len(text, (int) n));
        free(text);
        return data;
}

/* Each is more than waits for a turn, and all of them are more than the socket takes. */
static void test_long_ones(void) {
        enum { EVENTS = 5, BYTES = 100000 };
        _cleanup_(fixture_deinit) Fixture f;
        _cleanup_(peer_close) Peer peer;
        json_object *data = data_with_text(BYTES);
        unsigned n_read = 0;

        fixture_init(&f, 1 << 20, 0);
        peer_open(&peer, &f, MACHINE);
        for (unsigned i = 0; i < EVENTS; i++) {
                qmp_server_announce(f.server,
                                    &(QmpAnnouncement){
                                            .endpoint = f.machine,
                                            .machine = FIXTURE_MACHINE,
                                            .event = "GUEST_PANICKED",
                                            .data = data,
                                    });
                fixture_spin(&f);
        }
        json_object_put(data);
        for (unsigned i = 0; i < 20; i++) {
                json_object *message = peer_message(&peer);

                n_read += json_object_object_get_ex(message, "event", NULL);
                json_object_put(message);
                fixture_spin(&f);
        }
        CU_ASSERT_EQUAL(n_read, EVENTS);
}

/* One that would break the strictest client: it is lost, and nothing else. */
static void test_too_long(void) {
        _cleanup_(fixture_deinit) Fixture f;
        _cleanup_(peer_close) Peer control, machine;
        json_object *data = data_with_text(300000);

        fixture_init(&f, 0, 0);
        peer_open(&control, &f, CONTROL);
        peer_open(&machine, &f, MACHINE);
        qmp_server_announce(f.server,
                            &(QmpAnnouncement){
                                    .endpoint = f.machine,
                                    .machine = FIXTURE_MACHINE,
                                    .event = "GUEST_PANICKED",
                                    .data = data,
                            });
        json_object_put(data);
        fixture_spin(&f);
        for (unsigned i = 0; i < 2; i++) {
                json_object *message = peer_message(i ? &machine : &control);

                CU_ASSERT_STRING_EQUAL(message_get_string(message, "event"), "EVENTS_LOST");
                CU_ASSERT_EQUAL(message_get_number(message, "data.first"), 1);
                CU_ASSERT_EQUAL(message_get_number(message, "data.last"), 1);
                CU_ASSERT_STRING_EQUAL(message_get_string(message, "data.reason"), "store");
                json_object_put(message);
        }
        fixture_announce(&f);
        fixture_spin(&f);
        peer_assert_event(&control, 2);
        peer_assert_event(&machine, 2);
}

static void test_thousand_clients(void) {
        enum { N = 1000, EVENTS = 5 };
        _cleanup_(fixture_deinit) Fixture f;
        Peer *peers = calloc(N, sizeof(*peers));

        CU_ASSERT_PTR_NOT_NULL_FATAL(peers);
        fixture_init(&f, 0, 0);
        for (unsigned i = 0; i < N; i++)
                peer_open(&peers[i], &f, i % 2 ? CONTROL : MACHINE);
        CU_ASSERT_EQUAL(qmp_server_count_clients(f.server), N);
        for (unsigned i = 0; i < EVENTS; i++)
                fixture_announce(&f);
        fixture_spin(&f);
        for (unsigned i = 0; i < N; i++) {
                for (uint64_t n = 1; n <= EVENTS; n++)
                        peer_assert_event(&peers[i], n);
                peer_assert_nothing(&peers[i]);
                peer_close(&peers[i]);
        }
        fixture_spin(&f);
        CU_ASSERT_EQUAL(qmp_server_count_clients(f.server), 0);
        free(peers);
}

/* Everything at once, within one turn of the loop: no loss, and nothing stays behind. */
static void test_burst(void) {
        enum { EVENTS = 3000 };
        _cleanup_(fixture_deinit) Fixture f;
        _cleanup_(peer_close) Peer peer;

        fixture_init(&f, 1 << 20, 0);
        peer_open(&peer, &f, CONTROL);
        for (unsigned i = 0; i < EVENTS; i++)
                fixture_announce(&f);
        for (uint64_t n = 1; n <= EVENTS; n++) {
                if (n % 500 == 1)
                        fixture_spin(&f);
                peer_assert_event(&peer, n);
        }
        peer_assert_nothing(&peer);
}

/* Announces so much that a client which does not read has lost some; returns the last number. */
static uint64_t flood(Fixture *f, Peer *reader, unsigned n_events) {
        uint64_t last = 0;

        for (unsigned i = 0; i < n_events; i++) {
                last = fixture_announce(f);
                fixture_spin(f);
                peer_assert_event(reader, last);
        }
        return last;
}

/* What came was in order from `next` on, and then one EVENTS_LOST; returns the first number after. */
static uint64_t read_to_loss(Fixture *f, Peer *peer, uint64_t next, uint64_t *ret_last) {
        for (;;) {
                _cleanup_(json_object_putp) json_object *message = NULL;

                message = peer_message(peer);
                if (!message) {
                        fixture_spin(f);
                        message = peer_message(peer);
                }
                CU_ASSERT_PTR_NOT_NULL_FATAL(message);
                if (strcmp(message_get_string(message, "event"), "EVENTS_LOST") != 0) {
                        CU_ASSERT_EQUAL_FATAL(message_get_number(message, "data.n"), next);
                        next++;
                        continue;
                }
                CU_ASSERT_STRING_EQUAL(message_get_string(message, "data.reason"), "slow-client");
                CU_ASSERT_EQUAL(message_get_number(message, "data.first"), next);
                *ret_last = message_get_number(message, "data.last");
                return next;
        }
}

static void slow_reader(const char *socket, bool replays) {
        _cleanup_(fixture_deinit) Fixture f;
        _cleanup_(peer_close) Peer slow, reader;
        uint64_t last, lost_first, lost_last = 0;
        char command[128];

        /* more than a socket takes at once, so that it drains in steps */
        fixture_init(&f, 512 << 10, 0);
        peer_open(&slow, &f, socket);
        peer_open(&reader, &f, socket);
        flood(&f, &reader, 10000);
        /* What fits when it has read a little is not for it, before it knows of the loss. */
        peer_pull(&slow, 200 << 10);
        fixture_spin(&f);
        last = flood(&f, &reader, 3);

        lost_first = read_to_loss(&f, &slow, 1, &lost_last);
        CU_ASSERT_EQUAL(lost_last, last);
        CU_ASSERT_TRUE(lost_first > 1);

        /* It is up to date from here on, */
        last = fixture_announce(&f);
        fixture_spin(&f);
        peer_assert_event(&slow, last);
        peer_assert_event(&reader, last);
        if (!replays)
                return;

        /* and can have what it missed. */
        snprintf(command,
                 sizeof(command),
                 "{'execute': 'replay-events', 'arguments': {'after': %u}}",
                 (unsigned) lost_first - 1);
        peer_send(&slow, command);
        fixture_spin(&f);
        free(peer_line(&slow));
        for (uint64_t n = lost_first; n <= last; n++) {
                fixture_spin(&f);
                peer_assert_event(&slow, n);
        }
        peer_assert_nothing(&slow);
        peer_assert_nothing(&reader);
}

static void test_slow_reader_on_control(void) {
        slow_reader(CONTROL, true);
}

static void test_slow_reader_on_machine(void) {
        slow_reader(MACHINE, false);
}

/* A client that asks for what it missed before it was told is not told any more. */
static void test_replay_instead_of_loss(void) {
        _cleanup_(fixture_deinit) Fixture f;
        _cleanup_(peer_close) Peer slow, reader;
        uint64_t last, n = 0;

        fixture_init(&f, 16 << 10, 0);
        peer_open(&slow, &f, CONTROL);
        peer_open(&reader, &f, CONTROL);
        last = flood(&f, &reader, 3000);
        peer_send(&slow, "{'execute': 'replay-events', 'arguments': {'after': 0}}");
        while (n < last) {
                _cleanup_(json_object_putp) json_object *message = NULL;

                fixture_spin(&f);
                message = peer_message(&slow);
                CU_ASSERT_PTR_NOT_NULL_FATAL(message);
                CU_ASSERT_STRING_NOT_EQUAL(message_get_string(message, "event"), "EVENTS_LOST");
                if (message_get(message, "return"))
                        n = 0;
                else
                        CU_ASSERT_EQUAL_FATAL(message_get_number(message, "data.n"), ++n);
        }
        peer_assert_nothing(&slow);
}

/* Commands whose answers nobody reads: they stop being taken, and none is lost. */
static void test_replies_are_kept(void) {
        enum { N = 20000 };
        static const char command[] = "{'execute': 'query-event-log', 'id': 12345}";
        _cleanup_(fixture_deinit) Fixture f;
        _cleanup_(peer_close) Peer peer;
        unsigned n_sent = 0, n_read = 0;

        fixture_init(&f, 16 << 10, 0);
        peer_open(&peer, &f, CONTROL);
        for (bool more = true; more;) {
                /* whole ones only: the socket takes these sizes at once or not at all */
                while (n_sent < N &&
                       send(peer.fd, command, strlen(command), MSG_NOSIGNAL | MSG_DONTWAIT) ==
                               (ssize_t) strlen(command))
                        n_sent++;
                fixture_spin(&f);
                more = n_sent < N && send(peer.fd, "", 0, MSG_DONTWAIT) == 0 &&
                       send(peer.fd, " ", 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1;
        }
        CU_ASSERT_TRUE(n_sent < N);

        for (unsigned idle = 0; idle < 3; idle++) {
                char *line;

                while ((line = peer_line(&peer))) {
                        CU_ASSERT_PTR_NOT_NULL(strstr(line, "\"id\": 12345"));
                        free(line);
                        n_read++;
                        idle = 0;
                }
                fixture_spin(&f);
        }
        CU_ASSERT_EQUAL(n_read, n_sent);
}

static void announce_watchdog(Fixture *f, uint64_t real_us) {
        qmp_server_announce(f->server,
                            &(QmpAnnouncement){
                                    .endpoint = f->machine,
                                    .machine = FIXTURE_MACHINE,
                                    .event = "WATCHDOG",
                                    .real_us = real_us,
                                    .own = true,
                            });
        fixture_spin(f);
}

static void assert_microseconds(Peer *peer, uint64_t expected) {
        _cleanup_(json_object_putp) json_object *message = peer_message(peer);

        CU_ASSERT_EQUAL(message_get_number(message, "timestamp.microseconds"), expected);
}

static void test_throttled(void) {
        _cleanup_(fixture_deinit) Fixture f;
        _cleanup_(peer_close) Peer machine, control;

        fixture_init(&f, 0, 0);
        peer_open(&machine, &f, MACHINE);
        peer_open(&control, &f, CONTROL);
        for (uint64_t i = 1; i <= 3; i++)
                announce_watchdog(&f, i);
        assert_microseconds(&machine, 1);
        peer_assert_nothing(&machine);
        for (uint64_t i = 1; i <= 3; i++)
                assert_microseconds(&control, i);

        CU_ASSERT_TRUE(sd_event_run(f.event, 2 * USEC_PER_SEC) > 0);
        fixture_spin(&f);
        assert_microseconds(&machine, 3);
        peer_assert_nothing(&machine);
        CU_ASSERT_TRUE(sd_event_run(f.event, 2 * USEC_PER_SEC) > 0);
        fixture_spin(&f);
        announce_watchdog(&f, 4);
        assert_microseconds(&machine, 4);
}

TEST_MAIN("fanout",
          { "event shapes", test_event_shapes },
          { "long events", test_long_ones },
          { "too long an event", test_too_long },
          { "a thousand clients", test_thousand_clients },
          { "burst", test_burst },
          { "slow reader on control.sock", test_slow_reader_on_control },
          { "slow reader on a machine's endpoint", test_slow_reader_on_machine },
          { "replay instead of a loss", test_replay_instead_of_loss },
          { "replies are kept", test_replies_are_kept },
          { "throttled on the machine's endpoint only", test_throttled })
