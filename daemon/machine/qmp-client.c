/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one difficulty is fairness: a guest can make its QEMU send hundreds of thousands of events a
 * second, and no other guest may wait for them. So a turn reads a bounded piece, and a connection
 * that had more than one turn's worth to say is served after all that had less.
 *
 * Whoever is called back may close the connection, or send more; so closing only marks it, and the
 * end is told by the loop. An idle client has one event source, and no timer and no buffer.
 */
#include "daemon/machine/qmp-client.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include "daemon/kernel/fd.h"
#include "daemon/machine/qmp-calls.h"
#include "policy/qapi/json.h"
#include "policy/qapi/qmp-message.h"
#include "policy/util/buffer.h"

/* One turn: some 100 events, 1 ms of work. */
#define QMP_CLIENT_TURN ((size_t) 16 << 10)
/* Behind everything else the daemon has to do, but not behind what waits for idleness. */
#define QMP_CLIENT_PRIORITY_FLOOD (SD_EVENT_PRIORITY_NORMAL + 50)
/* What a process that has ended can have left in its socket is less: the kernel's buffer. */
#define QMP_CLIENT_DRAIN_MAX ((size_t) 16 << 20)

#define QMP_CLIENT_EVENTS (EPOLLIN | EPOLLRDHUP | EPOLLET)

typedef enum QmpClientState {
        QMP_CLIENT_GREETING,
        QMP_CLIENT_NEGOTIATING,
        QMP_CLIENT_READY,
        QMP_CLIENT_CLOSED,
} QmpClientState;

struct QmpClient {
        sd_event *event;
        const QmpClientOps *ops;
        void *userdata;
        int fd;
        QmpClientState state;
        sd_event_source *io;
        sd_event_source *timer; /* while a deadline is pending; and to tell the end */
        uint64_t timer_us;      /* when it is due */
        JsonStream *stream;
        QmpCalls calls;
        Buffer out;
        int passed_fd; /* goes along with the byte at passed_at of `out`, or -1 */
        size_t passed_at;
        uint64_t greeting_us; /* deadline of the greeting */
        uint64_t heard_us;
        unsigned version;
        bool flooding;
        bool blocked; /* EPOLLOUT is asked for */
        char *why;    /* it was closed */
};

static uint64_t qmp_client_now(const QmpClient *client) {
        uint64_t now = 0;

        (void) sd_event_now(client->event, CLOCK_BOOTTIME, &now);
        return now;
}

static int qmp_client_dispatch_timer(sd_event_source *source, uint64_t usec, void *userdata);

/* Sets the timer to the next thing it is needed for; there is none while nothing is pending. */
static void qmp_client_arm(QmpClient *client) {
        uint64_t next = qmp_calls_get_next(&client->calls);

        if (client->state == QMP_CLIENT_CLOSED)
                next = 0;
        else if (client->state == QMP_CLIENT_GREETING)
                next = client->greeting_us;
        if (client->timer && client->timer_us == next)
                return;
        client->timer = sd_event_source_disable_unref(client->timer);
        if (next == USEC_INFINITY)
                return;
        if (sd_event_add_time(client->event,
                              &client->timer,
                              CLOCK_BOOTTIME,
                              next,
                              0,
                              qmp_client_dispatch_timer,
                              client) >= 0)
                client->timer_us = next;
}

void qmp_client_close(QmpClient *client, const char *why) {
        if (client->state == QMP_CLIENT_CLOSED)
                return;
        client->state = QMP_CLIENT_CLOSED;
        client->why = strdup(why);
        client->io = sd_event_source_disable_unref(client->io);
        qmp_client_arm(client);
}

static void qmp_client_close_format(QmpClient *client, const char *format, ...) _printf_(2, 3);

static void qmp_client_close_format(QmpClient *client, const char *format, ...) {
        _cleanup_free_ char *why = NULL;
        va_list ap;
        int n;

        va_start(ap, format);
        n = vasprintf(&why, format, ap);
        va_end(ap);
        if (n < 0)
                why = NULL;
        qmp_client_close(client, why ? why : format);
}

/*
 * Edge-triggered: a socket that is ready stays on the kernel's list otherwise, and is looked at again
 * in each turn of the loop; with 10,000 guests panicking at once that was a minute of nothing else.
 * Setting it again tells of what is still there, and is left out when that is nothing.
 */
