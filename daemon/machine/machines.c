/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which ways in there are, by configuration, and whose they turn out to be. The one difficulty is
 * identity: a QEMU says which threads are its vCPUs, and may lie; the kernel says who connected to
 * us, but for a socket that was listened on by another process (libvirt passes such sockets) it
 * names that one. See machines_find_process().
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "daemon/kernel/fd.h"
#include "daemon/kernel/qmp-path.h"
#include "daemon/machine/crowd.h"
#include "daemon/machine/machines-private.h"
#include "daemon/machine/manager-path.h"
#include "policy/util/name.h"

static char *machines_words(const char *format, ...) _printf_(1, 2);

/* Words for a refusal; something is said even without memory to say it with. */
static char *machines_words(const char *format, ...) {
        va_list ap;
        char *text;
        int n;

        va_start(ap, format);
        n = vasprintf(&text, format, ap);
        va_end(ap);
        return n < 0 ? NULL : text;
}

uint64_t machines_now(const Machines *machines, clockid_t clock) {
        uint64_t now = 0;

        (void) sd_event_now(machines->event, clock, &now);
        return now;
}

bool machines_is_watched(const Machines *machines, const char *path) {
        for (size_t i = 0; i < machines->n_watches; i++)
                if (path_watch_is_literal(machines->watches[i]) &&
                    strcmp(path_watch_get_pattern(machines->watches[i]), path) == 0)
                        return !path_watch_is_blind(machines->watches[i]);
        return false;
}

/*
 * Who calls us is who the kernel says. At a path we called it is the process of the vCPU's thread,
 * if it runs under the uid that listens there; root listens for others (libvirt, -runas). Numbers
 * from inside a container say nothing here: then, and where there are none, it is who listens.
 */
static char *machines_find_process(const Way *way, const QmpIdentity *identity, Process *ret) {
        Process process = PROCESS_NULL, listener = PROCESS_NULL;
        int r;

        r = process_open(way->peer.pid, &listener);
        if (way->kind != WAY_CALLED && identity->thread > 0 && !(r == 0 && listener.nested)) {
                process_deinit(&listener);
                r = process_open(identity->thread, &process);
        } else
                process = listener;
        if (r < 0)
                return machines_words("its process can't be told: %s", strerror(-r));
        if (way->peer.uid != 0 && process.uid != way->peer.uid) {
                process_deinit(&process);
                return machines_words("it says it is process %d of uid %u, but its socket is uid %u's",
                                      process.pid,
                                      process.uid,
                                      way->peer.uid);
        }
        *ret = process;
        return NULL;
}

static int machines_get_name(const Way *way,
                             const QmpIdentity *identity,
                             const Process *process,
                             char **ret) {
        char number[32];

        if (way->name && name_is_valid(way->name)) {
                *ret = strdup(way->name);
                return *ret ? 0 : -ENOMEM;
        }
        if (way->name || identity->name)
                return name_escape(way->name ? way->name : identity->name, ret);
        (void) snprintf(number, sizeof(number), "pid-%d", process->pid);
        *ret = strdup(number);
        return *ret ? 0 : -ENOMEM;
}

/* A run of that process is there already: another way to it. */
static char *machines_admit_again(Run *run, Way *way) {
        unsigned n = 0;

        list_foreach(i, &run->ways)
                n++;
        if (n >= RUN_WAYS_MAX)
                return machines_words("there are %u connections to process %d already",
                                      n,
                                      run->process.pid);
        way->run = run;
        return NULL;
}

/* What the kernel told of this process was the same machine. */
static void machines_give_way(Machines *machines, const Process *process, const char *name) {
        char id[PROCESS_RUN_ID_SIZE];
        IndexLink *link;
        Run *run;

        link = process_get_run_id(process, id) < 0 ? NULL : index_find(&machines->runs_by_id, id);
        if (!link)
                return;
        run = CONTAINER_OF(link, Run, by_id);
        if (strcmp(run->name, name) == 0)
                run_free(run);
        else
                run_withdraw(run, name);
}

