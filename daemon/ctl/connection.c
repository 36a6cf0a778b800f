/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The difficulty is that events come whenever they like: between a command and its answer, many in
 * one read, one in many reads. So every message goes through connection_read(), which ends the
 * reading after one, and whoever called it says what to do with it.
 */
#include "daemon/ctl/connection.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "daemon/ctl/value.h"
#include "policy/qapi/json.h"
#include "policy/qapi/qmp-message.h"
#include "policy/util/buffer.h"
#include "policy/util/moment.h"

/* A list of ten thousand machines with all they have is some 10 MB; a thousand incidents are less. */
#define CONNECTION_LIMITS ((JsonLimits){ .bytes = 256 << 20, .tokens = 1 << 25, .depth = 1024 })
#define CONNECTION_READ_SIZE 65536
/* Events kept while an answer is awaited; more than tocsind's own queue for a client holds. */
#define CONNECTION_EVENTS_MAX 100000

struct Connection {
        int fd;
        JsonStream *stream;
        Buffer in, out;
        json_object *message; /* read and not yet looked at */
        json_object *events;  /* array of those kept */
        size_t first_event;   /* index of the oldest not yet given away */
        uint64_t last_id;
        char *error;
};

static uint64_t connection_now(void) {
        struct timespec ts;

        (void) clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t) ts.tv_sec * USEC_PER_SEC + (uint64_t) ts.tv_nsec / 1000;
}

static uint64_t connection_deadline(uint64_t timeout_us) {
        uint64_t now = connection_now();

        return timeout_us > USEC_INFINITY - now ? USEC_INFINITY : now + timeout_us;
}

/* The first error stays. Returns r. */
static int connection_fail(Connection *connection, int r, const char *text) {
        if (!connection->error)
                connection->error = strdup(text);
        return r;
}

static int connection_fail_errno(Connection *connection, const char *what, int error) {
        char text[256];

        (void) snprintf(text, sizeof(text), "%s: %s", what, strerror(error));
        return connection_fail(connection, -error, text);
}

const char *connection_get_error(const Connection *connection) {
        return connection && connection->error ? connection->error : "out of memory";
}

