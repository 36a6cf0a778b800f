/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Order matters in two places. At start: the store first, so that what was known is known before
 * anything attaches; the endpoints before the machines, so that no event finds its endpoint missing. At
 * the end: the guests are set back to what QEMU can do alone, and the answers waited for, before the
 * connections close.
 */
#include "daemon/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-id128.h>
#include <time.h>
#include <unistd.h>

#include "daemon/report.h"
#include "policy/util/name.h"
#include "tocsin-version.h"

/* What start may wait for a disk, and the end for what is queued. */
#define DAEMON_STORE_WAIT_US (5 * USEC_PER_SEC)
/* The end waits so long for QEMUs to take back what they were told. */
#define DAEMON_RELEASE_US (2 * USEC_PER_SEC)

/* Files that are not the guests': the clients of a dozen users, the database, the helper, plugins, a
 * dump. Of a small limit, a part of it. */
#define DAEMON_FILES_RESERVE 1024
#define DAEMON_FILES_RESERVE_PART 4

Moment daemon_now(const Daemon *daemon) {
        struct timespec real, boot;

        (void) clock_gettime(CLOCK_REALTIME, &real);
        (void) clock_gettime(CLOCK_BOOTTIME, &boot);
        return (Moment){
                .real_us = (uint64_t) real.tv_sec * USEC_PER_SEC + (uint64_t) real.tv_nsec / 1000,
                .boot_us = (uint64_t) boot.tv_sec * USEC_PER_SEC + (uint64_t) boot.tv_nsec / 1000,
        };
}

static int daemon_on_deadline(sd_event_source *source, uint64_t usec, void *userdata) {
        Daemon *daemon = userdata;

        daemon->deadline_us = USEC_INFINITY;
        watch_tick(daemon->watch, daemon_now(daemon));
        daemon_arm(daemon);
        return 0;
}

void daemon_arm(Daemon *daemon) {
        uint64_t deadline_us = watch_get_deadline(daemon->watch);

        if (deadline_us == daemon->deadline_us)
                return;
        daemon->deadline_us = deadline_us;
        (void) sd_event_source_set_time(daemon->deadline, deadline_us);
        (void) sd_event_source_set_enabled(daemon->deadline,
                                           deadline_us == USEC_INFINITY ? SD_EVENT_OFF
                                                                        : SD_EVENT_ONESHOT);
}

void daemon_problem(const char *key, const char *text, void *userdata) {
        Daemon *daemon = userdata;
        json_object *old = NULL;

        bool known = json_object_object_get_ex(daemon->problems, key, &old);

        if (!text || !*text) {
                if (known && !text)
                        report(LOG_NOTICE, key, "mended");
                json_object_object_del(daemon->problems, key);
                return;
        }
        if (known && strcmp(json_object_get_string(old), text) == 0)
                return;
        report(LOG_WARNING, key, "%s", text);
        (void) json_object_object_add(daemon->problems, key, json_object_new_string(text));
}

static void daemon_store_problem(const char *text, void *userdata) {
        daemon_problem("store", strcmp(text, "ok") == 0 ? NULL : text, userdata);
}

static void daemon_attach_host(Daemon *daemon, const char *boot_id) {
        daemon_observe(&(Observation){ .type = OBSERVATION_ATTACHED,
                                       .machine = NAME_HOST,
                                       .run = boot_id,
                                       .time_us = daemon_now(daemon).real_us,
                                       .state = RUN_STATE_RUNNING,
                                       .running = true,
                                       .backend = BACKEND_TYPE_HOST },
                       daemon);
}

/* Configuration */

static void daemon_report_config(const ConfigErrors *errors) {
        for (size_t i = 0; i < errors->n_items; i++)
                report(errors->items[i].warning ? LOG_WARNING : LOG_ERR,
                       NULL,
                       "%s",
                       errors->items[i].text);
}

static MachinesConfig daemon_machines_config(const Config *config) {
        return (MachinesConfig){
                .runtime_dir = config->runtime_dir,
                .paths = config->paths,
                .n_paths = config->n_paths,
                .globs = config->globs,
                .attach_users = config->attach_users,
                .heartbeat_us = config->heartbeat_us,
                .silent_us = config->silent_us,
        };
}

