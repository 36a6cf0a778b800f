/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/server-fixture.h"

#include <CUnit/CUnit.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/store/store.h"
#include "policy/qapi/json.h"
#include "policy/qapi/qmp-session.h"
#include "policy/util/list.h"
#include "qapi-commands.h"
#include "qapi-types.h"

#define CHECK(x)                                                                                   \
        do {                                                                                       \
                if (!(x)) {                                                                        \
                        fprintf(stderr, "%s:%d: %s: %m\n", __FILE__, __LINE__, #x);                \
                        abort();                                                                   \
                }                                                                                  \
        } while (0)

/* --- the made-up log --- */

typedef struct FakeRead {
        List link;
        uint64_t after;
        unsigned limit;
        uint64_t seen; /* last number put when it was asked for */
        StoreEventsFunc func;
        void *userdata;
} FakeRead;

struct Store {
        char **texts;                    /* by number; NULL: gone */
        uint64_t first, last, inherited; /* up to here numbers are of an earlier life */
        List reads;
        sd_event_source *answer;
        bool hold, late;
        int error;
};

static void store_fake_answer_one(Store *store, FakeRead *read) {
        uint64_t seqs[1024], end = store->late ? store->last : read->seen;
        char *texts[1024];
        size_t n = 0;

        for (uint64_t seq = read->after + 1; seq <= end && n < read->limit; seq++)
                if (seq >= store->first && store->texts[seq]) {
                        seqs[n] = seq;
                        texts[n++] = store->texts[seq];
                }
        read->func(store->error, seqs, texts, store->error < 0 ? 0 : n, read->userdata);
}

static int store_fake_answer(sd_event_source *source, void *userdata) {
        Store *store = userdata;

        while (!store->hold && !list_is_empty(&store->reads)) {
                FakeRead *read = list_entry(store->reads.next, FakeRead, link);

                list_remove(&read->link);
                store_fake_answer_one(store, read);
                free(read);
        }
        return 0;
}

static Store *store_fake_new(sd_event *event, uint64_t last) {
        Store *store = malloc(sizeof(*store));

        CHECK(store);
        *store = (Store){ .first = 1,
                          .last = last,
                          .inherited = last,
                          .texts = calloc(last + 1, sizeof(char *)) };
        CHECK(store->texts);
        list_init(&store->reads);
        CHECK(sd_event_add_defer(event, &store->answer, store_fake_answer, store) >= 0);
        CHECK(sd_event_source_set_enabled(store->answer, SD_EVENT_OFF) >= 0);
        return store;
}

static void store_fake_free(Store *store) {
        list_foreach_safe(i, n, &store->reads)
                free(list_entry(i, FakeRead, link));
        for (uint64_t seq = 0; seq <= store->last; seq++)
                free(store->texts[seq]);
        free(store->texts);
        sd_event_source_disable_unref(store->answer);
        free(store);
}

void store_fake_hold(Store *store, bool hold) {
        store->hold = hold;
        CHECK(sd_event_source_set_enabled(store->answer, SD_EVENT_ONESHOT) >= 0);
}

void store_fake_fail(Store *store, int error) {
        store->error = error;
}

void store_fake_see_late(Store *store, bool late) {
        store->late = late;
}

void store_fake_drop(Store *store, uint64_t seq) {
        free(TAKE_PTR(store->texts[seq]));
}

void store_fake_expire(Store *store, uint64_t first) {
        store->first = first;
}

uint64_t store_next_seq(Store *store) {
        store->last++;
        store->texts = reallocarray(store->texts, store->last + 1, sizeof(char *));
        CHECK(store->texts);
        store->texts[store->last] = NULL;
        return store->last;
}

uint64_t store_last_seq(const Store *store) {
        return store->last;
}

uint64_t store_first_seq(const Store *store) {
        return store->first;
}

const char *store_explain_missing(const Store *store, uint64_t seq) {
        if (seq < store->first)
                return "expired";
        return seq <= store->inherited ? "unclean-end" : "store";
}

const char *store_get_log(const Store *store) {
        return FIXTURE_LOG;
}

int store_put_event(Store *store,
                    uint64_t seq,
                    const char *machine,
                    const char *event,
                    uint64_t real_us,
                    const char *text,
                    size_t n) {
        CHECK(seq == store->last && !store->texts[seq]);
        store->texts[seq] = strndup(text, n);
        return 0;
}

int store_read_events(Store *store,
                      const StoreEventFilter *filter,
                      StoreEventsFunc func,
                      void *userdata) {
        FakeRead *read = malloc(sizeof(*read));

        CHECK(read);
        *read = (FakeRead){
                .after = filter->after,
                .limit = filter->limit,
                .seen = store->last,
                .func = func,
                .userdata = userdata,
        };
        list_append(&store->reads, &read->link);
        CHECK(sd_event_source_set_enabled(store->answer, SD_EVENT_ONESHOT) >= 0);
        return 0;
}

/* --- the made-up commands --- */

static void marshal_status(QmpCall *call, json_object *arguments) {
        qmp_call_return(call, json_object_new_object());
}

static void marshal_stop(QmpCall *call, json_object *arguments) {
        Fixture *f = qmp_call_get_server_userdata(call);

        f->held = call;
        f->n_held++;
}

static void marshal_replay_events(QmpCall *call, json_object *arguments) {
        _cleanup_(replay_events_arg_freep) ReplayEventsArg *arg = NULL;
        QapiError error = QAPI_ERROR_NULL;

        if (replay_events_arg_from_json(arguments, &arg, &error) == 0)
                qmp_replay_events(call, arg);
        else
                qmp_call_fail(call, error.class, "%s", error.desc);
        qapi_error_deinit(&error);
}

#define MARSHAL(name)                                                                              \
        static void marshal_##name(QmpCall *call, json_object *arguments) {                        \
                qmp_##name(call);                                                                  \
        }