int connection_get_peer(const Connection *connection, uid_t *ret) {
        struct ucred peer;
        socklen_t size = sizeof(peer);

        if (getsockopt(connection->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
                return -errno;
        *ret = peer.uid;
        return 0;
}

/* Returns 0 when there is something to do, -ETIME after the deadline, -EINTR when wake_fd or a
 * signal ended the wait. */
static int connection_poll(Connection *connection, short events, uint64_t deadline_us, int wake_fd) {
        struct pollfd fds[] = { { .fd = connection->fd, .events = events },
                                { .fd = wake_fd, .events = POLLIN } };
        uint64_t now = connection_now(), left = deadline_us > now ? deadline_us - now : 0;
        struct timespec ts = { .tv_sec = (time_t) (left / USEC_PER_SEC),
                               .tv_nsec = (long) (left % USEC_PER_SEC * 1000) };
        int r;

        r = ppoll(fds, ELEMENTSOF(fds), deadline_us == USEC_INFINITY ? NULL : &ts, NULL);
        if (r < 0)
                return -errno;
        if (r == 0)
                return -ETIME;
        return fds[0].revents ? 0 : -EINTR;
}

static int connection_dispatch_message(json_object *value, const char *error, void *userdata) {
        Connection *connection = userdata;

        if (error)
                return connection_fail(connection, -EPROTO, error);
        connection->message = json_object_get(value);
        return 1; /* stops the reading: one message at a time */
}

static int connection_sort(Connection *connection, json_object **ret, QmpMessage *ret_sorted) {
        json_object *message = TAKE_PTR(connection->message);

        if (qmp_message_parse(message, ret_sorted) < 0) {
                json_object_put(message);
                return connection_fail(connection, -EPROTO, ret_sorted->problem);
        }
        *ret = message;
        return 0;
}

/* The next message in *ret, owned by the caller; *ret_sorted points into it. -ETIME and -EINTR leave
 * the connection as it is. */
static int connection_read(Connection *connection,
                           uint64_t deadline_us,
                           int wake_fd,
                           json_object **ret,
                           QmpMessage *ret_sorted) {
        for (;;) {
                Buffer *in = &connection->in;
                size_t used = 0;
                ssize_t n;
                int r;

                r = json_stream_feed(connection->stream, buffer_content(in), buffer_length(in), &used);
                buffer_consume(in, r == 0 ? buffer_length(in) : used);
                if (r < 0)
                        return connection_fail(connection, r, strerror(-r));
                if (r > 0)
                        return connection_sort(connection, ret, ret_sorted);

                r = connection_poll(connection, POLLIN, deadline_us, wake_fd);
                if (r < 0)
                        return r;
                r = buffer_reserve(in, CONNECTION_READ_SIZE);
                if (r < 0)
                        return connection_fail(connection, r, strerror(-r));
                n = recv(connection->fd, in->data + in->end, CONNECTION_READ_SIZE, 0);
                if (n < 0 && errno != EINTR)
                        return connection_fail_errno(connection, "reading", errno);
                if (n == 0)
                        return connection_fail(connection,
                                               -ECONNRESET,
                                               "tocsind closed the connection");
                buffer_advance(in, n > 0 ? (size_t) n : 0);
        }
}

static int connection_send(Connection *connection, uint64_t deadline_us) {
        Buffer *out = &connection->out;

        while (buffer_length(out) > 0) {
                ssize_t n = send(connection->fd,
                                 buffer_content(out),
                                 buffer_length(out),
                                 MSG_NOSIGNAL | MSG_DONTWAIT);
                int r;

                if (n >= 0) {
                        buffer_consume(out, (size_t) n);
                        continue;
                }
                if (errno != EAGAIN && errno != EINTR)
                        return connection_fail_errno(connection, "writing", errno);
                r = connection_poll(connection, POLLOUT, deadline_us, -1);
                if (r == -ETIME)
                        return connection_fail(connection, r, "tocsind reads nothing");
        }
        return 0;
}

static int connection_keep_event(Connection *connection, json_object *event) {
        if (value_get_length(connection->events) >= CONNECTION_EVENTS_MAX)
                return connection_fail(connection, -ENOBUFS, "more events than can be kept");
        if (json_object_array_add(connection->events, json_object_get(event)) < 0) {
                json_object_put(event);
                return -ENOMEM;
        }
        return 0;
}

void connection_drop_events(Connection *connection) {
        size_t n = value_get_length(connection->events);

        if (n > 0)
                (void) json_object_array_del_idx(connection->events, 0, n);
        connection->first_event = 0;
}

static int connection_write_command(Connection *connection,
                                    const char *command,
                                    json_object *arguments) {
        json_object *message = json_object_new_object();
        int r;

        if (!message) {
                json_object_put(arguments);
                return -ENOMEM;
        }
        if (arguments && json_object_object_add(message, "arguments", arguments) < 0)
                json_object_put(arguments);
        (void) json_object_object_add(message, "execute", json_object_new_string(command));
        (void) json_object_object_add(message, "id", json_object_new_uint64(++connection->last_id));
        r = json_write(&connection->out, message, JSON_STYLE_QMP);
        if (r == 0)
                r = buffer_append_string(&connection->out, "\r\n");
        json_object_put(message);
        return r < 0 ? connection_fail(connection, r, strerror(-r)) : 0;
}

/* An answer other than an event: everything but an error is fine. */
static int connection_judge(const QmpMessage *sorted, QapiError *error) {
        QapiErrorClass class = QAPI_ERROR_CLASS_GENERIC_ERROR;

        if (sorted->type != QMP_MESSAGE_ERROR)
                return 0;
        for (int c = 0; c < _QAPI_ERROR_CLASS_MAX; c++)
                if (strcmp(qapi_error_class_to_string(c), sorted->class) == 0)
                        class = c;
        (void) qapi_error_set(error, class, "%s", sorted->desc);
        return CONNECTION_E_REFUSED;
}

/* The next message that is no event; those are kept. Owned by the caller, also when refused. */
static int connection_wait_answer(Connection *connection,
                                  uint64_t deadline_us,
                                  json_object **ret,
                                  QmpMessage *ret_sorted) {
        for (;;) {
                json_object *message = NULL;
                int r = connection_read(connection, deadline_us, -1, &message, ret_sorted);

                if (r == -EINTR)
                        continue;
                if (r == -ETIME)
                        return connection_fail(connection, r, "tocsind does not answer");
                if (r < 0)
                        return r;
                if (ret_sorted->type != QMP_MESSAGE_EVENT) {
                        *ret = message;
                        return 0;
                }
                r = connection_keep_event(connection, message);
                json_object_put(message);
                if (r < 0)
                        return r;
        }
}

int connection_call(Connection *connection,
                    const char *command,
                    json_object *arguments,
                    json_object **ret,
                    QapiError *error) {
        uint64_t deadline = connection_deadline(CONNECTION_DEADLINE_US);
        json_object *message = NULL;
        QmpMessage sorted;
        int r;

        r = connection_write_command(connection, command, arguments);
        if (r == 0)
                r = connection_send(connection, deadline);

        if (r == 0)
                r = connection_wait_answer(connection, deadline, &message, &sorted);
        if (r == 0)
                r = connection_judge(&sorted, error);
        if (r == 0 && ret)
                *ret = json_object_get(sorted.data);
        json_object_put(message);
        return r;
}

int connection_wait_event(Connection *connection, uint64_t timeout_us, int wake_fd, json_object **ret) {
        uint64_t deadline = connection_deadline(timeout_us);
        int r;

        if (connection->first_event < value_get_length(connection->events)) {
                *ret = json_object_get(value_get_item(connection->events, connection->first_event++));
                if (connection->first_event == value_get_length(connection->events))
                        connection_drop_events(connection);
                return 0;
        }
        for (;;) {
                json_object *message = NULL;
                QmpMessage sorted;

                r = connection_read(connection, deadline, wake_fd, &message, &sorted);
                if (r == -ETIME || r == -EINTR) {
                        *ret = NULL;
                        return 0;
                }
                if (r < 0)
                        return r;
                if (sorted.type == QMP_MESSAGE_EVENT) {
                        *ret = message;
                        return 0;
                }
                json_object_put(message);
        }
}

static int connection_connect(Connection *connection, const char *path) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };
        /* connecting waits as well, when many others do */
        struct timeval patience = { .tv_sec = CONNECTION_DEADLINE_US / USEC_PER_SEC };

        if (strlen(path) >= sizeof(address.sun_path))
                return connection_fail_errno(connection, path, ENAMETOOLONG);
        (void) stpcpy(address.sun_path, path);
        connection->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connection->fd < 0 ||
            setsockopt(connection->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0 ||
            connect(connection->fd, (struct sockaddr *) &address, sizeof(address)) < 0)
                return connection_fail_errno(connection, path, errno);
        return 0;
}

