/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one difficulty: four may be late, in any order: the turn, the machine, the disk, and whoever
 * no longer wants it. A task has one timer, and its stage says what that means; a program that
 * does not even die, since its disk hangs, keeps its turn (another would hang as well), but
 * nobody waits for it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "daemon/evidence/evidence-private.h"
#include "daemon/kernel/fd.h"
#include "policy/util/duration.h"
#include "policy/util/size.h"

/* A machine that takes longer to answer is in no state to be dumped. */
#define EVIDENCE_ANSWER_US (30 * USEC_PER_SEC)
/* What is small must be quick: the action waits. */
#define EVIDENCE_SMALL_US (10 * USEC_PER_SEC)
/* A program removes what is half done; then it is killed. */
#define EVIDENCE_STOP_US (5 * USEC_PER_SEC)
#define EVIDENCE_EXTRA_MAX 4

/* In the order they are taken: what is quick, and what a dump could disturb, comes first. */
static const EvidenceType *const evidence_types[EVIDENCE_TYPES] = {
        &evidence_registers,
        &evidence_memory,
        &evidence_log, /* out of the dump */
};

unsigned evidence_find_kind(const char *word) {
        for (size_t i = 0; i < ELEMENTSOF(evidence_types); i++)
                if (strcmp(evidence_types[i]->word, word) == 0)
                        return (unsigned) evidence_types[i]->kind;
        return 0;
}

static unsigned *evidence_get_turns(Evidence *evidence, const EvidenceType *type) {
        size_t i = 0;

        while (evidence_types[i] != type)
                i++;
        return &evidence->turns[i];
}

static uint64_t evidence_now(const Evidence *evidence) {
        uint64_t now = 0;

        (void) sd_event_now(evidence->event, CLOCK_MONOTONIC, &now);
        return now;
}

/* Machines are asked with a number: the task may be gone when they answer. */
typedef struct EvidenceCall {
        List calls;
        Evidence *evidence; /* NULL: gone too */
        uint64_t number;
        EvidenceAnswer answer;
} EvidenceCall;

static void evidence_answered(int r, json_object *ret, const char *error, void *userdata) {
        _cleanup_free_ EvidenceCall *call = userdata;

        list_remove(&call->calls);
        if (!call->evidence)
                return;
        list_foreach(i, &call->evidence->tasks) {
                EvidenceTask *task = list_entry(i, EvidenceTask, tasks);

                if (task->number != call->number)
                        continue;
                if (task->stage == EVIDENCE_WORKING)
                        call->answer(task, r, ret, error);
                return;
        }
}

int evidence_call(EvidenceTask *task,
                  BackendVerb verb,
                  json_object *arguments,
                  int fd,
                  EvidenceAnswer answer) {
        Evidence *evidence = task->evidence;
        EvidenceCall *call;
        int r;

        call = calloc(1, sizeof(*call));
        if (!call)
                return -ENOMEM;
        call->evidence = evidence;
        call->number = task->number;
        call->answer = answer;
        list_append(&evidence->calls, &call->calls);
        r = machines_command(evidence->machines,
                             task->machine,
                             &(BackendCall){ .verb = verb,
                                             .arguments = arguments,
                                             .fd = fd,
                                             .deadline_us = EVIDENCE_ANSWER_US,
                                             .done = evidence_answered,
                                             .userdata = call });
        if (r < 0) {
                list_remove(&call->calls);
                free(call);
        }
        return r;
}

void evidence_set_problem(EvidenceTask *task, const char *format, ...) {
        va_list ap;

        if (task->problem)
                return;
        va_start(ap, format);
        if (vasprintf(&task->problem, format, ap) < 0)
                task->problem = NULL;
        va_end(ap);
}

static int evidence_on_timer(sd_event_source *source, uint64_t usec, void *userdata);

void evidence_arm(EvidenceTask *task, uint64_t after_us) {
        task->timer = sd_event_source_disable_unref(task->timer);
        if (after_us != USEC_INFINITY)
                (void) sd_event_add_time_relative(task->evidence->event,
                                                  &task->timer,
                                                  CLOCK_MONOTONIC,
                                                  after_us,
                                                  0,
                                                  evidence_on_timer,
                                                  task);
}

static void evidence_kick(Evidence *evidence) {
        (void) sd_event_source_set_enabled(evidence->kick, SD_EVENT_ONESHOT);
}

/* Whoever writes is told that nobody reads, even where the reader can't be ended. */
static void evidence_cut(EvidenceTask *task) {
        task->write_fd = fd_close(task->write_fd);
        if (task->read_fd >= 0)
                (void) shutdown(task->read_fd, SHUT_RDWR);
        task->read_fd = fd_close(task->read_fd);
}