static void marshal_capabilities(QmpCall *call, json_object *arguments) {
        qmp_qmp_capabilities(call, &(QmpCapabilitiesArg){});
}

MARSHAL(query_version)
MARSHAL(query_commands)
MARSHAL(query_qmp_schema)
MARSHAL(query_name)
MARSHAL(query_event_log)

static const QmpCommand fixture_commands[] = {
        { .name = "qmp_capabilities", .marshal = marshal_capabilities },
        { .name = "query-status", .marshal = marshal_status },
        { .name = "set-action", .marshal = marshal_status },
        { .name = "stop", .marshal = marshal_stop },
        { .name = "replay-events", .marshal = marshal_replay_events },
        { .name = "query-version", .marshal = marshal_query_version },
        { .name = "query-commands", .marshal = marshal_query_commands },
        { .name = "query-qmp-schema", .marshal = marshal_query_qmp_schema },
        { .name = "query-name", .marshal = marshal_query_name },
        { .name = "query-event-log", .marshal = marshal_query_event_log },
};

const QmpCommand *qmp_command_find(QapiProfile profile, const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(fixture_commands); i++)
                if (strcmp(fixture_commands[i].name, name) == 0)
                        return &fixture_commands[i];
        return NULL;
}

void qmp_command_foreach(QapiProfile profile,
                         void (*func)(const QmpCommand *command, void *userdata),
                         void *userdata) {
        for (size_t i = 0; i < ELEMENTSOF(fixture_commands); i++)
                func(&fixture_commands[i], userdata);
}

void fixture_answer(Fixture *f) {
        CHECK(f->held);
        qmp_call_return(TAKE_PTR(f->held), NULL);
}

/* --- the server --- */

void fixture_init(Fixture *f, size_t queue_bytes, uint64_t last_seq) {
        char dir[] = "/tmp/tocsin-test-XXXXXX";
        QmpServerConfig config = {
                .runtime_dir = dir,
                .command_group = "no-such-group",
                .clients_per_uid = 3,
                .queue_bytes = queue_bytes ? queue_bytes : 64 << 10,
        };
        struct rlimit files;

        /* two descriptors a client */
        CHECK(getrlimit(RLIMIT_NOFILE, &files) == 0);
        files.rlim_cur = files.rlim_max < 8192 ? files.rlim_max : 8192;
        CHECK(setrlimit(RLIMIT_NOFILE, &files) == 0);

        *f = (Fixture){};
        CHECK(mkdtemp(dir) && chmod(dir, 0755) == 0);
        f->dir = strdup(dir);
        CHECK(f->dir && sd_event_new(&f->event) >= 0);
        f->store = store_fake_new(f->event, last_seq);
        CHECK(qmp_server_new(&f->server, f->event, &config, f->store, f) == 0);
        CHECK(qmp_endpoint_new(&f->control, f->server, QAPI_PROFILE_CONTROL, NULL) == 0);
        CHECK(qmp_endpoint_new(&f->machine, f->server, QAPI_PROFILE_MACHINE, FIXTURE_MACHINE) == 0);
}

void fixture_deinit(Fixture *f) {
        char qmp[64];

        qmp_endpoint_free(f->control);
        qmp_endpoint_free(f->machine);
        qmp_server_free(f->server);
        store_fake_free(f->store);
        sd_event_unref(f->event);
        snprintf(qmp, sizeof(qmp), "%s/qmp", f->dir);
        /* fails when a socket was left behind */
        CHECK(rmdir(qmp) == 0 && rmdir(f->dir) == 0);
        free(f->dir);
}

void fixture_spin(Fixture *f) {
        int r;

        do {
                r = sd_event_run(f->event, 0);
                CHECK(r >= 0);
        } while (r > 0);
}

