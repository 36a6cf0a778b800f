/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whom tocsin-kernel kills, and whom not, whatever it is shown: real processes that listen, or call.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "daemon/kernel/fd.h"
#include "daemon/kernel/guest-kill.h"
#include "daemon/machine/process.h"
#include "policy/util/cleanup.h"
#include "tests/unit/harness.h"

typedef struct Stage {
        char folder[64];
        int listener; /* whom the child calls, or -1 */
        pid_t child;
        GuestKillClaim claim; /* of the child */
} Stage;

static struct sockaddr_un stage_address(const Stage *stage, const char *name) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        (void) snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", stage->folder, name);
        return address;
}

static int stage_bind(const Stage *stage, const char *name) {
        struct sockaddr_un address = stage_address(stage, name);
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

        CU_ASSERT_EQUAL_FATAL(bind(fd, (const struct sockaddr *) &address, sizeof(address)), 0);
        return fd;
}

static int stage_connect(const Stage *stage, const char *name, int fd) {
        struct sockaddr_un address = stage_address(stage, name);

        if (fd < 0)
                fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        CU_ASSERT_EQUAL_FATAL(connect(fd, (const struct sockaddr *) &address, sizeof(address)), 0);
        return fd;
}

/* A process that calls ours at `calls`, or (NULL) listens at `listens`. */
static void stage_init(Stage *stage, const char *listens, const char *calls) {
        _cleanup_(process_deinit) Process process = PROCESS_NULL;
        int ready[2];
        char c;

        *stage = (Stage){ .listener = -1 };
        (void) snprintf(stage->folder, sizeof(stage->folder), "/tmp/test-kill-XXXXXX");
        CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(stage->folder));
        CU_ASSERT_EQUAL_FATAL(pipe(ready), 0);
        if (calls) {
                stage->listener = stage_bind(stage, calls);
                CU_ASSERT_EQUAL_FATAL(listen(stage->listener, 1), 0);
        }
        stage->child = fork();
        CU_ASSERT_TRUE_FATAL(stage->child >= 0);
        if (stage->child == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (calls)
                        (void) stage_connect(stage, calls, -1);
                else
                        (void) listen(stage_bind(stage, listens), 4);
                (void) !write(ready[1], "x", 1);
                for (;;)
                        pause();
        }
        CU_ASSERT_EQUAL_FATAL(read(ready[0], &c, 1), 1);
        (void) close(ready[0]);
        (void) close(ready[1]);
        CU_ASSERT_EQUAL_FATAL(process_open(stage->child, &process), 0);
        stage->claim = (GuestKillClaim){ process.pid, process.start_time };
}

static bool stage_child_lives(const Stage *stage) {
        siginfo_t info = {};

        CU_ASSERT_EQUAL(waitid(P_PID, (id_t) stage->child, &info, WEXITED | WNOHANG | WNOWAIT), 0);
        return info.si_pid == 0;
}

static void stage_deinit(Stage *stage) {
        char command[128];

        (void) kill(stage->child, SIGKILL);
        CU_ASSERT_EQUAL(waitpid(stage->child, NULL, 0), stage->child);
        (void) fd_close(stage->listener);
        (void) snprintf(command, sizeof(command), "rm -rf %s", stage->folder);
        CU_ASSERT_EQUAL(system(command), 0);
}

static bool stage_is_monitor(const char *path, void *userdata) {
        const Stage *stage = userdata;

        return strcmp(path, stage_address(stage, "qmp.sock").sun_path) == 0;
}

static bool stage_is_caller(const char *path, uid_t uid, void *userdata) {
        const Stage *stage = userdata;

        return uid == getuid() && strcmp(path, stage_address(stage, "attach.sock").sun_path) == 0;
}

static const GuestKillOps stage_ops = { stage_is_monitor, stage_is_caller };

/* Nobody is killed, and it is said why. Takes fd. */
static void stage_expect_refusal(Stage *stage,
                                 const GuestKillClaim *claim,
                                 int fd,
                                 int r,
                                 const char *why) {
        char *error = NULL;

        CU_ASSERT_EQUAL(guest_kill(claim, fd, &stage_ops, stage, &error), r);
        CU_ASSERT_PTR_NOT_NULL_FATAL(error);
        if (!strstr(error, why))
                printf("%s: expected '%s'\n", error, why);
        CU_ASSERT_PTR_NOT_NULL(strstr(error, why));
        CU_ASSERT_TRUE(stage_child_lives(stage));
        free(error);
        (void) fd_close(fd);
}

