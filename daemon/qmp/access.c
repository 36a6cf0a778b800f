/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Access by SO_PEERCRED and SO_PEERGROUPS: both are snapshots the kernel took at connect, so no look
 * into /proc races with the peer, and no NSS lookup blocks the loop while somebody connects.
 */
#include "daemon/qmp/access.h"

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "policy/util/cleanup.h"

/* Most processes are in fewer groups; those in more (the kernel allows 65536) cost an allocation. */
#define ACCESS_GROUPS_USUAL 64

/* Of one line of group(5) with its members; a group with more is looked up with a larger buffer. */
#define ACCESS_GROUP_LINE_MIN 1024
#define ACCESS_GROUP_LINE_MAX (1 << 20)

/* What the monitor group may run besides query-*: none of these changes anything. */
static const char *const access_harmless[] = {
        "qmp_capabilities",
        "replay-events",
        "explain",
};

static gid_t access_resolve(const char *name) {
        struct group group, *found = NULL;
        int r = ERANGE;

        for (size_t size = ACCESS_GROUP_LINE_MIN;
             name && r == ERANGE && size <= ACCESS_GROUP_LINE_MAX;
             size *= 4) {
                _cleanup_free_ char *line = malloc(size);

                if (!line)
                        break;
                r = getgrnam_r(name, &group, line, size, &found);
        }
        return r == 0 && found ? group.gr_gid : ACCESS_GROUP_UNKNOWN;
}

void access_groups_resolve(AccessGroups *ret, const char *command_group, const char *monitor_group) {
        *ret = (AccessGroups){
                .command = access_resolve(command_group),
                .monitor = access_resolve(monitor_group),
        };
}

static Access access_of_group(const AccessGroups *groups, gid_t gid) {
        if (gid == ACCESS_GROUP_UNKNOWN)
                return ACCESS_NONE;
        if (gid == groups->command)
                return ACCESS_COMMAND;
        return gid == groups->monitor ? ACCESS_QUERY : ACCESS_NONE;
}

Access access_decide(const AccessGroups *groups, uid_t uid, const gid_t *gids, size_t n_gids) {
        Access access = ACCESS_NONE;

        if (uid == 0 || uid == geteuid())
                return ACCESS_COMMAND;
        for (size_t i = 0; i < n_gids; i++) {
                Access one = access_of_group(groups, gids[i]);

                if (one > access)
                        access = one;
        }
        return access;
}

int access_of_peer(const AccessGroups *groups, int fd, uid_t *ret_uid, Access *ret) {
        _cleanup_free_ gid_t *many = NULL;
        gid_t usual[ACCESS_GROUPS_USUAL + 1], *gids = usual;
        socklen_t size = sizeof(struct ucred);
        struct ucred peer;

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
                return -errno;

        /* The effective group need not be among the supplementary ones. */
        size = ACCESS_GROUPS_USUAL * sizeof(gid_t);
        if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, gids + 1, &size) < 0) {
                if (errno != ERANGE)
                        return -errno;
                gids = many = malloc(sizeof(gid_t) + size);
                if (!gids)
                        return -ENOMEM;
                if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, gids + 1, &size) < 0)
                        return -errno;
        }
        gids[0] = peer.gid;

        *ret_uid = peer.uid;
        *ret = access_decide(groups, peer.uid, gids, 1 + size / sizeof(gid_t));
        return 0;
}

const char *access_refuse(Access access, const char *command) {
        if (access == ACCESS_COMMAND || strncmp(command, "query-", strlen("query-")) == 0)
                return NULL;
        for (size_t i = 0; i < ELEMENTSOF(access_harmless); i++)
                if (strcmp(command, access_harmless[i]) == 0)
                        return NULL;
        return "This connection may query and listen only";
}
