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
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-id128.h>
#include <time.h>
#include <unistd.h>

#include "daemon/machine/process.h"
#include "daemon/report.h"
#include "policy/qapi/json.h"
#include "policy/util/name.h"
#include "tocsin-version.h"

/* What start may wait for a disk, and the end for what is queued. */
#define DAEMON_STORE_WAIT_US (5 * USEC_PER_SEC)
/* The end waits so long for QEMUs to take back what they were told. */
#define DAEMON_RELEASE_US (2 * USEC_PER_SEC)
/* Answers of QEMU to what tocsin asks for itself. */
#define DAEMON_ASK_US (10 * USEC_PER_SEC)

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

static void daemon_problem(const char *key, const char *text, void *userdata) {
        Daemon *daemon = userdata;

        if (!text) {
                if (json_object_object_get_ex(daemon->problems, key, NULL))
                        report(LOG_NOTICE, key, "mended");
                json_object_object_del(daemon->problems, key);
                return;
        }
        report(LOG_WARNING, key, "%s", text);
        (void) json_object_object_add(daemon->problems, key, json_object_new_string(text));
}

static void daemon_store_problem(const char *text, void *userdata) {
        daemon_problem("store", strcmp(text, "ok") == 0 ? NULL : text, userdata);
}

/* What the watch asks for */

static uint64_t daemon_next_incident(void *userdata) {
        Daemon *daemon = userdata;

        return store_next_incident(daemon->store);
}

static void daemon_announce(const WatchAnnouncement *a, void *userdata) {
        Daemon *daemon = userdata;

        (void) qmp_server_announce(daemon->server,
                                   &(QmpAnnouncement){
                                           .endpoint = a->control_only ? NULL : a->machine->owner,
                                           .machine = a->machine->name,
                                           .event = a->event,
                                           .data = a->data,
                                           .real_us = a->real_us,
                                           .own = a->synthetic,
                                           .synthetic = a->synthetic,
                                           .control_only = a->control_only,
                                   });
}

typedef struct DaemonWrite {
        Daemon *daemon;
        uint64_t number;
} DaemonWrite;

static void daemon_recorded(int r, void *userdata) {
        _cleanup_free_ DaemonWrite *write = userdata;

        act_recorded(write->daemon->act, write->number, r);
}

static void daemon_record(const IncidentInfo *incident, void *userdata) {
        Daemon *daemon = userdata;
        DaemonWrite *write = malloc(sizeof(*write));
        int r = -ENOMEM;

        daemon->writes++;
        if (write) {
                *write = (DaemonWrite){ daemon, daemon->writes };
                r = store_put_incident(daemon->store, incident, false, daemon_recorded, write);
        }
        if (r >= 0)
                return;
        free(write);
        report(LOG_ERR,
               incident->machine,
               "the record of incident %llu could not be kept: %s",
               (unsigned long long) incident->id,
               strerror(-r));
}

static void daemon_act(const WatchMachine *machine,
                       const IncidentInfo *incident,
                       ActPoint from,
                       void *userdata) {
        Daemon *daemon = userdata;
        int r;

        r = act_begin(daemon->act, machine, incident, from);
        if (r < 0)
                report(LOG_ERR,
                       machine->name,
                       "incident %llu: %s can't be begun: %s",
                       (unsigned long long) incident->id,
                       action_to_string(incident->decision->action),
                       strerror(-r));
}

/* A question's answer comes back as an observation of the run it was asked of. */
typedef struct DaemonQuestion {
        Daemon *daemon;
        WatchQuestion question;
        char *machine, *run;
} DaemonQuestion;

static void daemon_question_free(DaemonQuestion *question) {
        free(question->machine);
        free(question->run);
        free(question);
}

static bool daemon_read_status(json_object *ret, Observation *o) {
        json_object *status, *running;

        if (!json_object_object_get_ex(ret, "status", &status) ||
            !json_object_object_get_ex(ret, "running", &running) ||
            !json_object_is_type(status, json_type_string) ||
            run_state_from_string(json_object_get_string(status), &o->state) < 0)
                return false;
        o->running = json_object_get_boolean(running);
        return true;
}

