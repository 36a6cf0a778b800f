/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tocsin-kernel's two ends in one loop, real sockets between them, and paths that lie.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "daemon/kernel/fd.h"
#include "daemon/kernel/helper.h"
#include "daemon/kernel/kernel-client.h"
#include "daemon/kernel/protocol.h"
#include "daemon/kernel/qmp-path.h"
#include "policy/util/moment.h"
#include "tests/unit/harness.h"

typedef struct Stage {
        char folder[64];
        sd_event *event;
        KernelHelper *helper;
        KernelClient *client;
        int server; /* listens at FOLDER/qmp.sock */
        unsigned n_logged, n_alone, n_reloads;
        bool reload_fails;
} Stage;

typedef struct Answer {
        unsigned n;
        int r, fd;
        char error[512];
} Answer;

static int stage_listen(const char *folder, const char *name, int type) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", folder, name);
        CU_ASSERT_EQUAL_FATAL(bind(fd, (const struct sockaddr *) &address, sizeof(address)), 0);
        CU_ASSERT_EQUAL_FATAL(listen(fd, 1), 0);
        return fd;
}

static bool stage_may_connect(const char *path, void *userdata) {
        const Stage *stage = userdata;
        char glob[128];

        (void) snprintf(glob, sizeof(glob), "%s/*.sock", stage->folder);
        return qmp_path_matches(glob, path);
}

static bool stage_is_monitor(const char *path, void *userdata) {
        return stage_may_connect(path, userdata);
}

static bool stage_is_caller(const char *path, uid_t uid, void *userdata) {
        return false;
}

static int stage_reload(char **ret_error, void *userdata) {
        Stage *stage = userdata;

        stage->n_reloads++;
        if (!stage->reload_fails)
                return 0;
        *ret_error = strdup("broken");
        return -EINVAL;
}

static void stage_alone(void *userdata) {
        ((Stage *) userdata)->n_alone++;
}

static void stage_log(const char *text, void *userdata) {
        ((Stage *) userdata)->n_logged++;
}

static const KernelHelperOps stage_ops = {
        .may_connect = stage_may_connect,
        .guests = { stage_is_monitor, stage_is_caller },
        .reload = stage_reload,
        .alone = stage_alone,
        .log = stage_log,
};

static void stage_init(Stage *stage) {
        char socket_path[128];

        *stage = (Stage){};
        (void) snprintf(stage->folder, sizeof(stage->folder), "/tmp/test-kernel-XXXXXX");
        CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(stage->folder));
        CU_ASSERT_EQUAL_FATAL(sd_event_new(&stage->event), 0);
        CU_ASSERT_EQUAL_FATAL(
                kernel_helper_new(&stage->helper, stage->event, getuid(), &stage_ops, stage), 0);
        CU_ASSERT_EQUAL_FATAL(
                kernel_helper_listen(stage->helper,
                                     stage_listen(stage->folder, "kernel.sock", SOCK_SEQPACKET)),
                0);
        (void) snprintf(socket_path, sizeof(socket_path), "%s/kernel.sock", stage->folder);
        CU_ASSERT_EQUAL_FATAL(kernel_client_new(&stage->client, stage->event, socket_path, NULL, NULL),
                              0);
        stage->server = stage_listen(stage->folder, "qmp.sock", SOCK_STREAM);
}

static void stage_deinit(Stage *stage) {
        char command[128];

        kernel_client_free(stage->client);
        kernel_helper_free(stage->helper);
        sd_event_unref(stage->event);
        (void) fd_close(stage->server);
        (void) snprintf(command, sizeof(command), "rm -rf %s", stage->folder);
        CU_ASSERT_EQUAL(system(command), 0);
}

static void stage_run(Stage *stage) {
        while (sd_event_run(stage->event, 20 * USEC_PER_MSEC) > 0)
                ;
}