static void qmp_client_watch(QmpClient *client, bool again) {
        bool blocked = buffer_length(&client->out) > 0;

        if (!client->io || (!again && client->blocked == blocked))
                return;
        client->blocked = blocked;
        (void) sd_event_source_set_io_events(client->io,
                                             QMP_CLIENT_EVENTS | (blocked ? EPOLLOUT : 0));
}

/* Sends what the socket takes. A peer that is gone is noticed by reading: it may have said more. */
static void qmp_client_flush(QmpClient *client) {
        while (buffer_length(&client->out) > 0) {
                bool passing = client->passed_fd >= 0 && client->passed_at == 0;
                size_t length = buffer_length(&client->out);
                struct iovec iov = { .iov_base = (void *) (uintptr_t) buffer_content(&client->out) };
                union {
                        struct cmsghdr header;
                        char space[CMSG_SPACE(sizeof(int))];
                } control = {};
                struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
                ssize_t n;

                /* QEMU forgets a descriptor when the next comes, so each goes with its own command */
                iov.iov_len = client->passed_fd >= 0 && !passing ? client->passed_at : length;
                if (passing) {
                        message.msg_control = &control;
                        message.msg_controllen = sizeof(control);
                        control.header.cmsg_level = SOL_SOCKET;
                        control.header.cmsg_type = SCM_RIGHTS;
                        control.header.cmsg_len = CMSG_LEN(sizeof(int));
                        memcpy(CMSG_DATA(&control.header), &client->passed_fd, sizeof(int));
                }
                n = sendmsg(client->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN)
                        break;
                if (n < 0) {
                        buffer_deinit(&client->out);
                        break;
                }
                if (passing)
                        client->passed_fd = fd_close(client->passed_fd);
                else if (client->passed_fd >= 0)
                        client->passed_at -= (size_t) n;
                buffer_consume(&client->out, (size_t) n);
        }
        qmp_client_watch(client, false);
}

/* Appends one command, or nothing. */
static int qmp_client_write(QmpClient *client, const char *command, json_object *arguments, uint64_t id) {
        json_object *object;
        int r;

        object = json_object_new_object();
        if (!object)
                return -ENOMEM;
        r = json_object_object_add(object, "execute", json_object_new_string(command));
        if (r == 0 && arguments)
                r = json_object_object_add(object, "arguments", json_object_get(arguments));
        if (r == 0)
                r = json_object_object_add(object, "id", json_object_new_uint64(id));
        r = r == 0 ? 0 : -ENOMEM;
        if (r == 0)
                r = json_write(&client->out, object, JSON_STYLE_QMP);
        if (r == 0)
                r = buffer_append_string(&client->out, "\r\n");
        json_object_put(object);
        return r;
}

static int qmp_client_send(QmpClient *client,
                           const char *command,
                           json_object *arguments,
                           int fd,
                           uint64_t deadline_us,
                           QmpClientDone done,
                           void *userdata) {
        uint64_t now = qmp_client_now(client), at = USEC_INFINITY, id;
        size_t before = buffer_length(&client->out);
        _cleanup_fd_ int duplicate = -1;
        int r;

        if (before > QMP_CLIENT_OUT_MAX)
                return -ENOBUFS;
        if (fd >= 0) {
                if (client->passed_fd >= 0)
                        return -EBUSY;
                duplicate = fcntl(fd, F_DUPFD_CLOEXEC, 0);
                if (duplicate < 0)
                        return -errno;
        }
        if (deadline_us < USEC_INFINITY - now)
                at = now + deadline_us;
        r = qmp_calls_add(&client->calls, at, deadline_us, NULL, done, userdata, &id);
        if (r < 0)
                return r;
        r = qmp_client_write(client, command, arguments, id);
        if (r < 0) {
                qmp_calls_forget(&client->calls, id);
                return r;
        }
        if (duplicate >= 0) {
                client->passed_fd = TAKE_FD(duplicate);
                client->passed_at = before;
        }
        qmp_client_flush(client);
        qmp_client_arm(client);
        return 0;
}