static void daemon_answered(int r, json_object *ret, const char *error, void *userdata) {
        DaemonQuestion *question = userdata;
        Daemon *daemon = question->daemon;
        Moment now = daemon_now(daemon);
        Observation o = { .machine = question->machine, .run = question->run, .time_us = now.real_us };

        if (question->question == WATCH_ASK_CRASH_INFO) {
                o.type = OBSERVATION_CRASH_INFO;
                o.data = r < 0 ? NULL : ret;
                watch_observe(daemon->watch, &o, now);
        } else if (r >= 0 && daemon_read_status(ret, &o)) {
                o.type = OBSERVATION_STATUS;
                watch_observe(daemon->watch, &o, now);
        } else {
                report(LOG_WARNING,
                       question->machine,
                       "its run state is not known: %s",
                       error ? error : "query-status answered with something else");
        }
        daemon_arm(daemon);
        daemon_question_free(question);
}

static void daemon_ask(const WatchMachine *machine, WatchQuestion what, void *userdata) {
        DaemonQuestion *question = calloc(1, sizeof(*question));
        BackendVerb verb = what == WATCH_ASK_STATUS ? BACKEND_QUERY_STATUS : BACKEND_CRASH_INFO;
        Daemon *daemon = userdata;

        if (!question)
                return;
        question->daemon = daemon;
        question->question = what;
        question->machine = strdup(machine->name);
        question->run = strdup(machine->run);
        if (!question->machine || !question->run ||
            machines_command(daemon->machines,
                             machine->name,
                             verb,
                             NULL,
                             -1,
                             DAEMON_ASK_US,
                             daemon_answered,
                             question) < 0)
                daemon_question_free(question);
}

/* What a tell was about, for the words when it is refused. */
typedef struct DaemonTell {
        Daemon *daemon;
        char *machine;
        char *words;
} DaemonTell;

static void daemon_told(int r, json_object *ret, const char *error, void *userdata) {
        DaemonTell *tell = userdata;
        Daemon *daemon = tell->daemon;

        if (r < 0)
                report(LOG_ERR,
                       tell->machine,
                       "set-action %s: %s",
                       tell->words,
                       error ? error : strerror(-r));
        if (--daemon->tells == 0 && daemon->stopping)
                (void) sd_event_exit(daemon->event, 0);
        free(tell->machine);
        free(tell->words);
        free(tell);
}

static void daemon_tell(const WatchMachine *machine, const ActionSet *set, void *userdata) {
        _cleanup_(json_object_putp) json_object *arguments = json_object_new_object();
        DaemonTell *tell = calloc(1, sizeof(*tell));
        Daemon *daemon = userdata;

        for (PolicyKey key = 0; arguments && key < _POLICY_KEY_MAX; key++)
                if (set->keys[key].set)
                        (void) json_object_object_add(arguments,
                                                      policy_key_to_string(key),
                                                      json_object_new_string(action_to_string(
                                                              set->keys[key].action)));
        if (!arguments || !tell)
                goto fail;
        tell->daemon = daemon;
        tell->machine = strdup(machine->name);
        tell->words = strdup(json_object_to_json_string(arguments));
        if (tell->machine && tell->words &&
            machines_command(daemon->machines,
                             machine->name,
                             BACKEND_SET_ACTION,
                             arguments,
                             -1,
                             DAEMON_ASK_US,
                             daemon_told,
                             tell) >= 0) {
                daemon->tells++;
                return;
        }
        free(tell->machine);
        free(tell->words);
fail:
        free(tell);
        report(LOG_ERR, machine->name, "set-action could not be sent");
}

static void daemon_keep(Daemon *daemon, const WatchMachine *machine) {
        json_object *kept;

        if (!machine->run || machine->backend == BACKEND_TYPE_HOST)
                return;
        kept = watch_machine_keep(machine);
        if (!kept || store_put_machine(daemon->store, machine->name, machine->run, kept) < 0)
                report(LOG_ERR, machine->name, "what is known of it could not be kept");
        json_object_put(kept);
}

