/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The client of a QEMU's monitor against a peer played by the test, byte by byte.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/kernel/fd.h"
#include "daemon/machine/backend.h"
#include "daemon/machine/qmp-client.h"
#include "policy/qapi/json.h"
#include "policy/qapi/qmp-message.h"
#include "tests/unit/harness.h"

#define GREETING                                                                                   \
        "{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}, "         \
        "\"package\": \"\"}, \"capabilities\": [\"oob\"]}}\r\n"

#define STAMP "\"timestamp\": {\"seconds\": 17, \"microseconds\": 5}"

typedef struct Stage {
        sd_event *event;
        QmpClient *client;
        int peer;
        unsigned n_ready, n_events, n_closed;
        char why[256], last_event[64];
        uint64_t last_time;
} Stage;

typedef struct Answer {
        unsigned n;
        int r;
        char error[128];
        bool has_ret;
} Answer;

static void stage_ready(QmpClient *client, void *userdata) {
        ((Stage *) userdata)->n_ready++;
}

static void stage_event(QmpClient *client, const QmpClientEvent *event, void *userdata) {
        Stage *stage = userdata;

        stage->n_events++;
        stage->last_time = event->time_us;
        (void) snprintf(stage->last_event, sizeof(stage->last_event), "%s", event->name);
}

static void stage_closed(QmpClient *client, const char *why, void *userdata) {
        Stage *stage = userdata;

        stage->n_closed++;
        (void) snprintf(stage->why, sizeof(stage->why), "%s", why);
        stage->client = qmp_client_free(stage->client);
}

static const QmpClientOps stage_ops = {
        .ready = stage_ready,
        .event = stage_event,
        .closed = stage_closed,
};

static void stage_init(Stage *stage) {
        int pair[2];

        *stage = (Stage){};
        CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair),
                              0);
        CU_ASSERT_EQUAL_FATAL(sd_event_new(&stage->event), 0);
        CU_ASSERT_EQUAL_FATAL(qmp_client_new(&stage->client, stage->event, pair[0], &stage_ops, stage),
                              0);
        stage->peer = pair[1];
}

static void stage_deinit(Stage *stage) {
        qmp_client_free(stage->client);
        (void) fd_close(stage->peer);
        sd_event_unref(stage->event);
}

static void stage_run(Stage *stage) {
        while (sd_event_run(stage->event, 0) > 0)
                ;
}

static void stage_say(Stage *stage, const char *text) {
        CU_ASSERT_EQUAL(send(stage->peer, text, strlen(text), MSG_NOSIGNAL), (ssize_t) strlen(text));
        stage_run(stage);
}

/* What the client sent since the last time. */
static const char *stage_hear(Stage *stage) {
        static char text[4096];
        ssize_t n = read(stage->peer, text, sizeof(text) - 1);

        text[n > 0 ? n : 0] = '\0';
        return text;
}

static void stage_negotiate(Stage *stage) {
        stage_init(stage);
        stage_say(stage, GREETING);
        CU_ASSERT_STRING_EQUAL(stage_hear(stage),
                               "{\"execute\": \"qmp_capabilities\", \"id\": 1}\r\n");
        CU_ASSERT_EQUAL(stage->n_ready, 0);
        stage_say(stage, "{\"return\": {}, \"id\": 1}\r\n");
        CU_ASSERT_EQUAL(stage->n_ready, 1);
}

static void answer_take(int r, json_object *ret, const char *error, void *userdata) {
        Answer *answer = userdata;

        answer->n++;
        answer->r = r;
        answer->has_ret = ret != NULL;
        (void) snprintf(answer->error, sizeof(answer->error), "%s", error ? error : "");
}

static int stage_call(Stage *stage, const char *command, uint64_t deadline_us, Answer *answer) {
        return qmp_client_call(stage->client, command, NULL, -1, deadline_us, answer_take, answer);
}

static void test_negotiation(void) {
        Stage stage;

        stage_negotiate(&stage);
        CU_ASSERT_EQUAL(qmp_client_get_version(stage.client), QMP_MESSAGE_VERSION(7, 2, 22));
        stage_deinit(&stage);
}

