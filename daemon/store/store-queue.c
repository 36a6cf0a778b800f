/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The difficulty is order. Incidents overtake events, since actions wait for them; a read must see
 * every write that was queued before it, and must not starve while writes keep coming. So each
 * operation has a ticket: both lists of writes are in order of tickets, and a read may
 * run as soon as the head of either has a larger one. An incident that is put again while it waits
 * takes the ticket and the place of the version it replaces, so none of this changes, and a panic of
 * all guests at once, each with half a dozen versions, takes the room of one each.
 */
#include "daemon/store/store-queue.h"

#include <errno.h>
#include <string.h>

/* Of one transaction: some 10 ms of work, and a few megabytes of write-ahead log at most. */
#define STORE_BATCH_OPS 512
#define STORE_BATCH_BYTES (512 << 10)

static size_t store_op_measure(const char *s) {
        return s ? strlen(s) + 1 : 0;
}

static const char *store_op_copy(char **at, const char *s) {
        char *copy = *at;

        if (!s)
                return NULL;
        *at = stpcpy(copy, s) + 1;
        return copy;
}

int store_op_new(StoreOp **ret, const StoreOp *values) {
        size_t size;
        StoreOp *op;
        char *at;

        size = sizeof(*op) + store_op_measure(values->machine) + store_op_measure(values->name) +
               store_op_measure(values->kind) + store_op_measure(values->status) +
               store_op_measure(values->signature) + store_op_measure(values->cause);
        op = malloc(size);
        if (!op)
                return -ENOMEM;
        *op = *values;
        op->text = NULL;
        at = (char *) (op + 1);
        op->machine = store_op_copy(&at, values->machine);
        op->name = store_op_copy(&at, values->name);
        op->kind = store_op_copy(&at, values->kind);
        op->status = store_op_copy(&at, values->status);
        op->signature = store_op_copy(&at, values->signature);
        op->cause = store_op_copy(&at, values->cause);
        if (values->text) {
                char *text = malloc(values->n_text + 1);

                if (!text) {
                        free(op);
                        return -ENOMEM;
                }
                memcpy(text, values->text, values->n_text);
                text[values->n_text] = '\0';
                op->text = text;
        }
        op->size = size + values->n_text;
        list_init(&op->link);
        list_init(&op->waiting_link);
        list_init(&op->bucket_link);
        list_init(&op->older);
        *ret = op;
        return 0;
}

static void store_op_drop_text(StoreOp *op) {
        free((char *) (uintptr_t) op->text);
        op->text = NULL;
        op->size -= op->n_text;
        op->n_text = 0;
}

StoreOp *store_op_free(StoreOp *op) {
        if (!op)
                return NULL;
        list_foreach_safe(i, n, &op->older)
                store_op_free(list_entry(i, StoreOp, link));
        store_op_drop_text(op);
        for (size_t i = 0; i < op->n_rows; i++) {
                free(op->rows[i].name);
                free(op->rows[i].run);
                free(op->rows[i].text);
                json_object_put(op->rows[i].json);
        }
        free(op->rows);
        free(op);
        return NULL;
}

static StoreOp *store_queue_get_first(const List *list) {
        return list_is_empty(list) ? NULL : list_entry(list->next, StoreOp, link);
}

void store_queue_init(StoreQueue *queue) {
        list_init(&queue->urgent);
        list_init(&queue->bulk);
        list_init(&queue->reads);
        list_init(&queue->taken);
        list_init(&queue->completed);
        for (size_t i = 0; i < STORE_BUCKETS; i++)
                list_init(&queue->buckets[i]);
}

static void store_queue_clear(List *list) {
        list_foreach_safe(i, n, list) {
                list_remove(i);
                store_op_free(list_entry(i, StoreOp, link));
        }
}

void store_queue_deinit(StoreQueue *queue) {
        store_queue_clear(&queue->urgent);
        store_queue_clear(&queue->bulk);
        store_queue_clear(&queue->reads);
        store_queue_clear(&queue->taken);
        store_queue_clear(&queue->completed);
}

static List *store_queue_get_list(StoreQueue *queue, StoreOpType type) {
        switch (type) {
        case STORE_OP_INCIDENT:
        case STORE_OP_MACHINE:
                return &queue->urgent;
        case STORE_OP_EVENT:
                return &queue->bulk;
        case STORE_OP_READ_EVENTS:
        case STORE_OP_READ_INCIDENTS:
        case STORE_OP_READ_CRASHES:
        case STORE_OP_LOAD_OPEN:
        case STORE_OP_LOAD_RECENT:
        case STORE_OP_LOAD_MACHINES:
                return &queue->reads;
        case STORE_OP_ANSWER:
                break;
        }
        return &queue->completed;
}

static bool store_op_is_read(const StoreOp *op) {
        return op->type >= STORE_OP_READ_EVENTS && op->type <= STORE_OP_LOAD_MACHINES;
}

static List *store_queue_get_bucket(StoreQueue *queue, uint64_t number) {
        return &queue->buckets[number % STORE_BUCKETS];
}

static StoreOp *store_queue_find_incident(StoreQueue *queue, uint64_t number) {
        list_foreach(i, store_queue_get_bucket(queue, number)) {
                StoreOp *op = list_entry(i, StoreOp, bucket_link);

                if (op->number == number)
                        return op;
        }
        return NULL;
}

/* The newer version of an incident takes the place of the older one, and its duties: to be synced, and to
 * answer those who wait for it. */
