/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/kernel/notify-request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* No word of the first line is longer. */
#define NOTIFY_WORD_SIZE (NAME_LENGTH_MAX + 1)

enum {
        NOTIFY_SECTION,
        NOTIFY_INCIDENT,
        NOTIFY_MACHINE,
        NOTIFY_KIND,
        NOTIFY_STATUS,
        NOTIFY_ACTION,
        _NOTIFY_WORDS,
};

static int notify_request_parse_number(const char *word, uint64_t *ret) {
        uint64_t number;
        char *end;

        if (word[0] < '1' || word[0] > '9')
                return -EINVAL;
        errno = 0;
        number = strtoull(word, &end, 10);
        if (errno != 0 || *end)
                return -EINVAL;
        *ret = number;
        return 0;
}

static bool notify_request_is_machine(const char *word) {
        return name_is_valid(word) || strcmp(word, NAME_HOST) == 0;
}

int notify_request_parse(const char *text, NotifyRequest *ret) {
        char words[_NOTIFY_WORDS][NOTIFY_WORD_SIZE];
        NotifyRequest request = {};

        for (size_t i = 0; i < _NOTIFY_WORDS; i++) {
                size_t n = strcspn(text, " \n");

                if (n == 0 || n >= NOTIFY_WORD_SIZE ||
                    text[n] != (i + 1 < _NOTIFY_WORDS ? ' ' : '\n'))
                        return -EINVAL;
                memcpy(words[i], text, n);
                words[i][n] = '\0';
                text += n + 1;
        }
        if (!name_is_valid(words[NOTIFY_SECTION]) ||
            !notify_request_is_machine(words[NOTIFY_MACHINE]) ||
            notify_request_parse_number(words[NOTIFY_INCIDENT], &request.incident) < 0 ||
            incident_kind_from_string(words[NOTIFY_KIND], &request.kind) < 0 ||
            incident_status_from_string(words[NOTIFY_STATUS], &request.status) < 0)
                return -EINVAL;
        request.has_action = strcmp(words[NOTIFY_ACTION], "-") != 0;
        if (request.has_action && action_from_string(words[NOTIFY_ACTION], &request.action) < 0)
                return -EINVAL;

        request.record = text;
        request.n_record = strlen(text);
        /* one line, so that a program may read lines */
        if (request.n_record < 2 || strchr(text, '\n') != text + request.n_record - 1)
                return -EINVAL;
        memcpy(request.section, words[NOTIFY_SECTION], NOTIFY_WORD_SIZE);
        memcpy(request.machine, words[NOTIFY_MACHINE], NOTIFY_WORD_SIZE);
        *ret = request;
        return 0;
}

int notify_request_append_head(Buffer *text, const char *section, const IncidentInfo *incident) {
        return buffer_printf(text,
                             "%s %llu %s %s %s %s\n",
                             section,
                             (unsigned long long) incident->id,
                             incident->machine,
                             incident_kind_to_string(incident->kind),
                             incident_status_to_string(incident->status),
                             incident->decision ? action_to_string(incident->decision->action) : "-");
}
