/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * A disk that does what a test wants: an SQLite VFS in front of the usual one, made the default, so
 * that the store runs on it unchanged. One of a process, used from any thread.
 */
#include <stdbool.h>

void faulty_vfs_register(void);

/* From now on writes (and syncs) fail with this SQLite code; 0: they work. */
void faulty_vfs_fail_writes(int code);
/* The next read of a file fails with this code. */
void faulty_vfs_fail_read(int code);
/* From now on writes don't return until this is called with false. */
void faulty_vfs_hang(bool hang);
/* Is a thread stuck there? */
bool faulty_vfs_is_stuck(void);
/* fsync()s of files whose name ends so. */
unsigned faulty_vfs_count_syncs(const char *suffix);

/* From now on remembers, beside each file, what it was at its last fsync(). */
void faulty_vfs_remember(void);
/* The power is cut: the database at `path` and its log are what they were when last synced. May
 * be called by another process, after the one that wrote was killed. */
void faulty_vfs_cut_power(const char *path);
