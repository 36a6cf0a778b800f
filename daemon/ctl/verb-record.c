/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A scenario from a live daemon. Events that come before query-machines is answered are in its answer
 * already, so they are dropped; what came of each incident is asked for at the end.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "daemon/ctl/record.h"
#include "daemon/ctl/tocsind.h"
#include "daemon/ctl/value.h"
#include "daemon/ctl/verbs.h"
#include "policy/util/duration.h"
#include "policy/util/size.h"

typedef struct VerbRecord {
        Ctl *ctl;
        Record *record;
        const char *machine, *path;
        char *config;
        uint64_t end_us; /* CLOCK_BOOTTIME; USEC_INFINITY: when it is interrupted */
        int signal_fd;
} VerbRecord;

static uint64_t verb_record_clock(clockid_t clock) {
        struct timespec ts;

        (void) clock_gettime(clock, &ts);
        return (uint64_t) ts.tv_sec * USEC_PER_SEC + (uint64_t) ts.tv_nsec / 1000;
}

/* As it came, without escapes for a terminal. An exit status. */
static int verb_record_ask(VerbRecord *v,
                           const char *command,
                           json_object *arguments,
                           json_object **ret) {
        bool json = v->ctl->json;
        int r;

        v->ctl->json = true;
        r = ctl_call(v->ctl, command, arguments, ret);
        v->ctl->json = json;
        return r;
}

/* Every machine there is, at the start or at the end. An exit status. */
static int verb_record_machines(VerbRecord *v, bool start) {
        json_object *machines = NULL;
        int r, status = verb_record_ask(v, "query-machines", NULL, &machines);

        if (start && status == CTL_EXIT_OK)
                connection_drop_events(v->ctl->connection);
        for (size_t i = 0; status == CTL_EXIT_OK && i < value_get_length(machines); i++) {
                json_object *machine = value_get_item(machines, i);

                r = start ? record_add_machine(v->record, machine)
                          : record_end_machine(v->record, machine);
                if (r == RECORD_E_LEFT_OUT)
                        (void) fprintf(stderr,
                                       "tocsinctl: %s has an open incident or stands still for one: it "
                                       "is left out until its next run\n",
                                       value_get_word(machine, "name"));
                if (r < 0)
                        status = ctl_fail_memory();
        }
        json_object_put(machines);
        return status;
}

/* An exit status. */
static int verb_record_events(VerbRecord *v) {
        for (;;) {
                uint64_t now_us = verb_record_clock(CLOCK_BOOTTIME);
                json_object *event = NULL;
                int r;

                if (now_us >= v->end_us)
                        return CTL_EXIT_OK;
                r = connection_wait_event(v->ctl->connection,
                                          v->end_us == USEC_INFINITY ? USEC_INFINITY
                                                                     : v->end_us - now_us,
                                          v->signal_fd,
                                          &event);
                if (r < 0)
                        return ctl_fail_connection(v->ctl, v->ctl->connection);
                if (!event)
                        return CTL_EXIT_OK; /* the time is over, or it was interrupted */
                r = record_add_event(v->record, event, verb_record_clock(CLOCK_REALTIME));
                json_object_put(event);
                if (r == RECORD_E_LOST) {
                        (void) fputs("tocsinctl: events were lost, so this proves nothing\n", stderr);
                        return CTL_EXIT_FAILURE;
                }
                if (r == RECORD_E_FULL) {
                        (void) fputs("tocsinctl: too much for one scenario; it ends here\n", stderr);
                        return CTL_EXIT_OK;
                }
                if (r < 0)
                        return ctl_fail_memory();
        }
}

/* An exit status. */
static int verb_record_incidents(VerbRecord *v) {
        size_t n;
        const uint64_t *incidents = record_get_incidents(v->record, &n);

        for (size_t i = 0; i < n; i++) {
                json_object *arguments = json_object_new_object(), *incident = NULL;
                int r;

                if (ctl_add_uint(arguments, "id", incidents[i]) < 0) {
                        json_object_put(arguments);
                        return ctl_fail_memory();
                }
                r = verb_record_ask(v, "query-incident", arguments, &incident);
                if (r != CTL_EXIT_OK)
                        return r;
                r = record_add_incident(v->record, incident);
                json_object_put(incident);
                if (r < 0)
                        return ctl_fail_memory();
        }
        return CTL_EXIT_OK;
}

/* An exit status. */
static int verb_record_write(VerbRecord *v) {
        FILE *file = v->path ? fopen(v->path, "we") : stdout;
        Text text = TEXT_NULL;
        int r;

        if (!file) {
                (void) fprintf(stderr, "tocsinctl: %s: %s\n", v->path, strerror(errno));
                return CTL_EXIT_FAILURE;
        }
        record_write(v->record, v->config, &text);
        r = text_print(&text, file);
        text_deinit(&text);
        if (v->path && fclose(file) != 0 && r == 0)
                r = -EIO;
        if (r == -EIO)
                perror("tocsinctl: writing");
        else if (r < 0)
                return ctl_fail_memory();
        return r < 0 ? CTL_EXIT_FAILURE : CTL_EXIT_OK;
}

/* An exit status. */
static int verb_record_run(VerbRecord *v) {
        int r;

        if (connection_open(&v->ctl->connection, v->ctl->socket) < 0)
                return ctl_fail_connection(v->ctl, v->ctl->connection);
        v->record = record_new(verb_record_clock(CLOCK_REALTIME), v->machine);
        if (!v->record)
                return ctl_fail_memory();
        r = verb_record_machines(v, true);
        if (r == CTL_EXIT_OK) {
                (void) fputs(v->end_us == USEC_INFINITY
                                     ? "tocsinctl: recording until it is interrupted\n"
                                     : "tocsinctl: recording\n",
                             stderr);
                r = verb_record_events(v);
        }
        if (r == CTL_EXIT_OK)
                r = verb_record_machines(v, false);
        if (r == CTL_EXIT_OK)
                r = verb_record_incidents(v);
        return r == CTL_EXIT_OK ? verb_record_write(v) : r;
}

int verb_record(Ctl *ctl, int argc, char **argv) {
        VerbRecord v = { .ctl = ctl, .end_us = USEC_INFINITY };
        const char *seconds = NULL, *config = NULL;
        const Option options[] = { { "machine", 0, &v.machine, NULL },
                                   { "seconds", 0, &seconds, NULL },
                                   { "config", 0, &config, NULL },
                                   {} };
        uint64_t n;
        sigset_t signals;
        int r = ctl_parse_options(ctl, options, &argc, argv, 0, 1);

        if (r != CTL_EXIT_OK)
                return r;
        if (seconds && (size_parse_number(seconds, &n) != 0 || n == 0 || n > UINT32_MAX))
                return ctl_fail_usage(ctl, "--seconds takes a number of seconds");
        if (seconds)
                v.end_us = verb_record_clock(CLOCK_BOOTTIME) + n * USEC_PER_SEC;
        v.path = argc > 0 ? argv[0] : NULL;
        if (tocsind_read("--show-config", config, &v.config) != 0)
                return CTL_EXIT_FAILURE; /* told by tocsind */

        (void) sigemptyset(&signals);
        (void) sigaddset(&signals, SIGINT);
        (void) sigaddset(&signals, SIGTERM);
        (void) sigprocmask(SIG_BLOCK, &signals, NULL);
        v.signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
        if (v.signal_fd < 0) {
                perror("tocsinctl: signalfd");
                r = CTL_EXIT_FAILURE;
        } else {
                r = verb_record_run(&v);
                (void) close(v.signal_fd);
        }
        record_free(v.record);
        free(v.config);
        return r;
}
