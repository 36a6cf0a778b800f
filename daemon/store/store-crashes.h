/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Equal crashes, counted: a CrashGroup for each signature. In the writer thread. */
#include "daemon/store/store-db.h"
#include "daemon/store/store-queue.h"

/* Adds a row for each group. 0 or negative. */
int store_crashes_read(StoreDb *db, StoreOp *op);
