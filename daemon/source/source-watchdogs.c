/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Watchdog devices. The one difficulty is that the kernel tells of them coming and going, and of
 * nothing else: neither that one was opened, nor that it was closed without being stopped. So while
 * there is a device its state is looked at, a few times in its timeout; the process that holds a
 * running one is held by a pidfd, so that its end is known at once.
 */
#include <errno.h>
#include <fcntl.h>
#include <libudev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <syslog.h>
#include <systemd/sd-id128.h>
#include <time.h>

#include "daemon/kernel/fd.h"
#include "daemon/kernel/holders.h"
#include "daemon/machine/process.h"
#include "daemon/source/source.h"
#include "daemon/source/watchdog-device.h"
#include "policy/util/list.h"
#include "policy/util/moment.h"

#define WATCHDOGS_SUBSYSTEM "watchdog"
/* MAX_DOGS of the kernel */
#define WATCHDOGS_MAX 32
/* So often within a timeout it is looked at, but no more often than the first and no less than the second. */
#define WATCHDOGS_LOOKS 4
#define WATCHDOGS_LOOK_MIN_US (1 * USEC_PER_SEC)
#define WATCHDOGS_LOOK_MAX_US (15 * USEC_PER_SEC)
/* Where it is remembered for which boot a watchdog's reset has been told. */
#define WATCHDOGS_TOLD_FILE "watchdog-reset-told"

typedef struct Watchdog {
        List devices; /* of the source */
        Source *source;
        char *name, *folder;
        Process holder; /* pid 0: not known */
        sd_event_source *exit;
        char *holder_name;
        bool bereft; /* it was told that nobody keeps it alive */
} Watchdog;

/* Somebody asks for all devices, while the helper looks for who holds them. */
typedef struct WatchdogsQuery {
        List queries; /* of the source */
        SourcesWatchdogsDone done;
        void *userdata;
} WatchdogsQuery;

typedef struct WatchdogsState {
        struct udev *udev;
        struct udev_monitor *monitor;
        sd_event_source *io, *timer;
        List devices, queries;
        unsigned n_devices;
        bool looking; /* for holders */
} WatchdogsState;

static void watchdogs_look(Source *source);

static void watchdog_forget_holder(Watchdog *device) {
        device->exit = sd_event_source_disable_unref(device->exit);
        process_deinit(&device->holder);
        device->holder = (Process) PROCESS_NULL;
        free(TAKE_PTR(device->holder_name));
}

static Watchdog *watchdog_free(Watchdog *device) {
        WatchdogsState *state;

        if (!device)
                return NULL;
        state = device->source->state;
        list_remove(&device->devices);
        state->n_devices--;
        watchdog_forget_holder(device);
        free(device->name);
        free(device->folder);
        free(device);
        return NULL;
}

static uint64_t watchdogs_now(clockid_t clock) {
        struct timespec now;

        (void) clock_gettime(clock, &now);
        return (uint64_t) now.tv_sec * USEC_PER_SEC + (uint64_t) now.tv_nsec / 1000;
}

static void watchdogs_tell(Source *source, const char *text, uint64_t time_us) {
        const SourcesOps *ops;
        void *userdata;

        source_count(source);
        ops = source_get_ops(source, &userdata);
        ops->watchdog(text, time_us, userdata);
}

/* It runs, and nobody has it open: it will bite. */
static void watchdog_tell_bereft(Watchdog *device, const WatchdogInfo *info, const char *who) {
        _cleanup_free_ char *text = NULL;

        if (device->bereft)
                return;
        device->bereft = true;
        if (asprintf(&text,
                     "%s (%s) did not stop when %s left it: it resets the host within %llu s",
                     device->name,
                     info->identity ? info->identity : "no identity",
                     who,
                     (unsigned long long) (info->has_timeleft ? info->timeleft : info->timeout)) < 0)
                text = NULL;
        else
                watchdogs_tell(device->source, text, watchdogs_now(CLOCK_REALTIME));
}

static int watchdog_dispatch_exit(sd_event_source *io, int fd, uint32_t revents, void *userdata) {
        Watchdog *device = userdata;

        sd_event_source_disable_unref(TAKE_PTR(device->exit));
        watchdogs_look(device->source);
        return 0;
}

