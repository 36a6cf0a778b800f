/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A listening socket and the clients it brought. There may be 10,000 of them, so one is a descriptor,
 * an event source and a small struct. The difficulty is the accept: whoever can reach the folder can
 * connect, as often as it likes, so nothing is allocated for a peer before it is known, and no
 * error of accept() makes the loop spin.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/kernel/socket-path.h"
#include "daemon/qmp/peer.h"
#include "daemon/qmp/server-private.h"
#include "policy/qapi/json.h"
#include "policy/util/buffer.h"
#include "policy/util/moment.h"

/* Connections taken in one turn of the loop. */
#define ENDPOINT_ACCEPTS 16

/* Turns a second: 16,000 connections, or as many attempts while descriptors are out. */
#define ENDPOINT_TURNS 1000

/* Clients that are sent an event on its way in, before it goes to the disk; with more of them the rest
 * is sent by and by, so that the other guests need not wait for all. */
#define ENDPOINT_AT_ONCE 16

/* Coalescing slack of the throttle window's timer. */
#define ENDPOINT_WINDOW_SLACK_US (10 * USEC_PER_MSEC)

/* NULL: out of memory. */
static char *endpoint_make_path(const QmpEndpoint *endpoint) {
        const char *dir = endpoint->server->runtime_dir;
        char *path = NULL;
        int n = -1;

        switch (endpoint->profile) {
        case QAPI_PROFILE_MACHINE:
                n = asprintf(&path, "%s/qmp/%s.sock", dir, endpoint->machine);
                break;
        case QAPI_PROFILE_CONTROL:
                n = asprintf(&path, "%s/control.sock", dir);
                break;
        case QAPI_PROFILE_VMM:
                n = asprintf(&path, "%s/vmm.sock", dir);
                break;
        case _QAPI_PROFILE_MAX:
                break;
        }
        return n < 0 ? NULL : path;
}

/* A last word to somebody who is not going to be a client, in a form that QMP clients show. */
_printf_(2, 3) static void endpoint_turn_away(int fd, const char *format, ...) {
        _cleanup_(buffer_deinit) Buffer line = BUFFER_NULL;
        _cleanup_free_ char *desc = NULL;
        json_object *reply, *error;
        va_list ap;
        int n;

        va_start(ap, format);
        n = vasprintf(&desc, format, ap);
        va_end(ap);
        if (n < 0)
                desc = NULL;

        reply = json_object_new_object();
        error = json_object_new_object();
        json_object_object_add(error, "class", json_object_new_string("GenericError"));
        json_object_object_add(error, "desc", json_object_new_string(desc));
        json_object_object_add(reply, "error", error);
        if (json_write(&line, reply, JSON_STYLE_QMP) == 0 && buffer_append(&line, "\r\n", 2) == 0)
                (void) send(fd, buffer_content(&line), buffer_length(&line), MSG_NOSIGNAL);
        json_object_put(reply);
        close(fd);
}

/* Takes `fd`. */
static void endpoint_welcome(QmpEndpoint *endpoint, int fd) {
        QmpServer *server = endpoint->server;
        QmpPeer *peer;
        Access access;
        uid_t uid;
        int r;

        r = access_of_peer(&server->groups, fd, &uid, &access);
        if (r < 0) {
                endpoint_turn_away(fd, "Who connects can't be told: %s", strerror(-r));
                return;
        }
        if (endpoint->ops && endpoint->ops->admits)
                access = endpoint->ops->admits(uid, endpoint->userdata) ? ACCESS_COMMAND
                                                                        : ACCESS_NONE;
        if (access == ACCESS_NONE && endpoint->profile == QAPI_PROFILE_VMM) {
                endpoint_turn_away(fd,
                                   "Permission denied: uid %u may report for no machine, see [vmm] allow=",
                                   (unsigned) uid);
                return;
        }
        if (access == ACCESS_NONE) {
                endpoint_turn_away(fd,
                                   "Permission denied: uid %u is in neither of the groups '%s' and '%s'",
                                   (unsigned) uid,
                                   server->command_group ?: "",
                                   server->monitor_group ?: "");
                return;
        }
        r = qmp_server_admit(server, uid);
        if (r != 0) {
                endpoint_turn_away(fd,
                                   r == QMP_SERVER_E_FULL
                                           ? "Too many connections: uid %u has %u of them"
                                           : "Out of memory: uid %u, limit %u",
                                   (unsigned) uid,
                                   server->clients_per_uid);
                return;
        }
        if (qmp_peer_new(&peer, endpoint, fd, uid, access) == 0)
                qmp_peer_turn(peer); /* the greeting goes out */
}

/* No descriptor is left: the one kept in reserve serves to tell the peer. */
static void endpoint_decline(QmpEndpoint *endpoint, int listener) {
        QmpServer *server = endpoint->server;
        int fd;

        if (server->spare_fd >= 0)
                close(server->spare_fd);
        fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0)
                endpoint_turn_away(fd, "Too many connections: no file descriptors left");
        server->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static int endpoint_dispatch(sd_event_source *source, int listener, uint32_t revents, void *userdata) {
        QmpEndpoint *endpoint = userdata;

        for (unsigned i = 0; i < ENDPOINT_ACCEPTS; i++) {
                int fd;

                fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
                if (fd >= 0)
                        endpoint_welcome(endpoint, fd);
                else if (errno == EMFILE || errno == ENFILE)
                        endpoint_decline(endpoint, listener);
                else if (errno != EINTR && errno != ECONNABORTED)
                        break;
        }
        return 0;
}