static void answer_take(int r, int fd, const char *error, void *userdata) {
        Answer *answer = userdata;

        answer->n++;
        answer->r = r;
        answer->fd = fd;
        (void) snprintf(answer->error, sizeof(answer->error), "%s", error ? error : "");
}

/* What the helper says to FOLDER/name. */
static Answer stage_ask(Stage *stage, const char *name) {
        Answer answer = { .fd = -1 };
        char path[256];

        (void) snprintf(path, sizeof(path), "%s%s", name[0] == '/' ? "" : stage->folder, name);
        if (name[0] != '/')
                (void) snprintf(path, sizeof(path), "%s/%s", stage->folder, name);
        CU_ASSERT_EQUAL(kernel_client_connect_qmp(stage->client, path, answer_take, &answer), 0);
        CU_ASSERT_EQUAL(answer.n, 0);
        stage_run(stage);
        CU_ASSERT_EQUAL(answer.n, 1);
        return answer;
}

static void test_connect(void) {
        Stage stage;
        Answer answer;
        int peer;

        stage_init(&stage);
        answer = stage_ask(&stage, "qmp.sock");
        CU_ASSERT_EQUAL(answer.r, 0);
        peer = accept(stage.server, NULL, NULL);
        CU_ASSERT_TRUE(peer >= 0);
        CU_ASSERT_EQUAL(write(answer.fd, "x", 1), 1);
        CU_ASSERT_TRUE(fcntl(answer.fd, F_GETFL) & O_NONBLOCK);
        CU_ASSERT_TRUE(fcntl(answer.fd, F_GETFD) & FD_CLOEXEC);
        (void) close(peer);
        (void) close(answer.fd);
        CU_ASSERT_EQUAL(stage.n_logged, 0);
        stage_deinit(&stage);
}

static void test_refusals(void) {
        static const char *const not_configured[] = {
                "qmp.other",  "sub/qmp.sock", "../x.sock", "./qmp.sock",
                "//qmp.sock", "/etc/passwd",  ".qmp.sock",
        };
        Stage stage;
        Answer answer;

        stage_init(&stage);
        for (size_t i = 0; i < ELEMENTSOF(not_configured); i++) {
                answer = stage_ask(&stage, not_configured[i]);
                CU_ASSERT_EQUAL(answer.r, -EPERM);
                CU_ASSERT_PTR_NOT_NULL(strstr(answer.error, "is not configured"));
        }
        CU_ASSERT_EQUAL(stage.n_logged, ELEMENTSOF(not_configured));
        answer = stage_ask(&stage, "absent.sock");
        CU_ASSERT_EQUAL(answer.r, -ENOENT);
        stage_deinit(&stage);
}

static void test_lying_paths(void) {
        Stage stage;
        Answer answer;
        char path[128];
        int fd;

        stage_init(&stage);
        (void) snprintf(path, sizeof(path), "%s/link.sock", stage.folder);
        CU_ASSERT_EQUAL(symlink("qmp.sock", path), 0);
        answer = stage_ask(&stage, "link.sock");
        CU_ASSERT_EQUAL(answer.r, -EPERM);
        CU_ASSERT_PTR_NOT_NULL(strstr(answer.error, "symbolic link"));

        (void) snprintf(path, sizeof(path), "%s/file.sock", stage.folder);
        fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        CU_ASSERT_TRUE(fd >= 0);
        (void) fd_close(fd);
        answer = stage_ask(&stage, "file.sock");
        CU_ASSERT_EQUAL(answer.r, -ENOTSOCK);
        stage_deinit(&stage);
}

