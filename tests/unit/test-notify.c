/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What tocsin-kernel makes of a request to run a program, and how it runs it: real programs, and a
 * tocsind that goes away meanwhile. What the record says of it all is asked in tests/qemu/test-notify.py.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/kernel/fd.h"
#include "daemon/kernel/helper.h"
#include "daemon/kernel/notifier.h"
#include "daemon/kernel/notify-program.h"
#include "daemon/kernel/protocol.h"
#include "policy/util/moment.h"
#include "tests/unit/harness.h"

#define HEAD "mail 7 web-1 panic open reset\n"

static void test_request(void) {
        IncidentInfo incident = { .id = 18446744073709551615U,
                                  .machine = (char *) (uintptr_t) "a\\x20b",
                                  .kind = INCIDENT_KIND_MEMORY_FAILURE,
                                  .status = INCIDENT_STATUS_CLOSED };
        _cleanup_(buffer_deinit) Buffer text = BUFFER_NULL;
        NotifyRequest request;

        CU_ASSERT_EQUAL(notify_request_parse(HEAD "{}\n", &request), 0);
        CU_ASSERT_STRING_EQUAL(request.section, "mail");
        CU_ASSERT_STRING_EQUAL(request.machine, "web-1");
        CU_ASSERT_EQUAL(request.incident, 7);
        CU_ASSERT_EQUAL(request.kind, INCIDENT_KIND_PANIC);
        CU_ASSERT_EQUAL(request.status, INCIDENT_STATUS_OPEN);
        CU_ASSERT_TRUE(request.has_action);
        CU_ASSERT_EQUAL(request.action, ACTION_RESET);
        CU_ASSERT_EQUAL(request.n_record, 3);
        CU_ASSERT_STRING_EQUAL(request.record, "{}\n");

        /* what one side writes the other can read */
        CU_ASSERT_EQUAL(notify_request_append_head(&text, "x", &incident), 0);
        CU_ASSERT_EQUAL(buffer_append(&text, "{}\n", 4), 0);
        CU_ASSERT_EQUAL(notify_request_parse(buffer_content(&text), &request), 0);
        CU_ASSERT_EQUAL(request.incident, UINT64_MAX);
        CU_ASSERT_STRING_EQUAL(request.machine, "a\\x20b");
        CU_ASSERT_EQUAL(request.kind, INCIDENT_KIND_MEMORY_FAILURE);
        CU_ASSERT_FALSE(request.has_action);
}

static void test_request_refused(void) {
        static const char *const wrong[] = {
                "",
                "\n",
                HEAD,
                HEAD "\n",
                HEAD "{}",
                HEAD "{}\n{}\n",
                HEAD "{\n}\n",
                "mail 7 web-1 panic open\n{}\n",
                "mail 7 web-1 panic open reset more\n{}\n",
                "mail  7 web-1 panic open reset\n{}\n",
                " mail 7 web-1 panic open reset\n{}\n",
                "mail 7 web-1 panic open \n{}\n",
                "../mail 7 web-1 panic open reset\n{}\n",
                "mail 0 web-1 panic open reset\n{}\n",
                "mail -7 web-1 panic open reset\n{}\n",
                "mail 0x7 web-1 panic open reset\n{}\n",
                "mail 18446744073709551616 web-1 panic open reset\n{}\n",
                "mail 7 web$(id) panic open reset\n{}\n",
                "mail 7 .web panic open reset\n{}\n",
                "mail 7 web-1 Panic open reset\n{}\n",
                "mail 7 web-1 panic opened reset\n{}\n",
                "mail 7 web-1 panic open --help\n{}\n",
                "mail 7 web-1\tpanic open reset\n{}\n",
        };
        char name[2 * NAME_LENGTH_MAX + sizeof(HEAD)];
        NotifyRequest request;

        for (size_t i = 0; i < ELEMENTSOF(wrong); i++) {
                if (notify_request_parse(wrong[i], &request) != -EINVAL)
                        printf("taken: %s\n", wrong[i]);
                CU_ASSERT_EQUAL(notify_request_parse(wrong[i], &request), -EINVAL);
        }
        CU_ASSERT_EQUAL(notify_request_parse("mail 7 host panic open reset\n{}\n", &request), 0);

        memset(name, 'a', sizeof(name));
        memcpy(name + NAME_LENGTH_MAX, " 7 web-1 panic open reset\n{}\n", 30);
        CU_ASSERT_EQUAL(notify_request_parse(name, &request), 0);
        name[NAME_LENGTH_MAX] = 'a';
        memcpy(name + NAME_LENGTH_MAX + 1, " 7 web-1 panic open reset\n{}\n", 30);
        CU_ASSERT_EQUAL(notify_request_parse(name, &request), -EINVAL);
}

