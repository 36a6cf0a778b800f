/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who may connect and report for what, and who is there. What counts is the uid the kernel tells of
 * the peer; a client's UUID only tells its reports from those of its predecessor, and is nobody
 * else's while its uid is another.
 */
#include "daemon/source/vmm.h"

#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/source/vmm-private.h"
#include "policy/util/glob.h"
#include "policy/util/name.h"

uint64_t vmm_now(const Vmm *vmm) {
        uint64_t now = 0;

        (void) sd_event_now(vmm->event, CLOCK_REALTIME, &now);
        return now;
}

bool vmm_allows(const Vmm *vmm, uid_t uid, const char *machine) {
        for (size_t i = 0; i < vmm->n_allow; i++)
                if (vmm->allow[i].uid == uid && (!machine || glob_match(vmm->allow[i].glob, machine)))
                        return true;
        return false;
}

void vmm_refuse(Vmm *vmm, QmpCall *call, uid_t uid, const char *machine) {
        char key[64], text[256];

        vmm->refusals++;
        /* whoever tries again and again is told of at 1, 2, 4, 8, ... */
        if ((vmm->refusals & (vmm->refusals - 1)) == 0) {
                (void) snprintf(key, sizeof(key), "vmm.sock uid %u", (unsigned) uid);
                (void) snprintf(text,
                                sizeof(text),
                                "refused %" PRIu64
                                " times, last a report for %s, which [vmm] allow= does "
                                "not let uid %u make",
                                vmm->refusals,
                                machine,
                                (unsigned) uid);
                vmm->ops->problem(key, text, vmm->userdata);
        }
        qmp_call_fail(call,
                      QAPI_ERROR_CLASS_GENERIC_ERROR,
                      "Permission denied: uid %u may not report for machine '%s'",
                      (unsigned) uid,
                      machine);
}

Vmm *vmm_from_call(QmpCall *call) {
        return qmp_call_get_endpoint_userdata(call);
}

static bool vmm_admits(uid_t uid, void *userdata) {
        return vmm_allows(userdata, uid, NULL);
}

static void vmm_peer_closed(QmpPeer *peer, void *userdata) {
        VmmClient *client = qmp_peer_get_owner(peer);

        if (client)
                vmm_client_lost(client);
}

static const QmpEndpointOps vmm_endpoint_ops = {
        .admits = vmm_admits,
        .closed = vmm_peer_closed,
};

/* "USER:GLOB" in its two parts; false when it isn't. */
static bool vmm_allow_split(const char *text, char **ret_user, const char **ret_glob) {
        const char *colon = strchr(text, ':');

        if (!colon || colon == text || !glob_is_valid(colon + 1) || colon[1] == '\0')
                return false;
        *ret_glob = colon + 1;
        *ret_user = strndup(text, (size_t) (colon - text));
        return true;
}

bool vmm_allow_is_valid(const char *text) {
        _cleanup_free_ char *user = NULL;
        const char *glob;

        return vmm_allow_split(text, &user, &glob);
}

static int vmm_find_uid(const char *user, uid_t *ret) {
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

static void vmm_allow_clear(VmmAllow *allow, size_t n) {
        for (size_t i = 0; i < n; i++)
                free(allow[i].glob);
        free(allow);
}

int vmm_configure(Vmm *vmm, char *const *texts) {
        VmmAllow *allow;
        size_t n = 0, n_allow = 0;

        while (texts && texts[n])
                n++;
        allow = calloc(n + 1, sizeof(*allow));
        if (!allow)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                _cleanup_free_ char *user = NULL;
                const char *glob;

                if (!vmm_allow_split(texts[i], &user, &glob) || !user ||
                    vmm_find_uid(user, &allow[n_allow].uid) < 0) {
                        vmm->ops->problem(texts[i],
                                          "[vmm] allow= names a user there is not",
                                          vmm->userdata);
                        continue;
                }
                vmm->ops->problem(texts[i], NULL, vmm->userdata);
                if (name_escape_glob(glob, &allow[n_allow].glob) < 0) {
                        vmm_allow_clear(allow, n_allow);
                        return -ENOMEM;
                }
                n_allow++;
        }
        vmm_allow_clear(vmm->allow, vmm->n_allow);
        vmm->allow = allow;
        vmm->n_allow = n_allow;
        return 0;
}

int vmm_new(Vmm **ret,
            sd_event *event,
            QmpServer *server,
            Watch *watch,
            Store *store,
            const VmmOps *ops,
            void *userdata) {
        Vmm *vmm;
        int r;

        vmm = calloc(1, sizeof(*vmm));
        if (!vmm)
                return -ENOMEM;
        vmm->event = sd_event_ref(event);
        vmm->watch = watch;
        vmm->store = store;
        vmm->ops = ops;
        vmm->userdata = userdata;
        list_init(&vmm->away);
        list_init(&vmm->waiting_acts);
        list_init(&vmm->waiting_calls);
        r = qmp_endpoint_new(&vmm->endpoint, server, QAPI_PROFILE_VMM, NULL);
        if (r < 0) {
                vmm_free(vmm);
                return r;
        }
        qmp_endpoint_set_ops(vmm->endpoint, &vmm_endpoint_ops, vmm);
        *ret = vmm;
        return 0;
}

void vmm_close(Vmm *vmm) {
        if (vmm)
                vmm->endpoint = qmp_endpoint_free(vmm->endpoint);
}

Vmm *vmm_free(Vmm *vmm) {
        if (!vmm)
                return NULL;
        vmm_close(vmm);
        for (size_t i = 0; i < vmm->clients.n_buckets; i++)
                while (vmm->clients.buckets[i])
                        vmm_client_free(CONTAINER_OF(vmm->clients.buckets[i], VmmClient, by_uuid));
        index_deinit(&vmm->clients);
        index_deinit(&vmm->guests);
        vmm_allow_clear(vmm->allow, vmm->n_allow);
        sd_event_unref(vmm->event);
        free(vmm);
        return NULL;
}
