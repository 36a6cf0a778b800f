/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Order and bounds of what waits for the writer thread. */
#include <errno.h>
#include <string.h>

#include "daemon/store/store-queue.h"
#include "tests/unit/harness.h"

typedef struct Lost {
        unsigned n;
        uint64_t first, last;
} Lost;

static void test_on_lost(uint64_t seq, void *userdata) {
        Lost *lost = userdata;

        if (lost->n++ == 0)
                lost->first = seq;
        lost->last = seq;
}

static void test_on_done(int r, void *userdata) {
}

static void test_push(StoreQueue *queue, StoreOpType type, uint64_t number, Lost *lost) {
        StoreOp values = { .type = type, .number = number, .machine = "vm1" }, *op;

        if (type == STORE_OP_INCIDENT) {
                values.answer = true;
                values.done = test_on_done;
        }
        values.answer = values.answer || type == STORE_OP_READ_EVENTS;
        CU_ASSERT_EQUAL_FATAL(store_op_new(&op, &values), 0);
        store_queue_push(queue, op, test_on_lost, lost);
}

static uint64_t test_get_number(const List *list, unsigned at) {
        unsigned n = 0;

        list_foreach(i, list)
                if (n++ == at)
                        return list_entry(i, StoreOp, link)->number;
        return 0;
}

static void test_complete_taken(StoreQueue *queue) {
        list_foreach_safe(i, n, &queue->taken)
                store_queue_complete(queue, list_entry(i, StoreOp, link));
}

static void test_copies(void) {
        char machine[] = "vm1", text[] = "{\"a\": 1} and more";
        StoreOp values = { .type = STORE_OP_EVENT, .machine = machine, .text = text, .n_text = 8 };
        StoreOp *op;

        CU_ASSERT_EQUAL_FATAL(store_op_new(&op, &values), 0);
        memset(machine, 'x', sizeof(machine) - 1);
        memset(text, 'x', sizeof(text) - 1);
        CU_ASSERT_STRING_EQUAL(op->machine, "vm1");
        CU_ASSERT_STRING_EQUAL(op->text, "{\"a\": 1}");
        CU_ASSERT_PTR_NULL(op->name);
        store_op_free(op);
}

static void test_order(void) {
        StoreQueue queue = { .limit = 1 << 20 };
        Lost lost = {};

        store_queue_init(&queue);
        test_push(&queue, STORE_OP_EVENT, 1, &lost);
        test_push(&queue, STORE_OP_INCIDENT, 2, &lost);
        test_push(&queue, STORE_OP_READ_EVENTS, 3, &lost);
        test_push(&queue, STORE_OP_EVENT, 4, &lost);

        /* A read waits for what was there before it, or for nothing if that can't be written. */
        CU_ASSERT_FALSE(store_queue_can_read(&queue, false));
        CU_ASSERT_TRUE(store_queue_can_read(&queue, true));
        CU_ASSERT_PTR_NULL(store_queue_take_read(&queue, false));

        store_queue_take_writes(&queue);
        CU_ASSERT_EQUAL(test_get_number(&queue.taken, 0), 2);
        CU_ASSERT_EQUAL(test_get_number(&queue.taken, 1), 1);
        CU_ASSERT_EQUAL(test_get_number(&queue.taken, 2), 4);
        CU_ASSERT_FALSE(store_queue_has_writes(&queue));

        /* It could not be written: as before, in front of what has come since. */
        test_push(&queue, STORE_OP_EVENT, 5, &lost);
        store_queue_put_back(&queue);
        CU_ASSERT_FALSE(store_queue_can_read(&queue, false));
        CU_ASSERT_EQUAL(test_get_number(&queue.urgent, 0), 2);
        CU_ASSERT_EQUAL(test_get_number(&queue.bulk, 0), 1);
        CU_ASSERT_EQUAL(test_get_number(&queue.bulk, 1), 4);
        CU_ASSERT_EQUAL(test_get_number(&queue.bulk, 2), 5);

        store_queue_take_writes(&queue);
        test_complete_taken(&queue);
        CU_ASSERT_PTR_NOT_NULL(store_queue_take_read(&queue, false));
        test_complete_taken(&queue);
        CU_ASSERT_EQUAL(queue.bytes, 0);
        /* only those who want an answer: the incident and the read */
        CU_ASSERT_EQUAL(test_get_number(&queue.completed, 0), 2);
        CU_ASSERT_EQUAL(test_get_number(&queue.completed, 1), 3);
        CU_ASSERT_EQUAL(test_get_number(&queue.completed, 2), 0);
        store_queue_deinit(&queue);
}