static void test_commands(void) {
        Answer a = {}, b = {}, c = {};
        Stage stage;

        stage_negotiate(&stage);
        CU_ASSERT_EQUAL(stage_call(&stage, "cont", USEC_PER_SEC, &a), 0);
        CU_ASSERT_EQUAL(stage_call(&stage, "stop", USEC_PER_SEC, &b), 0);
        CU_ASSERT_STRING_EQUAL(
                stage_hear(&stage),
                "{\"execute\": \"cont\", \"id\": 2}\r\n{\"execute\": \"stop\", \"id\": 3}\r\n");
        stage_say(&stage,
                  "{\"return\": {}, \"id\": 3}\r\n{\"id\": 2, \"error\": {\"class\": "
                  "\"GenericError\", \"desc\": \"no\"}}");
        CU_ASSERT_EQUAL(a.n, 1);
        CU_ASSERT_EQUAL(a.r, -EREMOTEIO);
        CU_ASSERT_STRING_EQUAL(a.error, "no");
        CU_ASSERT_EQUAL(b.r, 0);
        CU_ASSERT_TRUE(b.has_ret);
        /* answers to nothing are overlooked */
        stage_say(&stage, "{\"return\": {}, \"id\": 3}\r\n{\"return\": {}, \"id\": 99}\r\n");
        CU_ASSERT_EQUAL(stage.n_closed, 0);
        CU_ASSERT_EQUAL(b.n, 1);
        CU_ASSERT_EQUAL(stage_call(&stage, "quit", USEC_PER_SEC, &c), 0);
        stage.peer = fd_close(stage.peer);
        stage_run(&stage);
        CU_ASSERT_EQUAL(c.r, -ENOTCONN);
        CU_ASSERT_EQUAL(stage.n_closed, 1);
        stage_deinit(&stage);
}

static void test_deadline(void) {
        Answer a = {};
        Stage stage;

        stage_negotiate(&stage);
        CU_ASSERT_EQUAL(stage_call(&stage, "cont", 10 * USEC_PER_MSEC, &a), 0);
        for (unsigned i = 0; i < 100 && a.n == 0; i++)
                (void) sd_event_run(stage.event, 20 * USEC_PER_MSEC);
        CU_ASSERT_EQUAL(a.n, 1);
        CU_ASSERT_EQUAL(a.r, -ETIMEDOUT);
        /* too late is not too much: the connection stays */
        stage_say(&stage, "{\"return\": {}, \"id\": 2}\r\n");
        CU_ASSERT_EQUAL(a.n, 1);
        CU_ASSERT_EQUAL(stage.n_closed, 0);
        stage_deinit(&stage);
}

static void test_limits_of_calls(void) {
        Answer answers[QMP_CLIENT_CALLS_MAX + 1] = {};
        Stage stage;

        stage_negotiate(&stage);
        for (size_t i = 0; i < QMP_CLIENT_CALLS_MAX; i++)
                CU_ASSERT_EQUAL(stage_call(&stage, "stop", USEC_INFINITY, &answers[i]), 0);
        CU_ASSERT_EQUAL(stage_call(&stage, "stop", USEC_INFINITY, &answers[QMP_CLIENT_CALLS_MAX]),
                        -EBUSY);
        stage_deinit(&stage);
        for (size_t i = 0; i < QMP_CLIENT_CALLS_MAX; i++) {
                CU_ASSERT_EQUAL(answers[i].n, 1);
                CU_ASSERT_EQUAL(answers[i].r, -ENOTCONN);
        }
        CU_ASSERT_EQUAL(answers[QMP_CLIENT_CALLS_MAX].n, 0);
}

static void test_events(void) {
        Stage stage;

        stage_init(&stage);
        stage_say(&stage, GREETING "{" STAMP ", \"event\": \"STOP\"}");
        CU_ASSERT_EQUAL(stage.n_events, 0);
        stage_say(&stage,
                  "{\"return\": {}, \"id\": 1}\r\n"
                  "{" STAMP ", \"event\": \"NEVER_SEEN\", "
                  "\"data\": {\"x\": [1, {\"y\": null}]}, \"more\": 1}\r\n");
        CU_ASSERT_EQUAL(stage.n_events, 1);
        CU_ASSERT_STRING_EQUAL(stage.last_event, "NEVER_SEEN");
        CU_ASSERT_EQUAL(stage.last_time, 17 * USEC_PER_SEC + 5);
        stage_deinit(&stage);
}