static void evidence_task_free(EvidenceTask *task) {
        list_remove(&task->tasks);
        index_remove(&task->evidence->by_machine, &task->by_machine);
        sd_event_source_disable_unref(task->timer);
        program_free(task->program);
        evidence_cut(task);
        evidence_file_free(task->file);
        free(task->problem);
        free(task->headline);
        free(task->trace);
        free(task->machine);
        free(task);
}

/* Goes to the queue with the next kind; the last one done, whoever waits goes on. */
static void evidence_task_next(EvidenceTask *task) {
        Evidence *evidence = task->evidence;
        EvidenceDone done = task->done;
        uint64_t incident = task->incident;
        void *userdata = task->userdata;

        evidence_kick(evidence);
        for (size_t i = 0; i < ELEMENTSOF(evidence_types); i++) {
                if (!(task->kinds & (unsigned) evidence_types[i]->kind))
                        continue;
                task->type = evidence_types[i];
                task->kinds &= ~(unsigned) task->type->kind;
                task->stage = EVIDENCE_WAITING;
                evidence_arm(task,
                             task->type->takes_memory ? evidence->limits.wait_us : EVIDENCE_SMALL_US);
                return;
        }
        evidence_task_free(task);
        if (done)
                done(incident, userdata);
}

static void evidence_tell(EvidenceTask *task, const EvidenceNote *note) {
        Evidence *evidence = task->evidence;

        evidence->ops.note(task->machine, task->incident, note, evidence->userdata);
}

static void evidence_tell_missing(EvidenceTask *task, const EvidenceType *type, const char *problem) {
        char text[64];

        (void) snprintf(text, sizeof(text), "evidence (%s) is not kept", type->word);
        evidence_tell(task, &(EvidenceNote){ .text = text, .error = problem });
}

static void evidence_tell_kept(EvidenceTask *task) {
        char text[256], took[DURATION_TEXT_SIZE];

        (void) snprintf(text,
                        sizeof(text),
                        "%s kept: %.1f MiB in %s",
                        task->file->name,
                        (double) task->file->size / (1 << 20),
                        duration_format((evidence_now(task->evidence) - task->begun_us) /
                                                USEC_PER_MSEC * USEC_PER_MSEC,
                                        took));
        evidence_tell(task,
                      &(EvidenceNote){ .text = text,
                                       .file = task->file,
                                       .headline = task->headline,
                                       .trace = task->trace });
}

static void evidence_note(EvidenceTask *task) {
        bool is_dump = task->type == &evidence_memory;

        if (!task->file)
                evidence_tell_missing(task,
                                      is_dump && task->for_log ? &evidence_log : task->type,
                                      task->problem ? task->problem
                                                    : "the program ended without a word");
        else if (!is_dump || !task->for_log)
                evidence_tell_kept(task);
        /* without a dump there is no log either */
        if (!is_dump || task->file || !(task->kinds & EVIDENCE_LOG))
                return;
        task->kinds &= ~(unsigned) EVIDENCE_LOG;
        if (!task->for_log)
                evidence_tell_missing(task, &evidence_log, "there is no dump of its memory");
}

void evidence_finish(EvidenceTask *task) {
        if (task->stage != EVIDENCE_STUCK)
                evidence_note(task);
        if (task->stage != EVIDENCE_WAITING && task->stage != EVIDENCE_CANCELLED)
                (*evidence_get_turns(task->evidence, task->type))--;
        task->program = program_free(task->program);
        evidence_cut(task);
        task->file = evidence_file_free(task->file);
        free(task->problem);
        free(task->headline);
        free(task->trace);
        task->problem = task->headline = task->trace = NULL;
        task->progress = (EvidenceProgress){ .incident = task->incident };
        task->is_asking = false;
        task->looks = 0;
        task->timer = sd_event_source_disable_unref(task->timer);
        evidence_task_next(task);
}

/* Nobody waits for it any more. */
static void evidence_forget(EvidenceTask *task) {
        task->done = NULL;
        task->kinds = 0;
        index_remove(&task->evidence->by_machine, &task->by_machine);
}

/* The disk hangs. The program keeps its turn; the action goes ahead. */
static void evidence_give_up(EvidenceTask *task) {
        EvidenceDone done = task->done;

        evidence_note(task);
        task->stage = EVIDENCE_STUCK;
        evidence_forget(task);
        program_kill(task->program);
        if (done)
                done(task->incident, task->userdata);
}