static void watchdog_set_holder(Watchdog *device, const Holder *holder) {
        if (device->holder.pid == holder->pid)
                return;
        watchdog_forget_holder(device);
        if (process_open(holder->pid, &device->holder) < 0)
                return;
        device->holder_name = strdup(holder->name);
        device->bereft = false;
        (void) sd_event_add_io(source_get_event(device->source),
                               &device->exit,
                               device->holder.pidfd,
                               EPOLLIN | EPOLLET,
                               watchdog_dispatch_exit,
                               device);
}

/* The first device has two names, which the link in /proc tells as it was opened. */
static void watchdogs_take_holder(const Holder *holder, void *userdata) {
        WatchdogsState *state = ((Source *) userdata)->state;
        const char *name = holder->target + strlen("/dev/");

        if (strcmp(name, "watchdog") == 0)
                name = "watchdog0";
        list_foreach(i, &state->devices) {
                Watchdog *device = list_entry(i, Watchdog, devices);

                if (strcmp(device->name, name) == 0)
                        watchdog_set_holder(device, holder);
        }
}

static json_object *watchdogs_describe(const Watchdog *device) {
        _cleanup_(watchdog_info_freep) WatchdogInfo *info = NULL;
        json_object *json = NULL;

        if (watchdog_device_read(device->folder, device->name, &info) < 0)
                return NULL;
        if (info->running && device->holder.pid > 0) {
                info->holder = calloc(1, sizeof(*info->holder));
                if (!info->holder)
                        return NULL;
                info->holder->pid = device->holder.pid;
                info->holder->name = strdup(device->holder_name ?: "?");
                if (!info->holder->name)
                        return NULL;
        }
        (void) watchdog_info_to_json(info, &json);
        return json;
}

static void watchdogs_answer(Source *source) {
        WatchdogsState *state = source->state;

        while (!list_is_empty(&state->queries)) {
                WatchdogsQuery *query = list_entry(state->queries.next, WatchdogsQuery, queries);
                json_object *array = json_object_new_array();

                list_remove(&query->queries);
                list_foreach(i, &state->devices) {
                        json_object *json = watchdogs_describe(list_entry(i, Watchdog, devices));

                        if (array && json)
                                (void) json_object_array_add(array, json);
                }
                query->done(array, query->userdata);
                free(query);
        }
}

/* Who has it open is known as well as it can be. */
static void watchdog_judge(Watchdog *device, bool complete) {
        _cleanup_(watchdog_info_freep) WatchdogInfo *info = NULL;
        _cleanup_free_ char *who = NULL;

        if (watchdog_device_read(device->folder, device->name, &info) < 0)
                return;
        if (!info->running) {
                watchdog_forget_holder(device);
                device->bereft = false;
                return;
        }
        if (device->holder.pid == 0) {
                if (complete)
                        watchdog_tell_bereft(device, info, "its holder");
                return;
        }
        if (!process_has_ended(&device->holder))
                return;
        if (asprintf(&who, "%s (%d)", device->holder_name ?: "?", device->holder.pid) < 0)
                who = NULL;
        watchdog_forget_holder(device);
        watchdog_tell_bereft(device, info, who ? who : "its holder");
}

static void watchdogs_looked(int r, int fd, const char *text, void *userdata) {
        _cleanup_fd_ int owned = fd;
        Source *source = userdata;
        WatchdogsState *state = source->state;

        state->looking = false;
        if (r == 0)
                r = holders_read(fd, watchdogs_take_holder, source);
        list_foreach(i, &state->devices)
                watchdog_judge(list_entry(i, Watchdog, devices), r == 0);
        watchdogs_answer(source);
}

static void watchdogs_look(Source *source) {
        WatchdogsState *state = source->state;

        if (state->looking)
                return;
        state->looking = kernel_client_find_holders(source_get_kernel(source),
                                                    HOLDERS_WATCHDOG,
                                                    watchdogs_looked,
                                                    source) == 0;
        if (!state->looking)
                watchdogs_answer(source);
}

static int watchdogs_dispatch_timer(sd_event_source *timer, uint64_t usec, void *userdata);

