/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * tocsin-kernel: the few things that need privilege, in a process of their own (protocol.h). It is
 * started by systemd with a listening socket, or by tocsind with --fd and a connected one; it reads
 * the configuration itself, because what tocsind says about it is not to be trusted.
 */
#include <errno.h>
#include <getopt.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#include "daemon/config/config.h"
#include "daemon/kernel/fd.h"
#include "daemon/kernel/helper.h"
#include "daemon/kernel/privilege.h"
#include "daemon/kernel/qmp-path.h"
#include "daemon/machine/attach-socket.h"
#include "daemon/machine/manager-path.h"
#include "daemon/report.h"
#include "tocsin-version.h"

#define TOCSIN_USER "tocsin"

typedef struct Main {
        const char *config_file; /* NULL: the search path */
        int fd;                  /* of --fd, or -1 */
        Config *config;
        sd_event *event;
} Main;

/* `lenient`: a start with a good remainder; a reload is whole, or keeps the old one. */
static int main_load(Main *main, bool lenient, char **ret_error) {
        _cleanup_(config_errors_deinit) ConfigErrors errors = {};
        Config *config = NULL;
        int r;

        r = config_load(main->config_file, lenient, &config, &errors);
        if (r != 0) {
                const char *why = r < 0 ? strerror(-r) : "the configuration is broken";

                *ret_error = strdup(errors.n_items > 0 ? errors.items[0].text : why);
                return r < 0 ? r : -EINVAL;
        }
        main->config = config_free(main->config);
        main->config = config;
        return 0;
}

static bool main_may_connect(const char *path, void *userdata) {
        const Main *main = userdata;

        for (size_t i = 0; i < main->config->n_paths; i++)
                if (strcmp(main->config->paths[i].path, path) == 0)
                        return true;
        for (char **glob = main->config->globs; glob && *glob; glob++)
                if (qmp_path_matches(*glob, path))
                        return true;
        return false;
}

/* libvirt listens itself, and hands the socket to its QEMU. */
static bool main_is_monitor(const char *path, void *userdata) {
        const char *manager = manager_path_find(path);

        return qmp_path_is_normal(path) && main_may_connect(path, userdata) &&
               !(manager && strcmp(manager, "libvirt") == 0);
}

static bool main_is_caller(const char *path, uid_t uid, void *userdata) {
        const Main *main = userdata;
        size_t n = strlen(main->config->runtime_dir);

        return strncmp(path, main->config->runtime_dir, n) == 0 &&
               strcmp(path + n, "/" ATTACH_SOCKET_NAME) == 0 &&
               attach_socket_may_call(main->config->attach_users, uid);
}

static const NotifyConfig *main_find_notify(const char *name, void *userdata) {
        const Main *main = userdata;

        for (size_t i = 0; i < main->config->n_notifies; i++)
                if (strcmp(main->config->notifies[i].name, name) == 0)
                        return &main->config->notifies[i];
        return NULL;
}

static int main_reload(char **ret_error, void *userdata) {
        return main_load(userdata, false, ret_error);
}

static void main_alone(void *userdata) {
        const Main *main = userdata;

        /* a child has no second parent; systemd's listening socket will see the next tocsind */
        if (main->fd >= 0)
                (void) sd_event_exit(main->event, 0);
}

static void main_log(const char *text, void *userdata) {
        report(LOG_WARNING, NULL, "%s", text);
}

static const KernelHelperOps main_ops = {
        .may_connect = main_may_connect,
        .guests = { .is_monitor = main_is_monitor, .is_caller = main_is_caller },
        .find_notify = main_find_notify,
        .reload = main_reload,
        .alone = main_alone,
        .log = main_log,
};

/* The sockets it was started with. Returns their number, or a negative errno. */
static int main_take_sockets(const Main *main, KernelHelper *helper) {
        int r, n;

        if (main->fd >= 0) {
                r = kernel_helper_add_peer(helper, main->fd);
                return r < 0 ? r : 1;
        }
        n = sd_listen_fds(1);
        for (int i = 0; i < n; i++) {
                r = kernel_helper_listen(helper, SD_LISTEN_FDS_START + i);
                if (r < 0)
                        return r;
        }
        return n;
}

static int main_run(Main *main) {
        _cleanup_(kernel_helper_freep) KernelHelper *helper = NULL;
        const struct passwd *user = getpwnam(TOCSIN_USER);
        int r;

        r = sd_event_new(&main->event);
        if (r < 0)
                return r;
        r = sd_event_add_signal(main->event, NULL, SIGTERM | SD_EVENT_SIGNAL_PROCMASK, NULL, NULL);
        if (r < 0)
                return r;
        r = kernel_helper_new(&helper, main->event, user ? user->pw_uid : 0, &main_ops, main);
        if (r < 0)
                return r;
        r = main_take_sockets(main, helper);
        if (r == 0)
                report(LOG_ERR, NULL, "is started by systemd or by tocsind, with a socket");
        if (r <= 0)
                return r < 0 ? r : -EINVAL;
        r = privilege_drop();
        if (r < 0)
                return r;
        (void) sd_notify(0, "READY=1");
        return sd_event_loop(main->event);
}

static int main_parse(Main *main, int argc, char *argv[]) {
        static const struct option options[] = {
                { "config", required_argument, NULL, 'c' },
                { "fd", required_argument, NULL, 'f' },
                { "help", no_argument, NULL, 'h' },
                { "version", no_argument, NULL, 'v' },
                {},
        };
        char *end;
        long fd;
        int c;

        while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0)
                switch (c) {
                case 'c':
                        main->config_file = optarg;
                        break;
                case 'f':
                        fd = strtol(optarg, &end, 10);
                        if (*end || end == optarg || fd <= STDERR_FILENO || fd > INT16_MAX) {
                                fprintf(stderr,
                                        "tocsin-kernel: --fd: expected a number, found '%s'\n",
                                        optarg);
                                return -EINVAL;
                        }
                        main->fd = (int) fd;
                        break;
                case 'h':
                        printf("tocsin-kernel [--config FILE] [--fd N]\n"
                               "Serves tocsind; started by systemd or by tocsind itself.\n");
                        return 0;
                case 'v':
                        printf("tocsin-kernel %s\n", TOCSIN_VERSION);
                        return 0;
                default:
                        return -EINVAL;
                }
        return 1;
}

int main(int argc, char *argv[]) {
        Main state = { .fd = -1 };
        _cleanup_free_ char *error = NULL;
        int r;

        r = main_parse(&state, argc, argv);
        if (r <= 0)
                return r < 0 ? 2 : EXIT_SUCCESS;
        r = main_load(&state, true, &error);
        if (r < 0) {
                report(LOG_ERR, NULL, "%s", error ? error : strerror(-r));
                return EXIT_FAILURE;
        }
        if (state.fd >= 0 && geteuid() == 0)
                report(LOG_NOTICE, NULL, "started by hand as root, and runs as it is");
        if (geteuid() != 0)
                report(LOG_NOTICE, NULL, "uid %u may connect only to what it may open", geteuid());

        r = main_run(&state);
        if (r < 0)
                report(LOG_ERR, NULL, "%s", strerror(-r));
        sd_event_unref(state.event);
        config_free(state.config);
        return r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
