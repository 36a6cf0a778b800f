/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * Guests that tocsind has no descriptors for. They wait, in order and without being tried again, until
 * another one goes; so whoever talks to tocsind still gets a connection, and the disk its files.
 */
#include <stdbool.h>

#include "daemon/machine/machines-private.h"

/* Of one guest: its monitor, its process, its endpoint. */
#define CROWD_FILES_PER_GUEST 3

int crowd_new(Machines *machines);
void crowd_free(Machines *machines);
/* Whether there is room for one more guest. If not, an operator is told. */
bool crowd_has_room(Machines *machines);
/* It waits for room; way_kick() is called when there may be some. */
void crowd_add(Way *way);
/* Does nothing to a way that does not wait. */
void crowd_remove(Way *way);
/* Descriptors came free, or may have. */
void crowd_look(Machines *machines);
