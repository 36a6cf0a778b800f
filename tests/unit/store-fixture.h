/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* A store in a folder of its own, with a loop, for the tests of daemon/store. */
#include <CUnit/CUnit.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <systemd/sd-event.h>

#include "daemon/store/store.h"

/* A disk that has not answered by then never will, in these tests. */
#define FIXTURE_WAIT_US (5 * UINT64_C(1000000))

typedef struct StoreFixture {
        char dir[64];   /* the state folder */
        char path[128]; /* the database */
        sd_event *event;
        StoreLimits limits;
        Store *store;
        unsigned n_problems;
        char problem[1024]; /* the last one told */
} StoreFixture;

void store_fixture_init(StoreFixture *f);
void store_fixture_deinit(StoreFixture *f);
void store_fixture_open(StoreFixture *f);
void store_fixture_close(StoreFixture *f);
/* Runs the loop until *flag, or fails the test. */
void store_fixture_run_until(StoreFixture *f, const bool *flag);
void store_fixture_run_for(StoreFixture *f, uint64_t us);
/* Runs the loop until everything put so far is written or has failed; returns a read's result. */
int store_fixture_settle(StoreFixture *f);
/* Runs the loop until the health contains `part`. */
void store_fixture_run_until_health(StoreFixture *f, const char *part);

/* The answer of a put. */
typedef struct PutResult {
        bool done;
        int r;
        unsigned n;
} PutResult;
void put_result_set(int r, void *userdata);

typedef struct IncidentValues {
        uint64_t id;
        const char *machine;
        IncidentKind kind;
        IncidentStatus status;
        uint64_t opened_us;
        const char *note; /* grows the record */
        const char *signature;
        uint64_t stop_code; /* of Windows, 0: none */
        bool sync;
} IncidentValues;

int store_fixture_put(StoreFixture *f, const IncidentValues *values, PutResult *result);
/* Numbers, and puts, an event with a text that tells the number. */
uint64_t store_fixture_put_event(StoreFixture *f, const char *machine);

typedef struct ReadResult {
        bool done;
        int r;
        size_t n;
        uint64_t numbers[1024];
        char first_text[256]; /* of an event */
} ReadResult;
void store_fixture_read_events(StoreFixture *f, uint64_t after, ReadResult *result);
void store_fixture_read_incidents(StoreFixture *f,
                                  const StoreIncidentFilter *filter,
                                  ReadResult *result);
/* Any, of all. */
#define FIXTURE_ANY ((StoreIncidentFilter){ .kind = -1, .status = -1 })

/* What a query of one number says, with a connection of its own. */
int64_t store_fixture_query(StoreFixture *f, const char *sql);
uint64_t store_fixture_file_size(StoreFixture *f, const char *suffix);
