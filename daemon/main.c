/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* tocsind: arguments, limits, the loop. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "daemon/daemon.h"
#include "daemon/report.h"
#include "tocsin-version.h"

enum {
        OPTION_CONFIG = 0x100,
        OPTION_CHECK,
        OPTION_SHOW_CONFIG,
        OPTION_VERSION,
        OPTION_HELP,
};

static const struct option main_options[] = {
        { "config", required_argument, NULL, OPTION_CONFIG },
        { "check", no_argument, NULL, OPTION_CHECK },
        { "show-config", no_argument, NULL, OPTION_SHOW_CONFIG },
        { "version", no_argument, NULL, OPTION_VERSION },
        { "help", no_argument, NULL, OPTION_HELP },
        {},
};

static void main_help(FILE *out) {
        (void) fputs("tocsind [--config FILE] [--check | --show-config]\n"
                     "\n"
                     "Watches the virtual machines of this host. Stays in the foreground.\n"
                     "\n"
                     "  --config FILE   read FILE alone instead of the search path\n"
                     "  --check         read the configuration, print every error, and exit\n"
                     "  --show-config   print every key with its value and where it was set, and exit\n"
                     "  --version       print the version and exit\n"
                     "  --help          print this and exit\n"
                     "\n"
                     "SIGHUP reads the configuration again: as a whole, or the old one stays.\n"
                     "See tocsind(8), tocsin.conf(5), tocsinctl(1).\n",
                     out);
}

static int main_check(const char *file) {
        _cleanup_(config_errors_deinit) ConfigErrors errors = {};
        Config *config = NULL;
        int r;

        r = config_load(file, false, &config, &errors);
        for (size_t i = 0; i < errors.n_items; i++)
                (void) fprintf(stderr, "%s\n", errors.items[i].text);
        config_free(config);
        if (r < 0)
                (void) fprintf(stderr, "tocsind: %s\n", strerror(-r));
        return r == 0 && errors.n_items == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* Each guest takes three descriptors: its monitor, its process, its endpoint. */
static void main_raise_files(void) {
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
                return;
        limit.rlim_cur = limit.rlim_max;
        (void) setrlimit(RLIMIT_NOFILE, &limit);
}

static int main_block_signals(void) {
        sigset_t set;

        if (sigemptyset(&set) < 0 || sigaddset(&set, SIGTERM) < 0 || sigaddset(&set, SIGINT) < 0 ||
            sigaddset(&set, SIGHUP) < 0 || sigprocmask(SIG_BLOCK, &set, NULL) < 0 ||
            signal(SIGPIPE, SIG_IGN) == SIG_ERR)
                return -errno;
        return 0;
}

static int main_run(const char *file) {
        _cleanup_(daemon_freep) Daemon *daemon = NULL;
        int r;

        main_raise_files();
        r = main_block_signals();
        if (r < 0)
                return r;
        if (geteuid() == 0)
                report(LOG_NOTICE,
                       NULL,
                       "started as root, and runs as root; the unit runs it as user tocsin");
        r = daemon_new(&daemon, file);
        if (r < 0)
                return r;
        report(LOG_NOTICE,
               NULL,
               "tocsin " TOCSIN_VERSION " watches; sockets in %s",
               daemon->config->runtime_dir);
        (void) sd_notify(0, "READY=1");
        return sd_event_loop(daemon->event);
}

int main(int argc, char *argv[]) {
        const char *file = NULL;
        int c, mode = 0;

        while ((c = getopt_long(argc, argv, "", main_options, NULL)) >= 0) {
                if (c == OPTION_CONFIG) {
                        file = optarg;
                } else if (c == OPTION_VERSION) {
                        (void) puts("tocsin " TOCSIN_VERSION);
                        return EXIT_SUCCESS;
                } else if (c == OPTION_HELP) {
                        main_help(stdout);
                        return EXIT_SUCCESS;
                } else if (c == OPTION_CHECK || c == OPTION_SHOW_CONFIG) {
                        mode = c;
                } else {
                        main_help(stderr);
                        return 2;
                }
        }
        if (optind < argc) {
                main_help(stderr);
                return 2;
        }
        if (mode == OPTION_CHECK)
                return main_check(file);
        if (mode == OPTION_SHOW_CONFIG)
                return config_show(file, stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
        return main_run(file) < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
