/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tocsind's end of tocsin-kernel. The one difficulty is the helper's death: what was under way is
 * answered with -ECONNRESET, what was not sent waits, and the helper is started again, after a pause
 * that grows as long as it keeps dying.
 *
 * A callback may make new requests or cancel others; so requests leave the lists before they are
 * answered.
 */
#include "daemon/kernel/kernel-client.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

#include "daemon/kernel/fd.h"
#include "daemon/kernel/notifier.h"
#include "daemon/kernel/protocol.h"
#include "daemon/launch.h"
#include "policy/util/list.h"
#include "policy/util/moment.h"

/* No verb of the helper waits for anything but a program, so one that has not answered for so long,
 * or so long after the program's time, hangs. */
#define KERNEL_DEADLINE_US (10 * USEC_PER_SEC)
#define KERNEL_PAUSE_MIN_US (1 * USEC_PER_SEC)
#define KERNEL_PAUSE_MAX_US (60 * USEC_PER_SEC)
/* A helper that lived for so long is not one that dies at once. */
#define KERNEL_PROVEN_US (60 * USEC_PER_SEC)

/* The descriptor a child finds its socket at. */
#define KERNEL_CHILD_FD 3

typedef struct KernelRequest {
        List requests;
        uint64_t id;
        KernelVerb verb;
        char *text;
        int fd;          /* to be sent along, or -1 */
        KernelDone func; /* NULL: cancelled, or nobody wants to know */
        void *userdata;
        uint64_t within_us; /* the verb's own time, besides the helper's */
        uint64_t due_us;    /* answered by then, once it is sent */
} KernelRequest;

struct KernelClient {
        sd_event *event;
        char *socket, *helper, *config_file;
        int fd; /* -1: no helper now */
        sd_event_source *io;
        sd_event_source *timer; /* without a helper: the pause; with requests sent: the deadline */
        pid_t child;            /* 0: systemd's */
        List waiting, sent;
        unsigned n_sent;
        uint64_t last_id, started_us, pause_us;
};

static void kernel_client_kick(KernelClient *client);
static uint64_t kernel_client_now(KernelClient *client) {
        uint64_t now = 0;

        (void) sd_event_now(client->event, CLOCK_BOOTTIME, &now);
        return now;
}

static KernelRequest *kernel_request_free(KernelRequest *request) {
        if (!request)
                return NULL;
        list_remove(&request->requests);
        free(request->text);
        (void) fd_close(request->fd);
        free(request);
        return NULL;
}

/* Takes the request and the descriptor. */
static void kernel_request_finish(KernelRequest *request, int r, int fd, const char *error) {
        KernelDone func = request->func;
        void *userdata = request->userdata;

        kernel_request_free(request);
        if (func)
                func(r, fd, error, userdata);
        else
                (void) fd_close(fd);
}

static int kernel_client_dispatch_timer(sd_event_source *source, uint64_t usec, void *userdata);

static int kernel_client_arm(KernelClient *client, uint64_t after_us) {
        client->timer = sd_event_source_disable_unref(client->timer);
        return sd_event_add_time_relative(client->event,
                                          &client->timer,
                                          CLOCK_BOOTTIME,
                                          after_us,
                                          0,
                                          kernel_client_dispatch_timer,
                                          client);
}

static void kernel_client_finish_all(List *requests, const char *error) {
        while (!list_is_empty(requests))
                kernel_request_finish(list_entry(requests->next, KernelRequest, requests),
                                      -ECONNRESET,
                                      -1,
                                      error);
}

/* The helper is gone, or of no use. */
static void kernel_client_lose(KernelClient *client) {
        client->io = sd_event_source_disable_unref(client->io);
        client->fd = fd_close(client->fd);
        if (client->child > 0) {
                /* its socket has ended, or it hangs: nothing it could still do is wanted */
                (void) kill(client->child, SIGKILL);
                (void) waitpid(client->child, NULL, 0);
                client->child = 0;
        }
        if (kernel_client_now(client) - client->started_us >= KERNEL_PROVEN_US)
                client->pause_us = 0;
        client->pause_us = client->pause_us == 0 ? KERNEL_PAUSE_MIN_US : client->pause_us * 2;
        if (client->pause_us > KERNEL_PAUSE_MAX_US)
                client->pause_us = KERNEL_PAUSE_MAX_US;
        (void) kernel_client_arm(client, client->pause_us);

        client->n_sent = 0;
        kernel_client_finish_all(&client->sent, "the privileged helper died");
}

static void kernel_client_receive(KernelClient *client, const KernelPacket *reply, int fd) {
        list_foreach(i, &client->sent) {
                KernelRequest *request = list_entry(i, KernelRequest, requests);
                int r = reply->header.result;

                if (request->id != reply->header.id)
                        continue;
                client->n_sent--;
                if (r == 0 && fd < 0 && request->verb == KERNEL_VERB_CONNECT_QMP)
                        r = -EBADMSG;
                if (r < 0)
                        fd = fd_close(fd);
                kernel_request_finish(request, r, fd, reply->text[0] ? reply->text : NULL);
                return;
        }
        (void) fd_close(fd);
}

