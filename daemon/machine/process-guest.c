/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Guests nobody gave us a socket of: the kernel tells that a process has made a virtual machine. They
 * are shown, and their end is told. The one difficulty is that the same guest may be reached by QMP a
 * moment later, or be a mere probe (libvirt starts QEMUs only to ask what they can do): so it has to
 * last a while first, and gives way when its process attaches.
 */
#include <stdio.h>
#include <sys/wait.h>

#include "daemon/machine/machines-private.h"

/* A QEMU opens its monitors before its virtual machine runs, and a probe is over sooner. */
#define PROCESS_GUEST_GRACE_US (2 * USEC_PER_SEC)

typedef struct ProcessGuest {
        Machines *machines;
        List guests; /* of the machines */
        pid_t tid;
        Process process;
        sd_event_source *timer;
} ProcessGuest;

/* There is nothing to send a command to: run_command() refuses before it would be called. */
static const Backend process_backend = { .type = BACKEND_TYPE_PROCESS };

bool process_guest_is(const Run *run) {
        return run->backend == &process_backend;
}

static ProcessGuest *process_guest_free(ProcessGuest *guest) {
        if (!guest)
                return NULL;
        list_remove(&guest->guests);
        guest->machines->n_guests--;
        sd_event_source_disable_unref(guest->timer);
        process_deinit(&guest->process);
        free(guest);
        return NULL;
}

void process_guest_forget_all(Machines *machines) {
        list_foreach_safe(i, next, &machines->guests)
                process_guest_free(list_entry(i, ProcessGuest, guests));
}

/* It has lasted. Somebody may have attached to it meanwhile, or is about to again. */
static void process_guest_admit(ProcessGuest *guest) {
        Machines *machines = guest->machines;
        char id[PROCESS_RUN_ID_SIZE], name[32];
        QmpIdentity identity = {};
        Run *run;

        if (process_has_ended(&guest->process) || process_get_run_id(&guest->process, id) < 0 ||
            index_find(&machines->runs_by_id, id) || machines->ops->is_known(id, machines->userdata))
                return;
        (void) snprintf(name, sizeof(name), "pid-%d", guest->process.pid);
        if (run_new(machines, name, &identity, &guest->process, &run) < 0)
                return;
        run->backend = &process_backend;
        run->vm_tid = guest->tid;
        run_observe_attached(run, RUN_STATE_RUNNING, true);
}

static int process_guest_dispatch(sd_event_source *source, uint64_t usec, void *userdata) {
        process_guest_admit(userdata);
        process_guest_free(userdata);
        return 0;
}

void machines_open_guest(Machines *machines, pid_t tid) {
        ProcessGuest *guest;

        if (machines->n_guests >= MACHINES_WAYS_MAX)
                return;
        guest = calloc(1, sizeof(*guest));
        if (!guest)
                return;
        guest->machines = machines;
        guest->tid = tid;
        guest->process = (Process) PROCESS_NULL;
        list_append(&machines->guests, &guest->guests);
        machines->n_guests++;
        if (process_open(tid, &guest->process) < 0 ||
            sd_event_add_time_relative(machines->event,
                                       &guest->timer,
                                       CLOCK_BOOTTIME,
                                       PROCESS_GUEST_GRACE_US,
                                       0,
                                       process_guest_dispatch,
                                       guest) < 0)
                process_guest_free(guest);
}

static Run *machines_find_pid(Machines *machines, pid_t pid) {
        char key[RUN_PID_SIZE];
        IndexLink *link;

        (void) snprintf(key, sizeof(key), "%d", pid);
        link = index_find(&machines->runs_by_pid, key);
        return link ? CONTAINER_OF(link, Run, by_pid) : NULL;
}

void machines_close_guest(Machines *machines, pid_t tid) {
        list_foreach_safe(i, next, &machines->guests) {
                ProcessGuest *guest = list_entry(i, ProcessGuest, guests);

                if (guest->tid == tid)
                        process_guest_free(guest);
        }
        list_foreach_safe(i, next, &machines->runs) {
                Run *run = list_entry(i, Run, runs);

                if (process_guest_is(run) && run->vm_tid == tid)
                        run_close(run);
        }
}

void machines_end_process(Machines *machines, pid_t pid, int status) {
        Run *run = machines_find_pid(machines, pid);

        if (run && WIFSIGNALED(status))
                run->signal = WTERMSIG(status);
}
