/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * The way of one client through the event log, from a number it knows to what happens now.
 */
#include <stdint.h>

#include "daemon/qmp/server.h"

typedef struct Replay Replay;

/* EVENTS_LOST's reasons */
#define REPLAY_LOST_SLOW_CLIENT "slow-client"
#define REPLAY_LOST_EXPIRED "expired"
#define REPLAY_LOST_UNCLEAN_END "unclean-end"
#define REPLAY_LOST_STORE "store"

int replay_new(Replay **ret, QmpPeer *peer, uint64_t after);
Replay *replay_free(Replay *replay);
/* The client has room for more: asks the store for it, unless it has been asked. */
int replay_continue(Replay *replay);
