/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * The one interface to what needs privilege: requests go to tocsin-kernel over a SOCK_SEQPACKET
 * socket, answers and descriptors come back through the loop. Verbs take values, never pointers.
 */
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

typedef struct KernelClient KernelClient;

/* `socket` is RUNTIME_DIR/kernel.sock when systemd (or somebody) listens there; else the helper is
 * started as a child over a socketpair with --config `config_file` (NULL: search path). */
int kernel_client_new(KernelClient **ret,
                      sd_event *event,
                      const char *socket,
                      const char *helper,
                      const char *config_file);
/* Requests under way are answered with -ECONNRESET from within. */
KernelClient *kernel_client_free(KernelClient *client);
/* The helper shall read its configuration again. */
int kernel_client_reload(KernelClient *client);

/* r: 0, or a negative errno; -EPERM with `text` saying why the helper refused (path not configured,
 * ...). `fd`: what was asked for (taken by func), or -1. Exactly once. */
typedef void (*KernelDone)(int r, int fd, const char *text, void *userdata);
/* The answer has a connected stream socket. */
int kernel_client_connect_qmp(KernelClient *client, const char *path, KernelDone func, void *userdata);

/* As the kernel tells processes apart: numbers are used again. */
typedef struct KernelProcess {
        pid_t pid;
        uint64_t start_time; /* as in /proc/PID/stat */
} KernelProcess;

/* Ends a guest's process with SIGKILL. `connection` (borrowed) is ours to its monitor: by it the
 * helper can tell that it is one (guest-kill.h). */
int kernel_client_kill(KernelClient *client,
                       const KernelProcess *process,
                       int connection,
                       KernelDone func,
                       void *userdata);
/* Runs the program of a [notify] section; `text` as notify-request.h has it. `within_us` is how long the
 * program may take, after which it is ended. The answer is how it ended and what it printed
 * (notifier.h); -EBUSY: as many as may run do. */
int kernel_client_notify(KernelClient *client,
                         const char *text,
                         uint64_t within_us,
                         KernelDone func,
                         void *userdata);
/* The answer has a socket of the proc connector that listens. */
int kernel_client_open_connector(KernelClient *client, KernelDone func, void *userdata);
/* Who holds what `what` names (holders.h): the answer has a file for holders_read(). */
int kernel_client_find_holders(KernelClient *client, const char *what, KernelDone func, void *userdata);
/* Forgets the requests of that userdata: their func is not called. */
void kernel_client_cancel(KernelClient *client, void *userdata);