static int kernel_client_dispatch_io(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        KernelClient *client = userdata;
        char data[KERNEL_PACKET_MAX];
        KernelPacket reply;
        int r, passed = -1;
        size_t n = 0;

        r = kernel_packet_receive(fd, data, sizeof(data), &n, &passed);
        if (r == -EAGAIN || r == -EINTR)
                return 0;
        if (r < 0 || n == 0 || kernel_reply_parse(data, n, &reply) != 0) {
                (void) fd_close(passed);
                kernel_client_lose(client);
                return 0;
        }
        kernel_client_receive(client, &reply, passed);
        if (client->fd < 0)
                return 0;
        kernel_client_kick(client);
        return 0;
}

/* A listening helper is met at its socket. 0, or a negative errno. */
static int kernel_client_connect(KernelClient *client, int *ret_fd) {
        _cleanup_fd_ int fd = -1;
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        if (!client->socket || strlen(client->socket) >= sizeof(address.sun_path))
                return -ENOENT;
        memcpy(address.sun_path, client->socket, strlen(client->socket) + 1);
        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0)
                return -errno;
        if (connect(fd, (const struct sockaddr *) &address, sizeof(address)) < 0)
                return -errno;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static int kernel_client_exec(KernelClient *client, int child_fd) {
        const char *argv[] = { client->helper, "--fd", "3", "--config", client->config_file, NULL };
        _Static_assert(KERNEL_CHILD_FD == 3, "the argument says so");

        if (!client->config_file)
                argv[3] = NULL;
        return launch(&(Launch){ .path = client->helper,
                                 .argv = argv,
                                 .fds = &(LaunchFd){ child_fd, KERNEL_CHILD_FD },
                                 .n_fds = 1 },
                      &client->child);
}

static int kernel_client_spawn(KernelClient *client, int *ret_fd) {
        _cleanup_fd_ int ours = -1, theirs = -1;
        int pair[2], r;

        if (!client->helper)
                return -ENOENT;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
                return -errno;
        ours = pair[0];
        theirs = pair[1];
        r = kernel_client_exec(client, theirs);
        if (r < 0) {
                client->child = 0;
                return r;
        }
        *ret_fd = TAKE_FD(ours);
        return 0;
}

static int kernel_client_start(KernelClient *client) {
        int fd = -1, r;

        client->started_us = kernel_client_now(client);
        r = kernel_client_connect(client, &fd);
        if (r < 0)
                r = kernel_client_spawn(client, &fd);
        if (r < 0)
                return r;
        client->fd = fd;
        return sd_event_add_io(
                client->event, &client->io, fd, EPOLLIN, kernel_client_dispatch_io, client);
}

/* It can't even be started: who waits is told so, and may ask again. */
static void kernel_client_give_up(KernelClient *client) {
        uint64_t last_id = client->last_id;

        kernel_client_lose(client);
        while (!list_is_empty(&client->waiting)) {
                KernelRequest *request = list_entry(client->waiting.next, KernelRequest, requests);

                if (request->id > last_id)
                        break; /* asked again just now, by an answer */
                kernel_request_finish(request, -ENOTCONN, -1, "the privileged helper can't be started");
        }
}

static int kernel_client_dispatch_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        KernelClient *client = userdata;

        client->timer = sd_event_source_disable_unref(client->timer);
        if (client->fd >= 0)
                kernel_client_lose(client);
        else if (kernel_client_start(client) < 0)
                kernel_client_give_up(client);
        else
                kernel_client_kick(client);
        return 0;
}

/* One timer for the request that has to be answered first. */
static void kernel_client_arm_deadline(KernelClient *client) {
        uint64_t due_us = USEC_INFINITY, now = kernel_client_now(client);

        if (client->fd < 0)
                return;
        client->timer = sd_event_source_disable_unref(client->timer);
        list_foreach(i, &client->sent) {
                const KernelRequest *request = list_entry(i, KernelRequest, requests);

                if (request->due_us < due_us)
                        due_us = request->due_us;
        }
        if (due_us != USEC_INFINITY)
                (void) kernel_client_arm(client, due_us > now ? due_us - now : 0);
}

/* Sends what waits, as far as the window allows. */
static void kernel_client_kick(KernelClient *client) {
        while (client->fd >= 0 && client->n_sent < KERNEL_REQUESTS_MAX &&
               !list_is_empty(&client->waiting)) {
                KernelRequest *request = list_entry(client->waiting.next, KernelRequest, requests);
                KernelHeader header = { .verb = request->verb, .id = request->id };

                /* an error is seen as the end of the socket, too */
                if (kernel_packet_send(client->fd, &header, request->text, request->fd) < 0)
                        break;
                request->fd = fd_close(request->fd);
                list_remove(&request->requests);
                list_append(&client->sent, &request->requests);
                client->n_sent++;
                request->due_us = kernel_client_now(client) + KERNEL_DEADLINE_US + request->within_us;
        }
        kernel_client_arm_deadline(client);
}