/* A folder on the way: root's links are followed, anybody else's are not. */
static void test_folder_links(void) {
        Stage stage;
        char path[160], link[128], *error = NULL;
        int fd = -1;

        if (geteuid() != 0) {
                harness_skip("root, to make a link of somebody else");
                return;
        }
        stage_init(&stage);
        (void) snprintf(link, sizeof(link), "%s/folder", stage.folder);
        (void) snprintf(path, sizeof(path), "%s/folder/qmp.sock", stage.folder);
        CU_ASSERT_EQUAL(symlink(stage.folder, link), 0);
        CU_ASSERT_EQUAL(qmp_path_connect(path, &fd, &error), 0);
        fd = fd_close(fd);

        CU_ASSERT_EQUAL(lchown(link, 65534, 65534), 0);
        CU_ASSERT_EQUAL(qmp_path_connect(path, &fd, &error), -EPERM);
        CU_ASSERT_PTR_NOT_NULL_FATAL(error);
        CU_ASSERT_PTR_NOT_NULL(strstr(error, "not root's"));
        free(error);

        CU_ASSERT_EQUAL(unlink(link), 0);
        CU_ASSERT_EQUAL(symlink("folder", link), 0);
        CU_ASSERT_EQUAL(qmp_path_connect(path, &fd, &error), -ELOOP);
        free(error);
        stage_deinit(&stage);
}

static void test_full_seat(void) {
        Stage stage;
        Answer answer;
        int fds[4] = { -1, -1, -1, -1 };

        stage_init(&stage);
        for (size_t i = 0; i < ELEMENTSOF(fds); i++) {
                answer = stage_ask(&stage, "qmp.sock");
                fds[i] = answer.fd;
        }
        CU_ASSERT_EQUAL(answer.r, -EAGAIN);
        CU_ASSERT_PTR_NOT_NULL(strstr(answer.error, "only seat"));
        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                (void) fd_close(fds[i]);
        stage_deinit(&stage);
}

static void test_cancel_and_window(void) {
        static Answer answers[1000]; /* more than fit the socket at once */
        char path[128];
        Stage stage;

        stage_init(&stage);
        (void) snprintf(path, sizeof(path), "%s/absent.sock", stage.folder);
        for (size_t i = 0; i < ELEMENTSOF(answers); i++)
                CU_ASSERT_EQUAL(
                        kernel_client_connect_qmp(stage.client, path, answer_take, &answers[i]), 0);
        kernel_client_cancel(stage.client, &answers[0]);
        kernel_client_cancel(stage.client, &answers[ELEMENTSOF(answers) - 1]);
        stage_run(&stage);
        CU_ASSERT_EQUAL(answers[0].n, 0);
        CU_ASSERT_EQUAL(answers[ELEMENTSOF(answers) - 1].n, 0);
        for (size_t i = 1; i < ELEMENTSOF(answers) - 1; i++)
                CU_ASSERT_EQUAL(answers[i].n, 1);
        stage_deinit(&stage);
}

static void test_helper_dies(void) {
        Answer answer = { .fd = -1 };
        char path[128], socket_path[128];
        Stage stage;

        stage_init(&stage);
        stage_run(&stage);
        (void) snprintf(path, sizeof(path), "%s/qmp.sock", stage.folder);
        (void) snprintf(socket_path, sizeof(socket_path), "%s/kernel.sock", stage.folder);
        CU_ASSERT_EQUAL(kernel_client_connect_qmp(stage.client, path, answer_take, &answer), 0);
        stage.helper = kernel_helper_free(stage.helper);
        (void) unlink(socket_path);
        stage_run(&stage);
        CU_ASSERT_EQUAL(answer.n, 1);
        CU_ASSERT_EQUAL(answer.r, -ECONNRESET);

        /* another one listens: after the pause the client is there again */
        CU_ASSERT_EQUAL_FATAL(
                kernel_helper_new(&stage.helper, stage.event, getuid(), &stage_ops, &stage), 0);
        CU_ASSERT_EQUAL_FATAL(
                kernel_helper_listen(stage.helper,
                                     stage_listen(stage.folder, "kernel.sock", SOCK_SEQPACKET)),
                0);
        CU_ASSERT_EQUAL(kernel_client_connect_qmp(stage.client, path, answer_take, &answer), 0);
        for (unsigned i = 0; i < 20 && answer.n < 2; i++)
                (void) sd_event_run(stage.event, 200 * USEC_PER_MSEC);
        CU_ASSERT_EQUAL(answer.n, 2);
        CU_ASSERT_EQUAL(answer.r, 0);
        (void) fd_close(answer.fd);
        stage_deinit(&stage);
}

