/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/writes.h"

#include <errno.h>
#include <stdlib.h>

typedef struct Write {
        List link; /* of Writes */
        Writes *writes;
        uint64_t number;
        bool done;
        int r;
} Write;

static void writes_on_done(int r, void *userdata) {
        Write *write = userdata;
        Writes *writes = write->writes;

        write->done = true;
        write->r = r;
        while (!list_is_empty(&writes->list)) {
                _cleanup_free_ Write *first = list_entry(writes->list.next, Write, link);

                if (!first->done) {
                        first = NULL;
                        return;
                }
                list_remove(&first->link);
                writes->func(first->number, first->r, writes->userdata);
        }
}

int writes_put(Writes *writes, Store *store, const IncidentInfo *incident) {
        Write *write;
        int r;

        writes->n++;
        write = malloc(sizeof(*write));
        if (!write)
                return -ENOMEM;
        *write = (Write){ .writes = writes, .number = writes->n };
        r = store_put_incident(store, incident, false, writes_on_done, write);
        if (r < 0) {
                free(write);
                return r;
        }
        list_append(&writes->list, &write->link);
        return 0;
}

void writes_init(Writes *writes, WritesFunc func, void *userdata) {
        *writes = (Writes){ .func = func, .userdata = userdata };
        list_init(&writes->list);
}

void writes_deinit(Writes *writes) {
        list_foreach_safe(i, n, &writes->list)
                free(list_entry(i, Write, link));
        list_init(&writes->list);
}