static char *machines_admit_new(Machines *machines, Way *way, QmpIdentity *identity, Process *process) {
        _cleanup_free_ char *name = NULL;
        IndexLink *link;
        Run *run;
        int r;

        r = machines_get_name(way, identity, process, &name);
        if (r < 0)
                return machines_words("it has no name that can be used: %s", strerror(-r));
        machines_give_way(machines, process, name);
        link = index_find(&machines->runs_by_name, name);
        if (link) {
                run = CONTAINER_OF(link, Run, by_name);
                if (!run_has_exited(run))
                        return machines_words("the name '%s' is taken by process %d",
                                              name,
                                              run->process.pid);
                /* replaced: what its predecessor has left to say comes first */
                run_end(run);
        }
        r = run_new(machines, name, identity, process, &run);
        if (r < 0)
                return machines_words("it can't be watched: %s", strerror(-r));
        way->run = run;
        return NULL;
}

char *machines_admit(Machines *machines, Way *way, QmpIdentity *identity) {
        _cleanup_(process_deinit) Process process = PROCESS_NULL;
        char id[PROCESS_RUN_ID_SIZE], *refusal;
        IndexLink *link;
        int r;

        refusal = machines_find_process(way, identity, &process);
        if (refusal)
                return refusal;
        r = process_get_run_id(&process, id);
        if (r < 0)
                return machines_words("its process can't be told: %s", strerror(-r));
        link = index_find(&machines->runs_by_id, id);
        if (link && !process_guest_is(CONTAINER_OF(link, Run, by_id)))
                return machines_admit_again(CONTAINER_OF(link, Run, by_id), way);
        return machines_admit_new(machines, way, identity, &process);
}

static bool machines_is_own(const Machines *machines, const char *path) {
        size_t n = strlen(machines->runtime_dir);

        return strncmp(path, machines->runtime_dir, n) == 0 && path[n] == '/';
}

static bool machines_is_refused(Machines *machines, const char *path, bool exclusive) {
        const char *manager = manager_path_find(path);
        _cleanup_free_ char *text = NULL;

        if (!manager || exclusive) {
                problems_set(&machines->problems, path, NULL);
                return false;
        }
        text = machines_words("%s is %s's own monitor, which serves one client: give the guest a "
                              "second one, or set exclusive=yes",
                              path,
                              manager);
        problems_set(&machines->problems, path, text ? text : manager);
        return true;
}

static Way *machines_find_way(const Machines *machines, const char *path) {
        IndexLink *link = index_find(&machines->ways_by_path, path);

        return link ? CONTAINER_OF(link, Way, by_path) : NULL;
}

static void machines_found(const char *path, void *userdata) {
        Machines *machines = userdata;
        Way *way = machines_find_way(machines, path);

        if (!way) {
                /* our own endpoints are no guests */
                if (machines_is_own(machines, path) || machines_is_refused(machines, path, false))
                        return;
                if (way_new_path(machines, WAY_FOUND, path, NULL, &way) < 0) {
                        problems_set(&machines->problems, path, "there are too many connections");
                        return;
                }
        }
        way_kick(way);
}

static void machines_watch_problem(const char *pattern, const char *text, void *userdata) {
        Machines *machines = userdata;

        problems_set(&machines->problems, pattern, text);
}

static const PathWatchOps machines_watch_ops = {
        .found = machines_found,
        .problem = machines_watch_problem,
};

static void machines_called(int fd, const struct ucred *peer, void *userdata) {
        Machines *machines = userdata;

        if (!crowd_has_room(machines)) {
                /* it calls again, and then waits in the queue of the socket */
                (void) fd_close(fd);
                attach_socket_pause(machines->attach);
                return;
        }
        if (way_new_called(machines, fd, peer) < 0)
                problems_set(&machines->problems, ATTACH_SOCKET_NAME, "there are too many connections");
}