typedef struct Stage {
        char folder[64], program[128];
        sd_event *event;
        NotifyConfig config;
        Notifier *notifier;
        unsigned n_ended;
        int r;
        char text[2 * NOTIFIER_OUTPUT_MAX];
        unsigned n_logged;
} Stage;

static void stage_init(Stage *stage, const char *script) {
        FILE *file;

        *stage = (Stage){};
        (void) snprintf(stage->folder, sizeof(stage->folder), "/tmp/test-notify-XXXXXX");
        CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(stage->folder));
        CU_ASSERT_EQUAL(chmod(stage->folder, 0755), 0);
        (void) snprintf(stage->program, sizeof(stage->program), "%s/program", stage->folder);
        file = fopen(stage->program, "w");
        CU_ASSERT_PTR_NOT_NULL_FATAL(file);
        (void) fprintf(file, "#!/bin/sh\n%s\n", script);
        (void) fclose(file);
        CU_ASSERT_EQUAL(chmod(stage->program, 0755), 0);
        CU_ASSERT_EQUAL_FATAL(sd_event_new(&stage->event), 0);
        CU_ASSERT_EQUAL_FATAL(notifier_new(&stage->notifier, stage->event), 0);
        stage->config = (NotifyConfig){ .name = (char *) (uintptr_t) "mail",
                                        .program = stage->program,
                                        .user = (char *) (uintptr_t) "nobody",
                                        .deadline_us = 10 * USEC_PER_SEC };
}

static void stage_deinit(Stage *stage) {
        char command[128];

        notifier_free(stage->notifier);
        sd_event_unref(stage->event);
        (void) snprintf(command, sizeof(command), "rm -rf %s", stage->folder);
        CU_ASSERT_EQUAL(system(command), 0);
}

static void stage_ended(int r, const char *text, void *userdata) {
        Stage *stage = userdata;

        stage->n_ended++;
        stage->r = r;
        (void) snprintf(stage->text, sizeof(stage->text), "%s", text);
}

static int stage_start(Stage *stage, const char *record) {
        _cleanup_free_ char *text = NULL, *error = NULL;
        NotifyRequest request;

        CU_ASSERT_TRUE_FATAL(asprintf(&text, HEAD "%s\n", record) > 0);
        CU_ASSERT_EQUAL_FATAL(notify_request_parse(text, &request), 0);
        return notifier_start(stage->notifier, &stage->config, &request, stage_ended, stage, &error);
}

/* Until so many have ended, or for ten seconds. */
static void stage_run(Stage *stage, unsigned n_ended) {
        for (unsigned i = 0; i < 500 && stage->n_ended < n_ended; i++)
                (void) sd_event_run(stage->event, 20 * USEC_PER_MSEC);
        CU_ASSERT_EQUAL(stage->n_ended, n_ended);
}

static void test_run(void) {
        Stage stage;

        stage_init(&stage, "cat; echo $TOCSIN_MACHINE $TOCSIN_INCIDENT >&2; echo $#");
        CU_ASSERT_EQUAL(stage_start(&stage, "{\"text\": \"$(id) `id` ; id\"}"), 0);
        stage_run(&stage, 1);
        CU_ASSERT_EQUAL(stage.r, 0);
        CU_ASSERT_STRING_EQUAL(stage.text,
                               "exit status 0\n{\"text\": \"$(id) `id` ; id\"}\nweb-1 7\n0");
        stage_deinit(&stage);
}

/* A record as long as a request allows, to a program that does not read it. */
static void test_unread(void) {
        char record[KERNEL_TEXT_MAX - sizeof(HEAD) - 1];
        Stage stage;

        memset(record, 'x', sizeof(record));
        record[sizeof(record) - 1] = '\0';
        stage_init(&stage, "exit 1");
        CU_ASSERT_EQUAL(stage_start(&stage, record), 0);
        stage_run(&stage, 1);
        CU_ASSERT_EQUAL(stage.r, -ECHILD);
        CU_ASSERT_STRING_EQUAL(stage.text, "exit status 1\n");
        stage_deinit(&stage);
}

static void test_places(void) {
        Stage stage;

        stage_init(&stage, "sleep 0.2");
        for (unsigned i = 0; i < KERNEL_NOTIFY_MAX; i++)
                CU_ASSERT_EQUAL(stage_start(&stage, "{}"), 0);
        CU_ASSERT_EQUAL(stage_start(&stage, "{}"), -EBUSY);
        stage_run(&stage, KERNEL_NOTIFY_MAX);
        CU_ASSERT_EQUAL(stage_start(&stage, "{}"), 0);
        /* freed with one that runs */
        stage_deinit(&stage);
        CU_ASSERT_EQUAL(stage.n_ended, KERNEL_NOTIFY_MAX);
}