static QmpServerConfig daemon_server_config(const Config *config) {
        return (QmpServerConfig){
                .runtime_dir = config->runtime_dir,
                .command_group = config->command_group,
                .monitor_group = config->monitor_group,
                .clients_per_uid = config->clients_per_uid,
                .queue_bytes = config->client_queue,
        };
}

/* A start with a good remainder is told of as long as it lasts. */
static void daemon_tell_left_out(Daemon *daemon, const ConfigErrors *errors) {
        const ConfigError *first = NULL;
        char text[256];
        unsigned n = 0;

        for (size_t i = 0; i < errors->n_items; i++)
                if (!errors->items[i].warning && n++ == 0)
                        first = &errors->items[i];
        if (!first)
                return;
        (void) snprintf(text,
                        sizeof(text),
                        "%u errors, and what they are in is left out; the first: %s",
                        n,
                        first->text);
        daemon_problem("configuration", text, daemon);
}

static int daemon_load_config(Daemon *daemon) {
        _cleanup_(config_errors_deinit) ConfigErrors errors = {};
        int r;

        r = config_load(daemon->config_file, true, &daemon->config, &errors);
        daemon_report_config(&errors);
        if (r == 0 && daemon->config->strict && errors.n_items > 0) {
                report(LOG_ERR, NULL, "strict=yes: a configuration with errors is not used");
                return -EINVAL;
        }
        if (r == 0) {
                report_set_level(daemon->config->log_level);
                daemon_tell_left_out(daemon, &errors);
        }
        return r > 0 ? -EINVAL : r;
}

static int daemon_on_reload(sd_event_source *source,
                            const struct signalfd_siginfo *si,
                            void *userdata) {
        _cleanup_(config_errors_deinit) ConfigErrors errors = {};
        Daemon *daemon = userdata;
        Config *config = NULL, *old = daemon->config;
        MachinesConfig machines;
        QmpServerConfig server;
        int r;

        (void) sd_notifyf(0,
                          "RELOADING=1\nMONOTONIC_USEC=%llu",
                          (unsigned long long) daemon_now(daemon).boot_us);
        r = config_load(daemon->config_file, false, &config, &errors);
        daemon_report_config(&errors);
        if (r != 0) {
                report(LOG_ERR, NULL, "the configuration stays as it was");
                daemon_problem("configuration", "the last reload failed: see the log", daemon);
                (void) sd_notify(0, "READY=1");
                return 0;
        }
        daemon_problem("configuration", NULL, daemon);
        if (strcmp(config->runtime_dir, old->runtime_dir) != 0 ||
            strcmp(config->state_dir, old->state_dir) != 0)
                report(LOG_WARNING, NULL, "runtime-dir= and state-dir= change at the next start only");
        daemon->config = config;
        report_set_level(config->log_level);
        daemon_configure_plugins(daemon);
        watch_set_policy(daemon->watch, config->policy, daemon_now(daemon));
        store_set_limits(daemon->store, &config->store);
        evidence_configure(daemon->evidence, &config->evidence);
        server = daemon_server_config(config);
        (void) qmp_server_configure(daemon->server, &server);
        (void) kernel_client_reload(daemon->kernel);
        (void) vmm_configure(daemon->vmm, config->vmm_allow);
        machines = daemon_machines_config(config);
        machines.runtime_dir = old->runtime_dir;
        r = machines_configure(daemon->machines, &machines);
        if (r < 0)
                report(LOG_ERR, NULL, "reload: %s", strerror(-r));
        free(config->runtime_dir);
        config->runtime_dir = TAKE_PTR(old->runtime_dir);
        config_free(old);
        daemon_arm(daemon);
        report(LOG_NOTICE, NULL, "configuration read again");
        (void) sd_notify(0, "READY=1");
        return 0;
}

/* Start and end */

static int daemon_on_released(sd_event_source *source, uint64_t usec, void *userdata) {
        Daemon *daemon = userdata;

        return sd_event_exit(daemon->event, 0);
}

static int daemon_on_stop(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata) {
        Daemon *daemon = userdata;

        if (daemon->stopping)
                return sd_event_exit(daemon->event, 0);
        daemon->stopping = true;
        (void) sd_notify(0, "STOPPING=1");
        report(LOG_NOTICE, NULL, "stopping: every guest is set back to its fixed action");
        watch_release(daemon->watch, daemon_now(daemon));
        if (daemon->tells == 0)
                return sd_event_exit(daemon->event, 0);
        /* An answer takes a round trip; a QEMU that is busy for longer keeps what it was told. */
        return sd_event_add_time_relative(
                daemon->event, NULL, CLOCK_MONOTONIC, DAEMON_RELEASE_US, 0, daemon_on_released, daemon);
}