static void test_last_words_of(unsigned n, bool half) {
        static const char event[] = "{" STAMP ", \"event\": \"STOP\"}\r\n";
        Stage stage;

        stage_negotiate(&stage);
        for (unsigned i = 0; i < n; i++)
                CU_ASSERT_EQUAL(send(stage.peer, event, strlen(event), 0), (ssize_t) strlen(event));
        if (half) {
                CU_ASSERT_EQUAL(shutdown(stage.peer, SHUT_WR), 0);
        } else {
                stage.peer = fd_close(stage.peer);
        }
        stage_run(&stage);
        CU_ASSERT_EQUAL(stage.n_events, n);
        CU_ASSERT_EQUAL(stage.n_closed, 1);
        stage_deinit(&stage);
}

/* Told by one edge: the end has to be found behind the bytes, of which there may be several turns. */
static void test_last_words(void) {
        test_last_words_of(1, false);
        test_last_words_of(1, true);
        test_last_words_of(250, false);
        test_last_words_of(250, true);
}

static void test_hostile_peers(void) {
        static const struct {
                const char *text, *why;
        } cases[] = {
                { "{\"return\": {}}\r\n", "did not greet" },
                { "{" STAMP ", \"event\": \"STOP\"}\r\n", "did not greet" },
                { "SSH-2.0-OpenSSH_9.2\r\n", "sent what is no QMP" },
                { "\xff\xff", "sent what is no QMP" },
                { "[]", "sent what is no QMP" },
                { GREETING GREETING, "greeted twice" },
                { GREETING
                  "{\"error\": {\"class\": \"GenericError\", \"desc\": \"never\"}, \"id\": 1}",
                  "qmp_capabilities: never" },
                { GREETING "{\"error\": {\"class\": \"GenericError\", \"desc\": \"JSON\"}}",
                  "did not understand us: JSON" },
                { GREETING "{\"return\": {}, \"id\": 1}{\"return\": {}}", "did not understand us" },
                { GREETING "{\"return\": {}, \"id\": 1}{\"event\": 7}", "sent what is no QMP" },
        };
        Stage stage;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                stage_init(&stage);
                stage_say(&stage, cases[i].text);
                CU_ASSERT_EQUAL(stage.n_closed, 1);
                CU_ASSERT_PTR_EQUAL(strstr(stage.why, cases[i].why), stage.why);
                stage_deinit(&stage);
        }
}

/* A line that never ends is given up, long before it has used what a host has. */
static void test_endless_line(void) {
        char piece[4096];
        size_t sent = 0;
        Stage stage;

        memset(piece, 'a', sizeof(piece));
        stage_negotiate(&stage);
        stage_say(&stage, "{\"event\": \"");
        while (stage.n_closed == 0 && sent < (size_t) 100 << 20) {
                ssize_t n = send(stage.peer, piece, sizeof(piece), MSG_NOSIGNAL);

                sent += n > 0 ? (size_t) n : 0;
                stage_run(&stage);
        }
        CU_ASSERT_EQUAL(stage.n_closed, 1);
        CU_ASSERT_TRUE(sent < (size_t) 9 << 20);
        stage_deinit(&stage);
}

