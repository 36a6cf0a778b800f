/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Serving requests, one after the other: no verb waits, so a peer can't hold up another; the reply of
 * one that takes time is owed. The one difficulty is what a peer may do with its socket: a peer that
 * sends what is no request, or that does not take its replies, is closed.
 */
#include "daemon/kernel/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "daemon/kernel/fd.h"
#include "daemon/kernel/holders.h"
#include "daemon/kernel/notifier.h"
#include "daemon/kernel/protocol.h"
#include "daemon/kernel/qmp-path.h"
#include "daemon/source/connector.h"
#include "policy/util/list.h"

typedef struct KernelPeer {
        KernelHelper *helper;
        List peers;
        sd_event_source *source;
        int fd;
        List owed; /* of HelperOwed */
} KernelPeer;

/* A reply that comes later; if the peer has gone by then, it comes to nobody. */
typedef struct HelperOwed {
        List owed;
        KernelPeer *peer; /* or NULL */
        KernelHeader header;
} HelperOwed;

struct KernelHelper {
        sd_event *event;
        const KernelHelperOps *ops;
        void *userdata;
        uid_t uid;
        sd_event_source *listener;
        int listen_fd;
        List peers;
        unsigned n_peers;
        Notifier *notifier;
};

/* What came with a request, and what goes with its reply. */
typedef struct HelperCall {
        KernelPeer *peer;
        const KernelHeader *header;
        const char *text;
        int shown;   /* descriptor that came along, or -1 */
        int fd;      /* to hand over, or -1 */
        char *error; /* what is wrong, in words */
        bool later;  /* the reply is owed */
} HelperCall;

typedef struct HelperVerb {
        const char *name;
        int (*run)(KernelHelper *helper, HelperCall *call);
} HelperVerb;

static void helper_log(KernelHelper *helper, const char *format, ...) _printf_(2, 3);

static void helper_log(KernelHelper *helper, const char *format, ...) {
        _cleanup_free_ char *text = NULL;
        va_list ap;
        int n;

        va_start(ap, format);
        n = vasprintf(&text, format, ap);
        va_end(ap);
        if (n < 0)
                text = NULL;
        else
                helper->ops->log(text, helper->userdata);
}

static int helper_connect_qmp(KernelHelper *helper, HelperCall *call) {
        const char *path = call->text;

        if (!qmp_path_is_normal(path) || !helper->ops->may_connect(path, helper->userdata)) {
                if (asprintf(&call->error, "%s: is not configured", path) < 0)
                        call->error = NULL;
                return -EPERM;
        }
        return qmp_path_connect(path, &call->fd, &call->error);
}

static int helper_reload(KernelHelper *helper, HelperCall *call) {
        return helper->ops->reload(&call->error, helper->userdata);
}

static int helper_kill(KernelHelper *helper, HelperCall *call) {
        GuestKillClaim claim;
        int r;

        r = guest_kill_parse(call->text, &claim);
        if (r < 0)
                return r;
        r = guest_kill(&claim, call->shown, &helper->ops->guests, helper->userdata, &call->error);
        if (r == 0)
                helper_log(helper, "process %d killed: a guest that does not answer", claim.pid);
        return r;
}

static void helper_drop(KernelPeer *peer);

static void helper_notified(int r, const char *text, void *userdata) {
        HelperOwed *owed = userdata;
        KernelPeer *peer = owed->peer;
        KernelHeader reply = owed->header;

        list_remove(&owed->owed);
        free(owed);
        reply.result = r;
        if (!peer)
                return;
        r = kernel_packet_send(peer->fd, &reply, text, -1);
        if (r < 0) {
                helper_log(peer->helper, "a peer can't be answered, and is closed: %s", strerror(-r));
                helper_drop(peer);
        }
}