/* Events alone may gather; whoever waits, or a transaction's worth of them, ends that. */
static void test_pressing(void) {
        StoreQueue queue = { .limit = 1 << 20 };
        Lost lost = {};

        store_queue_init(&queue);
        CU_ASSERT_FALSE(store_queue_is_pressing(&queue));
        test_push(&queue, STORE_OP_EVENT, 1, &lost);
        CU_ASSERT_FALSE(store_queue_is_pressing(&queue));
        test_push(&queue, STORE_OP_READ_EVENTS, 2, &lost);
        CU_ASSERT_TRUE(store_queue_is_pressing(&queue));
        store_queue_take_writes(&queue);
        test_complete_taken(&queue);
        CU_ASSERT_PTR_NOT_NULL(store_queue_take_read(&queue, false));
        test_complete_taken(&queue);
        CU_ASSERT_FALSE(store_queue_is_pressing(&queue));

        test_push(&queue, STORE_OP_INCIDENT, 3, &lost);
        CU_ASSERT_TRUE(store_queue_is_pressing(&queue));
        store_queue_take_writes(&queue);
        test_complete_taken(&queue);
        CU_ASSERT_FALSE(store_queue_is_pressing(&queue));

        for (uint64_t number = 4; !store_queue_is_pressing(&queue) && number < 10000; number++)
                test_push(&queue, STORE_OP_EVENT, number, &lost);
        CU_ASSERT_TRUE(store_queue_is_pressing(&queue));
        CU_ASSERT_EQUAL(lost.n, 0);
        store_queue_deinit(&queue);
}

static void test_drop(void) {
        StoreQueue queue = {};
        Lost lost = {};
        StoreOp *op;

        store_queue_init(&queue);
        queue.limit = SIZE_MAX;
        test_push(&queue, STORE_OP_INCIDENT, 1, &lost);
        queue.limit = 4 * queue.bytes; /* four of a kind */
        for (uint64_t i = 1; i <= 10; i++)
                test_push(&queue, STORE_OP_EVENT, i, &lost);
        CU_ASSERT_EQUAL(lost.n, 7);
        CU_ASSERT_EQUAL(lost.first, 1);
        CU_ASSERT_EQUAL(lost.last, 7);
        CU_ASSERT_TRUE(queue.full);
        CU_ASSERT_FALSE(store_queue_relax(&queue));

        for (uint64_t i = 2; i <= 6; i++)
                test_push(&queue, STORE_OP_INCIDENT, i, &lost);
        CU_ASSERT_EQUAL(lost.n, 10);
        CU_ASSERT_EQUAL(queue.n_lost, 12);
        CU_ASSERT_EQUAL(test_get_number(&queue.urgent, 0), 3);
        CU_ASSERT_EQUAL(test_get_number(&queue.urgent, 3), 6);
        /* There is nothing in the way of an incident but incidents; an event gives way itself. */
        test_push(&queue, STORE_OP_EVENT, 11, &lost);
        CU_ASSERT_EQUAL(lost.last, 11);

        op = store_queue_take_completed(&queue, NULL);
        CU_ASSERT_PTR_NOT_NULL_FATAL(op);
        CU_ASSERT_EQUAL(op->number, 1);
        CU_ASSERT_EQUAL(op->r, -ENOBUFS);
        store_op_free(op);

        store_queue_take_writes(&queue);
        test_complete_taken(&queue);
        CU_ASSERT_TRUE(store_queue_relax(&queue));
        CU_ASSERT_FALSE(queue.full);
        store_queue_deinit(&queue);
}

static unsigned done_calls[8], n_done_calls;

static void test_on_done_in_turn(int r, void *userdata) {
        if (n_done_calls < 8)
                done_calls[n_done_calls++] = *(unsigned *) userdata;
}

static void test_put(StoreQueue *queue, uint64_t number, const char *text, bool sync, unsigned *who) {
        StoreOp values = {
                .type = STORE_OP_INCIDENT,
                .number = number,
                .machine = "vm1",
                .text = text,
                .n_text = strlen(text),
                .sync = sync,
        };
        StoreOp *op;

        if (who) {
                values.answer = true;
                values.done = test_on_done_in_turn;
                values.userdata = who;
        }
        CU_ASSERT_EQUAL_FATAL(store_op_new(&op, &values), 0);
        store_queue_push(queue, op, NULL, NULL);
}

static void test_tell_completed(StoreQueue *queue, int r) {
        StoreOp *op;

        n_done_calls = 0;
        while ((op = store_queue_take_completed(queue, NULL))) {
                CU_ASSERT_EQUAL(op->r, r);
                op->done(op->r, op->userdata);
                store_op_free(op);
        }
}

static const StoreOp *test_get(const List *list, unsigned at) {
        list_foreach(i, list)
                if (at-- == 0)
                        return list_entry(i, StoreOp, link);
        return NULL;
}

/* One record, put again while it waits: the newest version is written, in the place of the first,
 * and all who wait are told, in turn. */