/* The quiet one is served before the rest of the flood. */
static void test_flood_waits(void) {
        static const char event[] = "{" STAMP ", \"event\": \"GUEST_PANICKED\"}\r\n";
        char burst[200 * sizeof(event)];
        Stage flood, quiet;
        unsigned n = 0;

        stage_negotiate(&flood);
        stage_init(&quiet);
        quiet.client = qmp_client_free(quiet.client);
        sd_event_unref(quiet.event);
        quiet.event = sd_event_ref(flood.event);
        quiet.peer = fd_close(quiet.peer);
        {
                int pair[2];

                CU_ASSERT_EQUAL_FATAL(
                        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
                CU_ASSERT_EQUAL_FATAL(
                        qmp_client_new(&quiet.client, quiet.event, pair[0], &stage_ops, &quiet), 0);
                quiet.peer = pair[1];
        }
        for (size_t i = 0; i < 200; i++)
                memcpy(burst + i * strlen(event), event, strlen(event));
        while (send(flood.peer, burst, 200 * strlen(event), MSG_NOSIGNAL) > 0)
                n += 200;
        CU_ASSERT_TRUE(n > 1000);
        (void) sd_event_run(flood.event, 0); /* one turn: it is known to flood */
        CU_ASSERT_TRUE(flood.n_events > 0 && flood.n_events < n / 2);
        CU_ASSERT_TRUE(write(quiet.peer, GREETING, strlen(GREETING)) > 0);
        (void) sd_event_run(flood.event, 0);
        CU_ASSERT_STRING_EQUAL(stage_hear(&quiet),
                               "{\"execute\": \"qmp_capabilities\", \"id\": 1}\r\n");
        CU_ASSERT_TRUE(flood.n_events < n / 2);
        stage_run(&flood);
        CU_ASSERT_EQUAL(flood.n_events, n);
        stage_deinit(&quiet);
        stage_deinit(&flood);
}

/* A descriptor waits for its own command's turn, and comes with it. */
static void test_descriptor(void) {
        Answer a = {}, b = {}, c = {};
        json_object *long_argument;
        char *filler;
        Stage stage;
        size_t n_commands = 0;
        bool got = false;

        stage_negotiate(&stage);
        filler = malloc(1 << 20);
        memset(filler, 'x', (1 << 20) - 1);
        filler[(1 << 20) - 1] = '\0';
        long_argument = json_object_new_object();
        (void) json_object_object_add(long_argument, "filler", json_object_new_string(filler));
        free(filler);
        /* fills the socket, so that what follows waits behind it */
        CU_ASSERT_EQUAL(
                qmp_client_call(stage.client, "x", long_argument, -1, USEC_INFINITY, answer_take, &a),
                0);
        json_object_put(long_argument);
        CU_ASSERT_EQUAL(
                qmp_client_call(
                        stage.client, "getfd", NULL, STDERR_FILENO, USEC_INFINITY, answer_take, &b),
                0);
        CU_ASSERT_EQUAL(
                qmp_client_call(
                        stage.client, "getfd", NULL, STDERR_FILENO, USEC_INFINITY, answer_take, &c),
                -EBUSY);

        for (;;) {
                char data[65536];
                struct iovec iov = { data, sizeof(data) - 1 };
                union {
                        struct cmsghdr header;
                        char space[CMSG_SPACE(sizeof(int))];
                } control;
                struct msghdr message = { .msg_iov = &iov,
                                          .msg_iovlen = 1,
                                          .msg_control = &control,
                                          .msg_controllen = sizeof(control) };
                ssize_t n = recvmsg(stage.peer, &message, MSG_DONTWAIT);

                if (n <= 0)
                        break;
                data[n] = '\0';
                if (message.msg_controllen > 0) {
                        int fd;

                        memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
                        (void) close(fd);
                        CU_ASSERT_PTR_NOT_NULL(strstr(data, "{\"execute\": \"getfd\""));
                        got = true;
                }
                n_commands++;
                stage_run(&stage);
        }
        CU_ASSERT_TRUE(got);
        CU_ASSERT_TRUE(n_commands > 1);
        stage_deinit(&stage);
}

/* What is asked of a QEMU that can't do it all. */
static void test_set_action(void) {
        json_object *watchdog = NULL, *panic = NULL;
        Answer a = {}, b = {}, c = {};
        BackendCall call = { .fd = -1, .deadline_us = USEC_PER_SEC, .done = answer_take };
        Stage stage;

        (void) json_parse("{\"watchdog\": \"pause\"}", 21, &watchdog, NULL);
        (void) json_parse("{\"watchdog\": \"pause\", \"panic\": \"none\"}", 38, &panic, NULL);
        call.verb = BACKEND_SET_ACTION;
        stage_negotiate(&stage);

        call.arguments = watchdog;
        call.userdata = &a;
        CU_ASSERT_EQUAL(qmp_backend.command(stage.client, ABILITY_WATCHDOG_SET_ACTION, &call), 0);
        CU_ASSERT_STRING_EQUAL(
                stage_hear(&stage),
                "{\"execute\": \"watchdog-set-action\", \"arguments\": {\"action\": \"pause\"}, \"id\": 2}\r\n");
        call.arguments = panic;
        call.userdata = &b;
        CU_ASSERT_EQUAL(qmp_backend.command(stage.client, ABILITY_WATCHDOG_SET_ACTION, &call), 0);
        CU_ASSERT_EQUAL(b.n, 0);
        stage_run(&stage);
        CU_ASSERT_EQUAL(b.r, -EOPNOTSUPP);
        CU_ASSERT_PTR_NOT_NULL(strstr(b.error, "QEMU 6.0"));
        CU_ASSERT_STRING_EQUAL(stage_hear(&stage), "");

        call.userdata = &c;
        CU_ASSERT_EQUAL(qmp_backend.command(stage.client, ABILITY_SET_ACTION, &call), 0);
        CU_ASSERT_PTR_NOT_NULL(strstr(stage_hear(&stage), "\"set-action\""));
        CU_ASSERT_EQUAL(qmp_backend.command(stage.client, 0, &call), -EOPNOTSUPP);
        json_object_put(watchdog);
        json_object_put(panic);
        stage_deinit(&stage);
}

/* CPUs are asked one after the other, up to the first that crashed. */
static void test_crash_info(void) {
        Answer a = {};
        BackendCall call = { .verb = BACKEND_CRASH_INFO,
                             .fd = -1,
                             .deadline_us = USEC_PER_SEC,
                             .done = answer_take,
                             .userdata = &a };
        Stage stage;

        stage_negotiate(&stage);
        CU_ASSERT_EQUAL(qmp_backend.command(stage.client, ABILITY_CRASH_INFO, &call), 0);
        CU_ASSERT_PTR_NOT_NULL(strstr(stage_hear(&stage), "query-cpus-fast"));
        stage_say(&stage,
                  "{\"return\": [{\"qom-path\": \"/a\"}, 7, {\"qom-path\": \"/b\"}, "
                  "{\"qom-path\": \"/c\"}], \"id\": 2}");
        CU_ASSERT_PTR_NOT_NULL(strstr(stage_hear(&stage), "\"/a\""));
        stage_say(&stage,
                  "{\"error\": {\"class\": \"GenericError\", \"desc\": \"No crash\"}, \"id\": 3}");
        CU_ASSERT_PTR_NOT_NULL(strstr(stage_hear(&stage), "\"/b\""));
        stage_say(&stage, "{\"return\": {\"type\": \"s390\"}, \"id\": 4}");
        CU_ASSERT_EQUAL(a.n, 1);
        CU_ASSERT_EQUAL(a.r, 0);
        CU_ASSERT_TRUE(a.has_ret);
        CU_ASSERT_STRING_EQUAL(stage_hear(&stage), "");

        CU_ASSERT_EQUAL(qmp_backend.command(stage.client, ABILITY_CRASH_INFO, &call), 0);
        stage_say(&stage, "{\"return\": [], \"id\": 5}");
        CU_ASSERT_EQUAL(a.n, 2);
        CU_ASSERT_EQUAL(a.r, 0);
        CU_ASSERT_FALSE(a.has_ret);
        stage_deinit(&stage);
}

TEST_MAIN("qmp-client",
          { "negotiation", test_negotiation },
          { "commands", test_commands },
          { "deadline", test_deadline },
          { "limits of calls", test_limits_of_calls },
          { "events", test_events },
          { "last words", test_last_words },
          { "hostile peers", test_hostile_peers },
          { "endless line", test_endless_line },
          { "flood waits", test_flood_waits },
          { "descriptor", test_descriptor },
          { "set-action", test_set_action },
          { "crash-info", test_crash_info })
