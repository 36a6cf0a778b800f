/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/machine/qmp-calls.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct QmpPending {
        List calls;
        uint64_t id, at_us, span_us;
        char *refusal;
        QmpClientDone done;
        void *userdata;
} QmpPending;

void qmp_calls_init(QmpCalls *calls) {
        *calls = (QmpCalls){};
        list_init(&calls->calls);
}

static QmpPending *qmp_calls_find(const QmpCalls *calls, uint64_t id) {
        list_foreach(i, &calls->calls) {
                QmpPending *pending = list_entry(i, QmpPending, calls);

                if (pending->id == id)
                        return pending;
        }
        return NULL;
}

static void qmp_calls_drop(QmpCalls *calls, QmpPending *pending) {
        list_remove(&pending->calls);
        calls->n_calls--;
        free(pending->refusal);
        free(pending);
}

static void qmp_calls_tell(QmpCalls *calls,
                           QmpPending *pending,
                           int r,
                           json_object *ret,
                           const char *error) {
        QmpClientDone done = pending->done;
        void *userdata = pending->userdata;

        qmp_calls_drop(calls, pending);
        done(r, ret, error, userdata);
}

int qmp_calls_add(QmpCalls *calls,
                  uint64_t at_us,
                  uint64_t span_us,
                  const char *refusal,
                  QmpClientDone done,
                  void *userdata,
                  uint64_t *ret_id) {
        QmpPending *pending;

        if (calls->n_calls >= QMP_CLIENT_CALLS_MAX)
                return -EBUSY;
        pending = calloc(1, sizeof(*pending));
        if (!pending)
                return -ENOMEM;
        if (refusal) {
                pending->refusal = strdup(refusal);
                if (!pending->refusal) {
                        free(pending);
                        return -ENOMEM;
                }
        }
        pending->id = ++calls->last_id;
        pending->at_us = at_us;
        pending->span_us = span_us;
        pending->done = done;
        pending->userdata = userdata;
        list_append(&calls->calls, &pending->calls);
        calls->n_calls++;
        *ret_id = pending->id;
        return 0;
}

void qmp_calls_forget(QmpCalls *calls, uint64_t id) {
        QmpPending *pending = qmp_calls_find(calls, id);

        if (pending)
                qmp_calls_drop(calls, pending);
}

void qmp_calls_answer(QmpCalls *calls, uint64_t id, json_object *ret, const char *error) {
        QmpPending *pending = qmp_calls_find(calls, id);

        if (pending && !pending->refusal)
                qmp_calls_tell(calls, pending, error ? -EREMOTEIO : 0, ret, error);
}

void qmp_calls_expire(QmpCalls *calls, uint64_t now_us) {
        for (;;) {
                QmpPending *due = NULL;
                char text[64];

                /* from the start each time: what was told may have changed the list */
                list_foreach(i, &calls->calls) {
                        QmpPending *pending = list_entry(i, QmpPending, calls);

                        if (pending->at_us <= now_us) {
                                due = pending;
                                break;
                        }
                }
                if (!due)
                        return;
                if (due->refusal) {
                        _cleanup_free_ char *refusal = TAKE_PTR(due->refusal);

                        qmp_calls_tell(calls, due, -EOPNOTSUPP, NULL, refusal);
                } else {
                        (void) snprintf(text,
                                        sizeof(text),
                                        "no answer within %" PRIu64 " s",
                                        due->span_us / USEC_PER_SEC);
                        qmp_calls_tell(calls, due, -ETIMEDOUT, NULL, text);
                }
        }
}

void qmp_calls_fail(QmpCalls *calls, const char *why) {
        while (!list_is_empty(&calls->calls))
                qmp_calls_tell(calls,
                               list_entry(calls->calls.next, QmpPending, calls),
                               -ENOTCONN,
                               NULL,
                               why);
}

uint64_t qmp_calls_get_next(const QmpCalls *calls) {
        uint64_t next = USEC_INFINITY;

        list_foreach(i, &calls->calls) {
                const QmpPending *pending = list_entry(i, QmpPending, calls);

                if (pending->at_us < next)
                        next = pending->at_us;
        }
        return next;
}