static int helper_notify(KernelHelper *helper, HelperCall *call) {
        const NotifyConfig *config;
        NotifyRequest request;
        HelperOwed *owed;
        int r;

        r = notify_request_parse(call->text, &request);
        if (r < 0)
                return r;
        config = helper->ops->find_notify(request.section, helper->userdata);
        if (!config) {
                if (asprintf(&call->error, "[notify %s]: is not configured", request.section) < 0)
                        call->error = NULL;
                return -EPERM;
        }
        owed = malloc(sizeof(*owed));
        if (!owed)
                return -ENOMEM;
        *owed = (HelperOwed){ .peer = call->peer, .header = *call->header };
        list_init(&owed->owed);
        r = notifier_start(helper->notifier, config, &request, helper_notified, owed, &call->error);
        if (r < 0) {
                free(owed);
                return r;
        }
        list_append(&call->peer->owed, &owed->owed);
        call->later = true;
        return 0;
}

static int helper_open_connector(KernelHelper *helper, HelperCall *call) {
        _cleanup_nl_ struct nl_sock *socket = NULL;
        int r;

        r = connector_open(&socket);
        if (r < 0)
                return r;
        call->fd = fcntl(nl_socket_get_fd(socket), F_DUPFD_CLOEXEC, 0);
        return call->fd < 0 ? -errno : 0;
}

static int helper_find_holders(KernelHelper *helper, HelperCall *call) {
        return holders_find(call->text, &call->fd);
}

static const HelperVerb helper_verbs[_KERNEL_VERB_MAX] = {
        [KERNEL_VERB_CONNECT_QMP] = { "connect-qmp", helper_connect_qmp },
        [KERNEL_VERB_RELOAD] = { "reload", helper_reload },
        [KERNEL_VERB_KILL] = { "kill", helper_kill },
        [KERNEL_VERB_NOTIFY] = { "notify", helper_notify },
        [KERNEL_VERB_OPEN_CONNECTOR] = { "open-connector", helper_open_connector },
        [KERNEL_VERB_FIND_HOLDERS] = { "find-holders", helper_find_holders },
};

static KernelPeer *kernel_peer_free(KernelPeer *peer) {
        if (!peer)
                return NULL;
        list_foreach_safe(i, next, &peer->owed) {
                HelperOwed *owed = list_entry(i, HelperOwed, owed);

                list_remove(&owed->owed);
                owed->peer = NULL;
        }
        list_remove(&peer->peers);
        peer->helper->n_peers--;
        sd_event_source_disable_unref(peer->source);
        (void) fd_close(peer->fd);
        free(peer);
        return NULL;
}

DEFINE_CLEANUP(KernelPeer *, kernel_peer_free);

static void helper_drop(KernelPeer *peer) {
        KernelHelper *helper = peer->helper;

        kernel_peer_free(peer);
        if (helper->n_peers == 0 && helper->ops->alone)
                helper->ops->alone(helper->userdata);
}

/* 0, or negative: the peer is to be closed. */
static int helper_serve(KernelPeer *peer, const KernelPacket *request, int shown, bool known) {
        HelperCall call = { .peer = peer,
                            .header = &request->header,
                            .text = request->text,
                            .shown = shown,
                            .fd = -1 };
        KernelHelper *helper = peer->helper;
        KernelHeader reply = request->header;
        int r;

        if (known) {
                const HelperVerb *verb = &helper_verbs[request->header.verb];

                r = verb->run(helper, &call);
                if (r == -EPERM)
                        helper_log(helper, "%s refused: %s", verb->name, call.error ? call.error : "");
        } else {
                r = -EOPNOTSUPP;
                call.error = strdup("this tocsin-kernel is older than tocsind and has no such verb");
        }
        if (call.later)
                return 0;
        reply.result = r < 0 ? r : 0;
        r = kernel_packet_send(peer->fd, &reply, call.error, call.fd);
        free(call.error);
        (void) fd_close(call.fd);
        return r;
}

