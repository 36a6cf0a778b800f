/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the endpoints share, and the way of an event to all of them: it gets its number, is
 * formatted once for each of its two shapes, however many clients there are, and goes to the log as
 * control.sock sends it. Each client copies it into its own queue. The first event is sent before the
 * disk's thread is woken for it; those that follow before the loop comes round wait for that, so
 * a burst of events costs one send() a client.
 *
 * The event sources here have the same priority as those of the machines: sd-event serves equals
 * oldest first, while a higher priority for guests would let a single one that floods silence all
 * clients, and the other way round.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/qmp/peer.h"
#include "daemon/qmp/replay.h"
#include "daemon/qmp/server-private.h"
#include "policy/qapi/json.h"
#include "policy/util/buffer.h"

/* Clients that get their turn in one turn of the loop. */
#define SERVER_TURNS 64

static int server_dispatch_turns(sd_event_source *source, void *userdata) {
        QmpServer *server = userdata;

        for (unsigned i = 0; i < SERVER_TURNS && !list_is_empty(&server->ready); i++)
                qmp_peer_turn(qmp_peer_from_ready_link(server->ready.next));
        if (list_is_empty(&server->ready))
                return 0;
        return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int server_set_string(char **s, const char *value) {
        char *copy = NULL;

        if (value) {
                copy = strdup(value);
                if (!copy)
                        return -ENOMEM;
        }
        free(*s);
        *s = copy;
        return 0;
}

int qmp_server_configure(QmpServer *server, const QmpServerConfig *config) {
        if (server_set_string(&server->command_group, config->command_group) < 0 ||
            server_set_string(&server->monitor_group, config->monitor_group) < 0)
                return -ENOMEM;
        access_groups_resolve(&server->groups, config->command_group, config->monitor_group);
        server->clients_per_uid = config->clients_per_uid;
        server->queue_bytes = config->queue_bytes;
        return 0;
}

static int server_make_folder(const QmpServer *server) {
        _cleanup_free_ char *path = NULL;

        if (asprintf(&path, "%s/qmp", server->runtime_dir) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        return mkdir(path, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

int qmp_server_new(QmpServer **ret,
                   sd_event *event,
                   const QmpServerConfig *config,
                   Store *store,
                   void *userdata) {
        _cleanup_(qmp_server_freep) QmpServer *server = NULL;
        int r;

        server = malloc(sizeof(*server));
        if (!server)
                return -ENOMEM;
        *server = (QmpServer){
                .event = sd_event_ref(event),
                .store = store,
                .userdata = userdata,
                .spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC),
        };
        list_init(&server->ready);
        list_init(&server->replays);

        r = server_set_string(&server->runtime_dir, config->runtime_dir);
        if (r == 0)
                r = qmp_server_configure(server, config);
        if (r == 0)
                r = server_make_folder(server);
        if (r == 0)
                r = sd_event_add_defer(event, &server->turns, server_dispatch_turns, server);
        if (r >= 0)
                r = sd_event_source_set_enabled(server->turns, SD_EVENT_OFF);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(server);
        return 0;
}

QmpServer *qmp_server_free(QmpServer *server) {
        if (!server)
                return NULL;
        /* clients whose endpoint has gone, and who have not had their last turn */
        while (!list_is_empty(&server->ready))
                qmp_peer_free(qmp_peer_from_ready_link(server->ready.next));
        replay_drop_all(&server->replays);
        sd_event_source_disable_unref(server->turns);
        sd_event_unref(server->event);
        if (server->spare_fd >= 0)
                close(server->spare_fd);
        free(server->runtime_dir);
        free(server->command_group);
        free(server->monitor_group);
        free(server->users);
        free(server);
        return NULL;
}

unsigned qmp_server_count_clients(const QmpServer *server) {
        return server->n_clients;
}

unsigned qmp_server_count_endpoints(const QmpServer *server) {
        return server->n_endpoints;
}

static QmpServerUser *server_find_user(QmpServer *server, uid_t uid) {
        for (size_t i = 0; i < server->n_users; i++)
                if (server->users[i].uid == uid)
                        return &server->users[i];
        return NULL;
}

int qmp_server_admit(QmpServer *server, uid_t uid) {
        QmpServerUser *user = server_find_user(server, uid);

        if (uid != 0 && user && user->n_clients >= server->clients_per_uid)
                return QMP_SERVER_E_FULL;
        if (uid != 0 && !user) {
                QmpServerUser *users;

                users = reallocarray(server->users, server->n_users + 1, sizeof(*users));
                if (!users)
                        return -ENOMEM;
                server->users = users;
                user = &users[server->n_users++];
                *user = (QmpServerUser){ .uid = uid };
        }
        if (user)
                user->n_clients++;
        server->n_clients++;
        return 0;
}

void qmp_server_dismiss(QmpServer *server, uid_t uid) {
        QmpServerUser *user = server_find_user(server, uid);

        server->n_clients--;
        if (!user || --user->n_clients > 0)
                return;
        *user = server->users[--server->n_users];
}

/* The shape of control.sock: the members of `data`, and whose event it is. */
static int server_write_control(Buffer *out, const QmpAnnouncement *announcement, uint64_t seq) {
        _cleanup_(json_object_putp) json_object *data = NULL;
        int r = 0;

        data = json_object_new_object();
        if (!data)
                return -ENOMEM;
        if (json_object_is_type(announcement->data, json_type_object)) {
                json_object_object_foreach(announcement->data, key, value) {
                        r |= json_object_object_add(data, key, json_object_get(value));
                }
        }
        r |= json_object_object_add(data, "machine", json_object_new_string(announcement->machine));
        r |= json_object_object_add(data, "seq", json_object_new_uint64(seq));
        if (announcement->synthetic)
                r |= json_object_object_add(data, "synthetic", json_object_new_boolean(true));
        if (r < 0)
                return -ENOMEM;
        return qmp_write_event(out, announcement->event, data, announcement->real_us);
}

/* r < 0: there was no memory for the line. */
static void server_send(QmpEndpoint *endpoint, int r, uint64_t seq, Buffer *line, bool throttled) {
        if (r < 0 || buffer_length(line) > QMP_EVENT_BYTES_MAX)
                qmp_endpoint_lose(endpoint, seq, QMP_LOST_STORE);
        else if (throttled)
                qmp_endpoint_send_throttled(endpoint, seq, buffer_content(line), buffer_length(line));
        else
                qmp_endpoint_send(endpoint, seq, buffer_content(line), buffer_length(line));
}

static void server_announce_control(QmpServer *server,
                                    const QmpAnnouncement *announcement,
                                    uint64_t seq) {
        _cleanup_(buffer_deinit) Buffer line = BUFFER_NULL;
        int r;

        r = server_write_control(&line, announcement, seq);
        if (server->control)
                server_send(server->control, r, seq, &line, false);
        /* What the store can't keep it counts and reports itself; clients of now get it anyway. */
        if (r == 0)
                (void) store_put_event(server->store,
                                       seq,
                                       announcement->machine,
                                       announcement->event,
                                       announcement->real_us,
                                       buffer_content(&line),
                                       buffer_length(&line) - strlen("\r\n"));
}

static void server_announce_machine(const QmpAnnouncement *announcement, uint64_t seq) {
        _cleanup_(buffer_deinit) Buffer line = BUFFER_NULL;
        QmpEndpoint *endpoint = announcement->endpoint;
        bool throttled = announcement->own && throttle_has(announcement->event);
        int r;

        /* A throttled event opens a window, whether anybody listens now or not. */
        if (list_is_empty(&endpoint->clients) && !throttled)
                return;
        r = qmp_write_event(&line, announcement->event, announcement->data, announcement->real_us);
        server_send(endpoint, r, seq, &line, throttled);
}

uint64_t qmp_server_announce(QmpServer *server, const QmpAnnouncement *announcement) {
        uint64_t seq = store_next_seq(server->store);

        if (announcement->endpoint && !announcement->control_only)
                server_announce_machine(announcement, seq);
        server_announce_control(server, announcement, seq);
        return seq;
}

void *qmp_call_get_server_userdata(const QmpCall *call) {
        QmpPeer *peer = qmp_call_get_userdata(call);

        return peer ? qmp_peer_get_server(peer)->userdata : NULL;
}

QmpPeer *qmp_call_get_peer(const QmpCall *call) {
        return qmp_call_get_userdata(call);
}

void *qmp_call_get_endpoint_userdata(const QmpCall *call) {
        QmpPeer *peer = qmp_call_get_userdata(call);
        QmpEndpoint *endpoint = peer ? qmp_peer_get_endpoint(peer) : NULL;

        return endpoint ? endpoint->userdata : NULL;
}

const char *qmp_call_get_machine(const QmpCall *call) {
        QmpPeer *peer = qmp_call_get_userdata(call);
        QmpEndpoint *endpoint = peer ? qmp_peer_get_endpoint(peer) : NULL;

        return endpoint ? endpoint->machine : NULL;
}
