/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ctl/panic.h"

#include <inttypes.h>

#include "daemon/ctl/table.h"

static GuestPanicInformation *panic_new_from_json(json_object *info) {
        GuestPanicInformation *parsed = NULL;

        if (!info || guest_panic_information_from_json(info, &parsed, NULL) != 0)
                return NULL;
        return parsed;
}

bool panic_decode_json(json_object *info, const SystemMap *map, Decoded *ret) {
        _cleanup_(guest_panic_information_freep)
                GuestPanicInformation *parsed = panic_new_from_json(info);

        if (!parsed)
                return false;
        decode_panic(parsed, map, ret);
        return true;
}

void panic_add_details(Text *text, const Decoded *decoded) {
        Table table = TABLE_INIT(3);

        for (size_t i = 0; i < decoded->n_lines; i++)
                text_printf(text, "    %s\n", decoded->lines[i]);
        for (size_t i = 0; i < decoded->n_rows; i++) {
                table_add(&table, decoded->rows[i].name);
                table_printf(&table, "0x%" PRIx64, decoded->rows[i].value);
                table_add(&table, decoded->rows[i].text);
        }
        table_write(&table, text, 6);
        table_deinit(&table);
}
