/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The bytes of a QEMU, through a real socket into a real client that asks who it is and what its
 * CPUs crashed of. Whatever comes, each question has exactly one answer.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/machine/backend.h"
#include "daemon/machine/qmp-client.h"
#include "daemon/machine/qmp-identity.h"

typedef struct Peer {
        QmpClient *client;
        QmpInquiry *inquiry;
        unsigned n_asked, n_answered;
} Peer;

static void peer_answer(int r, json_object *ret, const char *error, void *userdata) {
        ((Peer *) userdata)->n_answered++;
}

static void peer_identified(int r, QmpIdentity *identity, const char *error, void *userdata) {
        Peer *peer = userdata;
        BackendCall call = { .verb = BACKEND_CRASH_INFO,
                             .fd = -1,
                             .deadline_us = USEC_PER_SEC,
                             .done = peer_answer,
                             .userdata = peer };

        peer->inquiry = qmp_inquiry_free(peer->inquiry);
        if (r == 0 && qmp_backend.command(peer->client, ABILITY_CRASH_INFO, &call) == 0)
                peer->n_asked++;
}

static void peer_ready(QmpClient *client, void *userdata) {
        Peer *peer = userdata;

        if (qmp_inquiry_new(&peer->inquiry, client, peer_identified, peer) < 0)
                abort();
}

static void peer_event(QmpClient *client, const QmpClientEvent *event, void *userdata) {
        if (!event->name)
                abort();
}

static void peer_closed(QmpClient *client, const char *why, void *userdata) {
        Peer *peer = userdata;

        peer->inquiry = qmp_inquiry_free(peer->inquiry);
        peer->client = qmp_client_free(peer->client);
}

static const QmpClientOps peer_ops = { .ready = peer_ready,
                                       .event = peer_event,
                                       .closed = peer_closed };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        sd_event *event = NULL;
        Peer peer = {};
        int pair[2];

        if (sd_event_new(&event) < 0 ||
            socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0 ||
            qmp_client_new(&peer.client, event, pair[0], &peer_ops, &peer) < 0)
                abort();
        for (size_t sent = 0; sent < size && peer.client;) {
                ssize_t n = write(pair[1], data + sent, size - sent);

                if (n > 0)
                        sent += (size_t) n;
                if (sd_event_run(event, 0) < 0)
                        abort();
        }
        (void) close(pair[1]);
        while (peer.client)
                if (sd_event_run(event, 0) < 0)
                        abort();
        if (peer.n_answered != peer.n_asked)
                abort();
        sd_event_unref(event);
        return 0;
}
