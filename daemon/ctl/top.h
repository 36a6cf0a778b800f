/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
#include <json-c/json.h>

#include "daemon/ctl/text.h"

/* What one look at tocsind shows, escaped; any of them may be NULL: it could not be had. */
typedef struct TopView {
        json_object *status, *machines, *incidents;
        uint64_t now_us;
        unsigned rows, columns; /* of the terminal; 0: as many as needed */
} TopView;

/* The whole view, cut to the terminal; the machines that need somebody stand first. */
void top_add_view(Text *text, const TopView *view);
