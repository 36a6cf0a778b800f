/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The registers of every CPU, as QEMU shows them to people: it has no other form for them. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "daemon/evidence/evidence-private.h"
#include "daemon/kernel/fd.h"

/* Small programs: more at once would only wait for each other's disk. */
#define REGISTERS_TURNS 8

/* The text waits in memory for its program to read it: a pipe has no room for all of it. */
static int registers_keep(EvidenceTask *task, json_object *text) {
        _cleanup_fd_ int fd = memfd_create("tocsin-registers", MFD_CLOEXEC);
        size_t n = (size_t) json_object_get_string_len(text);
        ssize_t written;

        if (fd < 0)
                return -errno;
        written = write(fd, json_object_get_string(text), n);
        if (written < 0)
                return -errno;
        if ((size_t) written < n)
                return -ENOSPC;
        if (lseek(fd, 0, SEEK_SET) < 0)
                return -errno;
        return evidence_spawn(task, fd, NULL);
}

static void registers_answered(EvidenceTask *task, int r, json_object *ret, const char *error) {
        if (r == 0 && !json_object_is_type(ret, json_type_string)) {
                r = -EBADMSG;
                error = "info registers: no text";
        }
        if (r == 0)
                r = registers_keep(task, ret);
        if (r < 0) {
                evidence_set_problem(task, "%s", error ? error : strerror(-r));
                evidence_finish(task);
        }
}

static void registers_start(EvidenceTask *task) {
        int r = evidence_call(task, BACKEND_REGISTERS, NULL, -1, registers_answered);

        if (r < 0) {
                evidence_set_problem(task, "info registers: %s", strerror(-r));
                evidence_finish(task);
        }
}

const EvidenceType evidence_registers = {
        .kind = EVIDENCE_REGISTERS,
        .word = "registers",
        .turns = REGISTERS_TURNS,
        .start = registers_start,
        .ended = evidence_finish,
};
