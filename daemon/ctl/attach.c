/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How a guest is made to call tocsind: QEMU connects to attach.sock and keeps trying, so the lines
 * survive restarts of either side and can stay in a guest's configuration for good.
 */
#include "daemon/ctl/attach.h"

#include <string.h>

#include "daemon/ctl/verbs.h"
#include "policy/util/name.h"

/* The first is all that QEMU before 9.2 knows, and is gone in 10.2; the second came with 9.2. */
#define ATTACH_RECONNECT "reconnect=1"
#define ATTACH_RECONNECT_MS "reconnect-ms=1000"

static void attach_add_chardev(Text *text, const char *folder, size_t n, const char *reconnect) {
        text_printf(text, "socket,id=tocsin,path=%.*sattach.sock,%s", (int) n, folder, reconnect);
}

void attach_add_lines(Text *text, const char *name, const char *control_socket) {
        const char *slash = strrchr(control_socket, '/');
        size_t n = slash ? (size_t) (slash - control_socket) + 1 : 0;

        text_printf(text,
                    "From QEMU 9.2 on write " ATTACH_RECONNECT_MS " in place of " ATTACH_RECONNECT
                    " (10.2 takes nothing else).\n\n"
                    "A QEMU command line\n\n"
                    "    -name %s \\\n"
                    "    -chardev ",
                    name);
        attach_add_chardev(text, control_socket, n, ATTACH_RECONNECT);
        text_printf(text,
                    " \\\n"
                    "    -mon chardev=tocsin,mode=control\n\n"
                    "libvirt: virsh edit %s\n\n"
                    "    <domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>\n"
                    "      ...\n"
                    "      <qemu:commandline>\n"
                    "        <qemu:arg value='-chardev'/>\n"
                    "        <qemu:arg value='",
                    name);
        attach_add_chardev(text, control_socket, n, ATTACH_RECONNECT);
        text_add(text,
                 "'/>\n"
                 "        <qemu:arg value='-mon'/>\n"
                 "        <qemu:arg value='chardev=tocsin,mode=control'/>\n"
                 "      </qemu:commandline>\n"
                 "    </domain>\n\n"
                 "    With AppArmor, once for all guests, in /etc/apparmor.d/local/abstractions/libvirt-qemu:\n"
                 "    include <abstractions/tocsin-attach>\n\n");
        text_printf(text,
                    "Proxmox: a line in /etc/pve/qemu-server/VMID.conf, where VMID is %s's number\n\n"
                    "    args: -chardev ",
                    name);
        attach_add_chardev(text, control_socket, n, ATTACH_RECONNECT);
        text_add(text,
                 " -mon chardev=tocsin,mode=control\n\n"
                 "They take effect when the guest is started the next time; reset or reboot is not enough.\n");
}

int verb_attach(Ctl *ctl, int argc, char **argv) {
        Text text = TEXT_NULL;
        bool print = false;
        const Option options[] = { { "print", 0, NULL, &print }, {} };
        int r = ctl_parse_options(ctl, options, &argc, argv, 1, 1);

        if (r != CTL_EXIT_OK)
                return r;
        if (!print)
                return ctl_fail_usage(ctl,
                                      "a guest is attached by its own lines, which --print shows");
        if (!name_is_valid(argv[0]) || strchr(argv[0], '\\'))
                return ctl_fail_usage(ctl,
                                      "%s is no name for a guest: 1 to 80 of A-Z a-z 0-9 _ . : -, "
                                      "no dot first, and not %s",
                                      argv[0],
                                      NAME_HOST);
        attach_add_lines(&text, argv[0], ctl->socket);
        return ctl_print(&text);
}