/* The greeting, or the words of a refusal. */
static int connection_negotiate(Connection *connection) {
        QapiError error = QAPI_ERROR_NULL;
        json_object *greeting = NULL;
        QmpMessage sorted;
        int r;

        r = connection_wait_answer(connection,
                                   connection_deadline(CONNECTION_DEADLINE_US),
                                   &greeting,
                                   &sorted);
        if (r < 0)
                return r;
        r = connection_judge(&sorted, &error);
        json_object_put(greeting);
        if (r == 0)
                r = connection_call(connection, "qmp_capabilities", NULL, NULL, &error);
        if (r == CONNECTION_E_REFUSED)
                r = connection_fail(connection, -EACCES, error.desc ? error.desc : "refused");
        qapi_error_deinit(&error);
        return r;
}

int connection_open(Connection **ret, const char *path) {
        Connection *connection = calloc(1, sizeof(*connection));
        int r;

        if (!connection)
                return -ENOMEM;
        connection->fd = -1;
        connection->events = json_object_new_array();
        r = connection->events ? json_stream_new(&connection->stream,
                                                 &CONNECTION_LIMITS,
                                                 connection_dispatch_message,
                                                 connection)
                               : -ENOMEM;
        if (r == 0)
                r = connection_connect(connection, path);
        if (r == 0)
                r = connection_negotiate(connection);
        *ret = connection;
        return r;
}

Connection *connection_close(Connection *connection) {
        if (!connection)
                return NULL;
        if (connection->fd >= 0)
                (void) close(connection->fd);
        json_stream_free(connection->stream);
        buffer_deinit(&connection->in);
        buffer_deinit(&connection->out);
        json_object_put(connection->message);
        json_object_put(connection->events);
        free(connection->error);
        free(connection);
        return NULL;
}