int qmp_client_call(QmpClient *client,
                    const char *command,
                    json_object *arguments,
                    int fd,
                    uint64_t deadline_us,
                    QmpClientDone done,
                    void *userdata) {
        if (client->state != QMP_CLIENT_READY)
                return -ENOTCONN;
        return qmp_client_send(client, command, arguments, fd, deadline_us, done, userdata);
}

int qmp_client_refuse(QmpClient *client, const char *text, QmpClientDone done, void *userdata) {
        uint64_t id;
        int r;

        if (client->state != QMP_CLIENT_READY)
                return -ENOTCONN;
        r = qmp_calls_add(&client->calls, qmp_client_now(client), 0, text, done, userdata, &id);
        if (r < 0)
                return r;
        qmp_client_arm(client);
        return 0;
}

static void qmp_client_negotiated(int r, json_object *ret, const char *error, void *userdata) {
        QmpClient *client = userdata;

        if (r < 0) {
                if (client->state != QMP_CLIENT_CLOSED)
                        qmp_client_close_format(client, "qmp_capabilities: %s", error);
                return;
        }
        client->state = QMP_CLIENT_READY;
        client->ops->ready(client, client->userdata);
}

static void qmp_client_greeted(QmpClient *client, const QmpMessage *message) {
        if (client->state != QMP_CLIENT_GREETING) {
                qmp_client_close(client, "greeted twice");
                return;
        }
        client->version = message->version;
        client->state = QMP_CLIENT_NEGOTIATING;
        if (qmp_client_send(client,
                            "qmp_capabilities",
                            NULL,
                            -1,
                            QMP_CLIENT_NEGOTIATION_US,
                            qmp_client_negotiated,
                            client) < 0)
                qmp_client_close(client, "out of memory");
}

/* One message of the peer. Non-zero stops reading: the connection is over. */
static int qmp_client_read(json_object *value, const char *error, void *userdata) {
        QmpClient *client = userdata;
        QmpMessage message;

        if (error) {
                qmp_client_close_format(client, "sent what is no QMP: %s", error);
                return 1;
        }
        if (qmp_message_parse(value, &message) < 0) {
                qmp_client_close_format(client, "sent what is no QMP: %s", message.problem);
                return 1;
        }
        if (client->state == QMP_CLIENT_GREETING && message.type != QMP_MESSAGE_GREETING) {
                qmp_client_close(client, "did not greet");
                return 1;
        }

        switch (message.type) {
        case QMP_MESSAGE_GREETING:
                qmp_client_greeted(client, &message);
                break;
        case QMP_MESSAGE_EVENT:
                if (client->state == QMP_CLIENT_READY)
                        client->ops->event(client,
                                           &(QmpClientEvent){ .name = message.event,
                                                              .data = message.data,
                                                              .time_us = message.time_us },
                                           client->userdata);
                break;
        case QMP_MESSAGE_RETURN:
        case QMP_MESSAGE_ERROR:
                if (message.has_id)
                        qmp_calls_answer(&client->calls, message.id, message.data, message.desc);
                else
                        qmp_client_close_format(client,
                                                "did not understand us: %s",
                                                message.desc ? message.desc : "an answer to nothing");
                break;
        }
        return client->state == QMP_CLIENT_CLOSED;
}

/* Reads one turn's worth. 0, 1 when there was more to read, -EAGAIN when there is nothing, or
 * another negative errno at the end. */
static int qmp_client_take_turn(QmpClient *client) {
        char data[QMP_CLIENT_TURN];
        ssize_t n;
        int r;

        n = recv(client->fd, data, sizeof(data), MSG_DONTWAIT);
        if (n < 0)
                return errno == EINTR ? -EAGAIN : -errno;
        if (n == 0)
                return -ECONNRESET;
        client->heard_us = qmp_client_now(client);
        r = json_stream_feed(client->stream, data, (size_t) n, NULL);
        if (r < 0) {
                qmp_client_close(client, "out of memory");
                return -ECONNRESET;
        }
        return (size_t) n == sizeof(data);
}

static void qmp_client_set_flooding(QmpClient *client, bool flooding) {
        if (client->flooding == flooding || !client->io)
                return;
        client->flooding = flooding;
        (void) sd_event_source_set_priority(client->io,
                                            flooding ? QMP_CLIENT_PRIORITY_FLOOD
                                                     : SD_EVENT_PRIORITY_NORMAL);
}

