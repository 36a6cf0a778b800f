/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * RUNTIME_DIR/attach.sock, where a QEMU connects to us. Anybody may connect; who it is, is asked of
 * the kernel before a byte is read.
 */
#include <stdbool.h>
#include <sys/socket.h>
#include <systemd/sd-event.h>

#include "policy/util/cleanup.h"

#define ATTACH_SOCKET_NAME "attach.sock"

typedef struct AttachSocket AttachSocket;

typedef struct AttachSocketOps {
        /* Takes the connection. */
        void (*called)(int fd, const struct ucred *peer, void *userdata);
        void (*refused)(const struct ucred *peer, void *userdata);
} AttachSocketOps;

int attach_socket_new(AttachSocket **ret,
                      sd_event *event,
                      const char *runtime_dir,
                      const AttachSocketOps *ops,
                      void *userdata);
AttachSocket *attach_socket_free(AttachSocket *socket);
DEFINE_CLEANUP(AttachSocket *, attach_socket_free);
/* Users by name or number, NULL-terminated; unknown ones are left out. Root may always. */
bool attach_socket_may_call(char *const *users, uid_t uid);
/* Nobody is taken, until it is resumed; who calls waits in the kernel's queue. */
void attach_socket_pause(AttachSocket *socket);
void attach_socket_resume(AttachSocket *socket);
int attach_socket_set_users(AttachSocket *socket, char *const *users);
