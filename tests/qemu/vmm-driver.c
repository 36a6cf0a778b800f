/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * libtocsin at the end of a pipe, for tests: a command a line on stdin, a JSON object a line on stdout.
 *
 *         register NAME [PID]      ask KIND NAME DEADLINE FALLBACK      later KIND NAME DEADLINE FALLBACK
 *         tell KIND NAME FALLBACK  done NAME INCIDENT ACTION            state NAME STATE
 *         threads KIND NAME N      status
 *
 * Kinds and actions are numbers. Between commands it serves the handle from its loop, unless --deaf.
 */
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <tocsin/vmm.h>

#define THREADS_MAX 16

static uint64_t driver_now(void) {
        struct timespec now;

        (void) clock_gettime(CLOCK_MONOTONIC, &now);
        return (uint64_t) now.tv_sec * 1000000 + (uint64_t) now.tv_nsec / 1000;
}

static void driver_print(const char *what,
                         const struct tocsin_vmm_decision *decision,
                         uint64_t took_us) {
        printf("{\"%s\": {\"incident\": %" PRIu64
               ", \"action\": %d, \"fallback\": %s, \"due\": %" PRIu64 ", \"took\": %" PRIu64
               ", \"reason\": \"%s\"}}\n",
               what,
               decision->incident,
               (int) decision->action,
               decision->fallback ? "true" : "false",
               decision->due_us,
               took_us,
               decision->reason);
        (void) fflush(stdout);
}

static void driver_act(const struct tocsin_vmm_act *act, void *userdata) {
        printf("{\"act\": {\"machine\": \"%s\", \"incident\": %" PRIu64 ", \"action\": %d}}\n",
               act->machine,
               act->incident,
               (int) act->action);
        (void) fflush(stdout);
}

static void driver_decided(const struct tocsin_vmm_decision *decision, void *userdata) {
        driver_print("later", decision, 0);
}

typedef struct DriverAsker {
        pthread_t thread;
        struct tocsin_vmm *vmm;
        struct tocsin_vmm_report report;
        struct tocsin_vmm_decision decision;
        uint64_t took_us;
} DriverAsker;

static void *driver_ask(void *userdata) {
        DriverAsker *asker = userdata;
        uint64_t start = driver_now();

        (void) tocsin_vmm_ask(asker->vmm, &asker->report, 5000, &asker->decision);
        if (!asker->decision.fallback)
                (void) tocsin_vmm_done(asker->vmm,
                                       asker->report.machine,
                                       asker->decision.incident,
                                       asker->decision.action,
                                       NULL);
        asker->took_us = driver_now() - start;
        return NULL;
}

/* Many at once, while the loop stands still. */
static void driver_run_threads(struct tocsin_vmm *vmm, int kind, const char *machine, unsigned n) {
        DriverAsker askers[THREADS_MAX];

        if (n > THREADS_MAX)
                n = THREADS_MAX;
        for (unsigned i = 0; i < n; i++) {
                askers[i].vmm = vmm;
                askers[i].report = tocsin_vmm_report((enum tocsin_vmm_report_kind) kind, machine);
                if (pthread_create(&askers[i].thread, NULL, driver_ask, &askers[i]) != 0)
                        exit(1);
        }
        for (unsigned i = 0; i < n; i++) {
                (void) pthread_join(askers[i].thread, NULL);
                driver_print("thread", &askers[i].decision, askers[i].took_us);
        }
}

