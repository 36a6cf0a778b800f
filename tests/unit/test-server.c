/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Connections of the QMP server on real sockets: who gets in, what they get, and what ends them. */
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/qmp/access.h"
#include "harness.h"
#include "policy/qapi/json.h"
#include "policy/util/moment.h"
#include "server-fixture.h"

#define CONTROL "control.sock"
#define MACHINE "qmp/" FIXTURE_MACHINE ".sock"

static void assert_line(Peer *peer, const char *expected) {
        _cleanup_free_ char *line = peer_line(peer);

        CU_ASSERT_PTR_NOT_NULL_FATAL(line);
        CU_ASSERT_STRING_EQUAL(line, expected);
}

static void assert_nothing(Peer *peer) {
        _cleanup_free_ char *line = peer_line(peer);

        CU_ASSERT_PTR_NULL(line);
}

/* The next message is an event with this number in its data. */
static void assert_event(Peer *peer, uint64_t n) {
        _cleanup_(json_object_putp) json_object *message = peer_message(peer);

        CU_ASSERT_PTR_NOT_NULL_FATAL(message);
        CU_ASSERT_STRING_EQUAL(message_get_string(message, "event"), "GUEST_PANICKED");
        CU_ASSERT_EQUAL(message_get_number(message, "data.n"), n);
}

static void test_greeting(void) {
        _cleanup_(fixture_deinit) Fixture f;
        _cleanup_(peer_close) Peer peer;
        json_object *message;

        fixture_init(&f, 0, 0);
        peer_connect(&peer, &f, MACHINE);
        message = peer_message(&peer);
        CU_ASSERT_PTR_NOT_NULL(message_get(message, "QMP.version.qemu.major"));
        CU_ASSERT_TRUE(json_object_is_type(message_get(message, "QMP.capabilities"), json_type_array));
        json_object_put(message);

        peer_send(&peer, "{\"execute\": \"query-name\", \"id\": 1}");
        fixture_spin(&f);
        message = peer_message(&peer);
        CU_ASSERT_STRING_EQUAL(message_get_string(message, "error.class"), "CommandNotFound");
        json_object_put(message);

        peer_send(&peer,
                  "{\"execute\": \"qmp_capabilities\"}{\"execute\": \"query-name\", \"id\": 1}");
        fixture_spin(&f);
        assert_line(&peer, "{\"return\": {}}");
        assert_line(&peer, "{\"return\": {\"name\": \"vm1\"}, \"id\": 1}");
        assert_nothing(&peer);
}

static void test_own_commands(void) {
        _cleanup_(fixture_deinit) Fixture f;
        _cleanup_(peer_close) Peer peer;
        json_object *message;

        fixture_init(&f, 0, 7);
        peer_open(&peer, &f, CONTROL);
        peer_send(&peer,
                  "{'execute': 'query-name'}{'execute': 'query-commands'}"
                  "{'execute': 'query-qmp-schema'}{'execute': 'query-event-log'}"
                  "{'execute': 'query-version'}");
        fixture_spin(&f);
        assert_line(&peer, "{\"return\": {}}");
        message = peer_message(&peer);
        CU_ASSERT_EQUAL(json_object_array_length(message_get(message, "return")), 10);
        json_object_put(message);
        message = peer_message(&peer);
        CU_ASSERT_TRUE(json_object_array_length(message_get(message, "return")) > 10);
        json_object_put(message);
        assert_line(&peer, "{\"return\": {\"log\": \"" FIXTURE_LOG "\", \"first\": 1, \"last\": 7}}");
        message = peer_message(&peer);
        CU_ASSERT_PTR_NOT_NULL(message_get(message, "return.qemu.major"));
        CU_ASSERT_PTR_NOT_NULL(message_get(message, "return.package"));
        json_object_put(message);
}

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
        assert_line(&machine,
                    "{\"timestamp\": {\"seconds\": 1700000000, \"microseconds\": 1}, "
                    "\"event\": \"RESUME\"}");
        assert_nothing(&machine);
        assert_line(&control,
                    "{\"timestamp\": {\"seconds\": 1700000000, \"microseconds\": 1}, "
                    "\"event\": \"RESUME\", \"data\": "
                    "{\"machine\": \"vm1\", \"seq\": 42, \"synthetic\": true}}");
        assert_line(&control,
                    "{\"timestamp\": {\"seconds\": 1700000000, \"microseconds\": 2}, "
                    "\"event\": \"MACHINE\", \"data\": {\"machine\": \"vm1\", \"seq\": 43}}");

        /* Who has not finished the negotiation gets nothing, not later either. */
        peer_send(&early, "{'execute': 'qmp_capabilities'}");
        fixture_spin(&f);
        assert_line(&early, "{\"return\": {}}");
        assert_nothing(&early);
}

