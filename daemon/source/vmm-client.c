/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Clients: a UUID and the numbers of its last reports. They outlive their connections, since a client
 * that lost one sends again what it has no answer to.
 */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/source/vmm-private.h"

static void vmm_client_write_uuid(const char *uuid, char ret[static VMM_UUID_SIZE]) {
        size_t i;

        for (i = 0; uuid[i] && i < VMM_UUID_SIZE - 1; i++)
                ret[i] = (char) tolower((unsigned char) uuid[i]);
        ret[i] = '\0';
}

VmmClient *vmm_find_client(const Vmm *vmm, const char *uuid) {
        char key[VMM_UUID_SIZE];
        IndexLink *link;

        vmm_client_write_uuid(uuid, key);
        link = index_find(&vmm->clients, key);
        return link ? CONTAINER_OF(link, VmmClient, by_uuid) : NULL;
}

VmmClient *vmm_get_client(Vmm *vmm, const char *uuid, uid_t uid) {
        VmmClient *client = vmm_find_client(vmm, uuid);

        if (client)
                return client;
        client = calloc(1, sizeof(*client));
        if (!client)
                return NULL;
        client->vmm = vmm;
        client->uid = uid;
        list_init(&client->away);
        list_init(&client->guests);
        list_init(&client->calls);
        vmm_client_write_uuid(uuid, client->uuid);
        if (index_add(&vmm->clients, &client->by_uuid, client->uuid) < 0) {
                free(client);
                return NULL;
        }
        return client;
}

bool vmm_client_count(VmmClient *client, uint64_t number) {
        for (size_t i = 0; i < VMM_NUMBERS_MAX; i++)
                if (client->numbers[i] == number)
                        return false;
        client->numbers[client->next] = number;
        client->next = (client->next + 1) % VMM_NUMBERS_MAX;
        return true;
}

static void vmm_client_return(VmmClient *client) {
        if (list_is_empty(&client->away))
                return;
        list_remove(&client->away);
        client->vmm->n_away--;
}

void vmm_client_settle(VmmClient *client) {
        Vmm *vmm = client->vmm;

        if (client->peer || !list_is_empty(&client->guests) || !list_is_empty(&client->calls)) {
                vmm_client_return(client);
                return;
        }
        if (!list_is_empty(&client->away))
                return;
        list_append(&vmm->away, &client->away);
        if (++vmm->n_away > VMM_AWAY_MAX)
                vmm_client_free(list_entry(vmm->away.next, VmmClient, away));
}

/* To nobody: their connection is gone. */
static void vmm_client_drop_calls(VmmClient *client) {
        list_foreach_safe(i, next, &client->calls) {
                VmmCall *call = list_entry(i, VmmCall, link);

                qmp_call_return(call->call, NULL);
                list_remove(&call->link);
                list_remove(&call->waiting);
                sd_event_source_disable_unref(call->timer);
                json_object_put(call->answer);
                free(call);
        }
        client->n_calls = 0;
}

void vmm_client_free(VmmClient *client) {
        vmm_client_return(client);
        vmm_client_drop_calls(client);
        list_foreach_safe(i, next, &client->guests)
                vmm_guest_free(list_entry(i, VmmGuest, link));
        index_remove(&client->vmm->clients, &client->by_uuid);
        free(client);
}

void vmm_client_lost(VmmClient *client) {
        client->peer = NULL;
        vmm_client_drop_calls(client);
        list_foreach(i, &client->guests)
                vmm_guest_lost(list_entry(i, VmmGuest, link));
        vmm_client_settle(client);
}
