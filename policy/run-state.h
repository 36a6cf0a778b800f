/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once
/* What follows from a run state, and which may follow which. */
#include <stdbool.h>

#include "qapi-types.h"

/* Any QEMU from 4.2 to 11 may do this: the union of its transition tables, and the steps that are
 * seen as one because nothing is sent in between (a reset while stopped, a stop and a reset). */
bool run_state_can_follow(RunState from, RunState to);

/* The CPUs run (or would, were the guest not asleep). */
bool run_state_is_running(RunState state);

/* A state that opens an incident when it is entered, and the incident's kind. */
bool run_state_get_incident(RunState state, IncidentKind *ret_kind);

/* Entering this state means that the guest is, or was, on its way to another host. */
bool run_state_is_migrated(RunState state);