static void machines_call_refused(const struct ucred *peer, void *userdata) {
        Machines *machines = userdata;
        char key[64], text[128];

        (void) snprintf(key, sizeof(key), ATTACH_SOCKET_NAME " uid %u", peer->uid);
        (void) snprintf(text,
                        sizeof(text),
                        "uid %u (process %d) called and may not: it is not in [attach] users=",
                        peer->uid,
                        peer->pid);
        problems_set(&machines->problems, key, text);
}

static const AttachSocketOps machines_attach_ops = {
        .called = machines_called,
        .refused = machines_call_refused,
};

/* A configured path: kept, taken over from a glob, or new. */
static int machines_want_path(Machines *machines, const MachinePath *path) {
        Way *way = machines_find_way(machines, path->path);
        int r;

        if (machines_is_refused(machines, path->path, path->exclusive))
                return 0;
        if (way)
                r = way_set_name(way, path->name);
        else
                r = way_new_path(machines, WAY_PATH, path->path, path->name, &way);
        if (r == -EUSERS) {
                problems_set(&machines->problems, path->path, "there are too many connections");
                return 0;
        }
        if (r < 0)
                return r;
        way->kind = WAY_PATH;
        way->wanted = true;
        return 0;
}

static int machines_watch(Machines *machines,
                          const char *pattern,
                          bool literal,
                          PathWatch **watches,
                          size_t *n) {
        int r;

        for (size_t i = 0; i < machines->n_watches; i++) {
                PathWatch *watch = machines->watches[i];

                if (!watch || path_watch_is_literal(watch) != literal ||
                    strcmp(path_watch_get_pattern(watch), pattern) != 0)
                        continue;
                machines->watches[i] = NULL;
                watches[(*n)++] = watch;
                return 0;
        }
        r = path_watch_new(
                &watches[*n], machines->event, pattern, literal, &machines_watch_ops, machines);
        if (r == -EINVAL) {
                problems_set(&machines->problems, pattern, "is not an absolute, plain path");
                return 0;
        }
        if (r < 0)
                return r;
        (*n)++;
        return 0;
}

static void machines_free_watches(PathWatch **watches, size_t n) {
        for (size_t i = 0; i < n; i++)
                path_watch_free(watches[i]);
        free(watches);
}

/* Watches that stay are kept: looking again at a folder of 10,000 sockets is for nothing. */
static int machines_configure_watches(Machines *machines, const MachinesConfig *config) {
        size_t n_globs = 0, n = 0;
        PathWatch **watches;
        int r = 0;

        while (config->globs && config->globs[n_globs])
                n_globs++;
        watches = calloc(config->n_paths + n_globs + 1, sizeof(PathWatch *));
        if (!watches)
                return -ENOMEM;
        for (size_t i = 0; i < config->n_paths && r == 0; i++)
                if (machines_find_way(machines, config->paths[i].path))
                        r = machines_watch(machines, config->paths[i].path, true, watches, &n);
        for (size_t i = 0; i < n_globs && r == 0; i++)
                r = machines_watch(machines, config->globs[i], false, watches, &n);

        machines_free_watches(machines->watches, machines->n_watches);
        machines->watches = watches;
        machines->n_watches = n;
        return r;
}

/* Ways that nothing names any more end; the others try at once. */
static void machines_sift_ways(Machines *machines, const MachinesConfig *config) {
        list_foreach_safe(i, next, &machines->ways) {
                Way *way = list_entry(i, Way, ways);

                for (char *const *glob = config->globs; glob && *glob && !way->wanted; glob++)
                        if (way->kind != WAY_CALLED && qmp_path_matches(*glob, way->key)) {
                                way->kind = WAY_FOUND;
                                way->wanted = !manager_path_find(way->key);
                        }
                if (!way->wanted && way->kind != WAY_CALLED) {
                        problems_set(&machines->problems, way->key, NULL);
                        way_free(way);
                } else
                        way_kick(way);
        }
}

