/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * Who may do what on a QMP socket: decided once, at connect, by what the kernel says of the peer.
 */
#include <stddef.h>
#include <sys/types.h>

typedef enum Access {
        ACCESS_NONE,
        ACCESS_QUERY,   /* may query and listen */
        ACCESS_COMMAND, /* may do everything */
} Access;

typedef struct AccessGroups {
        gid_t command, monitor; /* ACCESS_GROUP_UNKNOWN: nobody is in it */
} AccessGroups;

#define ACCESS_GROUP_UNKNOWN ((gid_t) -1)

/* Asks NSS, which may block: at start and reload only. NULL and unknown names are no error. */
void access_groups_resolve(AccessGroups *ret, const char *command_group, const char *monitor_group);

/* `gids`: every group of the peer. */
Access access_decide(const AccessGroups *groups, uid_t uid, const gid_t *gids, size_t n_gids);
/* Of the process that connected `fd`, as it was when it did. */
int access_of_peer(const AccessGroups *groups, int fd, uid_t *ret_uid, Access *ret);

/* NULL: it may run this command; else why not. */
const char *access_refuse(Access access, const char *command);
