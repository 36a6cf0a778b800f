/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/*
 * A client of control.sock that may wait: one command at a time, each with a deadline. Events that
 * come while an answer is awaited are kept, in order, for connection_wait_event().
 */
#include <json-c/json.h>
#include <stdint.h>
#include <sys/types.h>

#include "policy/qapi/qapi-error.h"

typedef struct Connection Connection;

/* Nobody's tocsind takes longer than this to answer, unless something is wrong with it. */
#define CONNECTION_DEADLINE_US (30 * UINT64_C(1000000))

/*
 * Negative: there is no connection any more, and connection_get_error() says in words why.
 * CONNECTION_E_REFUSED: tocsind answered with an error.
 */
#define CONNECTION_E_REFUSED 1

/* Connects and negotiates. Not NULL in *ret on an error either, so that it can be asked why; only
 * -ENOMEM may leave NULL. */
int connection_open(Connection **ret, const char *path);
Connection *connection_close(Connection *connection);
DEFINE_CLEANUP(Connection *, connection_close);

/* `arguments` (may be NULL) is taken. *ret is owned by the caller; `error` is set when refused. */
int connection_call(Connection *connection,
                    const char *command,
                    json_object *arguments,
                    json_object **ret,
                    QapiError *error);
/* Who tocsind runs as. 0 or a negative errno. */
int connection_get_peer(const Connection *connection, uid_t *ret);
/* The next event, owned by the caller; NULL when the time is over. timeout_us may be USEC_INFINITY;
 * `wake_fd` (or -1) ends the wait early when it becomes readable. */
int connection_wait_event(Connection *connection, uint64_t timeout_us, int wake_fd, json_object **ret);
/* Forgets the events kept so far. */
void connection_drop_events(Connection *connection);
const char *connection_get_error(const Connection *connection);
