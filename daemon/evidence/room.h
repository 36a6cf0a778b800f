/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * How much room there is for a memory dump, and which dumps go to make some. A machine's own dumps
 * are all that ever goes for a new one of it, oldest first: a guest that crashes in a loop must not
 * cost another its evidence. None goes before the new one needs its place, so that a dump that
 * fails costs nothing. Pure.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct RoomLimits {
        uint64_t dumps;         /* most of one machine */
        uint64_t machine_bytes; /* of its dumps */
        uint64_t total_bytes;   /* of the dumps of all machines */
        uint64_t free_bytes;    /* stay free on the file system */
} RoomLimits;

/* A dump that is kept already. */
typedef struct RoomDump {
        uint64_t incident, bytes;
} RoomDump;

typedef struct Room {
        RoomLimits limits;
        uint64_t bytes;  /* of all dumps */
        RoomDump *dumps; /* of the machine, oldest first */
        size_t n_dumps;
        uint64_t own_bytes; /* of these */
} Room;

#define ROOM_NULL                                                                                  \
        {}

typedef enum RoomError {
        ROOM_E_MACHINE = 1, /* larger than all that a machine may keep */
        ROOM_E_TOTAL,       /* the dumps of all machines would be too many bytes */
        ROOM_E_FREE,        /* too little would stay free */
} RoomError;

void room_deinit(Room *room);
/* Counts a dump that was found. 0 or -ENOMEM. */
int room_add(Room *room, uint64_t incident, uint64_t bytes, bool own);
/* Whether a new dump, of which `written` bytes are on the disk, may grow to `end` while so many are
 * free. 0 or of RoomError; with ROOM_E_TOTAL and ROOM_E_FREE there may be dumps to remove. */
int room_ask(const Room *room, uint64_t written, uint64_t end, uint64_t free_bytes);
/* Whether the machine has too many dumps with one of this size more. */
bool room_is_over(const Room *room, uint64_t bytes);
/* The machine's oldest, no longer counted. False: there is none. */
bool room_take_oldest(Room *room, RoomDump *ret);
