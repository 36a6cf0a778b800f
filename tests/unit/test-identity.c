/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who a guest is: what /proc says of its process, what QMP says of it, whose sockets are not ours to
 * take, and the tables it is found by.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/machine/index.h"
#include "daemon/machine/manager-path.h"
#include "daemon/machine/process.h"
#include "daemon/machine/qmp-identity.h"
#include "policy/qapi/json.h"
#include "policy/qapi/qmp-message.h"
#include "tests/unit/harness.h"

static json_object *parse(const char *text) {
        json_object *object = NULL;

        CU_ASSERT_EQUAL_FATAL(json_parse(text, strlen(text), &object, NULL), 0);
        return object;
}

static void test_status_text(void) {
        bool nested = true;
        pid_t tgid = 0;
        uid_t uid = 0;

        CU_ASSERT_EQUAL(process_parse_status("Name:\tqemu\nTgid:\t4711\nPid:\t4713\nPPid:\t1\n"
                                             "Uid:\t0\t64055\t0\t0\nNSpid:\t4713\nGroups:\t7\n",
                                             &tgid,
                                             &uid,
                                             &nested),
                        0);
        CU_ASSERT_EQUAL(tgid, 4711);
        CU_ASSERT_EQUAL(uid, 64055);
        CU_ASSERT_FALSE(nested);
        CU_ASSERT_EQUAL(process_parse_status("Name:\tx\nTgid:\t9\nUid:\t1\t1\t1\t1\nNSpid:\t9\t7\n",
                                             &tgid,
                                             &uid,
                                             &nested),
                        0);
        CU_ASSERT_TRUE(nested);
        CU_ASSERT_EQUAL(process_parse_status("Name:\tx\nUid:\t1\t1\t1\t1\n", &tgid, &uid, &nested),
                        -EINVAL);
        CU_ASSERT_EQUAL(process_parse_status("Name:\tx\nTgid:\t0\nUid:\t1\t1\n", &tgid, &uid, &nested),
                        -EINVAL);
        CU_ASSERT_EQUAL(process_parse_status("", &tgid, &uid, &nested), -EINVAL);
        CU_ASSERT_EQUAL(tgid, 9);
}

/* The name may hold anything: numbers are counted from the last parenthesis. */
static void test_stat_text(void) {
        uint64_t start = 0, ticks = 0;

        CU_ASSERT_EQUAL(process_parse_stat("12 (a) R 9 9) S 1 12 12 0 -1 4194560 1 2 3 4 50 60 7 8 20 0 4 0 "
                                           "777 8192 20\n",
                                           &start,
                                           &ticks),
                        0);
        CU_ASSERT_EQUAL(start, 777);
        CU_ASSERT_EQUAL(ticks, 110);
        CU_ASSERT_EQUAL(process_parse_stat("12 (a) S 1 12", &start, &ticks), -EINVAL);
        CU_ASSERT_EQUAL(process_parse_stat("nothing", &start, &ticks), -EINVAL);
}

static void test_own_process(void) {
        char id[PROCESS_RUN_ID_SIZE], again[PROCESS_RUN_ID_SIZE];
        Process process = PROCESS_NULL, other = PROCESS_NULL;
        pid_t child;

        CU_ASSERT_EQUAL_FATAL(process_open(getpid(), &process), 0);
        CU_ASSERT_EQUAL(process.pid, getpid());
        CU_ASSERT_EQUAL(process.uid, geteuid());
        CU_ASSERT_FALSE(process_has_ended(&process));
        CU_ASSERT_EQUAL(process_get_run_id(&process, id), 0);
        CU_ASSERT_EQUAL(strcspn(id, "-"), 8);
        CU_ASSERT_EQUAL(process_open(-1, &other), -ESRCH);
        CU_ASSERT_EQUAL(process_open(0, &other), -ESRCH);

        child = fork();
        if (child == 0) {
                (void) pause();
                _exit(0);
        }
        CU_ASSERT_EQUAL_FATAL(process_open(child, &other), 0);
        CU_ASSERT_EQUAL(process_get_run_id(&other, again), 0);
        CU_ASSERT_STRING_NOT_EQUAL(id, again);
        CU_ASSERT_EQUAL(kill(child, SIGKILL), 0);
        CU_ASSERT_EQUAL(waitpid(child, NULL, 0), child);
        CU_ASSERT_TRUE(process_has_ended(&other));
        /* 0 where the kernel is older than 6.15 */
        CU_ASSERT_TRUE(process_get_end_signal(&other) == SIGKILL ||
                       process_get_end_signal(&other) == 0);
        process_deinit(&other);
        CU_ASSERT_EQUAL(process_open(child, &other), -ESRCH);
        process_deinit(&process);
}

