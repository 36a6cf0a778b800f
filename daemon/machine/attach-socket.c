/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/machine/attach-socket.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include "daemon/kernel/fd.h"
#include "daemon/kernel/socket-path.h"
#include "policy/util/moment.h"

/* Guests that call at once, as after a restart of tocsind; the rest call again in a second. */
#define ATTACH_SOCKET_BACKLOG 1024
/* Connections taken in one turn, so that a storm of them leaves room for others. */
#define ATTACH_SOCKET_TURN 16
/* Turns a second. */
#define ATTACH_SOCKET_TURNS 1000

struct AttachSocket {
        const AttachSocketOps *ops;
        void *userdata;
        sd_event_source *source;
        int fd;
        bool paused;
        char *path;
        uid_t *uids;
        size_t n_uids;
};

static bool attach_socket_allows(const AttachSocket *attach, uid_t uid) {
        if (uid == 0)
                return true;
        for (size_t i = 0; i < attach->n_uids; i++)
                if (attach->uids[i] == uid)
                        return true;
        return false;
}

static int attach_socket_dispatch(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        AttachSocket *attach = userdata;

        for (unsigned i = 0; i < ATTACH_SOCKET_TURN && !attach->paused; i++) {
                _cleanup_fd_ int peer_fd = -1;
                struct ucred peer;
                socklen_t size = sizeof(peer);

                peer_fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
                if (peer_fd < 0)
                        return 0;
                if (getsockopt(peer_fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
                        continue;
                if (attach_socket_allows(attach, peer.uid))
                        attach->ops->called(TAKE_FD(peer_fd), &peer, attach->userdata);
                else
                        attach->ops->refused(&peer, attach->userdata);
        }
        return 0;
}

static int attach_socket_resolve(const char *user, uid_t *ret) {
        const struct passwd *entry;
        unsigned long number;
        char *end;

        number = strtoul(user, &end, 10);
        if (*user && !*end && number < (uid_t) -1) {
                *ret = (uid_t) number;
                return 0;
        }
        entry = getpwnam(user);
        if (!entry)
                return -ENOENT;
        *ret = entry->pw_uid;
        return 0;
}

bool attach_socket_may_call(char *const *users, uid_t uid) {
        uid_t user;

        if (uid == 0)
                return true;
        for (; users && *users; users++)
                if (attach_socket_resolve(*users, &user) == 0 && user == uid)
                        return true;
        return false;
}

int attach_socket_set_users(AttachSocket *attach, char *const *users) {
        size_t n = 0, n_uids = 0;
        uid_t *uids;

        while (users && users[n])
                n++;
        uids = calloc(n + 1, sizeof(*uids));
        if (!uids)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                if (attach_socket_resolve(users[i], &uids[n_uids]) == 0)
                        n_uids++;
        free(attach->uids);
        attach->uids = uids;
        attach->n_uids = n_uids;
        return 0;
}

static void attach_socket_set_paused(AttachSocket *attach, bool paused) {
        attach->paused = paused;
        (void) sd_event_source_set_enabled(attach->source, paused ? SD_EVENT_OFF : SD_EVENT_ON);
}

void attach_socket_pause(AttachSocket *attach) {
        attach_socket_set_paused(attach, true);
}

void attach_socket_resume(AttachSocket *attach) {
        if (attach->paused)
                attach_socket_set_paused(attach, false);
}

static int attach_socket_bind(AttachSocket *attach) {
        int r;

        attach->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (attach->fd < 0)
                return -errno;
        /* the folder is ours and locked: what is there is left over */
        (void) unlink(attach->path);
        r = socket_path_bind(attach->fd, attach->path);
        if (r < 0)
                return r;
        /* any QEMU's user may knock; see attach_socket_allows() */
        if (chmod(attach->path, 0666) < 0 || listen(attach->fd, ATTACH_SOCKET_BACKLOG) < 0)
                return -errno;
        return 0;
}

int attach_socket_new(AttachSocket **ret,
                      sd_event *event,
                      const char *runtime_dir,
                      const AttachSocketOps *ops,
                      void *userdata) {
        _cleanup_(attach_socket_freep) AttachSocket *attach = NULL;
        int r;

        attach = calloc(1, sizeof(*attach));
        if (!attach)
                return -ENOMEM;
        attach->fd = -1;
        attach->ops = ops;
        attach->userdata = userdata;
        if (asprintf(&attach->path, "%s/" ATTACH_SOCKET_NAME, runtime_dir) < 0) {
                attach->path = NULL;
                return -ENOMEM;
        }
        r = attach_socket_bind(attach);
        if (r < 0)
                return r;
        r = sd_event_add_io(event, &attach->source, attach->fd, EPOLLIN, attach_socket_dispatch, attach);
        if (r < 0)
                return r;
        /* without a descriptor left for it a caller stays in the queue, and the loop would spin */
        r = sd_event_source_set_ratelimit(attach->source, USEC_PER_SEC, ATTACH_SOCKET_TURNS);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(attach);
        return 0;
}

AttachSocket *attach_socket_free(AttachSocket *attach) {
        if (!attach)
                return NULL;
        if (attach->source)
                (void) unlink(attach->path);
        sd_event_source_disable_unref(attach->source);
        (void) fd_close(attach->fd);
        free(attach->path);
        free(attach->uids);
        free(attach);
        return NULL;
}
