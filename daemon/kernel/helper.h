/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * The serving side of tocsin-kernel: peers on SOCK_SEQPACKET sockets, their requests, the table of
 * verbs. What is allowed is asked of whoever made it, so that tests need no configuration file.
 */
#include <stdbool.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "daemon/kernel/guest-kill.h"
#include "daemon/kernel/notify-config.h"
#include "policy/util/cleanup.h"

/* tocsind, and one more while it is being replaced; anything above is refused. */
#define KERNEL_HELPER_PEERS_MAX 4

typedef struct KernelHelper KernelHelper;

typedef struct KernelHelperOps {
        /* Is this path configured? Called with normal paths only. */
        bool (*may_connect)(const char *path, void *userdata);
        /* Whose connections show that they are guests. */
        GuestKillOps guests;
        /* The section of this name, borrowed for the call, or NULL. */
        const NotifyConfig *(*find_notify)(const char *name, void *userdata);
        /* Reads the configuration again: 0, or a negative errno and words to be freed. */
        int (*reload)(char **ret_error, void *userdata);
        /* The last peer has gone. May be NULL. */
        void (*alone)(void *userdata);
        /* A line for the log: what was refused, and whom. */
        void (*log)(const char *text, void *userdata);
} KernelHelperOps;

/* `uid`: whom to serve besides root. */
int kernel_helper_new(KernelHelper **ret,
                      sd_event *event,
                      uid_t uid,
                      const KernelHelperOps *ops,
                      void *userdata);
KernelHelper *kernel_helper_free(KernelHelper *helper);
DEFINE_CLEANUP(KernelHelper *, kernel_helper_free);
/* A listening socket, taken; or a connected peer, taken and not asked who it is. */
int kernel_helper_listen(KernelHelper *helper, int fd);
int kernel_helper_add_peer(KernelHelper *helper, int fd);