static void test_check(void) {
        char path[NOTIFY_PATH_SIZE], link[128];
        _cleanup_free_ char *error = NULL;
        Stage stage;

        stage_init(&stage, "");
        CU_ASSERT_EQUAL(notify_program_check(stage.program, geteuid(), path, &error), 0);
        CU_ASSERT_STRING_EQUAL(path, stage.program);
        (void) snprintf(link, sizeof(link), "%s/link", stage.folder);
        CU_ASSERT_EQUAL(symlink("program", link), 0);
        CU_ASSERT_EQUAL(notify_program_check(link, geteuid(), path, &error), 0);
        CU_ASSERT_STRING_EQUAL(path, stage.program);
        CU_ASSERT_PTR_NULL(error);

        CU_ASSERT_EQUAL(chmod(stage.program, 0757), 0);
        CU_ASSERT_EQUAL(notify_program_check(link, geteuid(), path, &error), -EPERM);
        CU_ASSERT_PTR_NOT_NULL_FATAL(error);
        CU_ASSERT_PTR_NOT_NULL(strstr(error, "by others"));
        stage_deinit(&stage);
}

static bool stage_may_connect(const char *path, void *userdata) {
        return false;
}

static const NotifyConfig *stage_find(const char *name, void *userdata) {
        const Stage *stage = userdata;

        return strcmp(name, stage->config.name) == 0 ? &stage->config : NULL;
}

static void stage_log(const char *text, void *userdata) {
        ((Stage *) userdata)->n_logged++;
}

static const KernelHelperOps stage_ops = { .may_connect = stage_may_connect,
                                           .find_notify = stage_find,
                                           .log = stage_log };

/* Through the helper: what is no section is refused, and the reply of one that runs comes when it ends,
 * to nobody if tocsind has gone. */
static void test_helper(void) {
        static const char *const texts[] = { HEAD "{}\n", "fax 7 web-1 panic open reset\n{}\n", "x" };
        static const int results[] = { 0, -EPERM, -EINVAL };
        int pair[2], passed = -1;
        char *data = malloc(KERNEL_PACKET_MAX);
        KernelPacket *reply = malloc(sizeof(*reply));
        KernelHelper *helper;
        Stage stage;
        size_t n;

        CU_ASSERT_TRUE_FATAL(data && reply);
        stage_init(&stage, "sleep 0.1; echo told");
        CU_ASSERT_EQUAL_FATAL(kernel_helper_new(&helper, stage.event, getuid(), &stage_ops, &stage),
                              0);
        CU_ASSERT_EQUAL_FATAL(
                socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
        CU_ASSERT_EQUAL(kernel_helper_add_peer(helper, pair[0]), 0);
        for (size_t i = ELEMENTSOF(texts); i-- > 0;) {
                KernelHeader header = { .verb = KERNEL_VERB_NOTIFY, .id = i };
                int r = -EAGAIN;

                CU_ASSERT_EQUAL(kernel_packet_send(pair[1], &header, texts[i], -1), 0);
                for (unsigned turn = 0; turn < 500 && r == -EAGAIN; turn++) {
                        (void) sd_event_run(stage.event, 20 * USEC_PER_MSEC);
                        r = kernel_packet_receive(pair[1], data, KERNEL_PACKET_MAX, &n, &passed);
                }
                CU_ASSERT_EQUAL_FATAL(r, 0);
                CU_ASSERT_EQUAL_FATAL(kernel_reply_parse(data, n, reply), 0);
                CU_ASSERT_EQUAL(reply->header.id, i);
                CU_ASSERT_EQUAL(reply->header.result, results[i]);
        }
        CU_ASSERT_STRING_EQUAL(reply->text, "exit status 0\ntold");

        CU_ASSERT_EQUAL(kernel_packet_send(pair[1],
                                           &(KernelHeader){ .verb = KERNEL_VERB_NOTIFY },
                                           texts[0],
                                           -1),
                        0);
        (void) sd_event_run(stage.event, 20 * USEC_PER_MSEC);
        (void) close(pair[1]);
        for (unsigned i = 0; i < 20; i++)
                (void) sd_event_run(stage.event, 20 * USEC_PER_MSEC);
        kernel_helper_free(helper);
        free(data);
        free(reply);
        stage_deinit(&stage);
}

TEST_MAIN("notify",
          { "request", test_request },
          { "requests refused", test_request_refused },
          { "run", test_run },
          { "unread", test_unread },
          { "places", test_places },
          { "check", test_check },
          { "helper", test_helper })
