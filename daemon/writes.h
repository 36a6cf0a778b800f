/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * Records on their way to the disk, numbered, so that an action can wait for all that was written up to
 * a point. The store may be done with a later one first (a newer version takes the place of one that
 * waits); here they are told of in the order of their numbers.
 */
#include <stdint.h>

#include "daemon/store/store.h"
#include "policy/util/list.h"

/* All up to this number are down; r < 0: this one could not be kept. Called from the loop. */
typedef void (*WritesFunc)(uint64_t number, int r, void *userdata);

typedef struct Writes {
        List list;  /* under way, in order */
        uint64_t n; /* the number of the last one */
        WritesFunc func;
        void *userdata;
} Writes;

void writes_init(Writes *writes, WritesFunc func, void *userdata);
/* After store_close(), which calls nobody back. */
void writes_deinit(Writes *writes);
/* It has a number in any case. 0, or negative as store_put_incident(): nothing will be said of it. */
int writes_put(Writes *writes, Store *store, const IncidentInfo *incident);
