/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * Commands under way on one connection: found by id when the answer comes, or by deadline when none
 * does. An answer may make new calls; each is out of the list before it is told. Pure bookkeeping:
 * the clock and the socket are the client's.
 */
#include <json-c/json.h>
#include <stdint.h>

#include "daemon/machine/qmp-client.h"
#include "policy/util/list.h"

typedef struct QmpCalls {
        List calls;
        unsigned n_calls;
        uint64_t last_id;
} QmpCalls;

void qmp_calls_init(QmpCalls *calls);
/* `at_us`: when to give up; USEC_INFINITY: never. `refusal`: what it ends with, instead of an answer.
 * 0, -EBUSY or -ENOMEM. */
int qmp_calls_add(QmpCalls *calls,
                  uint64_t at_us,
                  uint64_t span_us,
                  const char *refusal,
                  QmpClientDone done,
                  void *userdata,
                  uint64_t *ret_id);
/* Takes back the call that could not be sent; it is not told. */
void qmp_calls_forget(QmpCalls *calls, uint64_t id);
/* An answer came: `error` and -EREMOTEIO, or `ret`. Nothing happens for an id that is not there:
 * the answer comes too late. */
void qmp_calls_answer(QmpCalls *calls, uint64_t id, json_object *ret, const char *error);
/* Ends those whose time has come. */
void qmp_calls_expire(QmpCalls *calls, uint64_t now_us);
/* Ends all of them. */
void qmp_calls_fail(QmpCalls *calls, const char *why);
/* USEC_INFINITY when there is none. */
uint64_t qmp_calls_get_next(const QmpCalls *calls);
