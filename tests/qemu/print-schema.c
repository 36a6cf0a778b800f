/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Prints what a machine's endpoint answers to query-qmp-schema, for schema-compare.py. */
#include <stdio.h>

#include "policy/qapi/qmp-session.h"

int main(void) {
        return puts(qapi_schema_text(QAPI_PROFILE_MACHINE)) < 0;
}