static void test_reload(void) {
        Stage stage;

        stage_init(&stage);
        CU_ASSERT_EQUAL(kernel_client_reload(stage.client), 0);
        stage_run(&stage);
        CU_ASSERT_EQUAL(stage.n_reloads, 1);
        stage.reload_fails = true;
        CU_ASSERT_EQUAL(kernel_client_reload(stage.client), 0);
        stage_run(&stage);
        CU_ASSERT_EQUAL(stage.n_reloads, 2);
        stage_deinit(&stage);
}

/* Who listens here is a guest by its configuration, but not the one that is named. */
static void test_kill(void) {
        Stage stage;
        Answer connected, answer = {};
        KernelProcess process = { .pid = getppid(), .start_time = 1 };

        stage_init(&stage);
        connected = stage_ask(&stage, "qmp.sock");
        CU_ASSERT_EQUAL(kernel_client_kill(stage.client, &process, connected.fd, answer_take, &answer),
                        0);
        connected.fd = fd_close(connected.fd); /* it has its own */
        stage_run(&stage);
        CU_ASSERT_EQUAL(answer.n, 1);
        CU_ASSERT_EQUAL(answer.r, -EPERM);
        CU_ASSERT_PTR_NOT_NULL(strstr(answer.error, "its monitor is that of process"));
        CU_ASSERT_EQUAL(stage.n_logged, 1);

        answer = (Answer){};
        CU_ASSERT_EQUAL(kernel_client_kill(stage.client, &process, -1, answer_take, &answer), 0);
        stage_run(&stage);
        CU_ASSERT_EQUAL(answer.r, -EPERM);
        stage_deinit(&stage);
}

/* The end of the client answers what nobody will answer any more. */
static void test_client_ends(void) {
        KernelProcess process = { .pid = 1, .start_time = 1 };
        Answer answer = {};
        Stage stage;

        stage_init(&stage);
        CU_ASSERT_EQUAL(kernel_client_kill(stage.client, &process, -1, answer_take, &answer), 0);
        stage.client = kernel_client_free(stage.client);
        CU_ASSERT_EQUAL(answer.n, 1);
        CU_ASSERT_EQUAL(answer.r, -ECONNRESET);
        stage_deinit(&stage);
}

/* A peer that sends what is no request is closed; an unknown verb is refused in words. */
static void test_hostile_peer(void) {
        static const struct {
                KernelHeader header;
                size_t extra;
        } cases[] = {
                { { .version = 2, .verb = 1 }, 0 },
                { { .version = 1, .verb = 1, .length = 5 }, 0 },
                { { .version = 1, .verb = 1, .length = UINT32_MAX }, 0 },
                { { .version = 1, .verb = 1, .result = -1 }, 0 },
                { { .version = 1, .verb = 1, .length = 4 }, 4 }, /* NULs */
        };
        struct {
                KernelHeader header;
                char space[8];
        } packet;
        KernelPacket reply;
        Stage stage;
        int pair[2], passed = -1;
        char data[KERNEL_PACKET_MAX];
        size_t n;

        stage_init(&stage);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
                CU_ASSERT_EQUAL(kernel_helper_add_peer(stage.helper, pair[0]), 0);
                packet.header = cases[i].header;
                memset(packet.space, 0, sizeof(packet.space));
                CU_ASSERT_TRUE(send(pair[1], &packet, sizeof(packet.header) + cases[i].extra, 0) > 0);
                stage_run(&stage);
                CU_ASSERT_EQUAL(recv(pair[1], data, sizeof(data), MSG_DONTWAIT), 0);
                (void) close(pair[1]);
        }
        CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        CU_ASSERT_EQUAL(kernel_helper_add_peer(stage.helper, pair[0]), 0);
        packet.header = (KernelHeader){ .verb = 99, .id = 7 };
        CU_ASSERT_EQUAL(kernel_packet_send(pair[1], &packet.header, "/x", STDERR_FILENO), 0);
        stage_run(&stage);
        CU_ASSERT_EQUAL_FATAL(kernel_packet_receive(pair[1], data, sizeof(data), &n, &passed), 0);
        CU_ASSERT_EQUAL_FATAL(kernel_reply_parse(data, n, &reply), 0);
        CU_ASSERT_EQUAL(reply.header.id, 7);
        CU_ASSERT_EQUAL(reply.header.result, -EOPNOTSUPP);
        CU_ASSERT_EQUAL(passed, -1);
        (void) close(pair[1]);
        stage_deinit(&stage);
}

