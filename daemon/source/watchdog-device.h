/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* A watchdog device of the host as sysfs has it. It is never opened: that would start it. */
#include <stdbool.h>
#include <stdint.h>

#include "qapi-types.h"

/* linux/watchdog.h */
#define WATCHDOG_DEVICE_BIT 0x20 /* WDIOF_CARDRESET */

/* What an attribute's text means: a number in decimal, or with 0x. 0 or -EINVAL. Pure. */
int watchdog_device_parse(const char *text, uint64_t *ret);
/* `folder` in sysfs; `name` as in /dev. 0, -ENOENT when it is gone, or -ENOMEM. */
int watchdog_device_read(const char *folder, const char *name, WatchdogInfo **ret);