static void daemon_changed(WatchMachine *machine, WatchChange change, void *userdata) {
        Daemon *daemon = userdata;
        QmpEndpoint *endpoint = NULL;
        int r;

        switch (change) {
        case WATCH_CHANGE_APPEARED:
                r = qmp_endpoint_new(&endpoint, daemon->server, QAPI_PROFILE_MACHINE, machine->name);
                if (r < 0)
                        report(LOG_ERR, machine->name, "it gets no endpoint: %s", strerror(-r));
                machine->owner = endpoint;
                break;
        case WATCH_CHANGE_KEPT:
                daemon_keep(daemon, machine);
                break;
        case WATCH_CHANGE_REMOVED:
                machine->owner = qmp_endpoint_free(machine->owner);
                break;
        }
}

static void daemon_report(const WatchMachine *machine, int level, const char *text, void *userdata) {
        report(level, machine ? machine->name : NULL, "%s", text);
}

static const WatchOps daemon_watch_ops = {
        .next_incident = daemon_next_incident,
        .announce = daemon_announce,
        .record = daemon_record,
        .act = daemon_act,
        .ask = daemon_ask,
        .tell = daemon_tell,
        .changed = daemon_changed,
        .report = daemon_report,
};

/* What actions and machines say */

static uint64_t daemon_step(const char *machine,
                            uint64_t incident,
                            const char *what,
                            const char *error,
                            const char *text,
                            void *userdata) {
        Daemon *daemon = userdata;

        watch_stepped(daemon->watch, machine, incident, what, error, text, daemon_now(daemon));
        return daemon->writes;
}

static void daemon_acted(const char *machine,
                         uint64_t incident,
                         IncidentOutcome outcome,
                         void *userdata) {
        Daemon *daemon = userdata;

        watch_acted(daemon->watch, machine, incident, outcome, daemon_now(daemon));
        daemon_arm(daemon);
}

static const ActOps daemon_act_ops = { .step = daemon_step, .end = daemon_acted };

static void daemon_observe(const Observation *observation, void *userdata) {
        Daemon *daemon = userdata;

        watch_observe(daemon->watch, observation, daemon_now(daemon));
        daemon_arm(daemon);
}

static const MachinesOps daemon_machines_ops = { .observe = daemon_observe,
                                                 .problem = daemon_problem };

/* Coming back to what the store knows */

/* A run's identity names its process, so the host can say whether it still lives. */
static bool daemon_run_lives(const char *run) {
        _cleanup_(process_deinit) Process process = PROCESS_NULL;
        char id[PROCESS_RUN_ID_SIZE];
        const char *pid = strchr(run, '-');

        if (!pid || process_open((pid_t) strtol(pid + 1, NULL, 10), &process) < 0 ||
            process_get_run_id(&process, id) < 0)
                return false;
        return strcmp(id, run) == 0;
}

static void daemon_restore_machine(const char *machine,
                                   const char *run,
                                   json_object *kept,
                                   void *userdata) {
        Daemon *daemon = userdata;

        if (name_is_valid(machine))
                (void) watch_restore_machine(daemon->watch, machine, run, kept, daemon_now(daemon));
}

static void daemon_restore_incident(json_object *record, void *userdata) {
        _cleanup_(incident_info_freep) IncidentInfo *info = NULL, *copy = NULL;
        Daemon *daemon = userdata;
        Moment now = daemon_now(daemon);

        if (incident_info_from_json(record, &info, NULL) != 0 ||
            incident_info_from_json(record, &copy, NULL) != 0) {
                report(LOG_ERR, "store", "a record could not be read and stays as it is");
                return;
        }
        if (watch_restore_incident(daemon->watch, TAKE_PTR(info), now) >= 0)
                return;
        /* Its run is not the one known last: nothing more can come of it. */
        copy->status = INCIDENT_STATUS_CLOSED;
        copy->has_outcome = true;
        copy->outcome = INCIDENT_OUTCOME_ENDED;
        (void) store_put_incident(daemon->store, copy, false, NULL, NULL);
}