uint64_t fixture_announce(Fixture *f) {
        json_object *data = json_object_new_object();
        uint64_t seq;

        json_object_object_add(data, "n", json_object_new_uint64(store_last_seq(f->store) + 1));
        seq = qmp_server_announce(f->server,
                                  &(QmpAnnouncement){
                                          .endpoint = f->machine,
                                          .machine = FIXTURE_MACHINE,
                                          .event = "GUEST_PANICKED",
                                          .data = data,
                                          .real_us = 1700000000000001,
                                  });
        json_object_put(data);
        return seq;
}

/* --- the clients --- */

void peer_dial(Peer *peer, const Fixture *f, const char *socket_name) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        *peer = (Peer){ .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) };
        CHECK(peer->fd >= 0);
        CHECK((size_t) snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", f->dir, socket_name) <
              sizeof(address.sun_path));
        CHECK(connect(peer->fd, (struct sockaddr *) &address, sizeof(address)) == 0);
        CHECK(fcntl(peer->fd, F_SETFL, O_NONBLOCK) == 0);
}

void peer_connect(Peer *peer, Fixture *f, const char *socket_name) {
        peer_dial(peer, f, socket_name);
        fixture_spin(f);
}

void peer_open(Peer *peer, Fixture *f, const char *socket_name) {
        peer_connect(peer, f, socket_name);
        free(peer_line(peer));
        peer_send(peer, "{'execute': 'qmp_capabilities'}\n");
        fixture_spin(f);
        free(peer_line(peer));
}

void peer_close(Peer *peer) {
        if (peer->fd >= 0)
                close(peer->fd);
        peer->fd = -1;
        buffer_deinit(&peer->in);
}

void peer_send(Peer *peer, const char *text) {
        CHECK(send(peer->fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t) strlen(text));
}

void peer_pull(Peer *peer, size_t n) {
        ssize_t k;

        CHECK(buffer_reserve(&peer->in, n) == 0);
        k = recv(peer->fd, peer->in.data + peer->in.end, n, 0);
        if (k > 0)
                buffer_advance(&peer->in, (size_t) k);
}

static bool peer_find_line(Peer *peer, size_t *ret) {
        const char *end;

        if (buffer_length(&peer->in) == 0)
                return false;
        end = memmem(buffer_content(&peer->in), buffer_length(&peer->in), "\r\n", 2);
        if (!end)
                return false;
        *ret = (size_t) (end - buffer_content(&peer->in));
        return true;
}

char *peer_line(Peer *peer) {
        size_t n;
        char *line;

        if (!peer_find_line(peer, &n)) {
                peer_pull(peer, 64 << 10);
                if (!peer_find_line(peer, &n))
                        return NULL;
        }
        line = strndup(buffer_content(&peer->in), n);
        CHECK(line);
        buffer_consume(&peer->in, n + 2);
        return line;
}

char *peer_wait_line(Peer *peer) {
        struct pollfd poll_fd = { .fd = peer->fd, .events = POLLIN };
        char *line;

        for (unsigned i = 0; i < 50; i++) {
                line = peer_line(peer);
                if (line)
                        return line;
                (void) poll(&poll_fd, 1, 100);
        }
        return strdup("");
}

json_object *peer_message(Peer *peer) {
        _cleanup_free_ char *line = peer_line(peer);
        json_object *message = NULL;

        if (!line)
                return NULL;
        CHECK(json_parse(line, strlen(line), &message, NULL) == 0);
        return message;
}

void peer_assert_line(Peer *peer, const char *expected) {
        _cleanup_free_ char *line = peer_line(peer);

        CU_ASSERT_PTR_NOT_NULL_FATAL(line);
        CU_ASSERT_STRING_EQUAL(line, expected);
}

void peer_assert_nothing(Peer *peer) {
        _cleanup_free_ char *line = peer_line(peer);

        CU_ASSERT_PTR_NULL(line);
}

void peer_assert_event(Peer *peer, uint64_t n) {
        _cleanup_(json_object_putp) json_object *message = peer_message(peer);

        CU_ASSERT_PTR_NOT_NULL_FATAL(message);
        CU_ASSERT_STRING_EQUAL(message_get_string(message, "event"), "GUEST_PANICKED");
        CU_ASSERT_EQUAL(message_get_number(message, "data.n"), n);
}

bool peer_is_at_end(Peer *peer) {
        ssize_t n;
        char c;

        n = recv(peer->fd, &c, 1, MSG_PEEK);
        return buffer_length(&peer->in) == 0 && (n == 0 || (n < 0 && errno == ECONNRESET));
}

json_object *message_get(json_object *message, const char *path) {
        while (message && *path != '\0') {
                size_t n = strcspn(path, ".");
                _cleanup_free_ char *key = strndup(path, n);

                if (!json_object_object_get_ex(message, key, &message))
                        return NULL;
                path += n + (path[n] == '.');
        }
        return message;
}

uint64_t message_get_number(json_object *message, const char *path) {
        json_object *member = message_get(message, path);

        return member ? json_object_get_uint64(member) : 0;
}

const char *message_get_string(json_object *message, const char *path) {
        json_object *member = message_get(message, path);

        return member ? json_object_get_string(member) : "";
}
