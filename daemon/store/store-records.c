/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is put into the store and read from it: from our types to operations of the queue. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "daemon/store/store-private.h"
#include "daemon/store/store-rows.h"
#include "policy/decode/decode.h"
#include "policy/qapi/json.h"
#include "policy/util/moment.h"

/* Queues what is to be written. While the disk is known not to do its part, who waits is answered
 * at once (through the loop). */
static int store_put(Store *store, StoreOp *values, StoreDone done, void *userdata) {
        StoreOp answer = { .type = STORE_OP_ANSWER, .answer = true, .done = done, .userdata = userdata };
        StoreOp *op;
        int r;

        answer.r = store->hung_us > 0 ? -ETIMEDOUT : store->error;
        if (done && answer.r == 0) {
                values->answer = true;
                values->done = done;
                values->userdata = userdata;
        }
        r = store_op_new(&op, values);
        if (r < 0)
                return r;
        store_push(store, op);
        if (!done || answer.r == 0)
                return 0;

        r = store_op_new(&op, &answer);
        if (r < 0)
                return r;
        store_push(store, op);
        return 0;
}

static int store_write_json(json_object *json, Buffer *out) {
        out->limit = STORE_RECORD_MAX;
        return json_write(out, json, JSON_STYLE_QMP);
}

static uint64_t store_timestamp_to_us(const Timestamp *t) {
        return t ? (uint64_t) t->seconds * USEC_PER_SEC + (uint64_t) t->microseconds : 0;
}

int store_put_incident(Store *store, const IncidentInfo *info, bool sync, StoreDone done, void *userdata) {
        _cleanup_(buffer_deinit) Buffer text = BUFFER_NULL;
        char cause[DECODE_CAUSE_SIZE];
        json_object *json;
        StoreOp op;
        int r;

        r = incident_info_to_json(info, &json);
        if (r < 0)
                return r;
        r = store_write_json(json, &text);
        json_object_put(json);
        if (r < 0)
                return r;
        op = (StoreOp){
                .type = STORE_OP_INCIDENT,
                .sync = sync,
                .number = info->id,
                .time_us = store_timestamp_to_us(info->opened),
                .machine = info->machine,
                .kind = incident_kind_to_string(info->kind),
                .status = incident_status_to_string(info->status),
                .signature = info->signature,
                .cause = decode_get_cause(info, cause),
                .text = buffer_content(&text),
                .n_text = buffer_length(&text),
        };
        return store_put(store, &op, done, userdata);
}

int store_put_machine(Store *store, const char *machine, const char *run, json_object *info) {
        _cleanup_(buffer_deinit) Buffer text = BUFFER_NULL;
        StoreOp op;
        int r;

        r = store_write_json(info, &text);
        if (r < 0)
                return r;
        op = (StoreOp){
                .type = STORE_OP_MACHINE,
                .time_us = store_now_us(CLOCK_REALTIME),
                .machine = machine,
                .name = run,
                .text = buffer_content(&text),
                .n_text = buffer_length(&text),
        };
        return store_put(store, &op, NULL, NULL);
}

int store_put_event(Store *store,
                    uint64_t seq,
                    const char *machine,
                    const char *event,
                    uint64_t real_us,
                    const char *text,
                    size_t n) {
        StoreOp op = {
                .type = STORE_OP_EVENT,
                .number = seq,
                .time_us = real_us,
                .machine = machine,
                .name = event,
                .text = text,
                .n_text = n,
        };

        if (n > STORE_EVENT_MAX) {
                store_lock(store);
                store->shared->queue.n_lost++;
                store_shared_add_holes(store->shared, seq, seq);
                store_unlock(store);
                return -EFBIG;
        }
        return store_put(store, &op, NULL, NULL);
}

static int store_read(Store *store, StoreOp *values, void *userdata) {
        StoreOp *op;
        int r;

        values->answer = true;
        values->userdata = userdata;
        r = store_op_new(&op, values);
        if (r < 0)
                return r;
        store_push(store, op);
        return 0;
}

int store_read_events(Store *store,
                      const StoreEventFilter *filter,
                      StoreEventsFunc func,
                      void *userdata) {
        StoreOp op = {
                .type = STORE_OP_READ_EVENTS,
                .number = filter->after,
                .limit = filter->limit,
                .events_func = func,
        };

        if (filter->limit == 0 || filter->limit > STORE_EVENTS_LIMIT)
                return -EINVAL;
        return store_read(store, &op, userdata);
}

static uint64_t store_get_until(const StoreIncidentFilter *filter) {
        return filter->until_real_us > 0 && filter->until_real_us < INT64_MAX ? filter->until_real_us
                                                                              : INT64_MAX;
}