static void test_read_status(void) {
        static const char *const broken[] = {
                "{}",
                "[]",
                "7",
                "null",
                "{\"status\": 7, \"running\": true}",
                "{\"status\": \"nonsense\", \"running\": true}",
                "{\"status\": \"running\"}",
                "{\"status\": \"running\", \"running\": 1}",
        };
        RunState state = RUN_STATE_DEBUG;
        bool running = false;
        json_object *ret;

        ret = parse("{\"status\": \"guest-panicked\", \"singlestep\": false, \"running\": true}");
        CU_ASSERT_EQUAL(qmp_identity_read_status(ret, &state, &running), 0);
        CU_ASSERT_EQUAL(state, RUN_STATE_GUEST_PANICKED);
        CU_ASSERT_TRUE(running);
        json_object_put(ret);
        for (size_t i = 0; i < ELEMENTSOF(broken); i++) {
                ret = parse(broken[i]);
                CU_ASSERT_EQUAL(qmp_identity_read_status(ret, &state, &running), -EINVAL);
                json_object_put(ret);
        }
        CU_ASSERT_EQUAL(state, RUN_STATE_GUEST_PANICKED);
}

static unsigned abilities_of(const char *commands, unsigned version) {
        QmpIdentity identity = {};
        json_object *ret = parse(commands);

        (void) qmp_identity_read_commands(&identity, ret, version);
        json_object_put(ret);
        return identity.abilities;
}

/* What is a command is asked for; what is only a value of one follows from the version. */
static void test_abilities(void) {
        static const char modern[] = "[{\"name\": \"set-action\"}, {\"name\": \"cont\"}, 7, {}, "
                                     "{\"name\": \"dump-guest-memory\"}]";

        CU_ASSERT_EQUAL(abilities_of("[{\"name\": \"watchdog-set-action\"}]",
                                     QMP_MESSAGE_VERSION(4, 2, 0)),
                        ABILITY_WATCHDOG_SET_ACTION);
        CU_ASSERT_EQUAL(abilities_of(modern, QMP_MESSAGE_VERSION(6, 0, 0)),
                        ABILITY_SET_ACTION | ABILITY_PANIC_NONE | ABILITY_CONT | ABILITY_DUMP);
        CU_ASSERT_EQUAL(abilities_of(modern, QMP_MESSAGE_VERSION(11, 0, 0)),
                        ABILITY_SET_ACTION | ABILITY_PANIC_NONE | ABILITY_EXIT_FAILURE |
                                ABILITY_CONT | ABILITY_DUMP);
        CU_ASSERT_EQUAL(abilities_of("{}", 0), 0);
}

static void test_manager_paths(void) {
        CU_ASSERT_STRING_EQUAL(manager_path_find("/var/lib/libvirt/qemu/domain-1-a/monitor.sock"),
                               "libvirt");
        CU_ASSERT_STRING_EQUAL(manager_path_find(
                                       "/home/bob/.config/libvirt/qemu/lib/domain-1-a/monitor.sock"),
                               "libvirt");
        CU_ASSERT_STRING_EQUAL(manager_path_find("/run/qemu-server/100.qmp"), "Proxmox VE");
        CU_ASSERT_STRING_EQUAL(manager_path_find("/var/run/qemu-server/100.qmp"), "Proxmox VE");
        CU_ASSERT_PTR_NULL(manager_path_find("/run/vm/a.qmp"));
        CU_ASSERT_PTR_NULL(manager_path_find("/srv/var/lib/libvirt/qemu"));
}

typedef struct Element {
        IndexLink link;
        char key[16];
} Element;

static void test_index(void) {
        static Element elements[1000];
        Index index = {};

        CU_ASSERT_PTR_NULL(index_find(&index, "x"));
        for (size_t i = 0; i < ELEMENTSOF(elements); i++) {
                (void) snprintf(elements[i].key, sizeof(elements[i].key), "guest-%zu", i);
                CU_ASSERT_EQUAL(index_add(&index, &elements[i].link, elements[i].key), 0);
        }
        CU_ASSERT_EQUAL(index_add(&index, &(IndexLink){}, "guest-7"), -EEXIST);
        CU_ASSERT_TRUE(index.n_buckets >= ELEMENTSOF(elements)); /* finding is no walk */
        for (size_t i = 0; i < ELEMENTSOF(elements); i += 2)
                index_remove(&index, &elements[i].link);
        index_remove(&index, &elements[0].link);
        for (size_t i = 0; i < ELEMENTSOF(elements); i++) {
                IndexLink *found = index_find(&index, elements[i].key);

                CU_ASSERT_PTR_EQUAL(found, i % 2 ? &elements[i].link : NULL);
        }
        CU_ASSERT_EQUAL(index.n, ELEMENTSOF(elements) / 2);
        index_deinit(&index);
}

TEST_MAIN("identity",
          { "status text", test_status_text },
          { "stat text", test_stat_text },
          { "own process", test_own_process },
          { "read status", test_read_status },
          { "abilities", test_abilities },
          { "manager paths", test_manager_paths },
          { "index", test_index })
