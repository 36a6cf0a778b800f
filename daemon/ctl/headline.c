/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ctl/headline.h"

#include <inttypes.h>
#include <string.h>

#include "daemon/ctl/value.h"

/* A word of the vocabulary and how a person says it. */
typedef struct HeadlineWord {
        const char *word, *text;
} HeadlineWord;

static const HeadlineWord headline_s390_reasons[] = {
        { "unknown", "no reason was given" },
        { "disabled-wait", "it waits with all interrupts disabled" },
        { "extint-loop", "it takes external interrupts without end" },
        { "pgmint-loop", "it takes program interrupts without end" },
        { "opint-loop", "it takes operation exceptions without end" },
        {},
};

static const HeadlineWord headline_kinds[] = {
        { "watchdog", "A watchdog expired" },
        { "panic", "The guest panicked" },
        { "crashloaded", "The guest panicked and its own crash kernel took over" },
        { "memory-failure", "Hardware memory failed" },
        { "corrected", "Hardware memory failed and was corrected" },
        { "stopped", "The VMM stopped the guest for an error of its own" },
        { "unresponsive", "The VMM lives and does not answer" },
        { "notify-vmexit", "The guest let no event window open for too long" },
        {},
};

static const char *headline_say(const HeadlineWord *words, const char *word) {
        for (; words->word; words++)
                if (strcmp(words->word, word) == 0)
                        return words->text;
        return word;
}

static const char *const headline_hyperv_args[] = { "arg1", "arg2", "arg3", "arg4", "arg5" };

static void headline_add_hyperv(Text *text, json_object *info) {
        text_add(text, "Hyper-V crash registers");
        for (size_t i = 0; i < ELEMENTSOF(headline_hyperv_args); i++)
                text_printf(text,
                            "%s 0x%" PRIx64,
                            i > 0 ? "," : "",
                            value_get_uint(info, headline_hyperv_args[i]));
}

static void headline_add_s390(Text *text, json_object *info) {
        const char *reason = value_get_word(info, "reason");

        text_printf(text, "s390 %s at 0x%" PRIx64, reason, value_get_uint(info, "psw-addr"));
}

void headline_add_info(Text *text, json_object *info) {
        const char *type = value_get_string(info, "type");

        if (!type)
                text_add(text, "no information");
        else if (strcmp(type, "hyper-v") == 0)
                headline_add_hyperv(text, info);
        else if (strcmp(type, "s390") == 0)
                headline_add_s390(text, info);
        else
                text_add(text, type);
}

static void headline_add_memory_failure(Text *text, json_object *incident) {
        const char *recipient = value_get_string(incident, "recipient");

        if (recipient && strcmp(recipient, "guest") == 0)
                text_add(text, "Memory of the guest failed");
        else if (recipient)
                text_add(text, "Memory of the VMM itself failed");
        else
                text_add(text, "Hardware memory failed");
}

void headline_add(Text *text, json_object *incident) {
        const char *kind = value_get_word(incident, "kind");
        const char *state = value_get_string(incident, "state");

        if (strcmp(kind, "memory-failure") == 0) {
                headline_add_memory_failure(text, incident);
                return;
        }
        text_add(text, headline_say(headline_kinds, kind));
        if (strcmp(kind, "stopped") == 0 && state)
                text_printf(text, ": %s", state);
        if (strcmp(kind, "panic") == 0 || strcmp(kind, "crashloaded") == 0) {
                json_object *info = value_get_object(incident, "info");

                if (info) {
                        text_add(text, ": ");
                        headline_add_info(text, info);
                }
        }
}

/* Panic information of a type this tocsinctl doesn't know: as it came. */
static void headline_add_raw(Text *text, json_object *info) {
        json_object_object_foreach(info, key, value) {
                if (strcmp(key, "type") != 0)
                        text_printf(text,
                                    "      %s  %s\n",
                                    key,
                                    json_object_is_type(value, json_type_string)
                                            ? json_object_get_string(value)
                                            : json_object_to_json_string(value));
        }
}

static void headline_add_registers(Text *text, json_object *info) {
        const char *type = value_get_word(info, "type");

        if (strcmp(type, "hyper-v") == 0) {
                for (size_t i = 0; i < ELEMENTSOF(headline_hyperv_args); i++)
                        text_printf(text,
                                    "      %zu  0x%" PRIx64 "\n",
                                    i + 1,
                                    value_get_uint(info, headline_hyperv_args[i]));
        } else if (strcmp(type, "s390") == 0) {
                text_printf(text,
                            "    CPU %" PRIu64 ": %s\n",
                            value_get_uint(info, "core"),
                            headline_say(headline_s390_reasons, value_get_word(info, "reason")));
                text_printf(text,
                            "    PSW 0x%016" PRIx64 " 0x%016" PRIx64 "\n",
                            value_get_uint(info, "psw-mask"),
                            value_get_uint(info, "psw-addr"));
        } else
                headline_add_raw(text, info);
}

static void headline_add_flags(Text *text, json_object *flags) {
        text_add(text,
                 value_get_bool(flags, "action-required")
                         ? "    it was being used when it failed (action required)\n"
                         : "    nobody was using it (action optional)\n");
        if (value_get_bool(flags, "recursive"))
                text_add(text, "    it failed while an earlier failure was still being handled\n");
}

void headline_add_details(Text *text, json_object *incident) {
        json_object *info = value_get_object(incident, "info");
        json_object *flags = value_get_object(incident, "flags");
        const char *kind = value_get_word(incident, "kind");
        const char *state = value_get_string(incident, "state");

        if (info)
                headline_add_registers(text, info);
        else if (strcmp(kind, "panic") == 0)
                text_add(text, "    it left no word why (pvpanic carries none)\n");
        if (flags)
                headline_add_flags(text, flags);
        if (state)
                text_printf(text, "    run state: %s\n", state);
        if (value_get_uint(incident, "repeated") > 0)
                text_printf(text,
                            "    repeated %" PRIu64 " times within its second\n",
                            value_get_uint(incident, "repeated"));
        if (value_get_uint(incident, "resets") > 1)
                text_printf(text,
                            "    %" PRIu64 " RESET events belong to it\n",
                            value_get_uint(incident, "resets"));
        if (value_get_bool(incident, "found"))
                text_add(text, "    it happened while tocsind was away\n");
}