static void watchdogs_arm(Source *source, uint64_t after_us) {
        WatchdogsState *state = source->state;

        state->timer = sd_event_source_disable_unref(state->timer);
        if (state->n_devices > 0)
                (void) sd_event_add_time_relative(source_get_event(source),
                                                  &state->timer,
                                                  CLOCK_BOOTTIME,
                                                  after_us,
                                                  0,
                                                  watchdogs_dispatch_timer,
                                                  source);
}

/* Looks at their state, which costs little; at who holds them only when that may have changed. */
static int watchdogs_dispatch_timer(sd_event_source *timer, uint64_t usec, void *userdata) {
        Source *source = userdata;
        WatchdogsState *state = source->state;
        uint64_t next_us = WATCHDOGS_LOOK_MAX_US;
        bool look = false;

        list_foreach(i, &state->devices) {
                Watchdog *device = list_entry(i, Watchdog, devices);
                _cleanup_(watchdog_info_freep) WatchdogInfo *info = NULL;

                if (watchdog_device_read(device->folder, device->name, &info) < 0)
                        continue;
                if (info->has_timeout && info->timeout * USEC_PER_SEC / WATCHDOGS_LOOKS < next_us)
                        next_us = info->timeout * USEC_PER_SEC / WATCHDOGS_LOOKS;
                look |= info->running != (device->holder.pid > 0) && !device->bereft;
        }
        if (look)
                watchdogs_look(source);
        watchdogs_arm(source, next_us > WATCHDOGS_LOOK_MIN_US ? next_us : WATCHDOGS_LOOK_MIN_US);
        return 0;
}

/* Whether it is told for the first time in this boot. */
static bool watchdogs_is_news(Source *source) {
        char boot_id[SD_ID128_STRING_MAX], told[SD_ID128_STRING_MAX] = "";
        _cleanup_free_ char *path = NULL;
        _cleanup_fd_ int fd = -1;
        sd_id128_t boot;

        if (sd_id128_get_boot(&boot) < 0 ||
            asprintf(&path, "%s/" WATCHDOGS_TOLD_FILE, source_get_state_dir(source)) < 0) {
                path = NULL;
                return false;
        }
        (void) sd_id128_to_string(boot, boot_id);
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0 || (pread(fd, told, sizeof(told) - 1, 0) > 0 && strcmp(told, boot_id) == 0))
                return false;
        return pwrite(fd, boot_id, strlen(boot_id), 0) > 0;
}

static void watchdogs_tell_reset(Source *source, const Watchdog *device) {
        _cleanup_(watchdog_info_freep) WatchdogInfo *info = NULL;
        _cleanup_free_ char *text = NULL;

        if (watchdog_device_read(device->folder, device->name, &info) < 0 || !info->bit ||
            !watchdogs_is_news(source))
                return;
        if (asprintf(&text,
                     "the last reset of the host was done by its watchdog %s (%s)",
                     device->name,
                     info->identity ? info->identity : "no identity") < 0) {
                text = NULL;
                return;
        }
        /* when this boot began is as near as it can be known */
        watchdogs_tell(source, text, watchdogs_now(CLOCK_REALTIME) - watchdogs_now(CLOCK_BOOTTIME));
}

static void watchdogs_add(Source *source, const char *name, const char *folder) {
        WatchdogsState *state = source->state;
        Watchdog *device;

        list_foreach(i, &state->devices)
                if (strcmp(list_entry(i, Watchdog, devices)->name, name) == 0)
                        return;
        if (state->n_devices >= WATCHDOGS_MAX)
                return;
        device = calloc(1, sizeof(*device));
        if (!device)
                return;
        device->source = source;
        device->holder = (Process) PROCESS_NULL;
        list_append(&state->devices, &device->devices);
        state->n_devices++;
        device->name = strdup(name);
        device->folder = strdup(folder);
        if (!device->name || !device->folder) {
                watchdog_free(device);
                return;
        }
        watchdogs_tell_reset(source, device);
        watchdogs_arm(source, 0);
}

static void watchdogs_remove(Source *source, const char *name) {
        WatchdogsState *state = source->state;

        list_foreach_safe(i, next, &state->devices) {
                Watchdog *device = list_entry(i, Watchdog, devices);

                if (strcmp(device->name, name) == 0)
                        watchdog_free(device);
        }
        watchdogs_arm(source, 0);
}

