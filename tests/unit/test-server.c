/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Connections of the QMP server on real sockets: who gets in, what they get, and what ends them. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/qmp/access.h"
#include "policy/qapi/json.h"
#include "policy/util/moment.h"
#include "tests/unit/harness.h"
#include "tests/unit/server-fixture.h"

#define CONTROL "control.sock"
#define MACHINE "qmp/" FIXTURE_MACHINE ".sock"

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
        peer_assert_line(&peer, "{\"return\": {}}");
        peer_assert_line(&peer, "{\"return\": {\"name\": \"vm1\"}, \"id\": 1}");
        peer_assert_nothing(&peer);
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
        peer_assert_line(&peer, "{\"return\": {}}");
        message = peer_message(&peer);
        CU_ASSERT_EQUAL(json_object_array_length(message_get(message, "return")), 10);
        json_object_put(message);
        message = peer_message(&peer);
        CU_ASSERT_TRUE(json_object_array_length(message_get(message, "return")) > 10);
        json_object_put(message);
        peer_assert_line(&peer,
                         "{\"return\": {\"log\": \"" FIXTURE_LOG "\", \"first\": 1, \"last\": 7}}");
        message = peer_message(&peer);
        CU_ASSERT_PTR_NOT_NULL(message_get(message, "return.qemu.major"));
        CU_ASSERT_PTR_NOT_NULL(message_get(message, "return.package"));
        json_object_put(message);
}

/* More than one turn takes, in one piece: nothing else comes that would call for the rest. */
static void test_many_at_once(void) {
        enum { N = 2000 };
        static const char command[] = "{'execute': 'query-status'}";
        _cleanup_(fixture_deinit) Fixture f;
        _cleanup_(peer_close) Peer peer;
        _cleanup_(buffer_deinit) Buffer all = BUFFER_NULL;

        fixture_init(&f, 0, 0);
        peer_open(&peer, &f, MACHINE);
        for (unsigned i = 0; i < N; i++)
                CU_ASSERT_EQUAL(buffer_append_string(&all, command), 0);
        CU_ASSERT_EQUAL(buffer_append_char(&all, '\0'), 0);
        peer_send(&peer, buffer_content(&all));
        for (unsigned i = 0; i < N; i++) {
                if (i % 100 == 0)
                        fixture_spin(&f);
                peer_assert_line(&peer, "{\"return\": {}}");
        }
        peer_assert_nothing(&peer);
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
        peer_assert_nothing(&peer);

        /* events are not held up by it */
        fixture_announce(&f);
        fixture_spin(&f);
        peer_assert_event(&peer, 1);

        fixture_answer(&f);
        fixture_spin(&f);
        peer_assert_line(&peer, "{\"return\": {}, \"id\": 1}");
        peer_assert_line(&peer, "{\"return\": {}, \"id\": 2}");
        peer_assert_line(&peer, "{\"return\": {}, \"id\": 3}");
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
        peer_assert_nothing(&peer);
        CU_ASSERT_FALSE(peer_is_at_end(&peer));

        fixture_answer(&f);
        fixture_spin(&f);
        peer_assert_line(&peer, "{\"return\": {}, \"id\": 1}");
        peer_assert_line(&peer, "{\"return\": {}, \"id\": 2}");
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
        peer_assert_line(&peer, "{\"return\": {}, \"id\": 1}");
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
        peer_assert_nothing(&peer);
        CU_ASSERT_FALSE(peer_is_at_end(&peer));
        store_fake_hold(f.store, false);
        fixture_spin(&f);
        peer_assert_event(&peer, 1);
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
        peer_assert_line(&peer, "{\"return\": {}}");
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
        peer_assert_event(&peer, 1);
        CU_ASSERT_TRUE(peer_is_at_end(&peer));
        peer_assert_event(&other, 1);
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
        peer_assert_event(&peer, 2);
}

/* The longest name in a folder that leaves it no room in an address: who connects has means, too. */
static void test_long_path(void) {
        _cleanup_(fixture_deinit) Fixture f;
        _cleanup_(buffer_deinit) Buffer path = BUFFER_NULL;
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        QmpEndpoint *endpoint = NULL;
        char name[81];
        int fd, folder;

        fixture_init(&f, 0, 0);
        memset(name, 'a', sizeof(name) - 1);
        name[sizeof(name) - 1] = '\0';
        CU_ASSERT_EQUAL(buffer_printf(&path, "%s/qmp/", f.dir), 0);
        folder = open(buffer_content(&path), O_PATH | O_CLOEXEC);
        CU_ASSERT(buffer_length(&path) + strlen(name) + strlen(".sock") >= sizeof(address.sun_path));

        CU_ASSERT_EQUAL_FATAL(qmp_endpoint_new(&endpoint, f.server, QAPI_PROFILE_MACHINE, name), 0);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        (void) snprintf(address.sun_path,
                        sizeof(address.sun_path),
                        "/proc/self/fd/%d/%s.sock",
                        folder,
                        name);
        CU_ASSERT_EQUAL(connect(fd, (const struct sockaddr *) &address, sizeof(address)), 0);
        qmp_endpoint_free(endpoint);
        CU_ASSERT_EQUAL(access(address.sun_path, F_OK), -1);
        close(fd);
        close(folder);
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
        peer_assert_line(&late,
                         "{\"error\": {\"class\": \"GenericError\", \"desc\": "
                         "\"Too many connections: no file descriptors left\"}}");
        CU_ASSERT_TRUE(peer_is_at_end(&late));

        peer_close(&late);
        peer_open(&late, &f, CONTROL);
        fixture_announce(&f);
        fixture_spin(&f);
        peer_assert_event(&peer, 1);
        peer_assert_event(&late, 1);
}

TEST_MAIN("server",
          { "greeting and negotiation", test_greeting },
          { "own commands", test_own_commands },
          { "many commands at once", test_many_at_once },
          { "one command at a time", test_one_at_a_time },
          { "gone while busy", test_gone_while_busy },
          { "half-closed", test_half_closed },
          { "half-closed with one command", test_half_closed_with_one_command },
          { "half-closed with a replay under way", test_half_closed_with_replay },
          { "fire and forget", test_fire_and_forget },
          { "garbage", test_garbage },
          { "endpoint goes and comes back", test_endpoint_goes },
          { "long path", test_long_path },
          { "strangers, groups and the cap", test_strangers },
          { "access rules", test_access_rules },
          { "out of descriptors", test_out_of_descriptors })