static void daemon_restore_history(json_object *record, void *userdata) {
        _cleanup_(incident_info_freep) IncidentInfo *info = NULL;
        Daemon *daemon = userdata;

        if (incident_info_from_json(record, &info, NULL) == 0)
                (void) watch_restore_history(daemon->watch, info, daemon_now(daemon));
}

static void daemon_bury(WatchMachine *machine, void *userdata) {
        Daemon *daemon = userdata;
        Moment now = daemon_now(daemon);
        Observation o = { .type = OBSERVATION_GONE,
                          .machine = machine->name,
                          .run = machine->run,
                          .time_us = now.real_us,
                          .text = "its process ended while tocsind was away" };

        if (machine->backend != BACKEND_TYPE_HOST && machine->run && machine->ended_us == 0 &&
            !daemon_run_lives(machine->run))
                watch_observe(daemon->watch, &o, now);
}

static void daemon_restore(Daemon *daemon) {
        Moment now = daemon_now(daemon);
        uint64_t since_us = now.real_us > HISTORY_AGE_US ? now.real_us - HISTORY_AGE_US : 0;

        (void) store_load_machines(daemon->store, daemon_restore_machine, daemon);
        (void) store_load_open_incidents(daemon->store, daemon_restore_incident, daemon);
        (void) store_load_recent_incidents(daemon->store, since_us, daemon_restore_history, daemon);
        watch_foreach(daemon->watch, daemon_bury, daemon);
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

static int daemon_load_config(Daemon *daemon) {
        _cleanup_(config_errors_deinit) ConfigErrors errors = {};
        int r;

        r = config_load(daemon->config_file, true, &daemon->config, &errors);
        daemon_report_config(&errors);
        if (r == 0 && daemon->config->strict && errors.n_items > 0) {
                report(LOG_ERR, NULL, "strict=yes: a configuration with errors is not used");
                return -EINVAL;
        }
        if (r == 0)
                report_set_level(daemon->config->log_level);
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
        watch_set_policy(daemon->watch, config->policy, daemon_now(daemon));
        store_set_limits(daemon->store, &config->store);
        server = daemon_server_config(config);
        (void) qmp_server_configure(daemon->server, &server);
        (void) kernel_client_reload(daemon->kernel);
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

/* The helper lies beside us in a build folder, and in libexec where installed. */
static int daemon_find_helper(char **ret) {
        char self[4096];
        ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
        char *slash, *path;

        if (n > 0) {
                self[n] = '\0';
                slash = strrchr(self, '/');
                if (slash && asprintf(&path, "%.*s/tocsin-kernel", (int) (slash - self), self) >= 0) {
                        if (access(path, X_OK) == 0) {
                                *ret = path;
                                return 0;
                        }
                        free(path);
                }
        }
        path = strdup(TOCSIN_LIBEXECDIR "/tocsin-kernel");
        if (!path)
                return -ENOMEM;
        *ret = path;
        return 0;
}

static int daemon_open_kernel(Daemon *daemon) {
        _cleanup_free_ char *socket = NULL, *helper = NULL;
        int r;

        r = daemon_find_helper(&helper);
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
                r = daemon_open_kernel(daemon);
        if (r >= 0)
                r = machines_new(&daemon->machines,
                                 daemon->event,
                                 daemon->kernel,
                                 &daemon_machines_ops,
                                 daemon);
        if (r >= 0)
                r = act_new(&daemon->act, daemon->event, daemon->machines, &daemon_act_ops, daemon);
        return r;
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
        daemon_attach_host(daemon, boot_id);
        daemon_restore(daemon);
        daemon_arm(daemon);
        machines = daemon_machines_config(daemon->config);
        r = machines_configure(daemon->machines, &machines);
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
        act_free(daemon->act);
        machines_free(daemon->machines);
        kernel_client_free(daemon->kernel);
        if (daemon->watch)
                watch_foreach(daemon->watch, daemon_free_endpoint, NULL);
        qmp_endpoint_free(daemon->control);
        qmp_server_free(daemon->server);
        store_close(daemon->store, DAEMON_STORE_WAIT_US);
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
