/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* Operations of the queue as rows of the database, both ways. In the writer thread. */
#include "daemon/store/store-db.h"
#include "daemon/store/store-holes.h"
#include "daemon/store/store-queue.h"

/* Rows of one part of store_load_*(). */
#define STORE_LOAD_PART 256

/* Within a transaction. 0, -EINVAL (op->r says so, too: this one can't be kept), or another error of
 * the database. */
int store_rows_write(StoreDb *db, StoreOp *op);
/* Adds a row to op->rows, all 0. 0 or -ENOMEM. */
int store_rows_append(StoreOp *op, StoreRow **ret);
/* Fills op->rows and op->r. */
void store_rows_read(StoreDb *db, StoreOp *op);

int store_rows_write_holes(StoreDb *db, const StoreHoles *holes);
int store_rows_read_holes(StoreDb *db, StoreHoles *holes);
