/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From the log to now, without a gap or a repeat, whatever happens in between. Every test follows
 * one client and holds what it is sent against the numbers it must have seen.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/store/store.h"
#include "policy/qapi/json.h"
#include "tests/unit/harness.h"
#include "tests/unit/server-fixture.h"

#define CONTROL "control.sock"

/* One client that counts. */
typedef struct Follower {
        Peer peer;
        uint64_t seen; /* every number up to here was sent, or told lost */
        unsigned n_events;
        uint64_t n_lost;
        unsigned n_losses; /* messages that told of them */
        char reason[16];   /* of the last one */
} Follower;

static void follower_read(Follower *follower, json_object *message) {
        uint64_t seq = message_get_number(message, "data.seq");

        if (strcmp(message_get_string(message, "event"), "EVENTS_LOST") == 0) {
                CU_ASSERT_EQUAL(message_get_number(message, "data.first"), follower->seen + 1);
                seq = message_get_number(message, "data.last");
                CU_ASSERT_TRUE(seq > follower->seen);
                follower->n_lost += seq - follower->seen;
                follower->n_losses++;
                snprintf(follower->reason,
                         sizeof(follower->reason),
                         "%s",
                         message_get_string(message, "data.reason"));
        } else {
                CU_ASSERT_EQUAL(seq, follower->seen + 1);
                CU_ASSERT_EQUAL(message_get_number(message, "data.n"), seq);
                follower->n_events++;
        }
        follower->seen = seq;
}

/* Takes at most `n` messages that are there. */
static unsigned follower_take(Follower *follower, unsigned n) {
        unsigned taken = 0;

        for (json_object *message; taken < n && (message = peer_message(&follower->peer)); taken++) {
                follower_read(follower, message);
                json_object_put(message);
        }
        return taken;
}

static void follower_take_all(Follower *follower, Fixture *f) {
        do
                fixture_spin(f);
        while (follower_take(follower, UINT32_MAX) > 0);
}

/* The answer comes before the first event. */
static void follower_ask(Follower *follower, Fixture *f, uint64_t after) {
        json_object *message;
        char command[128];

        snprintf(command,
                 sizeof(command),
                 "{'execute': 'replay-events', 'arguments': {'after': %llu, 'log': '" FIXTURE_LOG
                 "'}}",
                 (unsigned long long) after);
        peer_send(&follower->peer, command);
        fixture_spin(f);
        message = peer_message(&follower->peer);
        CU_ASSERT_STRING_EQUAL(message_get_string(message, "return.log"), FIXTURE_LOG);
        CU_ASSERT_EQUAL(message_get_number(message, "return.last"), store_last_seq(f->store));
        json_object_put(message);
        follower->seen = after;
}

static void follower_close(Follower *follower) {
        peer_close(&follower->peer);
}

static void announce(Fixture *f, unsigned n) {
        while (n-- > 0)
                fixture_announce(f);
}

static void test_exact(void) {
        _cleanup_(fixture_deinit) Fixture f;
        _cleanup_(follower_close) Follower a = {};

        fixture_init(&f, 0, 0);
        announce(&f, 1000);
        peer_open(&a.peer, &f, CONTROL);
        follower_ask(&a, &f, 300);
        follower_take_all(&a, &f);
        CU_ASSERT_EQUAL(a.seen, 1000);
        CU_ASSERT_EQUAL(a.n_events, 700);
        announce(&f, 10);
        follower_take_all(&a, &f);
        CU_ASSERT_EQUAL(a.seen, 1010);
        CU_ASSERT_EQUAL(a.n_losses, 0);
}

static void test_nothing_missed(void) {
        _cleanup_(fixture_deinit) Fixture f;
        _cleanup_(follower_close) Follower a = {};

        fixture_init(&f, 0, 0);
        announce(&f, 5);
        peer_open(&a.peer, &f, CONTROL);
        store_fake_hold(f.store, true); /* the store need not be asked */
        follower_ask(&a, &f, 5);
        announce(&f, 1);
        follower_take_all(&a, &f);
        CU_ASSERT_EQUAL(a.n_events, 1);
}

/* Events between the question and the answer: some the answer holds, some it does not. */
static void produced_meanwhile(bool late) {
        _cleanup_(fixture_deinit) Fixture f;
        _cleanup_(follower_close) Follower a = {};

        fixture_init(&f, 0, 0);
        store_fake_see_late(f.store, late);
        announce(&f, 600);
        peer_open(&a.peer, &f, CONTROL);
        store_fake_hold(f.store, true);
        follower_ask(&a, &f, 0);
        for (unsigned i = 0; i < 20; i++) {
                announce(&f, i % 7);
                store_fake_hold(f.store, false);
                if (i % 3 == 0)
                        sd_event_run(f.event, 0);
                announce(&f, i % 5);
                store_fake_hold(f.store, true);
                fixture_spin(&f);
                follower_take(&a, 100);
        }
        store_fake_hold(f.store, false);
        follower_take_all(&a, &f);
        announce(&f, 3);
        follower_take_all(&a, &f);
        CU_ASSERT_EQUAL(a.seen, store_last_seq(f.store));
        CU_ASSERT_EQUAL(a.n_events, a.seen);
}