static int daemon_make_folder(const char *path) {
        if (mkdir(path, 0755) < 0 && errno != EEXIST) {
                int r = -errno;

                report(LOG_ERR, NULL, "%s can't be made: %s", path, strerror(errno));
                return r;
        }
        return 0;
}

/* A second daemon on the same runtime folder would take the first one's sockets away. */
static int daemon_lock(Daemon *daemon) {
        _cleanup_free_ char *path = NULL;
        int r;

        r = daemon_make_folder(daemon->config->runtime_dir);
        if (r < 0)
                return r;
        if (asprintf(&path, "%s/lock", daemon->config->runtime_dir) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        daemon->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (daemon->lock_fd < 0 || flock(daemon->lock_fd, LOCK_EX | LOCK_NB) < 0) {
                r = -errno;
                if (r == -EWOULDBLOCK)
                        report(LOG_ERR, NULL, "another tocsind runs on %s", daemon->config->runtime_dir);
                else
                        report(LOG_ERR, NULL, "%s: %s", path, strerror(-r));
                return r;
        }
        return 0;
}

static int daemon_open_event(Daemon *daemon) {
        int r;

        r = sd_event_default(&daemon->event);
        if (r >= 0)
                r = sd_event_add_signal(daemon->event, NULL, SIGTERM, daemon_on_stop, daemon);
        if (r >= 0)
                r = sd_event_add_signal(daemon->event, NULL, SIGINT, daemon_on_stop, daemon);
        if (r >= 0)
                r = sd_event_add_signal(daemon->event, NULL, SIGHUP, daemon_on_reload, daemon);
        if (r >= 0)
                r = sd_event_add_time(daemon->event,
                                      &daemon->deadline,
                                      CLOCK_BOOTTIME,
                                      USEC_INFINITY,
                                      USEC_PER_MSEC,
                                      daemon_on_deadline,
                                      daemon);
        if (r >= 0)
                r = sd_event_source_set_enabled(daemon->deadline, SD_EVENT_OFF);
        if (r >= 0)
                r = sd_event_set_watchdog(daemon->event, true);
        return r < 0 ? r : 0;
}

int daemon_find_program(const char *name, char **ret) {
        char self[4096];
        ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
        char *slash, *path;

        if (n > 0) {
                self[n] = '\0';
                slash = strrchr(self, '/');
                if (slash && asprintf(&path, "%.*s/%s", (int) (slash - self), self, name) >= 0) {
                        if (access(path, X_OK) == 0) {
                                *ret = path;
                                return 0;
                        }
                        free(path);
                }
        }
        if (asprintf(&path, TOCSIN_LIBEXECDIR "/%s", name) < 0)
                return -ENOMEM;
        *ret = path;
        return 0;
}

static int daemon_open_kernel(Daemon *daemon) {
        _cleanup_free_ char *socket = NULL, *helper = NULL;
        int r;

        r = daemon_find_program("tocsin-kernel", &helper);
        if (r < 0)
                return r;
        if (asprintf(&socket, "%s/kernel.sock", daemon->config->runtime_dir) < 0) {
                socket = NULL;
                return -ENOMEM;
        }
        return kernel_client_new(&daemon->kernel, daemon->event, socket, helper, daemon->config_file);
}

static int daemon_open_parts(Daemon *daemon, const char *boot_id) {
        static const StoreOps store_ops = { .problem = daemon_store_problem };
        QmpServerConfig server = daemon_server_config(daemon->config);
        int r;

        r = store_open(&daemon->store,
                       daemon->event,
                       daemon->config->state_dir,
                       &daemon->config->store,
                       DAEMON_STORE_WAIT_US,
                       &store_ops,
                       daemon);
        if (r >= 0)
                r = qmp_server_new(&daemon->server, daemon->event, &server, daemon->store, daemon);
        if (r >= 0)
                r = qmp_endpoint_new(&daemon->control, daemon->server, QAPI_PROFILE_CONTROL, NULL);
        if (r >= 0)
                r = watch_new(&daemon->watch, &daemon_watch_ops, daemon->config->policy, boot_id, daemon);
        if (r >= 0)
                r = daemon_open_plugins(daemon);
        if (r >= 0)
                r = daemon_open_vmm(daemon);
        if (r >= 0)
                r = daemon_open_kernel(daemon);
        if (r >= 0)
                r = daemon_open_notify(daemon);
        if (r >= 0)
                r = machines_new(&daemon->machines,
                                 daemon->event,
                                 daemon->kernel,
                                 &daemon_machines_ops,
                                 daemon);
        if (r >= 0)
                r = daemon_open_evidence(daemon);
        if (r >= 0)
                r = act_new(&daemon->act,
                            daemon->event,
                            daemon->machines,
                            daemon->evidence,
                            &daemon_act_ops,
                            daemon);
        return r;
}

static size_t daemon_get_files_max(void) {
        struct rlimit limit = {};
        size_t reserve;

        (void) getrlimit(RLIMIT_NOFILE, &limit);
        reserve = limit.rlim_cur / DAEMON_FILES_RESERVE_PART;
        return limit.rlim_cur - (reserve < DAEMON_FILES_RESERVE ? reserve : DAEMON_FILES_RESERVE);
}

int daemon_new(Daemon **ret, const char *config_file) {
        _cleanup_(daemon_freep) Daemon *daemon = NULL;
        char boot_id[SD_ID128_STRING_MAX];
        MachinesConfig machines;
        sd_id128_t boot;
        int r;

        daemon = calloc(1, sizeof(*daemon));
        if (!daemon)
                return -ENOMEM;
        daemon->lock_fd = -1;
        journal_init(&daemon->journal);
        daemon->files_max = daemon_get_files_max();
        writes_init(&daemon->writes, daemon_recorded, daemon);
        list_init(&daemon->amends);
        daemon->deadline_us = USEC_INFINITY;
        daemon->config_file = config_file;
        daemon->started_us = daemon_now(daemon).real_us;
        daemon->problems = json_object_new_object();
        r = daemon_load_config(daemon);
        if (r < 0)
                return r;
        r = daemon_lock(daemon);
        if (r < 0)
                return r;
        r = sd_id128_get_boot(&boot);
        if (r >= 0)
                r = daemon_open_event(daemon);
        if (r >= 0)
                r = daemon_open_parts(daemon, sd_id128_to_string(boot, boot_id));
        if (r < 0) {
                report(LOG_ERR, NULL, "can't start: %s", strerror(-r));
                return r;
        }
        daemon_configure_plugins(daemon);
        daemon_attach_host(daemon, boot_id);
        daemon_restore(daemon);
        daemon_arm(daemon);
        machines = daemon_machines_config(daemon->config);
        r = machines_configure(daemon->machines, &machines);
        if (r < 0) {
                report(LOG_ERR, NULL, "can't start: %s", strerror(-r));
                return r;
        }
        r = daemon_open_sources(daemon);
        if (r < 0) {
                report(LOG_ERR, NULL, "can't start: %s", strerror(-r));
                return r;
        }
        *ret = TAKE_PTR(daemon);
        return 0;
}

static void daemon_free_endpoint(WatchMachine *machine, void *userdata) {
        machine->owner = qmp_endpoint_free(machine->owner);
}

Daemon *daemon_free(Daemon *daemon) {
        if (!daemon)
                return NULL;
        sources_free(daemon->sources);
        journal_deinit(&daemon->journal);
        plugins_free(daemon->plugins);
        act_free(daemon->act);
        daemon_close_evidence(daemon);
        machines_free(daemon->machines);
        daemon_close_notify(daemon);
        kernel_client_free(daemon->kernel);
        if (daemon->watch)
                watch_foreach(daemon->watch, daemon_free_endpoint, NULL);
        vmm_close(daemon->vmm);
        qmp_endpoint_free(daemon->control);
        qmp_server_free(daemon->server);
        vmm_free(daemon->vmm);
        store_close(daemon->store, DAEMON_STORE_WAIT_US);
        writes_deinit(&daemon->writes);
        daemon_forget_notes(daemon);
        watch_free(daemon->watch);
        sd_event_source_disable_unref(daemon->deadline);
        sd_event_unref(daemon->event);
        config_free(daemon->config);
        json_object_put(daemon->problems);
        if (daemon->lock_fd >= 0)
                (void) close(daemon->lock_fd);
        free(daemon);
        return NULL;
}
