/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Order and bounds of what waits for the writer thread. */
#include <errno.h>
#include <string.h>

#include "daemon/store/store-queue.h"
#include "harness.h"

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
          { "what is dropped", test_drop },
          { "answers are bounded", test_answers })
