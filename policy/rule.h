/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
#include <stdbool.h>

#include "policy/policy.h"

/* Everything the rule asks for is known of the incident, and as it asks. */
bool rule_matches(const Rule *rule, const IncidentInfo *incident);
/* Whether it could match an incident of this kind on this machine, whatever else that carries. */
bool rule_can_match(const Rule *rule, const char *machine, IncidentKind kind);
