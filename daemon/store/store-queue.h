/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * What waits for the writer thread. The caller holds the lock of StoreShared (store-thread.h) for
 * everything here but making, reading and freeing an operation it owns.
 */
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/store/store.h"
#include "policy/util/list.h"

/* Answers waiting for the loop; each may be some megabytes. */
#define STORE_ANSWERS_MAX 4
/* Chains of ten when 10,000 guests panic at once; numbers are given one after the other. */
#define STORE_BUCKETS 1024

typedef enum StoreOpType {
        STORE_OP_INCIDENT,
        STORE_OP_MACHINE,
        STORE_OP_EVENT,
        STORE_OP_READ_EVENTS,
        STORE_OP_READ_INCIDENTS,
        STORE_OP_READ_CRASHES,
        STORE_OP_LOAD_OPEN,
        STORE_OP_LOAD_RECENT,
        STORE_OP_LOAD_MACHINES,
        STORE_OP_ANSWER, /* nothing to do: carries an answer known at once back to the loop */
} StoreOpType;

typedef struct StoreRow {
        uint64_t number;  /* of an event, an incident */
        uint64_t time_us; /* when it was opened: LOAD_RECENT */
        char *name;       /* of a machine */
        char *run;
        char *text;
        json_object *json;
} StoreRow;

typedef struct StoreOp {
        List link;         /* in a list of StoreShared; the lock */
        List waiting_link; /* in Store.waiting; the loop only */
        List bucket_link;  /* in StoreQueue.buckets, while an incident is `urgent` */
        List older;        /* of an incident: those it replaced that want an answer, oldest first */
        StoreOpType type;
        uint64_t ticket; /* order of arrival */
        size_t size;     /* counts in the queue */
        bool sync;
        bool answer; /* the loop wants it back */

        /* What to write; the filter of a read. Strings lie behind the struct, but for the text, which
         * goes when a newer version replaces it. */
        uint64_t number, before, time_us, until_us;
        unsigned limit;
        const char *machine, *name, *kind, *status, *signature, *cause, *text;
        size_t n_text;

        /* The answer */
        int r;
        bool answered; /* for store_load_*(), which waits for it */
        StoreRow *rows;
        size_t n_rows;

        /* Whom to tell; touched by the loop only, NULL when nobody waits any more. */
        StoreDone done;
        StoreEventsFunc events_func;
        StoreIncidentsFunc incidents_func;
        void *userdata;
} StoreOp;

/* Copies the strings named in `values`; the rest is copied as it is. */
int store_op_new(StoreOp **ret, const StoreOp *values);
StoreOp *store_op_free(StoreOp *op);
DEFINE_CLEANUP(StoreOp *, store_op_free);

typedef struct StoreQueue {
        List urgent; /* incidents and machines: written before events */
        List bulk;   /* events */
        List reads;
        List taken;     /* the thread is at these */
        List completed; /* for the loop */
        size_t bytes;   /* of all but `completed` */
        size_t limit;
        uint64_t ticket;
        List buckets[STORE_BUCKETS]; /* the incidents in `urgent`, by number: one of each at most */
        bool full; /* something was dropped, and not half of the queue has been written since */
        uint64_t n_lost;
        unsigned n_answers; /* reads in `completed` */
} StoreQueue;

void store_queue_init(StoreQueue *queue);
void store_queue_deinit(StoreQueue *queue);

/* Called for each event that is dropped, with its number. */
typedef void (*StoreLostFunc)(uint64_t seq, void *userdata);

/* Takes the operation. An incident takes the place of an older version that waits, whose answer comes
 * with its own. When the queue is full, events go first, oldest first, then incidents, oldest first. What is dropped and wants an answer is in `completed` afterwards with -ENOBUFS. */
void store_queue_push(StoreQueue *queue, StoreOp *op, StoreLostFunc lost, void *userdata);
/* Returns true when it stops being `full`. */
bool store_queue_relax(StoreQueue *queue);
bool store_queue_has_writes(const StoreQueue *queue);
/* Somebody waits for what is queued, or it fills a transaction. Without that it may gather. */
bool store_queue_is_pressing(const StoreQueue *queue);
/* Moves writes to `taken`, incidents before events, up to the bounds of one transaction. */
void store_queue_take_writes(StoreQueue *queue);
bool store_queue_can_read(const StoreQueue *queue, bool anyway);
/* Moves a read to `taken` whose earlier writes are done, or any if `anyway`. NULL while the loop
 * has too many answers to look at. */
StoreOp *store_queue_take_read(StoreQueue *queue, bool anyway);
/* Puts what was taken back in front: it could not be written now. What has a newer version by now
 * is replaced by that. */
void store_queue_put_back(StoreQueue *queue);
/* An operation is done, with op->r: frees it, or puts it into `completed`, behind those it replaced. */
void store_queue_complete(StoreQueue *queue, StoreOp *op);
/* Takes one of `completed`, the first if NULL. */
StoreOp *store_queue_take_completed(StoreQueue *queue, StoreOp *op);
