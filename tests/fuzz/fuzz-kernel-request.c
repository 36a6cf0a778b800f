/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a peer of tocsin-kernel may send: one packet. */
#include <stdlib.h>
#include <string.h>

#include "daemon/kernel/guest-kill.h"
#include "daemon/kernel/notify-request.h"
#include "daemon/kernel/protocol.h"
#include "daemon/kernel/qmp-path.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        NotifyRequest notify;
        GuestKillClaim claim;
        KernelPacket packet;
        int r;

        r = kernel_request_parse(data, size, &packet);
        if (r == KERNEL_E_MALFORMED)
                return 0;
        if (strlen(packet.text) != packet.header.length)
                abort();
        if (qmp_path_is_normal(packet.text) && !qmp_path_matches(packet.text, packet.text) &&
            !strpbrk(packet.text, "[*?"))
                abort();
        if (guest_kill_parse(packet.text, &claim) == 0 && claim.pid <= 0)
                abort();
        /* what reaches a program's environment */
        if (notify_request_parse(packet.text, &notify) == 0 &&
            (strpbrk(notify.section, " \n=$`/") || strpbrk(notify.machine, " \n=$`/") ||
             notify.record + notify.n_record != packet.text + packet.header.length))
                abort();
        return 0;
}