static int helper_dispatch_peer(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        char data[KERNEL_PACKET_MAX];
        KernelPacket request;
        KernelPeer *peer = userdata;
        _cleanup_fd_ int shown = -1;
        size_t n = 0;
        int r;

        r = kernel_packet_receive(fd, data, sizeof(data), &n, &shown);
        if (r == -EAGAIN || r == -EINTR)
                return 0;
        if (r < 0 || n == 0) {
                helper_drop(peer);
                return 0;
        }
        r = kernel_request_parse(data, n, &request);
        if (r == KERNEL_E_MALFORMED) {
                helper_log(peer->helper, "a peer sent %zu bytes that are no request, and is closed", n);
                helper_drop(peer);
                return 0;
        }
        r = helper_serve(peer, &request, shown, r != KERNEL_E_UNKNOWN_VERB);
        if (r < 0) {
                helper_log(peer->helper, "a peer can't be answered, and is closed: %s", strerror(-r));
                helper_drop(peer);
        }
        return 0;
}

int kernel_helper_add_peer(KernelHelper *helper, int fd) {
        _cleanup_fd_ int owned = fd;
        KernelPeer *peer;
        int r;

        if (helper->n_peers >= KERNEL_HELPER_PEERS_MAX)
                return -EUSERS;
        peer = calloc(1, sizeof(*peer));
        if (!peer)
                return -ENOMEM;
        peer->helper = helper;
        peer->fd = TAKE_FD(owned);
        list_init(&peer->owed);
        list_append(&helper->peers, &peer->peers);
        helper->n_peers++;
        r = sd_event_add_io(helper->event, &peer->source, peer->fd, EPOLLIN, helper_dispatch_peer, peer);
        if (r < 0)
                kernel_peer_free(peer);
        return r < 0 ? r : 0;
}

static int helper_dispatch_listener(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        KernelHelper *helper = userdata;
        _cleanup_fd_ int peer = -1;
        struct ucred cred;
        socklen_t size = sizeof(cred);
        int r;

        peer = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (peer < 0)
                return 0;
        if (getsockopt(peer, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0)
                return 0;
        if (cred.uid != 0 && cred.uid != helper->uid) {
                helper_log(helper, "uid %u (pid %d) may not ask anything here", cred.uid, cred.pid);
                return 0;
        }
        r = kernel_helper_add_peer(helper, TAKE_FD(peer));
        if (r < 0)
                helper_log(helper, "pid %d is not served: %s", cred.pid, strerror(-r));
        return 0;
}

int kernel_helper_listen(KernelHelper *helper, int fd) {
        int r;

        r = sd_event_add_io(
                helper->event, &helper->listener, fd, EPOLLIN, helper_dispatch_listener, helper);
        if (r < 0) {
                (void) fd_close(fd);
                return r;
        }
        helper->listen_fd = fd;
        return 0;
}

int kernel_helper_new(KernelHelper **ret,
                      sd_event *event,
                      uid_t uid,
                      const KernelHelperOps *ops,
                      void *userdata) {
        KernelHelper *helper;
        int r;

        helper = calloc(1, sizeof(*helper));
        if (!helper)
                return -ENOMEM;
        r = notifier_new(&helper->notifier, event);
        if (r < 0) {
                free(helper);
                return r;
        }
        helper->event = sd_event_ref(event);
        helper->ops = ops;
        helper->userdata = userdata;
        helper->uid = uid;
        helper->listen_fd = -1;
        list_init(&helper->peers);
        *ret = helper;
        return 0;
}

KernelHelper *kernel_helper_free(KernelHelper *helper) {
        if (!helper)
                return NULL;
        list_foreach_safe(i, next, &helper->peers)
                kernel_peer_free(list_entry(i, KernelPeer, peers));
        sd_event_source_disable_unref(helper->listener);
        (void) fd_close(helper->listen_fd);
        notifier_free(helper->notifier);
        sd_event_unref(helper->event);
        free(helper);
        return NULL;
}
