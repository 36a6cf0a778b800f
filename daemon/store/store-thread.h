/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* The writer thread: the only one that touches the database. */

/* pthread_create()'s function; gets a StoreShared and, when the loop has left before, frees it. */
void *store_thread_run(void *shared);