static void test_produced_meanwhile(void) {
        produced_meanwhile(false);
        produced_meanwhile(true);
}

static void test_holes(void) {
        _cleanup_(fixture_deinit) Fixture f;
        _cleanup_(follower_close) Follower a = {};

        /* 1 to 50 were given by one that died, and never written */
        fixture_init(&f, 0, 50);
        announce(&f, 50);
        peer_open(&a.peer, &f, CONTROL);
        follower_ask(&a, &f, 20);
        follower_take_all(&a, &f);
        CU_ASSERT_EQUAL(a.n_lost, 30);
        CU_ASSERT_STRING_EQUAL(a.reason, "unclean-end");
        CU_ASSERT_EQUAL(a.n_events, 50);

        /* the store lost some, the newest too */
        store_fake_drop(f.store, 70);
        store_fake_drop(f.store, 71);
        store_fake_drop(f.store, 100);
        follower_ask(&a, &f, 60);
        follower_take_all(&a, &f);
        CU_ASSERT_EQUAL(a.n_lost, 33);
        CU_ASSERT_STRING_EQUAL(a.reason, "store");
        CU_ASSERT_EQUAL(a.n_losses, 3);

        store_fake_expire(f.store, 90);
        follower_ask(&a, &f, 0);
        follower_take(&a, 1);
        CU_ASSERT_EQUAL(a.seen, 89);
        CU_ASSERT_STRING_EQUAL(a.reason, "expired");
        follower_take_all(&a, &f);
        CU_ASSERT_EQUAL(a.seen, 100);
        announce(&f, 1);
        follower_take_all(&a, &f);
        CU_ASSERT_EQUAL(a.seen, 101);
}

static void expect_error(Peer *peer, Fixture *f, const char *command, const char *desc) {
        json_object *message;

        peer_send(peer, command);
        fixture_spin(f);
        message = peer_message(peer);
        CU_ASSERT_STRING_EQUAL(message_get_string(message, "error.class"), "GenericError");
        CU_ASSERT_STRING_EQUAL(message_get_string(message, "error.desc"), desc);
        json_object_put(message);
}

static void test_errors(void) {
        _cleanup_(fixture_deinit) Fixture f;
        _cleanup_(peer_close) Peer peer;

        fixture_init(&f, 0, 9);
        peer_open(&peer, &f, CONTROL);
        expect_error(&peer,
                     &f,
                     "{'execute': 'replay-events', 'arguments': {'after': 10}}",
                     "Event 10 has not happened yet, the last is 9");
        expect_error(&peer,
                     &f,
                     "{'execute': 'replay-events', 'arguments': {'after': 1, 'log': 'x'}}",
                     "The event log is " FIXTURE_LOG ", not x: its numbers start anew");
        expect_error(&peer, &f, "{'execute': 'replay-events'}", "Parameter 'after' is missing");
}

static void test_store_error(void) {
        _cleanup_(fixture_deinit) Fixture f;
        _cleanup_(follower_close) Follower a = {};

        fixture_init(&f, 0, 0);
        announce(&f, 10);
        peer_open(&a.peer, &f, CONTROL);
        store_fake_fail(f.store, -EIO);
        follower_ask(&a, &f, 3);
        follower_take_all(&a, &f);
        CU_ASSERT_EQUAL(a.n_lost, 7);
        CU_ASSERT_STRING_EQUAL(a.reason, "store");
        announce(&f, 1);
        follower_take_all(&a, &f);
        CU_ASSERT_EQUAL(a.seen, 11);
}

/* A client that takes its time gets everything all the same, and costs one queue. */
static void test_slow_reader(void) {
        _cleanup_(fixture_deinit) Fixture f;
        _cleanup_(follower_close) Follower a = {};
        unsigned n_announced = 0;

        fixture_init(&f, 4 << 10, 0);
        announce(&f, 5000);
        peer_open(&a.peer, &f, CONTROL);
        follower_ask(&a, &f, 0);
        while (a.seen < store_last_seq(f.store)) {
                CU_ASSERT_TRUE_FATAL(follower_take(&a, 50) > 0);
                if (n_announced++ < 100)
                        fixture_announce(&f);
                fixture_spin(&f);
        }
        CU_ASSERT_EQUAL(a.n_losses, 0);
        CU_ASSERT_EQUAL(a.n_events, a.seen);
}