static int watchdogs_dispatch_monitor(sd_event_source *io, int fd, uint32_t revents, void *userdata) {
        Source *source = userdata;
        WatchdogsState *state = source->state;
        struct udev_device *device;

        while ((device = udev_monitor_receive_device(state->monitor))) {
                const char *action = udev_device_get_action(device),
                           *name = udev_device_get_sysname(device);

                source_count(source);
                if (strcmp(action, "add") == 0)
                        watchdogs_add(source, name, udev_device_get_syspath(device));
                else if (strcmp(action, "remove") == 0)
                        watchdogs_remove(source, name);
                source_report(source, LOG_NOTICE, "%s: %s", name, action);
                udev_device_unref(device);
        }
        return 0;
}

static int watchdogs_enumerate(Source *source) {
        WatchdogsState *state = source->state;
        struct udev_enumerate *all = udev_enumerate_new(state->udev);
        struct udev_list_entry *entry;
        int r;

        if (!all)
                return -ENOMEM;
        r = udev_enumerate_add_match_subsystem(all, WATCHDOGS_SUBSYSTEM);
        if (r >= 0)
                r = udev_enumerate_scan_devices(all);
        if (r >= 0)
                udev_list_entry_foreach(entry, udev_enumerate_get_list_entry(all)) {
                        const char *folder = udev_list_entry_get_name(entry);

                        watchdogs_add(source, strrchr(folder, '/') + 1, folder);
                }
        udev_enumerate_unref(all);
        return r < 0 ? r : 0;
}

static int watchdogs_listen(Source *source) {
        WatchdogsState *state = source->state;
        /* udevd speaks when its rules are done; without it only the kernel does */
        const char *group = access("/run/udev/control", F_OK) == 0 ? "udev" : "kernel";
        int r;

        state->udev = udev_new();
        state->monitor = state->udev ? udev_monitor_new_from_netlink(state->udev, group) : NULL;
        if (!state->monitor)
                return -errno;
        r = udev_monitor_filter_add_match_subsystem_devtype(state->monitor, WATCHDOGS_SUBSYSTEM, NULL);
        if (r >= 0)
                r = udev_monitor_enable_receiving(state->monitor);
        if (r >= 0)
                r = sd_event_add_io(source_get_event(source),
                                    &state->io,
                                    udev_monitor_get_fd(state->monitor),
                                    EPOLLIN,
                                    watchdogs_dispatch_monitor,
                                    source);
        return r < 0 ? r : 0;
}

static int watchdogs_open(Source *source) {
        WatchdogsState *state = calloc(1, sizeof(*state));
        int r;

        if (!state)
                return -ENOMEM;
        source->state = state;
        list_init(&state->devices);
        list_init(&state->queries);
        /* first listen, then look: what comes between is seen twice, and counts once */
        r = watchdogs_listen(source);
        if (r == 0)
                r = watchdogs_enumerate(source);
        if (r < 0)
                source_fail(source, "devices can't be followed: %s", strerror(-r));
        return r;
}

static void watchdogs_close(Source *source) {
        WatchdogsState *state = source->state;

        if (!state)
                return;
        if (state->looking)
                kernel_client_cancel(source_get_kernel(source), source);
        watchdogs_answer(source);
        list_foreach_safe(i, next, &state->devices)
                watchdog_free(list_entry(i, Watchdog, devices));
        sd_event_source_disable_unref(state->timer);
        sd_event_source_disable_unref(state->io);
        udev_monitor_unref(state->monitor);
        udev_unref(state->udev);
        free(state);
}

int source_watchdogs_query(Source *source, SourcesWatchdogsDone done, void *userdata) {
        WatchdogsState *state = source->state;
        WatchdogsQuery *query;

        if (!state)
                return -ENOMEM;
        query = malloc(sizeof(*query));
        if (!query)
                return -ENOMEM;
        *query = (WatchdogsQuery){ .done = done, .userdata = userdata };
        list_append(&state->queries, &query->queries);
        watchdogs_look(source);
        return 0;
}

const SourceType source_watchdogs = {
        .name = "watchdogs",
        .through = "libudev and sysfs: watchdog devices of the host",
        .open = watchdogs_open,
        .close = watchdogs_close,
};
