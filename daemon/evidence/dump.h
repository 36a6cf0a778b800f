/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* A memory dump, from the socket to the file, within its bounds. For the program tocsin-evidence. */
#include "daemon/evidence/folder.h"

/* What the dump is told about while it is taken. */
typedef struct DumpOps {
        void (*progress)(uint64_t bytes);
        /* The dump of another incident made place for this one. */
        void (*removed)(const RoomDump *dump);
        /* Somebody wants it to end. */
        bool (*is_stopped)(void);
} DumpOps;

/* Reads to the end. `room` is what is kept already. 0 and the size, or negative, and words in
 * `problem`. */
#define DUMP_PROBLEM_SIZE 200
int dump_take(int from_fd,
              int root_fd,
              FolderFile *file,
              Room *room,
              const DumpOps *ops,
              uint64_t *ret_bytes,
              char problem[static DUMP_PROBLEM_SIZE]);