static void store_queue_replace(StoreQueue *queue, StoreOp *older, StoreOp *newer) {
        list_remove(&newer->link);
        list_append(&older->link, &newer->link);
        newer->ticket = older->ticket;
        newer->sync = newer->sync || older->sync;

        list_remove(&older->link);
        list_remove(&older->bucket_link);
        queue->bytes -= older->size;
        /* each in front of those that were put after it */
        if (older->answer)
                list_append(newer->older.next, &older->link);
        while (!list_is_empty(&older->older)) {
                List *link = older->older.prev;

                list_remove(link);
                list_append(newer->older.next, link);
        }
        if (!older->answer) {
                store_op_free(older);
                return;
        }
        store_op_drop_text(older);
        queue->bytes += older->size;
}

static void store_queue_complete_one(StoreQueue *queue, StoreOp *op) {
        list_remove(&op->link);
        queue->bytes -= op->size;
        op->answered = true;
        if (!op->answer) {
                store_op_free(op);
                return;
        }
        list_append(&queue->completed, &op->link);
        if (store_op_is_read(op))
                queue->n_answers++;
}

void store_queue_complete(StoreQueue *queue, StoreOp *op) {
        list_remove(&op->bucket_link);
        list_foreach_safe(i, n, &op->older) {
                StoreOp *older = list_entry(i, StoreOp, link);

                older->r = op->r;
                store_queue_complete_one(queue, older);
        }
        store_queue_complete_one(queue, op);
}

StoreOp *store_queue_take_completed(StoreQueue *queue, StoreOp *op) {
        if (!op)
                op = store_queue_get_first(&queue->completed);
        if (!op)
                return NULL;
        list_remove(&op->link);
        if (store_op_is_read(op))
                queue->n_answers--;
        return op;
}

static void store_queue_drop(StoreQueue *queue, StoreOp *op, StoreLostFunc lost, void *userdata) {
        queue->full = true;
        queue->n_lost++;
        if (op->type == STORE_OP_EVENT)
                lost(op->number, userdata);
        op->r = -ENOBUFS;
        store_queue_complete(queue, op);
}

void store_queue_push(StoreQueue *queue, StoreOp *op, StoreLostFunc lost, void *userdata) {
        op->ticket = ++queue->ticket;
        list_append(store_queue_get_list(queue, op->type), &op->link);
        if (op->type == STORE_OP_ANSWER)
                return;
        queue->bytes += op->size;
        if (op->type == STORE_OP_INCIDENT) {
                StoreOp *older = store_queue_find_incident(queue, op->number);

                if (older)
                        store_queue_replace(queue, older, op);
                list_append(store_queue_get_bucket(queue, op->number), &op->bucket_link);
        }

        while (queue->bytes > queue->limit) {
                StoreOp *victim = store_queue_get_first(&queue->bulk);

                if (!victim)
                        victim = store_queue_get_first(&queue->urgent);
                /* What the thread is at can't be dropped; reads are few and small. */
                if (!victim)
                        break;
                store_queue_drop(queue, victim, lost, userdata);
        }
}

bool store_queue_relax(StoreQueue *queue) {
        if (!queue->full || queue->bytes > queue->limit / 2)
                return false;
        queue->full = false;
        return true;
}

bool store_queue_has_writes(const StoreQueue *queue) {
        return !list_is_empty(&queue->urgent) || !list_is_empty(&queue->bulk);
}

bool store_queue_is_pressing(const StoreQueue *queue) {
        return !list_is_empty(&queue->urgent) || !list_is_empty(&queue->reads) ||
               queue->bytes >= STORE_BATCH_BYTES;
}

void store_queue_take_writes(StoreQueue *queue) {
        size_t n = 0, bytes = 0;

        while (n < STORE_BATCH_OPS && bytes < STORE_BATCH_BYTES) {
                StoreOp *op = store_queue_get_first(&queue->urgent);

                if (!op)
                        op = store_queue_get_first(&queue->bulk);
                if (!op)
                        break;
                list_remove(&op->link);
                list_remove(&op->bucket_link);
                list_append(&queue->taken, &op->link);
                bytes += op->size;
                n++;
        }
}

bool store_queue_can_read(const StoreQueue *queue, bool anyway) {
        const StoreOp *read = store_queue_get_first(&queue->reads);
        const StoreOp *urgent = store_queue_get_first(&queue->urgent);
        const StoreOp *bulk = store_queue_get_first(&queue->bulk);

        if (!read || queue->n_answers >= STORE_ANSWERS_MAX)
                return false;
        return anyway || ((!urgent || urgent->ticket > read->ticket) &&
                          (!bulk || bulk->ticket > read->ticket));
}

StoreOp *store_queue_take_read(StoreQueue *queue, bool anyway) {
        StoreOp *read = store_queue_get_first(&queue->reads);

        if (!store_queue_can_read(queue, anyway))
                return NULL;
        list_remove(&read->link);
        list_append(&queue->taken, &read->link);
        return read;
}

void store_queue_put_back(StoreQueue *queue) {
        while (!list_is_empty(&queue->taken)) {
                StoreOp *op = list_entry(queue->taken.prev, StoreOp, link), *newer;
                List *list = store_queue_get_list(queue, op->type);

                list_remove(&op->link);
                /* in front: behind the head of the list */
                list_append(list->next, &op->link);
                if (op->type != STORE_OP_INCIDENT)
                        continue;
                newer = store_queue_find_incident(queue, op->number);
                if (newer)
                        store_queue_replace(queue, op, newer);
                else
                        list_append(store_queue_get_bucket(queue, op->number), &op->bucket_link);
        }
}
