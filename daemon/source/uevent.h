/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* A uevent as the kernel sends it: "ACTION@DEVPATH", then "KEY=VALUE" strings. Pure, and fuzzed. */
#include <stddef.h>
#include <sys/types.h>

/* lib/kobject_uevent.c: 2 KiB of variables at most, and a path before them */
#define UEVENT_SIZE_MAX 8192

typedef struct Uevent {
        const char *variables; /* borrowed: strings, one behind the other */
        size_t size;
} Uevent;

/* What KVM says of a virtual machine. */
typedef enum UeventGuest {
        UEVENT_GUEST_CREATED,
        UEVENT_GUEST_DESTROYED,
} UeventGuest;

/* 0 or -EBADMSG; what it returns lies in `data`. */
int uevent_parse(const char *data, size_t n, Uevent *ret);
/* NULL: has no such variable. */
const char *uevent_get(const Uevent *uevent, const char *key);
/* Of which thread (it need not be a process's first) KVM speaks. 0, or -ENOENT: it is no such uevent. */
int uevent_read_guest(const Uevent *uevent, UeventGuest *ret_what, pid_t *ret_tid);
