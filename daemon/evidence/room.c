/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/evidence/room.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void room_deinit(Room *room) {
        free(room->dumps);
        *room = (Room) ROOM_NULL;
}

int room_add(Room *room, uint64_t incident, uint64_t bytes, bool own) {
        RoomDump *dumps;
        size_t at;

        if (!own) {
                room->bytes += bytes;
                return 0;
        }
        dumps = reallocarray(room->dumps, room->n_dumps + 1, sizeof(*dumps));
        if (!dumps)
                return -ENOMEM;
        room->dumps = dumps;
        for (at = room->n_dumps; at > 0 && dumps[at - 1].incident > incident; at--)
                dumps[at] = dumps[at - 1];
        dumps[at] = (RoomDump){ incident, bytes };
        room->n_dumps++;
        room->bytes += bytes;
        room->own_bytes += bytes;
        return 0;
}

int room_ask(const Room *room, uint64_t written, uint64_t end, uint64_t free_bytes) {
        const RoomLimits *limits = &room->limits;

        if (end > limits->machine_bytes)
                return ROOM_E_MACHINE;
        if (room->bytes > limits->total_bytes || end > limits->total_bytes - room->bytes)
                return ROOM_E_TOTAL;
        if (free_bytes < limits->free_bytes ||
            (end > written && end - written > free_bytes - limits->free_bytes))
                return ROOM_E_FREE;
        return 0;
}

bool room_is_over(const Room *room, uint64_t bytes) {
        return room->n_dumps >= room->limits.dumps || bytes > room->limits.machine_bytes ||
               room->own_bytes > room->limits.machine_bytes - bytes;
}

bool room_take_oldest(Room *room, RoomDump *ret) {
        if (room->n_dumps == 0)
                return false;
        *ret = room->dumps[0];
        room->bytes -= ret->bytes;
        room->own_bytes -= ret->bytes;
        room->n_dumps--;
        memmove(room->dumps, room->dumps + 1, room->n_dumps * sizeof(*room->dumps));
        return true;
}
