/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * The way of one client through the event log, from a number it knows to what happens now.
 */
#include <stdint.h>

#include "daemon/qmp/server.h"
#include "policy/util/list.h"

typedef struct Replay Replay;

int replay_new(Replay **ret, QmpPeer *peer, uint64_t after);
Replay *replay_free(Replay *replay);
/* Those whose answer will never come, since the loop runs no more. */
void replay_drop_all(List *replays);
/* The client has room for more: asks the store for it, unless it has been asked. */
int replay_continue(Replay *replay);
