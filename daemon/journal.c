/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/journal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/kernel/fd.h"
#include "daemon/report.h"
#include "policy/decode/decode.h"
#include "policy/util/buffer.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

void journal_init(Journal *journal) {
        journal->fd = report_is_journal()
                              ? socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)
                              : -1;
}

void journal_deinit(Journal *journal) {
        journal->fd = fd_close(journal->fd);
}

static int journal_add(Buffer *fields, const char *key, const char *value) {
        char escaped[REPORT_LINE_MAX];

        return value ? buffer_printf(fields, "TOCSIN_%s=%s\n", key, report_escape(value, escaped))
                     : 0;
}

static int journal_add_decision(Buffer *fields, const DecisionInfo *decision) {
        int r = journal_add(fields, "ACTION", action_to_string(decision->action));

        if (r == 0 && decision->has_would)
                r = journal_add(fields, "WOULD", action_to_string(decision->would));
        return r < 0 ? r : journal_add(fields, "BY", decision->by);
}

/* KEY=VALUE, a line each. */
static int journal_add_fields(Buffer *fields, const IncidentInfo *info) {
        const GuestPanicInformation *panic = info->info;
        bool s390 = panic && panic->type == GUEST_PANIC_INFORMATION_TYPE_S390;
        char cause[DECODE_CAUSE_SIZE], code[DECODE_CAUSE_SIZE + 2] = "";
        const char *word = decode_get_cause(info, cause);
        int r;

        if (word && !s390)
                (void) snprintf(code, sizeof(code), "0x%s", word);
        r = buffer_printf(fields, "TOCSIN_INCIDENT=%" PRIu64 "\n", info->id);
        if (r == 0)
                r = journal_add(fields, "MACHINE", info->machine);
        if (r == 0)
                r = journal_add(fields, "RUN", info->run);
        if (r == 0)
                r = journal_add(fields, "KIND", incident_kind_to_string(info->kind));
        if (r == 0)
                r = journal_add(fields, "STOP_CODE", *code ? code : NULL);
        if (r == 0)
                r = journal_add(fields, "REASON", s390 ? word : NULL);
        if (r == 0)
                r = journal_add(fields, "SIGNATURE", info->signature);
        if (r == 0 && info->decision)
                r = journal_add_decision(fields, info->decision);
        return r;
}

static bool journal_send(Journal *journal,
                         const IncidentInfo *info,
                         const char *text,
                         const Buffer *fields) {
        static const struct sockaddr_un address = { .sun_family = AF_UNIX,
                                                    .sun_path = JOURNAL_SOCKET };
        _cleanup_(buffer_deinit) Buffer entry = BUFFER_NULL;
        char escaped[REPORT_LINE_MAX];

        if (journal->fd < 0 ||
            buffer_printf(&entry,
                          "MESSAGE=%s: incident %" PRIu64 ": %s\n"
                          "MESSAGE_ID=" JOURNAL_MESSAGE_ID "\n"
                          "PRIORITY=%d\nSYSLOG_IDENTIFIER=tocsind\n",
                          info->machine,
                          info->id,
                          report_escape(text, escaped),
                          LOG_WARNING) < 0 ||
            buffer_append(&entry, buffer_content(fields), buffer_length(fields)) < 0)
                return false;
        return sendto(journal->fd,
                      buffer_content(&entry),
                      buffer_length(&entry),
                      MSG_NOSIGNAL,
                      (const struct sockaddr *) &address,
                      sizeof(address)) >= 0;
}

void journal_tell(Journal *journal, const IncidentInfo *info, const char *text) {
        _cleanup_(buffer_deinit) Buffer fields = BUFFER_NULL;
        char *line;

        if (journal_add_fields(&fields, info) < 0)
                buffer_deinit(&fields);
        else if (journal_send(journal, info, text, &fields))
                return;
        line = buffer_take_string(&fields);
        for (char *p = line; p && *p; p++)
                if (*p == '\n')
                        *p = p[1] ? ' ' : '\0';
        report(LOG_WARNING,
               info->machine,
               "incident %llu: %s [%s]",
               (unsigned long long) info->id,
               text,
               line ? line : "");
        free(line);
}