static void test_normal_paths(void) {
        char path[PATH_MAX + 8];

        CU_ASSERT_TRUE(qmp_path_is_normal("/run/vm/a.sock"));
        CU_ASSERT_TRUE(qmp_path_is_normal("/run/...x"));
        CU_ASSERT_FALSE(qmp_path_is_normal(""));
        CU_ASSERT_FALSE(qmp_path_is_normal("/"));
        CU_ASSERT_FALSE(qmp_path_is_normal("run/a"));
        CU_ASSERT_FALSE(qmp_path_is_normal("/run//a"));
        CU_ASSERT_FALSE(qmp_path_is_normal("/run/a/"));
        CU_ASSERT_FALSE(qmp_path_is_normal("/run/../a"));
        CU_ASSERT_FALSE(qmp_path_is_normal("/run/./a"));
        memset(path, 'a', sizeof(path));
        path[0] = '/';
        path[NAME_MAX + 1] = '\0';
        CU_ASSERT_TRUE(qmp_path_is_normal(path));
        path[NAME_MAX + 1] = 'a';
        path[NAME_MAX + 2] = '\0';
        CU_ASSERT_FALSE(qmp_path_is_normal(path));
        for (size_t i = 0; i < sizeof(path) - 1; i++)
                path[i] = i % 2 ? 'a' : '/';
        path[sizeof(path) - 1] = '\0';
        CU_ASSERT_FALSE(qmp_path_is_normal(path));
}

static void test_globs(void) {
        CU_ASSERT_TRUE(qmp_path_matches("/run/vm/*.qmp", "/run/vm/a.qmp"));
        CU_ASSERT_TRUE(qmp_path_matches("/run/*/qmp-[0-9]", "/run/x/qmp-7"));
        CU_ASSERT_FALSE(qmp_path_matches("/run/*", "/run/vm/a.qmp"));
        CU_ASSERT_FALSE(qmp_path_matches("/run/*/*", "/run/a"));
        CU_ASSERT_FALSE(qmp_path_matches("/run/vm/*.qmp", "/run/vm/.a.qmp"));
        CU_ASSERT_FALSE(qmp_path_matches("/run/vm/*.qmp", "/run/vm/a.qmp/b"));
        CU_ASSERT_FALSE(qmp_path_matches("run/*", "run/a"));
}

TEST_MAIN("kernel-helper",
          { "connect", test_connect },
          { "refusals", test_refusals },
          { "lying paths", test_lying_paths },
          { "folder links", test_folder_links },
          { "full seat", test_full_seat },
          { "cancel and window", test_cancel_and_window },
          { "the helper dies", test_helper_dies },
          { "reload", test_reload },
          { "kill", test_kill },
          { "the client ends", test_client_ends },
          { "hostile peer", test_hostile_peer },
          { "normal paths", test_normal_paths },
          { "globs", test_globs })