static void evidence_stop(EvidenceTask *task) {
        task->stage = EVIDENCE_STOPPING;
        evidence_cut(task);
        program_stop(task->program);
        evidence_arm(task, EVIDENCE_STOP_US);
}

static int evidence_on_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        EvidenceTask *task = userdata;
        const EvidenceLimits *limits = &task->evidence->limits;
        char span[DURATION_TEXT_SIZE];
        uint64_t span_us;

        task->timer = sd_event_source_disable_unref(task->timer);
        switch (task->stage) {
        case EVIDENCE_WAITING:
                span_us = task->type->takes_memory ? limits->wait_us : EVIDENCE_SMALL_US;
                evidence_set_problem(task, "no turn for it within %s", duration_format(span_us, span));
                evidence_finish(task);
                break;
        case EVIDENCE_CANCELLED:
                evidence_set_problem(task, "the incident was over before its turn");
                evidence_finish(task);
                break;
        case EVIDENCE_WORKING:
                if (task->looks > 0) {
                        task->type->ended(task);
                        break;
                }
                span_us = task->type->takes_memory ? limits->deadline_us : EVIDENCE_SMALL_US;
                evidence_set_problem(task, "not complete within %s", duration_format(span_us, span));
                if (task->program)
                        evidence_stop(task);
                else
                        evidence_finish(task);
                break;
        case EVIDENCE_STOPPING:
                evidence_give_up(task);
                break;
        case EVIDENCE_STUCK:
                break;
        }
        return 0;
}

/* Programs */

static void evidence_on_line(Program *program, const char *word, char *rest, void *userdata) {
        EvidenceTask *task = userdata;
        EvidenceFile *file;
        char *space;

        if (strcmp(word, "failed") == 0) {
                evidence_set_problem(task, "%s", rest);
        } else if (strcmp(word, "kept") == 0 && (space = strchr(rest, ' '))) {
                *space = '\0';
                file = calloc(1, sizeof(*file));
                if (!file)
                        return;
                evidence_file_free(task->file);
                task->file = file;
                file->name = strdup(rest);
                file->kind = strdup(task->type->word);
                if (!file->name || !file->kind || size_parse_number(space + 1, &file->size) < 0)
                        task->file = evidence_file_free(file);
        } else if (task->type->line) {
                task->type->line(task, word, rest);
        }
}

static void evidence_on_ended(Program *program, void *userdata) {
        EvidenceTask *task = userdata;

        task->program = program_free(program);
        evidence_cut(task);
        task->type->ended(task);
}

int evidence_spawn(EvidenceTask *task, int stdin_fd, const char *const extra[]) {
        static const ProgramOps ops = { evidence_on_line, evidence_on_ended };
        const EvidencePlaces *places = &task->evidence->places;
        char incident[SIZE_TEXT_SIZE];
        const char *argv[6 + EVIDENCE_EXTRA_MAX + 1] = {
                places->program, task->type->word, places->state_dir,
                places->store,   incident,         task->machine,
        };

        (void) snprintf(incident, sizeof(incident), "%" PRIu64, task->incident);
        for (size_t i = 0; extra && extra[i] && i < EVIDENCE_EXTRA_MAX; i++)
                argv[6 + i] = extra[i];
        return program_new(
                &task->program, task->evidence->event, places->program, argv, stdin_fd, &ops, task);
}

/* The queue */

static EvidenceTask *evidence_find_waiting(Evidence *evidence, const EvidenceType *type) {
        list_foreach(i, &evidence->tasks) {
                EvidenceTask *task = list_entry(i, EvidenceTask, tasks);

                if (task->type == type && task->stage == EVIDENCE_WAITING)
                        return task;
        }
        return NULL;
}

static int evidence_on_kick(sd_event_source *source, void *userdata) {
        Evidence *evidence = userdata;

        for (size_t i = 0; i < ELEMENTSOF(evidence_types); i++) {
                const EvidenceType *type = evidence_types[i];
                unsigned *turns = evidence_get_turns(evidence, type);
                EvidenceTask *task;

                while (*turns < type->turns && (task = evidence_find_waiting(evidence, type))) {
                        (*turns)++;
                        task->stage = EVIDENCE_WORKING;
                        task->begun_us = evidence_now(evidence);
                        evidence_arm(task,
                                     type->takes_memory ? evidence->limits.deadline_us
                                                        : EVIDENCE_SMALL_US);
                        if (type->takes_memory)
                                evidence_sweep_start(evidence->sweep);
                        type->start(task);
                }
        }
        return 0;
}

