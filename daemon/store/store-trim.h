/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* What keeps the database within its limits. In the writer thread, within its transactions. */
#include "daemon/store/store-db.h"
#include "daemon/store/store-queue.h"

#define STORE_TRIM_BUCKETS 1024

typedef struct StoreTrim {
        StoreLimits limits;
        /* Rows written for the machines of a bucket since one of them was counted. */
        uint16_t events[STORE_TRIM_BUCKETS];
        uint16_t incidents[STORE_TRIM_BUCKETS];
        unsigned machines;
} StoreTrim;

void store_trim_set_limits(StoreTrim *trim, const StoreLimits *limits);
/* Of `bytes`, what is for the write-ahead log. */
uint64_t store_trim_get_log_share(const StoreLimits *limits);
/* After a row was written: the quota of its machine. */
int store_trim_machine(StoreTrim *trim, StoreDb *db, const StoreOp *op);
/* Totals, age and size, one bounded step; *ret_more tells that another is needed. */
int store_trim_step(StoreTrim *trim, StoreDb *db, uint64_t now_real_us, bool *ret_more);
