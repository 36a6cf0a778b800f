/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guest's memory: QEMU writes it into a socket, whose other end is its program's stdin. "detach", so
 * that QEMU's monitors go on answering meanwhile; then the end of the dump is the end of what comes.
 * A socket and no pipe, since it can be shut from here: a program whose disk hangs can't be killed,
 * and QEMU would wait for it for ever.
 *
 * The difficulty is what QEMU does after that end. It refuses "cont" until it has noticed that a
 * dump was abandoned; and it lets a guest that it stopped for the dump go on a little later. What is
 * to be done next waits for both, or it would be refused, or undone.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/evidence/evidence-private.h"
#include "daemon/kernel/fd.h"
#include "policy/util/size.h"

/* QEMU's name for the descriptor. A second one of this name replaces the first. */
#define MEMORY_FD_NAME "tocsin-dump"
/* Both take some milliseconds; it is looked so often, and no longer. */
#define MEMORY_LOOK_US (50 * USEC_PER_MSEC)
#define MEMORY_LOOKS_MAX 40

static int memory_add(json_object *object, const char *key, json_object *value) {
        if (!value || json_object_object_add(object, key, value) < 0) {
                json_object_put(value);
                return -ENOMEM;
        }
        return 0;
}

/* The program has nothing to wait for any more: it removes what it began, and ends. */
static void memory_fail(EvidenceTask *task, const char *what, int r, const char *error) {
        evidence_set_problem(task, "%s: %s", what, error ? error : strerror(-r));
        if (task->program)
                program_stop(task->program);
}

static void memory_started(EvidenceTask *task, int r, json_object *ret, const char *error) {
        if (r < 0)
                memory_fail(task, "dump-guest-memory", r, error);
}

static void memory_dump(EvidenceTask *task, int r, json_object *ret, const char *error) {
        json_object *arguments;

        if (r < 0) {
                memory_fail(task, "getfd", r, error);
                return;
        }
        arguments = json_object_new_object();
        r = arguments ? 0 : -ENOMEM;
        if (r == 0)
                r = memory_add(arguments, "paging", json_object_new_boolean(false));
        if (r == 0)
                r = memory_add(arguments, "detach", json_object_new_boolean(true));
        if (r == 0)
                r = memory_add(arguments, "format", json_object_new_string("kdump-zlib"));
        if (r == 0)
                r = memory_add(arguments, "protocol", json_object_new_string("fd:" MEMORY_FD_NAME));
        if (r == 0)
                r = evidence_call(task, BACKEND_DUMP, arguments, -1, memory_started);
        json_object_put(arguments);
        if (r < 0)
                memory_fail(task, "dump-guest-memory", r, NULL);
}

/* The program is there to read. */
static void memory_hand_over(EvidenceTask *task) {
        json_object *arguments = json_object_new_object();
        int r;

        r = arguments ? memory_add(arguments, "fdname", json_object_new_string(MEMORY_FD_NAME))
                      : -ENOMEM;
        if (r == 0)
                r = evidence_call(task, BACKEND_GETFD, arguments, task->write_fd, memory_dump);
        json_object_put(arguments);
        /* ours must be closed, or it has no end */
        task->write_fd = fd_close(task->write_fd);
        if (r < 0)
                memory_fail(task, "getfd", r, NULL);
}

static uint64_t memory_get(json_object *object, const char *key) {
        json_object *value;

        return json_object_object_get_ex(object, key, &value) ? json_object_get_uint64(value) : 0;
}

static void memory_progressed(EvidenceTask *task, int r, json_object *ret, const char *error) {
        task->is_asking = false;
        if (r < 0)
                return;
        task->progress.completed = memory_get(ret, "completed");
        task->progress.total = memory_get(ret, "total");
}

static void memory_line(EvidenceTask *task, const char *word, const char *rest) {
        uint64_t number;

        if (strcmp(word, "ready") == 0) {
                if (task->write_fd >= 0 && task->stage == EVIDENCE_WORKING)
                        memory_hand_over(task);
                return;
        }
        if (size_parse_number(rest, &number) < 0)
                return;
        if (strcmp(word, "removed") == 0) {
                task->evidence->ops.removed(task->machine,
                                            number,
                                            task->incident,
                                            task->evidence->userdata);
        } else if (strcmp(word, "bytes") == 0) {
                task->progress.kept = number;
                if (!task->is_asking &&
                    evidence_call(task, BACKEND_QUERY_DUMP, NULL, -1, memory_progressed) == 0)
                        task->is_asking = true;
        }
}

static void memory_start(EvidenceTask *task) {
        const RoomLimits *room = &task->evidence->limits.room;
        const uint64_t limits[] = {
                room->dumps + task->for_log, room->machine_bytes, room->total_bytes, room->free_bytes
        };
        char texts[ELEMENTSOF(limits)][SIZE_TEXT_SIZE];
        const char *extra[ELEMENTSOF(limits) + 1] = { NULL };
        int fds[2], r;

        for (size_t i = 0; i < ELEMENTSOF(limits); i++) {
                (void) snprintf(texts[i], sizeof(texts[i]), "%" PRIu64, limits[i]);
                extra[i] = texts[i];
        }
        r = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0 ? -errno : 0;
        if (r == 0) {
                task->read_fd = fds[0];
                task->write_fd = fds[1];
                r = evidence_spawn(task, task->read_fd, extra);
        }
        if (r < 0) {
                evidence_set_problem(task, "%s", strerror(-r));
                evidence_finish(task);
        }
}

static void memory_look_again(EvidenceTask *task) {
        if (task->looks >= MEMORY_LOOKS_MAX)
                evidence_finish(task);
        else
                evidence_arm(task, MEMORY_LOOK_US);
}

static void memory_take_status(EvidenceTask *task, int r, json_object *ret, const char *error) {
        json_object *running;

        if (r < 0 || (json_object_object_get_ex(ret, "running", &running) &&
                      json_object_get_boolean(running)))
                evidence_finish(task);
        else
                memory_look_again(task);
}

static void memory_take_dump(EvidenceTask *task, int r, json_object *ret, const char *error) {
        json_object *status;

        if (r == 0 && json_object_object_get_ex(ret, "status", &status) &&
            strcmp(json_object_get_string(status), "active") == 0)
                memory_look_again(task);
        else if (r < 0 || !task->running ||
                 evidence_call(task, BACKEND_QUERY_STATUS, NULL, -1, memory_take_status) < 0)
                evidence_finish(task);
}

/* The program has ended; has QEMU? */
static void memory_look(EvidenceTask *task) {
        if (!task->done) {
                evidence_finish(task);
                return;
        }
        task->stage = EVIDENCE_WORKING;
        task->looks++;
        evidence_arm(task, USEC_INFINITY);
        if (evidence_call(task, BACKEND_QUERY_DUMP, NULL, -1, memory_take_dump) < 0)
                evidence_finish(task);
}

const EvidenceType evidence_memory = {
        .kind = EVIDENCE_MEMORY,
        .word = "memory",
        .turns = 1, /* two would only share the disk, and both be late */
        .takes_memory = true,
        .start = memory_start,
        .line = memory_line,
        .ended = memory_look,
};
