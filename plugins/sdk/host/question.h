/* SPDX-License-Identifier: MIT */
#pragma once
/* A PluginQuestion as a plugin in C is given it. */
#include <json-c/json.h>
#include <tocsin/plugin.h>

#include "qapi-types.h"

/* Everything points into the question or into this. */
typedef struct Question {
        struct tocsin_question question;
        struct tocsin_incident incident;
        struct tocsin_decision decision;
        struct tocsin_guest_panic_information info;
        struct tocsin_guest_panic_information_hyper_v hyper_v;
        struct tocsin_guest_panic_information_s390 s390;
        struct tocsin_guest_panic_information_tdx tdx;
        struct tocsin_guest_panic_information_sev sev;
        struct tocsin_memory_failure_flags flags;
        struct tocsin_past *history;
} Question;

/* `incident_json` and `from` are borrowed as long as *question is used. 0 or -ENOMEM. */
int question_init(Question *question, const PluginQuestion *from, const char *incident_json);
void question_deinit(Question *question);