static void driver_report(struct tocsin_vmm *vmm, const char *verb, const char *line) {
        struct tocsin_vmm_decision decision;
        struct tocsin_vmm_report report;
        unsigned deadline = 0;
        char machine[128];
        uint64_t start = driver_now();
        int kind, action, r;

        if (strcmp(verb, "tell") == 0)
                r = sscanf(line, "%*s %d %127s %d", &kind, machine, &action) == 3;
        else
                r = sscanf(line, "%*s %d %127s %u %d", &kind, machine, &deadline, &action) == 4;
        if (!r)
                exit(1);
        report = tocsin_vmm_report((enum tocsin_vmm_report_kind) kind, machine);
        report.action = (enum tocsin_action) action;
        if (strcmp(verb, "ask") == 0) {
                (void) tocsin_vmm_ask(vmm, &report, deadline, &decision);
                driver_print("ask", &decision, driver_now() - start);
        } else {
                r = strcmp(verb, "tell") == 0
                            ? tocsin_vmm_tell(vmm, &report)
                            : tocsin_vmm_ask_later(vmm, &report, deadline, driver_decided, NULL);
                printf("{\"%s\": {\"r\": %d}}\n", verb, r);
        }
}

static void driver_register(struct tocsin_vmm *vmm, const char *line) {
        struct tocsin_vmm_machine machine;
        char name[128];
        long pid = 0;

        memset(&machine, 0, sizeof(machine));
        machine.size = sizeof(machine);
        machine.name = name;
        if (sscanf(line, "%*s %127s %ld", name, &pid) < 1)
                exit(1);
        machine.pid = pid;
        printf("{\"register\": {\"r\": %d}}\n", tocsin_vmm_register(vmm, &machine));
}

static void driver_obey(struct tocsin_vmm *vmm, const char *line) {
        char verb[16] = "", machine[128];
        struct tocsin_vmm_report report;
        uint64_t incident;
        const char *error;
        unsigned n;
        int a, b;

        (void) sscanf(line, "%15s", verb);
        if (strcmp(verb, "register") == 0) {
                driver_register(vmm, line);
        } else if (strcmp(verb, "ask") == 0 || strcmp(verb, "later") == 0 ||
                   strcmp(verb, "tell") == 0) {
                driver_report(vmm, verb, line);
        } else if (sscanf(line, "done %127s %" SCNu64 " %d", machine, &incident, &a) == 3) {
                printf("{\"done\": {\"r\": %d}}\n",
                       tocsin_vmm_done(vmm, machine, incident, (enum tocsin_action) a, NULL));
        } else if (sscanf(line, "state %127s %d", machine, &b) == 2) {
                report = tocsin_vmm_report(TOCSIN_VMM_RUN_STATE, machine);
                report.state = (enum tocsin_run_state) b;
                printf("{\"state\": {\"r\": %d}}\n", tocsin_vmm_tell(vmm, &report));
        } else if (sscanf(line, "threads %d %127s %u", &a, machine, &n) == 3) {
                driver_run_threads(vmm, a, machine, n);
        } else if (strcmp(verb, "status") == 0) {
                a = tocsin_vmm_get_state(vmm, &error);
                printf("{\"status\": {\"ready\": %d, \"error\": \"%s\"}}\n", a, error);
        }
        (void) fflush(stdout);
}

int main(int argc, char **argv) {
        struct tocsin_vmm_options options;
        bool deaf = argc > 2;
        struct tocsin_vmm *vmm;
        struct pollfd fds[2];
        char line[512];

        memset(&options, 0, sizeof(options));
        options.size = sizeof(options);
        options.socket = argc > 1 ? argv[1] : NULL;
        options.act = driver_act;
        if (tocsin_vmm_new(&vmm, &options) < 0)
                return 1;
        (void) setvbuf(stdin, NULL, _IONBF, 0);
        memset(fds, 0, sizeof(fds));
        fds[0].fd = 0;
        fds[0].events = fds[1].events = POLLIN;
        fds[1].fd = deaf ? -1 : tocsin_vmm_get_fd(vmm);
        while (poll(fds, 2, -1) > 0) {
                if (fds[1].revents && tocsin_vmm_dispatch(vmm) < 0)
                        break;
                if (fds[0].revents) {
                        if (!fgets(line, sizeof(line), stdin))
                                break;
                        driver_obey(vmm, line);
                }
        }
        tocsin_vmm_free(vmm);
        return 0;
}
