/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * An attribute that is missing, or can't be read, is one the driver does not have (timeleft), or that
 * this kernel was built without; so nothing but the folder itself has to be there.
 */
#include "daemon/source/watchdog-device.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/kernel/fd.h"

/* Longer than any identity, which is of 32 bytes. */
#define WATCHDOG_TEXT_SIZE 256

int watchdog_device_parse(const char *text, uint64_t *ret) {
        unsigned long long value;
        char *end;

        if (*text < '0' || *text > '9')
                return -EINVAL;
        errno = 0;
        value = strtoull(text, &end, 0);
        if (errno != 0 || *end != '\0')
                return -EINVAL;
        *ret = value;
        return 0;
}

static bool watchdog_device_get(int folder, const char *name, char text[static WATCHDOG_TEXT_SIZE]) {
        _cleanup_fd_ int fd = openat(folder, name, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, text, WATCHDOG_TEXT_SIZE - 1);

        if (n <= 0)
                return false;
        text[n] = '\0';
        text[strcspn(text, "\n")] = '\0';
        return *text != '\0';
}

static void watchdog_device_get_number(int folder, const char *name, bool *ret_has, uint64_t *ret) {
        char text[WATCHDOG_TEXT_SIZE];

        *ret_has = watchdog_device_get(folder, name, text) && watchdog_device_parse(text, ret) == 0;
}

static int watchdog_device_get_text(int folder, const char *name, char **ret) {
        char text[WATCHDOG_TEXT_SIZE];

        if (!watchdog_device_get(folder, name, text))
                return 0;
        *ret = strdup(text);
        return *ret ? 0 : -ENOMEM;
}

/* Of the device it belongs to; a virtual one has none. */
static int watchdog_device_get_driver(int folder, char **ret) {
        char target[PATH_MAX];
        ssize_t n = readlinkat(folder, "device/driver", target, sizeof(target) - 1);

        if (n <= 0)
                return 0;
        target[n] = '\0';
        *ret = strdup(strrchr(target, '/') ? strrchr(target, '/') + 1 : target);
        return *ret ? 0 : -ENOMEM;
}

int watchdog_device_read(const char *folder, const char *name, WatchdogInfo **ret) {
        _cleanup_(watchdog_info_freep) WatchdogInfo *info = calloc(1, sizeof(*info));
        _cleanup_fd_ int fd = -1;
        char text[WATCHDOG_TEXT_SIZE];
        uint64_t nowayout = 0;
        int r;

        if (!info)
                return -ENOMEM;
        fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return -ENOENT;
        info->name = strdup(name);
        r = info->name ? watchdog_device_get_text(fd, "identity", &info->identity) : -ENOMEM;
        if (r == 0)
                r = watchdog_device_get_driver(fd, &info->driver);
        if (r == 0)
                r = watchdog_device_get_text(fd, "pretimeout_governor", &info->governor);
        if (r < 0)
                return r;
        info->has_running = watchdog_device_get(fd, "state", text);
        info->running = info->has_running && strcmp(text, "active") == 0;
        watchdog_device_get_number(fd, "timeout", &info->has_timeout, &info->timeout);
        watchdog_device_get_number(fd, "timeleft", &info->has_timeleft, &info->timeleft);
        watchdog_device_get_number(fd, "pretimeout", &info->has_pretimeout, &info->pretimeout);
        watchdog_device_get_number(fd, "nowayout", &info->has_nowayout, &nowayout);
        info->nowayout = nowayout != 0;
        watchdog_device_get_number(fd, "bootstatus", &info->has_boot_status, &info->boot_status);
        info->bit = info->has_boot_status && (info->boot_status & WATCHDOG_DEVICE_BIT);
        *ret = TAKE_PTR(info);
        return 0;
}