static void test_replace(void) {
        StoreQueue queue = { .limit = 1 << 20 };
        unsigned who[] = { 1, 2, 3, 4 };
        Lost lost = {};

        store_queue_init(&queue);
        test_put(&queue, 1, "one", true, &who[0]);
        test_push(&queue, STORE_OP_READ_EVENTS, 9, &lost);
        test_put(&queue, 1 + STORE_BUCKETS, "another", false, NULL);
        test_put(&queue, 1, "two", false, NULL);
        test_put(&queue, 1, "three", false, &who[1]);

        CU_ASSERT_EQUAL(test_get_number(&queue.urgent, 0), 1);
        CU_ASSERT_EQUAL(test_get_number(&queue.urgent, 1), 1 + STORE_BUCKETS);
        CU_ASSERT_EQUAL(test_get_number(&queue.urgent, 2), 0);
        CU_ASSERT_STRING_EQUAL(test_get(&queue.urgent, 0)->text, "three");
        CU_ASSERT_TRUE(test_get(&queue.urgent, 0)->sync);
        CU_ASSERT_FALSE(store_queue_can_read(&queue, false));

        /* The thread is at it and fails, while a newer version comes, and one comes after that. */
        store_queue_take_writes(&queue);
        test_put(&queue, 1, "four", false, &who[2]);
        CU_ASSERT_EQUAL(test_get_number(&queue.taken, 0), 1);
        CU_ASSERT_STRING_EQUAL(test_get(&queue.taken, 0)->text, "three");
        store_queue_put_back(&queue);
        test_put(&queue, 1, "five", false, &who[3]);
        CU_ASSERT_EQUAL(test_get_number(&queue.urgent, 0), 1);
        CU_ASSERT_EQUAL(test_get_number(&queue.urgent, 1), 1 + STORE_BUCKETS);
        CU_ASSERT_EQUAL(test_get_number(&queue.urgent, 2), 0);
        CU_ASSERT_STRING_EQUAL(test_get(&queue.urgent, 0)->text, "five");
        CU_ASSERT_TRUE(test_get(&queue.urgent, 0)->sync);

        store_queue_take_writes(&queue);
        test_complete_taken(&queue);
        test_tell_completed(&queue, 0);
        CU_ASSERT_EQUAL_FATAL(n_done_calls, 4);
        for (unsigned i = 0; i < 4; i++)
                CU_ASSERT_EQUAL(done_calls[i], who[i]);
        CU_ASSERT_PTR_NOT_NULL(store_queue_take_read(&queue, false));
        test_complete_taken(&queue);
        CU_ASSERT_EQUAL(queue.bytes, 0);
        store_queue_deinit(&queue);
}

/* All guests panic at once, and the disk is busy with the first of them. */
static void test_mass(void) {
        StoreQueue queue = {};
        unsigned who = 1;
        char text[1500];
        size_t one;

        memset(text, 'x', sizeof(text) - 1);
        text[sizeof(text) - 1] = '\0';
        store_queue_init(&queue);
        queue.limit = SIZE_MAX;
        test_put(&queue, 1, text, false, &who);
        one = queue.bytes;
        queue.limit = 16 << 20;
        for (unsigned version = 0; version < 6; version++)
                for (uint64_t i = 1; i <= 8000; i++)
                        test_put(&queue, i, text, false, version == 0 ? &who : NULL);
        CU_ASSERT_EQUAL(queue.n_lost, 0);
        CU_ASSERT(queue.bytes < 8000 * (one + sizeof(StoreOp) + 16));
        store_queue_deinit(&queue);
}

/* A dropped record takes along those who wait for older versions of it. */
static void test_drop_replaced(void) {
        StoreQueue queue = { .limit = 1 << 20 };
        unsigned who[] = { 1, 2 };

        store_queue_init(&queue);
        test_put(&queue, 1, "one", false, &who[0]);
        test_put(&queue, 1, "two", false, &who[1]);
        queue.limit = 1;
        test_put(&queue, 2, "other", false, NULL);
        CU_ASSERT_EQUAL(queue.n_lost, 2);
        CU_ASSERT_EQUAL(queue.bytes, 0);
        test_tell_completed(&queue, -ENOBUFS);
        CU_ASSERT_EQUAL(n_done_calls, 2);
        CU_ASSERT_EQUAL(done_calls[0], 1);
        store_queue_deinit(&queue);
}

/* A loop that does not come to look at the answers gets no more of them. */
static void test_answers(void) {
        StoreQueue queue = { .limit = 1 << 20 };
        Lost lost = {};

        store_queue_init(&queue);
        for (uint64_t i = 0; i < STORE_ANSWERS_MAX + 1; i++)
                test_push(&queue, STORE_OP_READ_EVENTS, i, &lost);
        for (unsigned i = 0; i < STORE_ANSWERS_MAX; i++) {
                StoreOp *op = store_queue_take_read(&queue, false);

                CU_ASSERT_PTR_NOT_NULL_FATAL(op);
                store_queue_complete(&queue, op);
        }
        CU_ASSERT_PTR_NULL(store_queue_take_read(&queue, true));
        store_op_free(store_queue_take_completed(&queue, NULL));
        CU_ASSERT_PTR_NOT_NULL(store_queue_take_read(&queue, true));
        store_queue_deinit(&queue);
}

TEST_MAIN("store-queue",
          { "an operation is a copy", test_copies },
          { "order", test_order },
          { "a newer version replaces one that waits", test_replace },
          { "8,000 incidents at once, six times", test_mass },
          { "what does not wait", test_pressing },
          { "what is dropped", test_drop },
          { "what is dropped with those it replaced", test_drop_replaced },
          { "answers are bounded", test_answers })
