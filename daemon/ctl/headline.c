/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/ctl/headline.h"

#include <inttypes.h>
#include <string.h>

#include "daemon/ctl/panic.h"
#include "daemon/ctl/value.h"

/* "18446744073709551615 times" */
#define HEADLINE_TIMES_SIZE 32

/* A word of the vocabulary and how a person says it. */
typedef struct HeadlineWord {
        const char *word, *text;
} HeadlineWord;

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

static const char *headline_get_text(json_object *value) {
        return json_object_is_type(value, json_type_string) ? json_object_get_string(value)
                                                            : json_object_to_json_string(value);
}

void headline_add_info(Text *text, json_object *info) {
        const char *type = value_get_string(info, "type");
        Decoded decoded;

        if (panic_decode_json(info, NULL, &decoded)) {
                text_add(text, decoded.headline);
                return;
        }
        text_add(text, type ? type : "no information");
        if (!type)
                return;
        json_object_object_foreach(info, key, value) {
                if (strcmp(key, "type") != 0)
                        text_printf(text, " %s %s", key, headline_get_text(value));
        }
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

/* What the record says of a crash, where that is more than the panic information does: the guest's own
 * words. */
static const char *headline_get_words(json_object *incident) {
        json_object *info = value_get_object(incident, "info");
        const char *headline = value_get_string(incident, "headline");
        Decoded decoded;

        if (headline && panic_decode_json(info, NULL, &decoded) &&
            strcmp(headline, decoded.headline) == 0)
                return NULL;
        return headline;
}

void headline_add(Text *text, json_object *incident, const SystemMap *map) {
        const char *kind = value_get_word(incident, "kind");
        const char *state = value_get_string(incident, "state");
        const char *words = headline_get_words(incident);
        json_object *info = value_get_object(incident, "info");
        Decoded decoded;

        if (words) {
                text_add(text, words);
                return;
        }

        if (strcmp(kind, "memory-failure") == 0) {
                headline_add_memory_failure(text, incident);
                return;
        }
        /* "Windows stopped: ..." says by itself that the guest panicked */
        if (strcmp(kind, "panic") == 0 && panic_decode_json(info, map, &decoded)) {
                text_add(text, decoded.headline);
                return;
        }
        text_add(text, headline_say(headline_kinds, kind));
        if (strcmp(kind, "stopped") == 0 && state)
                text_printf(text, ": %s", state);
        if (info && (strcmp(kind, "panic") == 0 || strcmp(kind, "crashloaded") == 0)) {
                text_add(text, ": ");
                headline_add_info(text, info);
        }
}

/* Panic information of a type this tocsinctl doesn't know: as it came. */
static void headline_add_raw(Text *text, json_object *info) {
        json_object_object_foreach(info, key, value) {
                if (strcmp(key, "type") != 0)
                        text_printf(text, "      %s  %s\n", key, headline_get_text(value));
        }
}

static void headline_add_panic(Text *text,
                               json_object *incident,
                               json_object *info,
                               const SystemMap *map) {
        Decoded decoded;

        if (panic_decode_json(info, map, &decoded)) {
                if (headline_get_words(incident))
                        text_printf(text, "    %s\n", decoded.headline);
                panic_add_details(text, &decoded);
        } else
                headline_add_raw(text, info);
}

static const char *headline_say_times(uint64_t count, char buffer[static HEADLINE_TIMES_SIZE]) {
        if (count == 1)
                return "once";
        (void) snprintf(buffer, HEADLINE_TIMES_SIZE, "%" PRIu64 " times", count);
        return buffer;
}

void headline_add_signature(Text *text, json_object *incident, json_object *here, json_object *all) {
        const char *kind = value_get_word(incident, "kind");
        const char *signature = value_get_string(incident, "signature");
        bool crash = strcmp(kind, "panic") == 0 || strcmp(kind, "crashloaded") == 0;
        char times[2][HEADLINE_TIMES_SIZE];

        if (!signature)
                return;
        if (value_get_uint(all, "count") < 2) {
                text_printf(text, "    signature %s\n", signature);
                return;
        }
        text_printf(text,
                    "    the same%s: %s on %s, %s on this host since ",
                    crash ? " crash" : "",
                    headline_say_times(value_get_uint(here, "count"), times[0]),
                    value_get_word(incident, "machine"),
                    headline_say_times(value_get_uint(all, "count"), times[1]));
        text_add_day(text, value_get_time(all, "first"));
        text_printf(text, " (signature %s)\n", signature);
}

static void headline_add_flags(Text *text, json_object *flags) {
        text_add(text,
                 value_get_bool(flags, "action-required")
                         ? "    it was being used when it failed (action required)\n"
                         : "    nobody was using it (action optional)\n");
        if (value_get_bool(flags, "recursive"))
                text_add(text, "    it failed while an earlier failure was still being handled\n");
}

void headline_add_details(Text *text, json_object *incident, const SystemMap *map) {
        json_object *info = value_get_object(incident, "info");
        json_object *flags = value_get_object(incident, "flags");
        const char *kind = value_get_word(incident, "kind");
        const char *state = value_get_string(incident, "state");
        const char *trace = value_get_string(incident, "call-trace");

        if (info)
                headline_add_panic(text, incident, info, map);
        else if (strcmp(kind, "panic") == 0 && !headline_get_words(incident))
                text_add(text, "    it left no word why (pvpanic carries none)\n");
        if (trace)
                text_printf(text, "    call trace: %s\n", trace);
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
