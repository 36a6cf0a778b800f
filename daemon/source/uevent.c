/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/source/uevent.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int uevent_parse(const char *data, size_t n, Uevent *ret) {
        const char *at;
        size_t head;

        /* udevd's own messages begin with a magic string that has no @ */
        if (n == 0 || n > UEVENT_SIZE_MAX || data[n - 1] != '\0')
                return -EBADMSG;
        head = strlen(data) + 1;
        at = strchr(data, '@');
        if (!at || at == data || at[1] != '/')
                return -EBADMSG;
        *ret = (Uevent){ .variables = data + head, .size = n - head };
        return 0;
}

const char *uevent_get(const Uevent *uevent, const char *key) {
        size_t length = strlen(key);

        for (size_t i = 0; i < uevent->size; i += strlen(uevent->variables + i) + 1) {
                const char *variable = uevent->variables + i;

                if (strncmp(variable, key, length) == 0 && variable[length] == '=')
                        return variable + length + 1;
        }
        return NULL;
}

static int uevent_compare(const Uevent *uevent, const char *key, const char *value) {
        const char *found = uevent_get(uevent, key);

        return found ? strcmp(found, value) : -1;
}

int uevent_read_guest(const Uevent *uevent, UeventGuest *ret_what, pid_t *ret_tid) {
        const char *number = uevent_get(uevent, "PID");
        UeventGuest what;
        char *end;
        long tid;

        if (uevent_compare(uevent, "SUBSYSTEM", "misc") != 0 ||
            uevent_compare(uevent, "DEVNAME", "kvm") != 0 || !number)
                return -ENOENT;
        if (uevent_compare(uevent, "EVENT", "create") == 0)
                what = UEVENT_GUEST_CREATED;
        else if (uevent_compare(uevent, "EVENT", "destroy") == 0)
                what = UEVENT_GUEST_DESTROYED;
        else
                return -ENOENT;
        tid = strtol(number, &end, 10);
        if (*number < '1' || *number > '9' || *end || tid > INT32_MAX)
                return -ENOENT;
        *ret_what = what;
        *ret_tid = (pid_t) tid;
        return 0;
}
