/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * Where the database lives: the state folder, who may use it, and what happens to a file that is
 * of no use. In the writer thread.
 */
#include <stdbool.h>

#include "daemon/store/store-db.h"

#define STORE_PROBLEM_SIZE 512

typedef struct StoreHome {
        const char *dir, *path; /* borrowed */
        int lock_fd;            /* the folder, locked against another tocsind */
        bool lost;              /* there was a database, and it is not used any more */
        char problem[STORE_PROBLEM_SIZE];
        char notice[STORE_PROBLEM_SIZE];
} StoreHome;

void store_home_init(StoreHome *home, const char *dir, const char *path);
void store_home_deinit(StoreHome *home);

/* The database on disk, as it is, made anew, or after what was there has been set aside (then `lost`
 * and `notice` are set). Negative, with `problem`, when there can't be one. *mark tells what is known
 * of the numbers used, even then. */
int store_home_open(StoreHome *home, StoreDb **ret, StoreMark *mark);
/* The file of *db is damaged, or not there any more: as above, with another file. *db is freed and
 * NULL if it fails. */
int store_home_replace(StoreHome *home, StoreDb **db);
/* A database in memory. */
int store_home_open_memory(StoreDb **ret);
/* Copies all rows of a database in memory into the one on disk, which is opened. */
int store_home_join(StoreHome *home, StoreDb *memory, StoreDb **ret, StoreMark *mark);