/* One that would break the strictest client: it is lost, and nothing else. */
static void test_too_long(void) {
        _cleanup_(fixture_deinit) Fixture f;
        _cleanup_(peer_close) Peer control, machine;
        json_object *data = json_object_new_object();
        char *text = malloc(300000);

        CU_ASSERT_PTR_NOT_NULL_FATAL(text);
        memset(text, 'x', 300000);
        json_object_object_add(data, "text", json_object_new_string_len(text, 300000));
        free(text);
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
        assert_event(&control, 2);
        assert_event(&machine, 2);
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
                        assert_event(&peers[i], n);
                assert_nothing(&peers[i]);
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
                assert_event(&peer, n);
        }
        assert_nothing(&peer);
}

/* Announces so much that a client which does not read has lost some; returns the last number. */
static uint64_t flood(Fixture *f, Peer *reader, unsigned n_events) {
        uint64_t last = 0;

        for (unsigned i = 0; i < n_events; i++) {
                last = fixture_announce(f);
                fixture_spin(f);
                assert_event(reader, last);
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
        assert_event(&slow, last);
        assert_event(&reader, last);
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
                assert_event(&slow, n);
        }
        assert_nothing(&slow);
        assert_nothing(&reader);
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
        assert_nothing(&slow);
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

static void test_one_at_a_time(void) {
        _cleanup_(fixture_deinit) Fixture f;
        _cleanup_(peer_close) Peer peer;

        fixture_init(&f, 0, 0);
        peer_open(&peer, &f, MACHINE);
        peer_send(&peer, "{'execute': 'stop', 'id': 1}{'execute': 'query-status', 'id': 2}");
        fixture_spin(&f);
        peer_send(&peer, "{'execute': 'query-status', 'id': 3}");
        fixture_spin(&f);
        assert_nothing(&peer);

        /* events are not held up by it */
        fixture_announce(&f);
        fixture_spin(&f);
        assert_event(&peer, 1);

        fixture_answer(&f);
        fixture_spin(&f);
        assert_line(&peer, "{\"return\": {}, \"id\": 1}");
        assert_line(&peer, "{\"return\": {}, \"id\": 2}");
        assert_line(&peer, "{\"return\": {}, \"id\": 3}");
}

static void test_gone_while_busy(void) {
        _cleanup_(fixture_deinit) Fixture f;
        Peer peer;

        fixture_init(&f, 0, 0);
        peer_open(&peer, &f, MACHINE);
        peer_send(&peer, "{'execute': 'stop'}{'execute': 'stop'}");
        fixture_spin(&f);
        peer_close(&peer);
        fixture_spin(&f);
        CU_ASSERT_EQUAL(qmp_server_count_clients(f.server), 0);
        CU_ASSERT_PTR_NULL(qmp_call_get_machine(f.held));
        fixture_answer(&f);
        fixture_spin(&f);
        CU_ASSERT_EQUAL(f.n_held, 1);
}

/* What came before the end is answered before the connection is closed. */
static void test_half_closed(void) {
        _cleanup_(fixture_deinit) Fixture f;
        _cleanup_(peer_close) Peer peer;

        fixture_init(&f, 0, 0);
        peer_open(&peer, &f, MACHINE);
        peer_send(&peer, "{'execute': 'stop', 'id': 1}{'execute': 'query-status', 'id': 2}");
        shutdown(peer.fd, SHUT_WR);
        fixture_spin(&f);
        assert_nothing(&peer);
        CU_ASSERT_FALSE(peer_is_at_end(&peer));

        fixture_answer(&f);
        fixture_spin(&f);
        assert_line(&peer, "{\"return\": {}, \"id\": 1}");
        assert_line(&peer, "{\"return\": {}, \"id\": 2}");
        CU_ASSERT_TRUE(peer_is_at_end(&peer));
        CU_ASSERT_EQUAL(qmp_server_count_clients(f.server), 0);
}

static void test_half_closed_with_one_command(void) {
        _cleanup_(fixture_deinit) Fixture f;
        _cleanup_(peer_close) Peer peer;

        fixture_init(&f, 0, 0);
        peer_open(&peer, &f, MACHINE);
        peer_send(&peer, "{'execute': 'stop', 'id': 1}");
        shutdown(peer.fd, SHUT_WR);
        fixture_spin(&f);
        CU_ASSERT_FALSE(peer_is_at_end(&peer));
        fixture_answer(&f);
        fixture_spin(&f);
        assert_line(&peer, "{\"return\": {}, \"id\": 1}");
        CU_ASSERT_TRUE(peer_is_at_end(&peer));
}

/* The log is read to its end; meanwhile the loop is at rest. */
static void test_half_closed_with_replay(void) {
        _cleanup_(fixture_deinit) Fixture f;
        _cleanup_(peer_close) Peer peer;

        fixture_init(&f, 0, 0);
        fixture_announce(&f);
        peer_open(&peer, &f, CONTROL);
        store_fake_hold(f.store, true);
        peer_send(&peer, "{'execute': 'replay-events', 'arguments': {'after': 0}}");
        shutdown(peer.fd, SHUT_WR);
        fixture_spin(&f);
        free(peer_line(&peer));
        assert_nothing(&peer);
        CU_ASSERT_FALSE(peer_is_at_end(&peer));
        store_fake_hold(f.store, false);
        fixture_spin(&f);
        assert_event(&peer, 1);
        CU_ASSERT_TRUE(peer_is_at_end(&peer));
}

/* Sends and goes: the commands that arrived are carried out all the same. */
static void test_fire_and_forget(void) {
        _cleanup_(fixture_deinit) Fixture f;
        Peer peer;

        fixture_init(&f, 0, 0);
        peer_connect(&peer, &f, MACHINE);
        peer_send(&peer, "{'execute': 'qmp_capabilities'}{'execute': 'stop'}");
        peer_close(&peer);
        fixture_spin(&f);
        CU_ASSERT_EQUAL(f.n_held, 1);
        CU_ASSERT_EQUAL(qmp_server_count_clients(f.server), 0);
        fixture_answer(&f);
}

static void test_garbage(void) {
        _cleanup_(fixture_deinit) Fixture f;
        _cleanup_(peer_close) Peer peer;
        unsigned n = 0;

        fixture_init(&f, 4 << 10, 0);
        peer_open(&peer, &f, MACHINE);
        for (unsigned i = 0; i < 2000; i++) {
                peer_send(&peer, "]\xff}");
                fixture_spin(&f);
                for (char *line; (line = peer_line(&peer)); n++) {
                        CU_ASSERT_PTR_NOT_NULL(strstr(line, "JSON parse error, "));
                        free(line);
                }
        }
        CU_ASSERT_EQUAL(n, 6000);
        peer_send(&peer, "{'execute': 'query-status'}");
        fixture_spin(&f);
        assert_line(&peer, "{\"return\": {}}");
}

static void test_endpoint_goes(void) {
        _cleanup_(fixture_deinit) Fixture f;
        _cleanup_(peer_close) Peer peer, other;
        _cleanup_free_ char *path = NULL;

        fixture_init(&f, 0, 0);
        peer_open(&peer, &f, MACHINE);
        peer_open(&other, &f, CONTROL);
        peer_send(&peer, "{'execute': 'stop'}");
        fixture_spin(&f);
        CU_ASSERT_STRING_EQUAL(qmp_call_get_machine(f.held), FIXTURE_MACHINE);

        fixture_announce(&f);
        f.machine = qmp_endpoint_free(f.machine);
        CU_ASSERT_TRUE(asprintf(&path, "%s/" MACHINE, f.dir) > 0);
        CU_ASSERT_EQUAL(access(path, F_OK), -1);
        fixture_spin(&f);
        assert_event(&peer, 1);
        CU_ASSERT_TRUE(peer_is_at_end(&peer));
        assert_event(&other, 1);
        fixture_answer(&f);
        CU_ASSERT_EQUAL(qmp_server_count_clients(f.server), 1);

        /* It may come back, even over the file of one that died. */
        CU_ASSERT_EQUAL(mknod(path, S_IFREG | 0600, 0), 0);
        CU_ASSERT_EQUAL(qmp_endpoint_new(&f.machine, f.server, QAPI_PROFILE_MACHINE, FIXTURE_MACHINE),
                        0);
        peer_close(&peer);
        peer_open(&peer, &f, MACHINE);
        fixture_announce(&f);
        fixture_spin(&f);
        assert_event(&peer, 2);
}

static void test_long_path(void) {
        _cleanup_(fixture_deinit) Fixture f;
        QmpEndpoint *endpoint = NULL;
        char name[81];

        fixture_init(&f, 0, 0);
        memset(name, 'a', sizeof(name) - 1);
        name[sizeof(name) - 1] = '\0';
        CU_ASSERT_EQUAL(qmp_endpoint_new(&endpoint, f.server, QAPI_PROFILE_MACHINE, name),
                        -ENAMETOOLONG);
        CU_ASSERT_PTR_NULL(endpoint);
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
        assert_nothing(&machine);
        for (uint64_t i = 1; i <= 3; i++)
                assert_microseconds(&control, i);

        CU_ASSERT_TRUE(sd_event_run(f.event, 2 * USEC_PER_SEC) > 0);
        fixture_spin(&f);
        assert_microseconds(&machine, 3);
        assert_nothing(&machine);
        CU_ASSERT_TRUE(sd_event_run(f.event, 2 * USEC_PER_SEC) > 0);
        fixture_spin(&f);
        announce_watchdog(&f, 4);
        assert_microseconds(&machine, 4);
}

/* What a child of uid nobody sees, whose supplementary (or only) group is this: it connects `n` times
 * and on the last connection negotiates and sends a command, if wanted. `line`: the last it was sent. */
static void look_as(Fixture *f, gid_t group, unsigned n, bool negotiate, char *line, size_t size) {
        bool only = negotiate;
        int result[2];
        ssize_t k;
        pid_t pid;

        CU_ASSERT_EQUAL_FATAL(pipe(result), 0);
        pid = fork();
        CU_ASSERT_TRUE_FATAL(pid >= 0);
        if (pid == 0) {
                char *last = NULL;
                Peer peer;

                if (setgroups(only ? 0 : 1, &group) < 0 || setgid(only ? group : 65534) < 0 ||
                    setuid(65534) < 0)
                        _exit(1);
                for (unsigned i = 0; i < n; i++) {
                        peer_dial(&peer, f, CONTROL);
                        last = peer_wait_line(&peer);
                }
                if (negotiate) {
                        peer_send(&peer, "{'execute': 'qmp_capabilities'}");
                        (void) peer_wait_line(&peer);
                        peer_send(&peer, "{'execute': 'set-action'}");
                        last = peer_wait_line(&peer);
                }
                _exit(write(result[1], last, strlen(last)) < 0);
        }
        close(result[1]);
        while (waitpid(pid, NULL, WNOHANG) == 0)
                sd_event_run(f->event, 10 * USEC_PER_MSEC);
        k = read(result[0], line, size - 1);
        line[k > 0 ? k : 0] = '\0';
        close(result[0]);
        fixture_spin(f);
}

static void test_strangers(void) {
        _cleanup_(fixture_deinit) Fixture f;
        QmpServerConfig config = { .clients_per_uid = 3, .queue_bytes = 64 << 10 };
        struct group *group;
        char line[512];

        fixture_init(&f, 0, 0);
        if (getuid() != 0) {
                harness_skip("root");
                return;
        }
        look_as(&f, 2, 1, false, line, sizeof(line));
        CU_ASSERT_STRING_EQUAL(line,
                               "{\"error\": {\"class\": \"GenericError\", \"desc\": \"Permission denied: "
                               "uid 65534 is in neither of the groups 'no-such-group' and ''\"}}");

        group = getgrgid(1);
        CU_ASSERT_PTR_NOT_NULL_FATAL(group);
        config.command_group = group->gr_name;
        CU_ASSERT_EQUAL(qmp_server_configure(f.server, &config), 0);
        look_as(&f, 2, 1, false, line, sizeof(line));
        CU_ASSERT_PTR_NOT_NULL(strstr(line, "Permission denied"));
        look_as(&f, 1, 1, true, line, sizeof(line));
        CU_ASSERT_STRING_EQUAL(line, "{\"return\": {}}");
        look_as(&f, 1, 3, false, line, sizeof(line));
        CU_ASSERT_PTR_NOT_NULL(strstr(line, "\"QMP\""));
        look_as(&f, 1, 4, false, line, sizeof(line));
        CU_ASSERT_PTR_NOT_NULL(strstr(line, "Too many connections: uid 65534 has 3 of them"));

        config.monitor_group = group->gr_name;
        config.command_group = NULL;
        CU_ASSERT_EQUAL(qmp_server_configure(f.server, &config), 0);
        look_as(&f, 1, 1, true, line, sizeof(line));
        CU_ASSERT_PTR_NOT_NULL(strstr(line, "This connection may query and listen only"));
        CU_ASSERT_EQUAL(qmp_server_count_clients(f.server), 0);
}

static void test_access_rules(void) {
        AccessGroups groups = { .command = 10, .monitor = 20 };
        AccessGroups unknown = { .command = ACCESS_GROUP_UNKNOWN, .monitor = ACCESS_GROUP_UNKNOWN };
        gid_t both[] = { 5, 20, 10 }, turned[] = { 10, 20 }, monitor[] = { 20 },
              none[] = { ACCESS_GROUP_UNKNOWN };

        CU_ASSERT_EQUAL(access_decide(&groups, 0, NULL, 0), ACCESS_COMMAND);
        CU_ASSERT_EQUAL(access_decide(&groups, geteuid(), NULL, 0), ACCESS_COMMAND);
        CU_ASSERT_EQUAL(access_decide(&groups, 65534, both, 3), ACCESS_COMMAND);
        CU_ASSERT_EQUAL(access_decide(&groups, 65534, turned, 2), ACCESS_COMMAND);
        CU_ASSERT_EQUAL(access_decide(&groups, 65534, monitor, 1), ACCESS_QUERY);
        CU_ASSERT_EQUAL(access_decide(&groups, 65534, both, 1), ACCESS_NONE);
        CU_ASSERT_EQUAL(access_decide(&unknown, 65534, none, 1), ACCESS_NONE);

        CU_ASSERT_PTR_NULL(access_refuse(ACCESS_COMMAND, "set-action"));
        CU_ASSERT_PTR_NOT_NULL(access_refuse(ACCESS_QUERY, "set-action"));
        CU_ASSERT_PTR_NOT_NULL(access_refuse(ACCESS_QUERY, "reset-action"));
        CU_ASSERT_PTR_NULL(access_refuse(ACCESS_QUERY, "query-status"));
        CU_ASSERT_PTR_NULL(access_refuse(ACCESS_QUERY, "replay-events"));
        CU_ASSERT_PTR_NULL(access_refuse(ACCESS_QUERY, "qmp_capabilities"));
}

/* With no descriptor left for a client, it is told so, and the loop comes to rest. */
static void test_out_of_descriptors(void) {
        _cleanup_(fixture_deinit) Fixture f;
        _cleanup_(peer_close) Peer peer, late;
        struct rlimit before, none;

        fixture_init(&f, 0, 0);
        peer_open(&peer, &f, CONTROL);
        CU_ASSERT_EQUAL(getrlimit(RLIMIT_NOFILE, &before), 0);
        peer_dial(&late, &f, CONTROL);
        none = (struct rlimit){ .rlim_cur = (rlim_t) late.fd + 1, .rlim_max = before.rlim_max };
        CU_ASSERT_EQUAL(setrlimit(RLIMIT_NOFILE, &none), 0);
        fixture_spin(&f);
        CU_ASSERT_EQUAL(setrlimit(RLIMIT_NOFILE, &before), 0);
        assert_line(&late,
                    "{\"error\": {\"class\": \"GenericError\", \"desc\": "
                    "\"Too many connections: no file descriptors left\"}}");
        CU_ASSERT_TRUE(peer_is_at_end(&late));

        peer_close(&late);
        peer_open(&late, &f, CONTROL);
        fixture_announce(&f);
        fixture_spin(&f);
        assert_event(&peer, 1);
        assert_event(&late, 1);
}

TEST_MAIN("server",
          { "greeting and negotiation", test_greeting },
          { "own commands", test_own_commands },
          { "event shapes", test_event_shapes },
          { "too long an event", test_too_long },
          { "a thousand clients", test_thousand_clients },
          { "burst", test_burst },
          { "slow reader on control.sock", test_slow_reader_on_control },
          { "slow reader on a machine's endpoint", test_slow_reader_on_machine },
          { "replay instead of a loss", test_replay_instead_of_loss },
          { "replies are kept", test_replies_are_kept },
          { "one command at a time", test_one_at_a_time },
          { "gone while busy", test_gone_while_busy },
          { "half-closed", test_half_closed },
          { "half-closed with one command", test_half_closed_with_one_command },
          { "half-closed with a replay under way", test_half_closed_with_replay },
          { "fire and forget", test_fire_and_forget },
          { "garbage", test_garbage },
          { "endpoint goes and comes back", test_endpoint_goes },
          { "long path", test_long_path },
          { "throttled on the machine's endpoint only", test_throttled },
          { "strangers, groups and the cap", test_strangers },
          { "access rules", test_access_rules },
          { "out of descriptors", test_out_of_descriptors })
