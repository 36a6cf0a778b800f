/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A live view without any terminal library: it is written anew from the top left corner when an
 * event says that something changed. The one difficulty is to leave the terminal as it was, whatever
 * ends us; so signals are read from a descriptor, and there is one way out.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "daemon/ctl/top.h"
#include "daemon/ctl/verbs.h"
#include "policy/escape.h"
#include "policy/util/moment.h"

/* A view that no event renews is renewed after this: tocsind may have come back. */
#define VERB_REFRESH_US (2 * USEC_PER_SEC)
/* A flood of events redraws no more often than a reader can follow. */
#define VERB_SETTLE_US (250 * USEC_PER_MSEC)
#define VERB_INCIDENTS 20

#define VERB_ENTER "\033[?1049h\033[?25l" /* the other screen, no cursor */
#define VERB_LEAVE "\033[?25h\033[?1049l"
#define VERB_HOME "\033[H\033[J"

typedef struct VerbTop {
        Ctl *ctl;
        bool live;
        struct termios termios; /* as it was */
        int keys_fd;            /* readable when a key or a signal waits; -1: not live */
        int signal_fd;
} VerbTop;

static int verb_top_open_terminal(VerbTop *top) {
        struct epoll_event event = { .events = EPOLLIN };
        struct termios raw;
        sigset_t signals;

        (void) sigemptyset(&signals);
        (void) sigaddset(&signals, SIGINT);
        (void) sigaddset(&signals, SIGTERM);
        (void) sigaddset(&signals, SIGHUP);
        (void) sigaddset(&signals, SIGWINCH);
        if (tcgetattr(STDIN_FILENO, &top->termios) < 0 || sigprocmask(SIG_BLOCK, &signals, NULL) < 0)
                return -errno;
        top->signal_fd = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
        top->keys_fd = epoll_create1(EPOLL_CLOEXEC);
        if (top->signal_fd < 0 || top->keys_fd < 0 ||
            epoll_ctl(top->keys_fd, EPOLL_CTL_ADD, top->signal_fd, &event) < 0 ||
            epoll_ctl(top->keys_fd, EPOLL_CTL_ADD, STDIN_FILENO, &event) < 0)
                return -errno;

        raw = top->termios;
        raw.c_lflag &= ~(tcflag_t) (ICANON | ECHO);
        raw.c_cc[VMIN] = 0;
        raw.c_cc[VTIME] = 0;
        if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) < 0)
                return -errno;
        top->live = true;
        (void) fputs(VERB_ENTER, stdout);
        return 0;
}

static void verb_top_close_terminal(VerbTop *top) {
        if (top->live) {
                (void) fputs(VERB_LEAVE, stdout);
                (void) fflush(stdout);
                (void) tcsetattr(STDIN_FILENO, TCSANOW, &top->termios);
        }
        if (top->keys_fd >= 0)
                (void) close(top->keys_fd);
        if (top->signal_fd >= 0)
                (void) close(top->signal_fd);
}

/* NULL when it can't be had; then there is no connection any more, or tocsind refused. */
static json_object *verb_top_ask(VerbTop *top, const char *command, json_object *arguments) {
        QapiError error = QAPI_ERROR_NULL;
        json_object *answer = NULL, *escaped = NULL;
        Ctl *ctl = top->ctl;
        int r;

        if (!ctl->connection && connection_open(&ctl->connection, ctl->socket) < 0) {
                ctl->connection = connection_close(ctl->connection);
                json_object_put(arguments);
                return NULL;
        }
        r = connection_call(ctl->connection, command, arguments, &answer, &error);
        if (r < 0)
                ctl->connection = connection_close(ctl->connection);
        qapi_error_deinit(&error);
        if (r == 0 && escape_json(answer, &escaped) < 0)
                escaped = NULL;
        json_object_put(answer);
        return escaped;
}

static json_object *verb_top_new_limit(void) {
        json_object *arguments = json_object_new_object();

        (void) ctl_add_uint(arguments, "limit", VERB_INCIDENTS);
        return arguments;
}

/* Looks and draws; an exit status. */
static int verb_top_draw(VerbTop *top) {
        TopView view = { .status = verb_top_ask(top, "query-tocsin", NULL) };
        struct winsize size = {};
        Text text = TEXT_NULL;

        if (view.status) {
                view.machines = verb_top_ask(top, "query-machines", NULL);
                view.incidents = verb_top_ask(top, "query-incidents", verb_top_new_limit());
        }
        view.now_us = (uint64_t) time(NULL) * USEC_PER_SEC;
        if (top->live && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) {
                view.rows = size.ws_row;
                view.columns = size.ws_col;
        }
        if (top->live)
                text_add(&text, VERB_HOME);
        top_add_view(&text, &view);
        json_object_put(view.status);
        json_object_put(view.machines);
        json_object_put(view.incidents);
        return ctl_print(&text);
}

/* True when the user or the system wants us to end. */
static bool verb_top_is_over(VerbTop *top) {
        struct signalfd_siginfo signal;
        char key;

        while (read(top->signal_fd, &signal, sizeof(signal)) == (ssize_t) sizeof(signal))
                if (signal.ssi_signo != SIGWINCH)
                        return true;
        while (read(STDIN_FILENO, &key, 1) == 1)
                if (key == 'q' || key == 'Q')
                        return true;
        return false;
}

/* Until something changed: an event came, a key was pressed, or nothing did for long. */
static void verb_top_wait(VerbTop *top) {
        struct pollfd keys = { .fd = top->keys_fd, .events = POLLIN };
        Ctl *ctl = top->ctl;
        json_object *event = NULL;
        int r;

        if (poll(&keys, 1, (int) (VERB_SETTLE_US / USEC_PER_MSEC)) > 0)
                return;
        if (!ctl->connection) {
                (void) poll(&keys, 1, (int) ((VERB_REFRESH_US - VERB_SETTLE_US) / USEC_PER_MSEC));
                return;
        }
        r = connection_wait_event(ctl->connection,
                                  VERB_REFRESH_US - VERB_SETTLE_US,
                                  top->keys_fd,
                                  &event);
        json_object_put(event);
        /* the view shows what they led to */
        connection_drop_events(ctl->connection);
        if (r < 0)
                ctl->connection = connection_close(ctl->connection);
}

int verb_top(Ctl *ctl, int argc, char **argv) {
        VerbTop top = { .ctl = ctl, .keys_fd = -1, .signal_fd = -1 };
        bool once = false;
        const Option options[] = { { "once", 0, NULL, &once }, {} };
        int r = ctl_parse_options(ctl, options, &argc, argv, 0, 0);

        if (r != CTL_EXIT_OK)
                return r;
        if (connection_open(&ctl->connection, ctl->socket) < 0)
                return ctl_fail_connection(ctl, ctl->connection);
        if (!once && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
                (void) verb_top_open_terminal(&top);

        for (;;) {
                r = verb_top_draw(&top);
                if (r != CTL_EXIT_OK || !top.live)
                        break;
                verb_top_wait(&top);
                if (verb_top_is_over(&top))
                        break;
        }
        verb_top_close_terminal(&top);
        return r;
}
