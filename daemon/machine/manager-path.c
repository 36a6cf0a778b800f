/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/machine/manager-path.h"

#include <fnmatch.h>
#include <stddef.h>

#include "policy/util/cleanup.h"

/* Where managers keep their own monitors, as their documentation and packages of Debian 12 have it.
 * A `*` ranges over slashes here: libvirt's session daemon keeps them in home folders. */
static const struct {
        const char *pattern, *manager;
} manager_paths[] = {
        { "/var/lib/libvirt/qemu/*", "libvirt" }, { "/run/libvirt/*", "libvirt" },
        { "/var/run/libvirt/*", "libvirt" },      { "*/.config/libvirt/qemu/*", "libvirt" },
        { "*/.cache/libvirt/qemu/*", "libvirt" }, { "/run/user/*/libvirt/*", "libvirt" },
        { "/run/qemu-server/*", "Proxmox VE" },   { "/var/run/qemu-server/*", "Proxmox VE" },
};

const char *manager_path_find(const char *path) {
        for (size_t i = 0; i < ELEMENTSOF(manager_paths); i++)
                if (fnmatch(manager_paths[i].pattern, path, 0) == 0)
                        return manager_paths[i].manager;
        return NULL;
}