static void test_asked_again(void) {
        _cleanup_(fixture_deinit) Fixture f;
        _cleanup_(follower_close) Follower a = {};

        fixture_init(&f, 0, 0);
        announce(&f, 500);
        peer_open(&a.peer, &f, CONTROL);
        store_fake_hold(f.store, true);
        follower_ask(&a, &f, 0);
        follower_ask(&a, &f, 200);
        follower_ask(&a, &f, 499);
        store_fake_hold(f.store, false);
        follower_take_all(&a, &f);
        CU_ASSERT_EQUAL(a.n_events, 1);
        announce(&f, 1);
        follower_take_all(&a, &f);
        CU_ASSERT_EQUAL(a.n_events, 2);
}

/* Commands go on during a replay, and make it ask for nothing twice. */
static void test_talks_meanwhile(void) {
        _cleanup_(fixture_deinit) Fixture f;
        _cleanup_(follower_close) Follower a = {};

        fixture_init(&f, 0, 0);
        announce(&f, 300);
        peer_open(&a.peer, &f, CONTROL);
        store_fake_hold(f.store, true);
        follower_ask(&a, &f, 0);
        for (unsigned i = 0; i < 3; i++) {
                _cleanup_free_ char *line = NULL;

                peer_send(&a.peer, "{'execute': 'query-status'}");
                fixture_spin(&f);
                line = peer_line(&a.peer);
                CU_ASSERT_PTR_NOT_NULL_FATAL(line);
                CU_ASSERT_STRING_EQUAL(line, "{\"return\": {}}");
        }
        store_fake_hold(f.store, false);
        follower_take_all(&a, &f);
        CU_ASSERT_EQUAL(a.n_events, 300);
}

static void test_gone_while_asking(void) {
        _cleanup_(fixture_deinit) Fixture f;
        Follower a = {};

        fixture_init(&f, 0, 0);
        announce(&f, 500);
        peer_open(&a.peer, &f, CONTROL);
        store_fake_hold(f.store, true);
        follower_ask(&a, &f, 0);
        follower_close(&a);
        fixture_spin(&f);
        CU_ASSERT_EQUAL(qmp_server_count_clients(f.server), 0);
        store_fake_hold(f.store, false);
        fixture_spin(&f);
}

/* Nobody waits for an answer when everything ends. */
static void test_end_while_asking(void) {
        _cleanup_(fixture_deinit) Fixture f;
        _cleanup_(follower_close) Follower a = {}, b = {};

        fixture_init(&f, 0, 0);
        announce(&f, 500);
        peer_open(&a.peer, &f, CONTROL);
        peer_open(&b.peer, &f, CONTROL);
        store_fake_hold(f.store, true);
        follower_ask(&a, &f, 0);
        follower_ask(&b, &f, 0);
        follower_close(&a);
        fixture_spin(&f);
}

/* Anything in any order; the seed is fixed, so that a failure can be looked at. */
static void test_random(void) {
        _cleanup_(fixture_deinit) Fixture f;
        _cleanup_(follower_close) Follower a = {};
        unsigned seed = 42;

        fixture_init(&f, 8 << 10, 0);
        peer_open(&a.peer, &f, CONTROL);
        for (unsigned i = 0; i < 4000; i++)
                switch (rand_r(&seed) % 8) {
                case 0:
                        announce(&f, (unsigned) rand_r(&seed) % 40);
                        break;
                case 1:
                        store_fake_hold(f.store, rand_r(&seed) % 2);
                        break;
                case 2:
                        store_fake_see_late(f.store, rand_r(&seed) % 2);
                        break;
                case 3:
                        follower_take_all(&a, &f);
                        if (rand_r(&seed) % 4 == 0 && a.seen > 100)
                                follower_ask(&a, &f, a.seen - (unsigned) rand_r(&seed) % 100);
                        break;
                default:
                        sd_event_run(f.event, 0);
                        follower_take(&a, (unsigned) rand_r(&seed) % 30);
                }
        store_fake_hold(f.store, false);
        follower_take_all(&a, &f);
        CU_ASSERT_EQUAL(a.seen, store_last_seq(f.store));
}

TEST_MAIN("replay",
          { "exact, then live", test_exact },
          { "nothing missed", test_nothing_missed },
          { "events produced meanwhile", test_produced_meanwhile },
          { "holes and why", test_holes },
          { "errors", test_errors },
          { "store that can't be read", test_store_error },
          { "slow reader", test_slow_reader },
          { "asked again", test_asked_again },
          { "talks meanwhile", test_talks_meanwhile },
          { "gone while asking", test_gone_while_asking },
          { "end while asking", test_end_while_asking },
          { "random order", test_random })
