/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * The incident store and the event log: one SQLite database (WAL) below the state folder, touched
 * by one writer thread only. Everything here returns at once; what the disk has to say comes
 * back through the event loop. A damaged, full, hung or unwritable disk is reported through
 * `problem` and never stops the watch: numbers go on, and what could not be kept is counted.
 */
#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "policy/policy.h"

typedef struct Store Store;

#define STORE_EVENT_MAX (64 << 10)          /* bytes of one event; a larger one is not kept */
#define STORE_RECORD_MAX (1 << 20)          /* bytes of one incident's record, as JSON */
#define STORE_BYTES_MIN (UINT64_C(8) << 20) /* a smaller limit is taken for this */
#define STORE_EVENTS_LIMIT 256              /* events of one read */
#define STORE_INCIDENTS_LIMIT 1000          /* records of one read */
#define STORE_CRASHES_LIMIT 100             /* groups of one read */

/* 0 is no limit, but for queue_bytes, which is 4 MiB at least. */
typedef struct StoreLimits {
        uint64_t incidents;             /* most incidents kept */
        uint64_t incidents_per_machine; /* of one machine, before the total bites */
        uint64_t events;                /* most events in the log */
        uint64_t events_per_machine;
        uint64_t bytes;       /* size the database with its log stays below */
        uint64_t age_us;      /* older ones are dropped */
        uint64_t queue_bytes; /* waiting for the disk */
} StoreLimits;

typedef struct StoreOps {
        /* The store's health changed: "ok", or a sentence for the operator. Called from the loop,
         * and from store_open(). */
        void (*problem)(const char *text, void *userdata);
} StoreOps;

/* Opens (or makes, upgrades, or sets aside as damaged and makes anew) STATE_DIR/tocsin.db. Waits for
 * the disk up to wait_us: this is the one call that may. A disk that can't be used at all is not an error:
 * the store then lives in memory and says so. */
int store_open(Store **ret,
               sd_event *event,
               const char *state_dir,
               const StoreLimits *limits,
               uint64_t wait_us,
               const StoreOps *ops,
               void *userdata);
/* Writes what is queued, waiting at most wait_us, and closes. Nobody is called any more. Not to be
 * called from a function the store called. */
Store *store_close(Store *store, uint64_t wait_us);
void store_set_limits(Store *store, const StoreLimits *limits);

const char *store_get_health(const Store *store); /* "ok" or a sentence */
uint64_t store_get_lost(const Store *store);      /* events and records not kept */

/* Incidents. A number is never given twice, whatever dies in between. */
uint64_t store_next_incident(Store *store);

/* `r` is 0 once the record is on its way through the disk's cache (or synced when asked for), or
 * negative when it is not known to be kept: -ETIMEDOUT when the disk has not answered for seconds,
 * -ENOBUFS when it was dropped from a full queue, else what the disk said. After a disk's error it
 * stays queued and is written should the disk come back. Called from the loop, never from
 * within store_put_*(). */
typedef void (*StoreDone)(int r, void *userdata);

/* Keeps (inserts or replaces) a record. One that waits for the disk is replaced by its newer version, in
 * its place: its `done` is called just before the newer one's, and that may be before the one of another
 * incident that was put in between. `info` is copied as JSON at once. done may be NULL; it is
 * not called if this fails: -ENOMEM, -ENOBUFS (larger than STORE_RECORD_MAX). */
int store_put_incident(Store *store, const IncidentInfo *info, bool sync, StoreDone done, void *userdata);

/* Runs known to tocsin: what makes a stop `found` or known after a restart. Replaces the run
 * kept for that machine. `info` is any JSON the caller wants back, or NULL. The 20,000 put last are
 * kept. */
int store_put_machine(Store *store, const char *machine, const char *run, json_object *info);

/* Events. Numbers start at 1 within the log; ranges are reserved on disk ahead. */
const char *store_get_log(const Store *store); /* UUID */
uint64_t store_next_seq(Store *store);
uint64_t store_last_seq(const Store *store);
uint64_t store_first_seq(const Store *store); /* oldest kept */
/* Why a number below store_last_seq() is not in the log: "unclean-end", "store" (the disk would not
 * have it) or "expired". */
const char *store_explain_missing(const Store *store, uint64_t seq);
/* `text` is the event as control.sock sends it, without CRLF. -EFBIG above STORE_EVENT_MAX. */
int store_put_event(Store *store,
                    uint64_t seq,
                    const char *machine,
                    const char *event,
                    uint64_t real_us,
                    const char *text,
                    size_t n);

/* Reads: answered from the loop, never from within; in order with earlier writes, unless writes
 * fail. With r < 0 there are no results. */
typedef struct StoreEventFilter {
        uint64_t after; /* seq > after */
        unsigned limit; /* 1 to STORE_EVENTS_LIMIT */
} StoreEventFilter;
/* Called once: `texts` in order of seq with their numbers; n < limit means the end was reached.
 * Numbers missing in between were never written or have expired. */
typedef void (
        *StoreEventsFunc)(int r, const uint64_t *seqs, char *const *texts, size_t n, void *userdata);
int store_read_events(Store *store,
                      const StoreEventFilter *filter,
                      StoreEventsFunc func,
                      void *userdata);

typedef struct StoreIncidentFilter {
        uint64_t id;                           /* 0: any */
        const char *machine;                   /* glob or NULL */
        int kind, status;                      /* -1: any */
        const char *signature, *cause;         /* NULL: any */
        uint64_t since_real_us, until_real_us; /* 0: any */
        uint64_t before;                       /* 0: any */
        unsigned limit;                        /* 0: STORE_INCIDENTS_LIMIT, which is the most */
} StoreIncidentFilter;
/* `records`: IncidentInfo as JSON, newest first; borrowed for the call. There may be fewer than asked
 * for, since an answer has some megabytes at most. */
typedef void (*StoreIncidentsFunc)(int r, json_object *const *records, size_t n, void *userdata);
int store_read_incidents(Store *store,
                         const StoreIncidentFilter *filter,
                         StoreIncidentsFunc func,
                         void *userdata);

/* The same, with CrashGroups, the largest first. Of the filter machine, kind, signature, times and
 * limit (at most STORE_CRASHES_LIMIT) count. */
int store_read_crashes(Store *store,
                       const StoreIncidentFilter *filter,
                       StoreIncidentsFunc func,
                       void *userdata);

/* At start, before the loop runs: what was unfinished, and the runs known. Synchronous, in parts of
 * which each waits no longer than store_open(); -ETIMEDOUT at once when that one has waited in vain.
 * func is called once per record, oldest first. */
typedef void (*StoreRecordFunc)(json_object *record, void *userdata);
typedef void (*StoreMachineFunc)(const char *machine,
                                 const char *run,
                                 json_object *info,
                                 void *userdata);
int store_load_open_incidents(Store *store, StoreRecordFunc func, void *userdata);
/* Decisions carried out since real_us, for windows: the records of closed incidents. */
int store_load_recent_incidents(Store *store,
                                uint64_t since_real_us,
                                StoreRecordFunc func,
                                void *userdata);
int store_load_machines(Store *store, StoreMachineFunc func, void *userdata);