int evidence_take(Evidence *evidence, const EvidenceOrder *order, EvidenceDone done, void *userdata) {
        EvidenceTask *task;

        task = calloc(1, sizeof(*task));
        if (!task)
                return -ENOMEM;
        list_init(&task->tasks);
        task->write_fd = task->read_fd = -1;
        task->evidence = evidence;
        task->number = ++evidence->last_number;
        task->incident = task->progress.incident = order->incident;
        task->kinds = order->kinds;
        task->for_log = (order->kinds & EVIDENCE_LOG) && !(order->kinds & EVIDENCE_MEMORY);
        if (task->for_log)
                task->kinds |= EVIDENCE_MEMORY;
        task->running = order->running;
        task->done = done;
        task->userdata = userdata;
        task->machine = strdup(order->machine);
        if (!task->machine || task->kinds == 0) {
                int r = task->machine ? -EINVAL : -ENOMEM;

                evidence_task_free(task);
                return r;
        }
        list_append(&evidence->tasks, &task->tasks);
        /* one that can't be found shows no progress, and is taken all the same */
        (void) index_add(&evidence->by_machine, &task->by_machine, task->machine);
        evidence_task_next(task);
        return 0;
}

void evidence_cancel(Evidence *evidence, uint64_t incident) {
        list_foreach(i, &evidence->tasks) {
                EvidenceTask *task = list_entry(i, EvidenceTask, tasks);

                if (task->incident != incident || !task->done)
                        continue;
                evidence_forget(task);
                /* it asks nothing of the machine, and takes its dump away */
                if (task->type == &evidence_log)
                        return;
                if (task->stage == EVIDENCE_WAITING) {
                        task->stage = EVIDENCE_CANCELLED;
                        evidence_arm(task, 0);
                } else if (task->stage == EVIDENCE_WORKING && task->program) {
                        evidence_set_problem(task, "the incident was over before it was complete");
                        evidence_stop(task);
                }
                return;
        }
}

bool evidence_get_progress(const Evidence *evidence, const char *machine, EvidenceProgress *ret) {
        IndexLink *link = index_find(&evidence->by_machine, machine);
        const EvidenceTask *task = link ? CONTAINER_OF(link, EvidenceTask, by_machine) : NULL;

        if (!task || task->type != &evidence_memory)
                return false;
        *ret = task->progress;
        return true;
}

void evidence_configure(Evidence *evidence, const EvidenceLimits *limits) {
        evidence->limits = *limits;
}

int evidence_new(Evidence **ret,
                 sd_event *event,
                 Machines *machines,
                 const EvidencePlaces *places,
                 const EvidenceLimits *limits,
                 const EvidenceOps *ops,
                 void *userdata) {
        _cleanup_(evidence_freep) Evidence *evidence = NULL;
        int r;

        evidence = calloc(1, sizeof(*evidence));
        if (!evidence)
                return -ENOMEM;
        list_init(&evidence->tasks);
        list_init(&evidence->calls);
        evidence->event = sd_event_ref(event);
        evidence->machines = machines;
        evidence->places = (EvidencePlaces){ .program = strdup(places->program),
                                             .state_dir = strdup(places->state_dir),
                                             .store = strdup(places->store) };
        if (!evidence->places.program || !evidence->places.state_dir || !evidence->places.store)
                return -ENOMEM;
        evidence->limits = *limits;
        evidence->ops = *ops;
        evidence->userdata = userdata;
        r = sd_event_add_defer(event, &evidence->kick, evidence_on_kick, evidence);
        if (r >= 0)
                r = sd_event_source_set_enabled(evidence->kick, SD_EVENT_OFF);
        if (r >= 0)
                r = evidence_sweep_new(evidence);
        if (r < 0)
                return r;
        evidence_sweep_start(evidence->sweep);
        *ret = TAKE_PTR(evidence);
        return 0;
}

Evidence *evidence_free(Evidence *evidence) {
        if (!evidence)
                return NULL;
        list_foreach_safe(i, n, &evidence->tasks)
                evidence_task_free(list_entry(i, EvidenceTask, tasks));
        list_foreach_safe(i, n, &evidence->calls) {
                EvidenceCall *call = list_entry(i, EvidenceCall, calls);

                call->evidence = NULL;
                list_remove(&call->calls);
        }
        index_deinit(&evidence->by_machine);
        evidence_sweep_free(evidence->sweep);
        free((char *) (uintptr_t) evidence->places.program);
        free((char *) (uintptr_t) evidence->places.state_dir);
        free((char *) (uintptr_t) evidence->places.store);
        sd_event_source_disable_unref(evidence->kick);
        sd_event_unref(evidence->event);
        free(evidence);
        return NULL;
}
