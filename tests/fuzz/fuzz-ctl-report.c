/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whatever an answer of control.sock holds, nothing a terminal would act upon may come out: as an
 * incident, a list of them, an event, the view of `top`.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/ctl/event.h"
#include "daemon/ctl/report.h"
#include "daemon/ctl/top.h"
#include "policy/escape.h"
#include "policy/qapi/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Control characters but the ends of our own lines, as bytes or as U+0080 to U+009F; and the right-to-left
 * override, for all that deceives. */
static void fuzz_check(Text *text) {
        _cleanup_free_ char *s = text_take(text);

        if (!s)
                abort();
        for (const unsigned char *p = (const unsigned char *) s; *p; p++)
                if ((*p < 0x20 && *p != '\n') || *p == 0x7f || (*p == 0xc2 && p[1] < 0xa0))
                        abort();
        if (strstr(s, "\xe2\x80\xae"))
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        json_object *value = NULL, *escaped = NULL;
        Text text = TEXT_NULL;

        if (json_parse((const char *) data, size, &value, NULL) != 0)
                return 0;
        if (escape_json(value, &escaped) < 0)
                abort();
        report_add_incident(&text, escaped, &(ReportMore){ .here = escaped, .all = escaped });
        fuzz_check(&text);
        report_add_groups(&text, escaped);
        fuzz_check(&text);
        report_add_incidents(&text, escaped);
        fuzz_check(&text);
        event_add_line(&text, escaped);
        fuzz_check(&text);
        top_add_view(&text,
                     &(TopView){ .status = escaped, .machines = escaped, .incidents = escaped });
        fuzz_check(&text);
        json_object_put(value);
        json_object_put(escaped);
        return 0;
}