static void stage_expect_end(Stage *stage, int fd) {
        char *error = NULL;
        siginfo_t info = {};

        CU_ASSERT_EQUAL(guest_kill(&stage->claim, fd, &stage_ops, stage, &error), 0);
        CU_ASSERT_PTR_NULL(error);
        CU_ASSERT_EQUAL(waitid(P_PID, (id_t) stage->child, &info, WEXITED | WNOWAIT), 0);
        CU_ASSERT_EQUAL(info.si_code, CLD_KILLED);
        CU_ASSERT_EQUAL(info.si_status, SIGKILL);
        (void) fd_close(fd);
}

static void test_parse(void) {
        static const char *const wrong[] = {
                "",
                " ",
                "1",
                "1 ",
                " 1 2",
                "1  2",
                "1 2 ",
                "+1 2",
                "-1 2",
                "1 -2",
                "0 1",
                "1 +2",
                "1 0x2",
                "2147483648 1",
                "1 18446744073709551616",
                "99999999999999999999 1",
                "1 2 3",
        };
        GuestKillClaim claim = {};

        CU_ASSERT_EQUAL(guest_kill_parse("4711 18446744073709551615", &claim), 0);
        CU_ASSERT_EQUAL(claim.pid, 4711);
        CU_ASSERT_EQUAL(claim.start_time, UINT64_MAX);
        for (size_t i = 0; i < ELEMENTSOF(wrong); i++)
                CU_ASSERT_EQUAL(guest_kill_parse(wrong[i], &claim), -EINVAL);
        CU_ASSERT_EQUAL(claim.pid, 4711);
}

static void test_monitor(void) {
        Stage stage;

        stage_init(&stage, "qmp.sock", NULL);
        stage_expect_end(&stage, stage_connect(&stage, "qmp.sock", -1));
        stage_deinit(&stage);
}

static void test_caller(void) {
        Stage stage;

        stage_init(&stage, NULL, "attach.sock");
        stage_expect_end(&stage, accept(stage.listener, NULL, NULL));
        stage_deinit(&stage);
}

/* The right guest, and a claim that is wrong. */
static void test_claims(void) {
        GuestKillClaim other;
        Stage stage;

        stage_init(&stage, "qmp.sock", NULL);
        other = stage.claim;
        other.pid = getppid();
        stage_expect_refusal(&stage,
                             &other,
                             stage_connect(&stage, "qmp.sock", -1),
                             -EPERM,
                             "its monitor is that of");
        other = stage.claim;
        other.start_time++;
        stage_expect_refusal(
                &stage, &other, stage_connect(&stage, "qmp.sock", -1), -ESRCH, "another one by now");
        stage_expect_refusal(&stage, &stage.claim, -1, -EPERM, "no connection");
        stage_deinit(&stage);
}

/* Processes that are no guests, and what a liar could show of them. */
static void test_others(void) {
        Stage stage;
        int pair[2], fd;

        stage_init(&stage, "service.sock", NULL);
        stage_expect_refusal(&stage,
                             &stage.claim,
                             stage_connect(&stage, "service.sock", -1),
                             -EPERM,
                             "does not count as a guest");
        /* our own end bears the name that callers are known by */
        stage_expect_refusal(&stage,
                             &stage.claim,
                             stage_connect(&stage, "service.sock", stage_bind(&stage, "attach.sock")),
                             -EPERM,
                             "does not count as a guest");
        CU_ASSERT_EQUAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        stage_expect_refusal(&stage, &stage.claim, pair[0], -EPERM, "does not count as a guest");
        (void) close(pair[1]);
        stage_expect_refusal(&stage,
                             &stage.claim,
                             socket(AF_INET, SOCK_STREAM, 0),
                             -EPERM,
                             "no connection to a guest");
        fd = stage_bind(&stage, "qmp.sock");
        CU_ASSERT_EQUAL(listen(fd, 1), 0);
        stage_expect_refusal(&stage, &stage.claim, fd, -EPERM, "no connection to a guest");
        stage_deinit(&stage);
}

/* The number of who has hung up may be another's by now. */
static void test_hung_up(void) {
        Stage stage;
        int listener, fd;

        stage_init(&stage, "other.sock", NULL);
        listener = stage_bind(&stage, "qmp.sock");
        CU_ASSERT_EQUAL(listen(listener, 1), 0);
        fd = stage_connect(&stage, "qmp.sock", -1);
        (void) close(accept(listener, NULL, NULL));
        (void) close(listener);
        stage_expect_refusal(&stage, &stage.claim, fd, -ESRCH, "has ended");
        stage_deinit(&stage);
}

TEST_MAIN("guest-kill",
          { "parse", test_parse },
          { "at its monitor", test_monitor },
          { "who called us", test_caller },
          { "claims", test_claims },
          { "others", test_others },
          { "hung up", test_hung_up })
