/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one difficulty is to end a program with all that it has started, and nothing else. A program leads
 * a process group, whose number stays taken for as long as its leader has not been waited for; so the
 * group gets its SIGKILL between the leader's end and waitid(), whether it ended by itself or not.
 * What has left the group by a setsid() of its own is the unit's, and ends with it.
 */
#include "daemon/kernel/notifier.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/kernel/fd.h"
#include "daemon/kernel/notify-program.h"
#include "daemon/kernel/protocol.h"
#include "policy/util/duration.h"
#include "policy/util/list.h"
#include "policy/util/moment.h"

struct Notifier {
        sd_event *event;
        List running;
        unsigned n_running;
};

typedef struct Notification {
        Notifier *notifier;
        List running;
        pid_t pid; /* and its group */
        int pidfd, output_fd;
        sd_event_source *exit, *output, *timer;
        uint64_t deadline_us;
        bool is_late;
        char printed[NOTIFIER_OUTPUT_MAX];
        size_t n_printed;
        bool is_cut;
        NotifierFunc func;
        void *userdata;
} Notification;

int notifier_new(Notifier **ret, sd_event *event) {
        Notifier *notifier = calloc(1, sizeof(*notifier));

        if (!notifier)
                return -ENOMEM;
        notifier->event = sd_event_ref(event);
        list_init(&notifier->running);
        *ret = notifier;
        return 0;
}

static void notification_free(Notification *n) {
        list_remove(&n->running);
        n->notifier->n_running--;
        sd_event_source_disable_unref(n->exit);
        sd_event_source_disable_unref(n->output);
        sd_event_source_disable_unref(n->timer);
        (void) fd_close(n->output_fd);
        (void) fd_close(n->pidfd);
        free(n);
}

static void notification_end(Notification *n) {
        /* one that has just been forked leads no group yet */
        (void) kill(n->pid, SIGKILL);
        (void) kill(-n->pid, SIGKILL);
        (void) waitpid(n->pid, NULL, 0);
}

Notifier *notifier_free(Notifier *notifier) {
        if (!notifier)
                return NULL;
        list_foreach_safe(i, next, &notifier->running) {
                Notification *n = list_entry(i, Notification, running);

                notification_end(n);
                notification_free(n);
        }
        sd_event_unref(notifier->event);
        free(notifier);
        return NULL;
}

/* Whether there may be more. What goes beyond the limit is read too: nobody shall wait for a full pipe. */
static bool notification_read(Notification *n) {
        char chunk[NOTIFIER_OUTPUT_MAX];
        ssize_t got = read(n->output_fd, chunk, sizeof(chunk));
        size_t room = sizeof(n->printed) - n->n_printed, take;

        if (got < 0)
                return errno == EINTR;
        if (got == 0)
                return false;
        take = (size_t) got < room ? (size_t) got : room;
        memcpy(n->printed + n->n_printed, chunk, take);
        n->n_printed += take;
        n->is_cut |= take < (size_t) got;
        return true;
}

static int notification_dispatch_output(sd_event_source *source,
                                        int fd,
                                        uint32_t revents,
                                        void *userdata) {
        Notification *n = userdata;

        if (!notification_read(n) && (revents & (EPOLLHUP | EPOLLERR)))
                n->output = sd_event_source_disable_unref(n->output);
        return 0;
}

/* "STATUS\nOUTPUT"; no NUL, and no white space at the end. NULL: out of memory. */
static char *notification_describe(Notification *n, const siginfo_t *info) {
        char status[64 + DURATION_TEXT_SIZE], span[DURATION_TEXT_SIZE], *text;

        if (n->is_late)
                (void) snprintf(status,
                                sizeof(status),
                                "killed: it took longer than %s",
                                duration_format(n->deadline_us, span));
        else if (info->si_code == CLD_EXITED)
                (void) snprintf(status, sizeof(status), "exit status %d", info->si_status);
        else
                (void) snprintf(status, sizeof(status), "ended by signal %d", info->si_status);

        for (size_t i = 0; i < n->n_printed; i++)
                if (n->printed[i] == '\0')
                        n->printed[i] = '?';
        while (n->n_printed > 0 && strchr(" \t\r\n", n->printed[n->n_printed - 1]))
                n->n_printed--;
        if (asprintf(&text,
                     "%s\n%.*s%s",
                     status,
                     (int) n->n_printed,
                     n->printed,
                     n->is_cut ? " [...]" : "") < 0)
                return NULL;
        return text;
}

static int notification_dispatch_exit(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Notification *n = userdata;
        NotifierFunc func = n->func;
        _cleanup_free_ char *text = NULL;
        siginfo_t info = {};
        bool good;

        userdata = n->userdata;
        (void) waitid(P_PIDFD, (id_t) n->pidfd, &info, WEXITED | WNOHANG | WNOWAIT);
        notification_end(n);
        /* bounded: somebody who left the group may print for ever */
        for (size_t i = 0; i < NOTIFIER_OUTPUT_MAX && notification_read(n); i++)
                ;
        good = !n->is_late && info.si_code == CLD_EXITED && info.si_status == 0;
        text = notification_describe(n, &info);
        notification_free(n);
        func(good ? 0 : -ECHILD, text ? text : "it ended", userdata);
        return 0;
}

static int notification_dispatch_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        Notification *n = userdata;

        if (n->is_late) {
                (void) kill(-n->pid, SIGKILL);
                return 0;
        }
        n->is_late = true;
        (void) kill(-n->pid, SIGTERM);
        if (sd_event_source_set_time_relative(n->timer, NOTIFIER_GRACE_US) < 0 ||
            sd_event_source_set_enabled(n->timer, SD_EVENT_ONESHOT) < 0)
                (void) kill(-n->pid, SIGKILL);
        return 0;
}

static int notification_watch(Notification *n) {
        sd_event *event = n->notifier->event;
        int r;

        n->pidfd = pidfd_open(n->pid, 0);
        if (n->pidfd < 0)
                return -errno;
        r = sd_event_add_io(event, &n->exit, n->pidfd, EPOLLIN, notification_dispatch_exit, n);
        if (r >= 0)
                r = sd_event_add_io(
                        event, &n->output, n->output_fd, EPOLLIN, notification_dispatch_output, n);
        if (r >= 0)
                r = sd_event_add_time_relative(event,
                                               &n->timer,
                                               CLOCK_BOOTTIME,
                                               n->deadline_us,
                                               0,
                                               notification_dispatch_timer,
                                               n);
        return r < 0 ? r : 0;
}

int notifier_start(Notifier *notifier,
                   const NotifyConfig *config,
                   const NotifyRequest *request,
                   NotifierFunc func,
                   void *userdata,
                   char **ret_error) {
        Notification *n;
        int r;

        if (notifier->n_running >= KERNEL_NOTIFY_MAX)
                return -EBUSY;
        n = calloc(1, sizeof(*n));
        if (!n)
                return -ENOMEM;
        n->notifier = notifier;
        n->pidfd = n->output_fd = -1;
        n->deadline_us = config->deadline_us;
        n->func = func;
        n->userdata = userdata;
        list_append(&notifier->running, &n->running);
        notifier->n_running++;

        r = notify_program_start(config, request, &n->pid, &n->output_fd, ret_error);
        if (r < 0) {
                notification_free(n);
                return r;
        }
        r = notification_watch(n);
        if (r < 0) {
                notification_end(n);
                notification_free(n);
        }
        return r;
}