static int qmp_client_dispatch_io(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        QmpClient *client = userdata;
        /* the end comes once, and may come along with the last bytes */
        bool again = revents & (EPOLLRDHUP | EPOLLHUP | EPOLLERR);
        int r;

        if (revents & EPOLLOUT)
                qmp_client_flush(client);
        if (revents & ~(uint32_t) EPOLLOUT) {
                r = qmp_client_take_turn(client);
                if (r < 0 && r != -EAGAIN)
                        qmp_client_close(client, "the connection was closed");
                qmp_client_set_flooding(client, r > 0);
                again |= r != 0;
        }
        qmp_client_watch(client, again);
        qmp_client_arm(client);
        return 0;
}

void qmp_client_drain(QmpClient *client) {
        for (size_t n = 0; n < QMP_CLIENT_DRAIN_MAX && client->state != QMP_CLIENT_CLOSED;
             n += QMP_CLIENT_TURN) {
                int r = qmp_client_take_turn(client);

                if (r == -EAGAIN)
                        return;
                if (r < 0)
                        qmp_client_close(client, "the connection was closed");
        }
}

static int qmp_client_dispatch_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        QmpClient *client = userdata;

        if (client->state != QMP_CLIENT_CLOSED) {
                if (client->state == QMP_CLIENT_GREETING)
                        qmp_client_close_format(client,
                                                "no greeting within %" PRIu64 " s",
                                                QMP_CLIENT_GREETING_US / USEC_PER_SEC);
                else
                        qmp_calls_expire(&client->calls, qmp_client_now(client));
                client->timer = sd_event_source_disable_unref(client->timer);
                qmp_client_arm(client);
                return 0;
        }
        client->timer = sd_event_source_disable_unref(client->timer);
        qmp_calls_fail(&client->calls, "the connection was closed");
        client->ops->closed(client, client->why ? client->why : "closed", client->userdata);
        return 0;
}

bool qmp_client_is_ready(const QmpClient *client) {
        return client->state == QMP_CLIENT_READY;
}

bool qmp_client_is_closed(const QmpClient *client) {
        return client->state == QMP_CLIENT_CLOSED;
}

unsigned qmp_client_get_version(const QmpClient *client) {
        return client->version;
}

uint64_t qmp_client_get_heard(const QmpClient *client) {
        return client->heard_us;
}

int qmp_client_get_fd(const QmpClient *client) {
        return client->fd;
}

int qmp_client_new(QmpClient **ret, sd_event *event, int fd, const QmpClientOps *ops, void *userdata) {
        _cleanup_(qmp_client_freep) QmpClient *client = NULL;
        _cleanup_fd_ int owned = fd;
        int r;

        client = calloc(1, sizeof(*client));
        if (!client)
                return -ENOMEM;
        client->event = sd_event_ref(event);
        client->ops = ops;
        client->userdata = userdata;
        client->passed_fd = -1;
        client->fd = TAKE_FD(owned);
        qmp_calls_init(&client->calls);
        client->heard_us = qmp_client_now(client);
        client->greeting_us = client->heard_us + QMP_CLIENT_GREETING_US;
        r = json_stream_new(&client->stream, &JSON_LIMITS_BACKEND, qmp_client_read, client);
        if (r < 0)
                return r;
        r = sd_event_add_io(
                event, &client->io, client->fd, QMP_CLIENT_EVENTS, qmp_client_dispatch_io, client);
        if (r < 0)
                return r;
        qmp_client_arm(client);
        *ret = TAKE_PTR(client);
        return 0;
}

QmpClient *qmp_client_free(QmpClient *client) {
        if (!client)
                return NULL;
        client->state = QMP_CLIENT_CLOSED;
        sd_event_source_disable_unref(client->io);
        qmp_calls_fail(&client->calls, "the connection was closed");
        sd_event_source_disable_unref(client->timer);
        json_stream_free(client->stream);
        buffer_deinit(&client->out);
        (void) fd_close(client->passed_fd);
        (void) fd_close(client->fd);
        free(client->why);
        sd_event_unref(client->event);
        free(client);
        return NULL;
}