/*
 * The file of a tocsind that died is replaced: the lock on the runtime folder says that none lives.
 * Until listen() a connect() is refused, so nobody comes before the mode is right; everybody may
 * come then, and is judged by his credentials.
 */
static int endpoint_listen(QmpEndpoint *endpoint) {
        _cleanup_free_ char *path = endpoint_make_path(endpoint);
        int fd, r;

        if (!path)
                return -ENOMEM;
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        r = unlink(path) < 0 && errno != ENOENT ? -errno : socket_path_bind(fd, path);
        if (r == 0 && (chmod(path, 0666) < 0 || listen(fd, SOMAXCONN) < 0))
                r = -errno;
        if (r < 0) {
                close(fd);
                return r;
        }

        r = sd_event_add_io(
                endpoint->server->event, &endpoint->source, fd, EPOLLIN, endpoint_dispatch, endpoint);
        if (r < 0) {
                close(fd);
                return r;
        }
        r = sd_event_source_set_io_fd_own(endpoint->source, true);
        if (r < 0)
                return r;
        return sd_event_source_set_ratelimit(endpoint->source, USEC_PER_SEC, ENDPOINT_TURNS);
}

int qmp_endpoint_new(QmpEndpoint **ret, QmpServer *server, QapiProfile profile, const char *machine) {
        QmpEndpoint *endpoint;
        int r;

        endpoint = malloc(sizeof(*endpoint));
        if (!endpoint)
                return -ENOMEM;
        *endpoint = (QmpEndpoint){
                .server = server,
                .profile = profile,
                .machine = machine ? strdup(machine) : NULL,
        };
        list_init(&endpoint->clients);
        server->n_endpoints++;

        r = machine && !endpoint->machine ? -ENOMEM : endpoint_listen(endpoint);
        if (r < 0) {
                qmp_endpoint_free(endpoint);
                return r;
        }
        if (profile == QAPI_PROFILE_CONTROL)
                server->control = endpoint;
        *ret = endpoint;
        return 0;
}

QmpEndpoint *qmp_endpoint_free(QmpEndpoint *endpoint) {
        _cleanup_free_ char *path = NULL;

        if (!endpoint)
                return NULL;
        list_foreach_safe(i, n, &endpoint->clients)
                qmp_peer_hang_up(qmp_peer_from_endpoint_link(i));
        path = endpoint->source ? endpoint_make_path(endpoint) : NULL;
        if (path)
                (void) unlink(path);
        sd_event_source_disable_unref(endpoint->source);
        sd_event_source_disable_unref(endpoint->window);
        throttle_deinit(&endpoint->throttle);
        if (endpoint->server->control == endpoint)
                endpoint->server->control = NULL;
        endpoint->server->n_endpoints--;
        free(endpoint->machine);
        free(endpoint);
        return NULL;
}

void qmp_endpoint_set_ops(QmpEndpoint *endpoint, const QmpEndpointOps *ops, void *userdata) {
        endpoint->ops = ops;
        endpoint->userdata = userdata;
}

void qmp_endpoint_send(QmpEndpoint *endpoint, uint64_t seq, const char *text, size_t n) {
        unsigned n_sent = 0;

        list_foreach(i, &endpoint->clients)
                qmp_peer_send_event(
                        qmp_peer_from_endpoint_link(i), seq, text, n, n_sent++ < ENDPOINT_AT_ONCE);
}

void qmp_endpoint_lose(QmpEndpoint *endpoint, uint64_t seq, const char *reason) {
        list_foreach(i, &endpoint->clients)
                qmp_peer_lose_event(qmp_peer_from_endpoint_link(i), seq, reason);
}

static int endpoint_on_window_end(sd_event_source *source, uint64_t usec, void *userdata);

static int endpoint_open_window(QmpEndpoint *endpoint) {
        int r;

        if (!endpoint->window)
                return sd_event_add_time_relative(endpoint->server->event,
                                                  &endpoint->window,
                                                  CLOCK_BOOTTIME,
                                                  THROTTLE_WINDOW_US,
                                                  ENDPOINT_WINDOW_SLACK_US,
                                                  endpoint_on_window_end,
                                                  endpoint);
        r = sd_event_source_set_time_relative(endpoint->window, THROTTLE_WINDOW_US);
        if (r < 0)
                return r;
        return sd_event_source_set_enabled(endpoint->window, SD_EVENT_ONESHOT);
}

static int endpoint_on_window_end(sd_event_source *source, uint64_t usec, void *userdata) {
        QmpEndpoint *endpoint = userdata;
        _cleanup_free_ char *text = NULL;
        uint64_t seq;
        size_t n;

        if (throttle_expire(&endpoint->throttle, &seq, &text, &n)) {
                qmp_endpoint_send(endpoint, seq, text, n);
                if (endpoint_open_window(endpoint) == 0)
                        return 0;
                throttle_deinit(&endpoint->throttle);
        }
        endpoint->window = sd_event_source_disable_unref(endpoint->window);
        return 0;
}

void qmp_endpoint_send_throttled(QmpEndpoint *endpoint, uint64_t seq, const char *text, size_t n) {
        int r;

        r = throttle_offer(&endpoint->throttle, seq, text, n);
        if (r < 0)
                qmp_endpoint_lose(endpoint, seq, QMP_LOST_STORE);
        if (r != 0)
                return;
        qmp_endpoint_send(endpoint, seq, text, n);
        /* Without a timer nothing would ever end the window, so there is none. */
        if (endpoint_open_window(endpoint) < 0)
                throttle_deinit(&endpoint->throttle);
}