static int kernel_client_request(KernelClient *client,
                                 const KernelRequest *what,
                                 const char *text,
                                 int fd) {
        KernelRequest *request;

        request = malloc(sizeof(*request));
        if (!request)
                return -ENOMEM;
        *request = *what;
        list_init(&request->requests);
        request->id = ++client->last_id;
        request->fd = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
        request->text = text ? strdup(text) : NULL;
        if ((fd >= 0 && request->fd < 0) || (text && !request->text)) {
                int r = fd >= 0 && request->fd < 0 ? -errno : -ENOMEM;

                kernel_request_free(request);
                return r;
        }
        list_append(&client->waiting, &request->requests);
        kernel_client_kick(client);
        return 0;
}

int kernel_client_connect_qmp(KernelClient *client, const char *path, KernelDone func, void *userdata) {
        KernelRequest what = { .verb = KERNEL_VERB_CONNECT_QMP, .func = func, .userdata = userdata };

        return kernel_client_request(client, &what, path, -1);
}

int kernel_client_kill(KernelClient *client,
                       const KernelProcess *process,
                       int connection,
                       KernelDone func,
                       void *userdata) {
        KernelRequest what = { .verb = KERNEL_VERB_KILL, .func = func, .userdata = userdata };
        char text[64];

        (void) snprintf(text, sizeof(text), "%d %" PRIu64, process->pid, process->start_time);
        return kernel_client_request(client, &what, text, connection);
}

int kernel_client_notify(KernelClient *client,
                         const char *text,
                         uint64_t within_us,
                         KernelDone func,
                         void *userdata) {
        KernelRequest what = { .verb = KERNEL_VERB_NOTIFY,
                               .func = func,
                               .userdata = userdata,
                               .within_us = within_us + NOTIFIER_GRACE_US };

        return kernel_client_request(client, &what, text, -1);
}

int kernel_client_open_connector(KernelClient *client, KernelDone func, void *userdata) {
        KernelRequest request = { .verb = KERNEL_VERB_OPEN_CONNECTOR,
                                  .func = func,
                                  .userdata = userdata };

        return kernel_client_request(client, &request, NULL, -1);
}

int kernel_client_find_holders(KernelClient *client, const char *what, KernelDone func, void *userdata) {
        KernelRequest request = { .verb = KERNEL_VERB_FIND_HOLDERS,
                                  .func = func,
                                  .userdata = userdata };

        return kernel_client_request(client, &request, what, -1);
}

int kernel_client_reload(KernelClient *client) {
        KernelRequest what = { .verb = KERNEL_VERB_RELOAD };

        return kernel_client_request(client, &what, NULL, -1);
}

void kernel_client_cancel(KernelClient *client, void *userdata) {
        list_foreach_safe(i, next, &client->waiting) {
                KernelRequest *request = list_entry(i, KernelRequest, requests);

                if (request->func && request->userdata == userdata)
                        kernel_request_free(request);
        }
        list_foreach(i, &client->sent) {
                KernelRequest *request = list_entry(i, KernelRequest, requests);

                if (request->userdata == userdata)
                        request->func = NULL;
        }
}

static char *kernel_client_copy(const char *s, bool *failed) {
        char *copy = s ? strdup(s) : NULL;

        if (s && !copy)
                *failed = true;
        return copy;
}

int kernel_client_new(KernelClient **ret,
                      sd_event *event,
                      const char *socket,
                      const char *helper,
                      const char *config_file) {
        KernelClient *client;
        bool failed = false;
        int r;

        client = calloc(1, sizeof(*client));
        if (!client)
                return -ENOMEM;
        client->fd = -1;
        client->event = sd_event_ref(event);
        list_init(&client->waiting);
        list_init(&client->sent);
        client->socket = kernel_client_copy(socket, &failed);
        client->helper = kernel_client_copy(helper, &failed);
        client->config_file = kernel_client_copy(config_file, &failed);
        r = failed ? -ENOMEM : kernel_client_start(client);
        if (r < 0) {
                kernel_client_free(client);
                return r;
        }
        *ret = client;
        return 0;
}

KernelClient *kernel_client_free(KernelClient *client) {
        if (!client)
                return NULL;
        sd_event_source_disable_unref(client->io);
        sd_event_source_disable_unref(client->timer);
        client->fd = fd_close(client->fd); /* a child ends by itself */
        if (client->child > 0)
                (void) waitpid(client->child, NULL, 0);
        kernel_client_finish_all(&client->sent, "tocsind ends");
        kernel_client_finish_all(&client->waiting, "tocsind ends");
        free(client->socket);
        free(client->helper);
        free(client->config_file);
        sd_event_unref(client->event);
        free(client);
        return NULL;
}
