/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * STATE_DIR/evidence: a folder for each incident that has evidence, named by its number, with a file
 * that says whose it is. Only the program tocsin-evidence comes here: what is done here waits on
 * the disk. Functions return 0 or a negative errno.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/evidence/room.h"

/* Below the state folder */
#define FOLDER_ROOT "evidence"
#define FOLDER_MEMORY "memory.kdump"
#define FOLDER_REGISTERS "registers.txt"
#define FOLDER_LOG "dmesg.txt"

/* Whose evidence a folder holds: an incident's number means something within one store only, and a
 * store that was damaged is made anew. */
typedef struct FolderOwner {
        const char *machine, *store;
} FolderOwner;

/* STATE_DIR/evidence, made when it is not there. */
int folder_open_root(const char *state_dir, int *ret_fd);
/* The folder of an incident, made when it is not there. -EEXIST: it is somebody else's. */
int folder_open(int root_fd, uint64_t incident, const FolderOwner *owner, int *ret_fd);
/* Every memory dump there is. */
int folder_survey(int root_fd, const char *machine, Room *room);
int folder_remove_dump(int root_fd, uint64_t incident);
/* The folder of an incident of this store, with all that is in it. */
int folder_remove(int root_fd, uint64_t incident, const char *store);
/* The lowest numbers above `after` that have folders of this store, at most *n of them. What a
 * program left half written when it was killed is removed in all. */
int folder_list(int root_fd, const char *store, uint64_t after, uint64_t *ids, size_t *n);

/* A file is written under a name that says it is not whole, and locked while somebody does. */
typedef struct FolderFile {
        int folder_fd, fd;
        const char *name;
        char part[64];
} FolderFile;

#define FOLDER_FILE_NULL                                                                           \
        { .folder_fd = -1, .fd = -1 }

int folder_file_open(FolderFile *file, int folder_fd, const char *name);
/* Gives it its name once the disk has it. */
int folder_file_finish(FolderFile *file);
/* What is not finished is removed. */
void folder_file_deinit(FolderFile *file);
/* -ENOENT: there is none. */
int folder_file_size(int folder_fd, const char *name, uint64_t *ret);