int machines_configure(Machines *machines, const MachinesConfig *config) {
        int r = 0;

        if (!machines->runtime_dir) {
                machines->runtime_dir = strdup(config->runtime_dir);
                if (!machines->runtime_dir)
                        return -ENOMEM;
        }
        list_foreach(i, &machines->ways)
                list_entry(i, Way, ways)->wanted = false;
        for (size_t i = 0; i < config->n_paths && r == 0; i++)
                r = machines_want_path(machines, &config->paths[i]);
        if (r < 0)
                return r;
        r = machines_configure_watches(machines, config);
        if (r < 0)
                return r;
        machines_sift_ways(machines, config);

        machines->heartbeat_us = config->heartbeat_us;
        machines->silent_us = config->silent_us;
        silence_configure(machines);

        if (!machines->attach) {
                r = attach_socket_new(&machines->attach,
                                      machines->event,
                                      machines->runtime_dir,
                                      &machines_attach_ops,
                                      machines);
                if (r < 0)
                        return r;
        }
        return attach_socket_set_users(machines->attach, config->attach_users);
}

int machines_command(Machines *machines, const char *machine, const BackendCall *call) {
        IndexLink *link = index_find(&machines->runs_by_name, machine);

        return link ? run_command(CONTAINER_OF(link, Run, by_name), call) : -ENOENT;
}

void machines_foreach_trouble(const Machines *machines, MachinesTroubleFunc func, void *userdata) {
        list_foreach(i, &machines->ways) {
                const Way *way = list_entry(i, const Way, ways);
                const char *given = way->led_to ? way->led_to : way->name;
                _cleanup_free_ char *escaped = NULL;

                if (!given || !way->why || way->state == WAY_JOINED)
                        continue;
                if (name_is_valid(given))
                        func(given, way->why, way->gone, userdata);
                else if (name_escape(given, &escaped) == 0)
                        func(escaped, way->why, way->gone, userdata);
        }
}

int machines_new(Machines **ret,
                 sd_event *event,
                 struct KernelClient *kernel,
                 const MachinesOps *ops,
                 void *userdata) {
        Machines *machines;
        int r;

        machines = calloc(1, sizeof(*machines));
        if (!machines)
                return -ENOMEM;
        machines->event = sd_event_ref(event);
        machines->kernel = kernel;
        machines->ops = ops;
        machines->userdata = userdata;
        machines->problems.func = ops->problem;
        machines->problems.userdata = userdata;
        list_init(&machines->ways);
        list_init(&machines->runs);
        list_init(&machines->guests);
        r = crowd_new(machines);
        if (r < 0) {
                machines_free(machines);
                return r;
        }
        *ret = machines;
        return 0;
}

static void machines_observe_nothing(const Observation *observation, void *userdata) {
}

Machines *machines_free(Machines *machines) {
        /* that we leave is nothing that happened to a guest */
        static const MachinesOps quiet = { .observe = machines_observe_nothing };

        if (!machines)
                return NULL;
        machines->ops = &quiet;
        crowd_free(machines);
        attach_socket_free(machines->attach);
        machines_free_watches(machines->watches, machines->n_watches);
        while (!list_is_empty(&machines->ways))
                way_free(list_entry(machines->ways.next, Way, ways));
        process_guest_forget_all(machines);
        while (!list_is_empty(&machines->runs))
                run_free(list_entry(machines->runs.next, Run, runs));
        sd_event_source_disable_unref(machines->heartbeat);
        problems_deinit(&machines->problems);
        index_deinit(&machines->ways_by_path);
        index_deinit(&machines->runs_by_name);
        index_deinit(&machines->runs_by_id);
        index_deinit(&machines->runs_by_pid);
        free(machines->runtime_dir);
        sd_event_unref(machines->event);
        free(machines);
        return NULL;
}
