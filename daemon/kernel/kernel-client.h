/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * The one interface to what needs privilege: requests go to tocsin-kernel over a SOCK_SEQPACKET
 * socket, answers and descriptors come back through the loop. Verbs take values, never pointers.
 */
#include <systemd/sd-event.h>

typedef struct KernelClient KernelClient;

/* `socket` is RUNTIME_DIR/kernel.sock when systemd (or somebody) listens there; else the helper is
 * started as a child over a socketpair with --config `config_file` (NULL: search path). */
int kernel_client_new(KernelClient **ret,
                      sd_event *event,
                      const char *socket,
                      const char *helper,
                      const char *config_file);
KernelClient *kernel_client_free(KernelClient *client);
/* The helper shall read its configuration again. */
int kernel_client_reload(KernelClient *client);

/* r: 0 and a connected stream socket (taken by func), or a negative errno; -EPERM with
 * `error` saying why the helper refused (path not configured, ...). Exactly once. */
typedef void (*KernelConnectFunc)(int r, int fd, const char *error, void *userdata);
int kernel_client_connect_qmp(KernelClient *client,
                              const char *path,
                              KernelConnectFunc func,
                              void *userdata);
/* Forgets the requests of that userdata: their func is not called. */
void kernel_client_cancel(KernelClient *client, void *userdata);
