/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A Linux guest's kernel log, out of the dump of its memory that was taken before: its program runs
 * makedumpfile, and says which line of the log tells why the kernel panicked. A dump that was
 * taken for this alone goes with it.
 */
#include <errno.h>
#include <string.h>

#include "daemon/evidence/evidence-private.h"

/* Dumps take their turns; what follows one has had its. */
#define LOG_TURNS 64

static void log_start(EvidenceTask *task) {
        const char *const extra[] = { task->for_log ? "drop" : "keep", NULL };
        int r = evidence_spawn(task, -1, extra);

        if (r < 0) {
                evidence_set_problem(task, "%s", strerror(-r));
                evidence_finish(task);
        }
}

static void log_take(char **at, const char *words) {
        free(*at);
        *at = strdup(words);
}

static void log_line(EvidenceTask *task, const char *word, const char *rest) {
        if (strcmp(word, "headline") == 0)
                log_take(&task->headline, rest);
        else if (strcmp(word, "trace") == 0)
                log_take(&task->trace, rest);
}

const EvidenceType evidence_log = {
        .kind = EVIDENCE_LOG,
        .word = "log",
        .turns = LOG_TURNS,
        .start = log_start,
        .line = log_line,
        .ended = evidence_finish,
};