int store_read_incidents(Store *store,
                         const StoreIncidentFilter *filter,
                         StoreIncidentsFunc func,
                         void *userdata) {
        StoreOp op = {
                .type = STORE_OP_READ_INCIDENTS,
                .before = filter->before > 0 && filter->before < INT64_MAX ? filter->before
                                                                           : INT64_MAX,
                .machine = filter->machine,
                .kind = filter->kind < 0 ? NULL : incident_kind_to_string(filter->kind),
                .status = filter->status < 0 ? NULL : incident_status_to_string(filter->status),
                .signature = filter->signature,
                .cause = filter->cause,
                .time_us = filter->since_real_us,
                .until_us = store_get_until(filter),
                .limit = filter->limit,
                .incidents_func = func,
        };

        if (filter->limit == 0 || filter->limit > STORE_INCIDENTS_LIMIT)
                op.limit = STORE_INCIDENTS_LIMIT;
        if (filter->id > 0) {
                op.number = filter->id - 1;
                op.before = filter->id + 1;
        }
        return store_read(store, &op, userdata);
}

int store_read_crashes(Store *store,
                       const StoreIncidentFilter *filter,
                       StoreIncidentsFunc func,
                       void *userdata) {
        StoreOp op = {
                .type = STORE_OP_READ_CRASHES,
                .machine = filter->machine,
                .kind = filter->kind < 0 ? NULL : incident_kind_to_string(filter->kind),
                .signature = filter->signature,
                .time_us = filter->since_real_us,
                .until_us = store_get_until(filter),
                .limit = filter->limit,
                .incidents_func = func,
        };

        if (filter->limit == 0 || filter->limit > STORE_CRASHES_LIMIT)
                op.limit = STORE_CRASHES_LIMIT;
        return store_read(store, &op, userdata);
}

/* One part of store_load_*(): waits for it. */
static int store_load(Store *store, StoreOp *values, StoreOp **ret) {
        struct timespec until = store_get_deadline(store->wait_us);
        StoreShared *shared = store->shared;
        StoreOp *op;
        bool answered;
        int r;

        /* One wait was enough. */
        if (store->hung_us > 0)
                return -ETIMEDOUT;
        values->answer = true;
        r = store_op_new(&op, values);
        if (r < 0)
                return r;
        store_push(store, op);

        store_lock(store);
        while (!op->answered && r == 0)
                r = pthread_cond_timedwait(&shared->answer, &shared->lock, &until);
        answered = op->answered;
        if (answered)
                (void) store_queue_take_completed(&shared->queue, op);
        store_unlock(store);
        /* If it is late, the loop gets it, and nobody is told. */
        if (!answered)
                return -ETIMEDOUT;
        list_remove(&op->waiting_link);
        r = op->r;
        if (r < 0)
                store_op_free(op);
        else
                *ret = op;
        return r;
}

static int store_load_incidents(Store *store, StoreOp *values, StoreRecordFunc func, void *userdata) {
        for (;;) {
                _cleanup_(store_op_freep) StoreOp *op = NULL;
                int r;

                r = store_load(store, values, &op);
                if (r < 0 || op->n_rows == 0)
                        return r;
                for (size_t i = 0; i < op->n_rows; i++)
                        if (op->rows[i].json)
                                func(op->rows[i].json, userdata);
                values->number = op->rows[op->n_rows - 1].number;
                values->time_us = op->rows[op->n_rows - 1].time_us;
        }
}

int store_load_open_incidents(Store *store, StoreRecordFunc func, void *userdata) {
        StoreOp op = { .type = STORE_OP_LOAD_OPEN };

        return store_load_incidents(store, &op, func, userdata);
}

int store_load_recent_incidents(Store *store,
                                uint64_t since_real_us,
                                StoreRecordFunc func,
                                void *userdata) {
        /* Rows behind (time, number): the last number of the microsecond before */
        StoreOp op = {
                .type = STORE_OP_LOAD_RECENT,
                .time_us = since_real_us > 0 ? since_real_us - 1 : 0,
                .number = INT64_MAX,
        };

        return store_load_incidents(store, &op, func, userdata);
}

int store_load_machines(Store *store, StoreMachineFunc func, void *userdata) {
        StoreOp values = { .type = STORE_OP_LOAD_MACHINES, .machine = "" };
        _cleanup_free_ char *last = NULL;

        for (;;) {
                _cleanup_(store_op_freep) StoreOp *op = NULL;
                int r;

                r = store_load(store, &values, &op);
                if (r < 0 || op->n_rows == 0)
                        return r;
                for (size_t i = 0; i < op->n_rows; i++)
                        func(op->rows[i].name, op->rows[i].run, op->rows[i].json, userdata);
                free(last);
                last = TAKE_PTR(op->rows[op->n_rows - 1].name);
                values.machine = last;
        }
}
