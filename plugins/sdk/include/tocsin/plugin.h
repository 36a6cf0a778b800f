/* SPDX-License-Identifier: MIT */
#ifndef TOCSIN_PLUGIN_H
#define TOCSIN_PLUGIN_H

/**
 * Policy plugins in C. A plugin is a shared object with one exported constant, `tocsin_plugin`, that
 * says what it is and which functions it has:
 *
 *         static void again(void *state, const struct tocsin_question *question,
 *                           struct tocsin_answer *answer) {
 *                 if (question->n_history == 0)
 *                         tocsin_decide(answer, TOCSIN_ACTION_RESET, "its first panic today");
 *         }
 *
 *         const struct tocsin_plugin tocsin_plugin = {
 *                 TOCSIN_PLUGIN_HEAD, .name = "again", .version = "1", .doc = "Resets once a day.",
 *                 .panic = again,
 *         };
 *
 * It is loaded into a process of its own by tocsin-plugin, and asked one question at a time from one
 * thread. It has no network and sees the files below its own folder, /usr and /etc, and what its
 * configuration grants. What it writes to stderr goes to the log. A function that does not return by
 * the deadline ends the process, so nothing it does can harm tocsind.
 *
 * The ABI. TOCSIN_PLUGIN_ABI_MINOR grows when a member or an enum value is added at the end of
 * something; TOCSIN_PLUGIN_ABI_MAJOR when a plugin has to be compiled again, because a member was
 * moved, removed, or means something else, or a function is called in another way. tocsin loads
 * plugins of its own major and any minor: members beyond the `size` of a struct are absent on either
 * side. While the major is 0, minors keep this rule too. Only struct tocsin_value and
 * struct tocsin_past, which say so, never change.
 */

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <tocsin/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TOCSIN_PLUGIN_ABI_MAJOR 0
#define TOCSIN_PLUGIN_ABI_MINOR 1

#if defined(__GNUC__)
#define TOCSIN_PLUGIN_EXPORT __attribute__((__visibility__("default")))
#define TOCSIN_PLUGIN_PRINTF(a, b) __attribute__((__format__(__printf__, a, b)))
#else
#define TOCSIN_PLUGIN_EXPORT
#define TOCSIN_PLUGIN_PRINTF(a, b)
#endif

/** Room for a reason, its NUL included; longer ones are cut. */
#define TOCSIN_REASON_SIZE 512

/** What an option holds. */
enum tocsin_option_type {
        TOCSIN_OPTION_TEXT = 0,  /**< any text */
        TOCSIN_OPTION_BOOL = 1,  /**< yes or no */
        TOCSIN_OPTION_COUNT = 2, /**< a number, 0 or more */
        TOCSIN_OPTION_TIME = 3,  /**< as "10min" */
        TOCSIN_OPTION_LIMIT = 4, /**< so many within so long, as "3/10min" */
};

/** A key of [plugin NAME options]. tocsind checks what is configured before it starts the plugin. */
struct tocsin_option {
        const char *name;
        enum tocsin_option_type type;
        /** The value of an option that is not configured, as text; NULL: none. */
        const char *initial;
        /** One sentence. */
        const char *doc;
};

/** The value of an option. Never changes. */
struct tocsin_value {
        /** As configured, or the default; NULL when there is neither. */
        const char *text;
        /** Of a bool 0 or 1; a count; the microseconds of a time; how many of a limit. */
        uint64_t number;
        /** Microseconds of a limit. */
        uint64_t within_us;
};

/** What happened. */
struct tocsin_incident {
        size_t size;
        /** Its number, never used twice on this host. */
        uint64_t id;
        const char *machine;
        /** Identifies this life of the guest. */
        const char *run;
        enum tocsin_incident_kind kind;
        /** When, in microseconds since the Epoch. */
        uint64_t time_us;
        /** The run state when it was opened. */
        bool has_state;
        enum tocsin_run_state state;
        /** It had happened while tocsind was away. */
        bool found;
        /** Name of the QMP event that told of it, or NULL. */
        const char *event;
        /** The panic information, or NULL. A type newer than this header is in `json` only. */
        const struct tocsin_guest_panic_information *info;
        /** Of a memory failure. */
        bool has_recipient;
        enum tocsin_memory_failure_recipient recipient;
        const struct tocsin_memory_failure_flags *flags;
        /** How many more of the same came within its second. */
        uint64_t repeated;
        /** All of it, as IncidentInfo of tocsin-qmp-reference(7). */
        const char *json;
};

/** What was decided before this plugin was asked. */
struct tocsin_decision {
        size_t size;
        enum tocsin_action action;
        /** Who had the last word, such as "rule crash-loop", and why; "backend": nobody had a say, and
         * `action` is what the VMM did by itself. */
        const char *by;
        const char *reason;
};

/** Something that was done for this machine before. Never changes. */
struct tocsin_past {
        uint64_t incident;
        enum tocsin_incident_kind kind;
        enum tocsin_action action;
        /** How long ago, in microseconds. */
        uint64_t ago_us;
};

struct tocsin_question {
        size_t size;
        const struct tocsin_incident *incident;
        const struct tocsin_decision *decision;
        /** The last 24 hours of this machine, at most 64 of them, oldest first. */
        const struct tocsin_past *history;
        size_t n_history;
};

/** What to keep of an incident. */
enum tocsin_evidence {
        TOCSIN_EVIDENCE_REGISTERS = 1,
        TOCSIN_EVIDENCE_MESSAGE = 2,
        TOCSIN_EVIDENCE_LOG = 4,
        TOCSIN_EVIDENCE_MEMORY = 8,
};

/** Made by tocsin-plugin and empty at first: the decision so far stands. */
struct tocsin_answer {
        size_t size;
        bool has_action;
        enum tocsin_action action;
        /** Of enum tocsin_evidence. */
        unsigned evidence;
        /** Seconds to wait before the action, at most a day. */
        uint64_t delay;
        char reason[TOCSIN_REASON_SIZE];
};

/** Any call may print to stderr; none may be left by exit() or longjmp(). */
typedef void tocsin_ability(void *state,
                            const struct tocsin_question *question,
                            struct tocsin_answer *answer);

struct tocsin_plugin {
        /* TOCSIN_PLUGIN_HEAD fills these three. */
        size_t size;
        uint32_t abi_major;
        uint32_t abi_minor;

        const char *name;
        const char *version;
        /** One sentence. */
        const char *doc;

        /* TOCSIN_PLUGIN_OPTIONS(table) fills these three. */
        const struct tocsin_option *options;
        size_t option_size;
        size_t n_options;

        /** `values` has one for each option, in their order, and lives as long as the plugin. What is put in
         * *ret_state is handed to all others. Not 0: it can't work, and has said why on stderr.
         * NULL: there is nothing to do. */
        int (*init)(const struct tocsin_value *values, void **ret_state);
        void (*free)(void *state);

        /* Abilities; NULL: it has none of that kind and is not asked. */

        /** Of kind watchdog, stopped, unresponsive, notify-vmexit. */
        tocsin_ability *watchdog;
        /** Of kind panic, crashloaded. */
        tocsin_ability *panic;
        /** Of kind memory-failure, corrected. */
        tocsin_ability *memory_failure;
};

#define TOCSIN_PLUGIN_HEAD                                                                         \
        sizeof(struct tocsin_plugin), TOCSIN_PLUGIN_ABI_MAJOR, TOCSIN_PLUGIN_ABI_MINOR
#define TOCSIN_PLUGIN_OPTIONS(table) (table), sizeof((table)[0]), sizeof(table) / sizeof((table)[0])

/** What the plugin defines. */
extern TOCSIN_PLUGIN_EXPORT const struct tocsin_plugin tocsin_plugin;

/** Decides, and says why as printf() does. Called again, it replaces what was said before. */
static inline void tocsin_decide(struct tocsin_answer *answer,
                                 enum tocsin_action action,
                                 const char *format,
                                 ...) TOCSIN_PLUGIN_PRINTF(3, 4);
static inline void tocsin_decide(struct tocsin_answer *answer,
                                 enum tocsin_action action,
                                 const char *format,
                                 ...) {
        va_list ap;

        answer->has_action = true;
        answer->action = action;
        va_start(ap, format);
        (void) vsnprintf(answer->reason, sizeof(answer->reason), format, ap);
        va_end(ap);
}

/** Leaves the decision so far as it is, and says why. */
static inline void tocsin_leave(struct tocsin_answer *answer, const char *format, ...)
        TOCSIN_PLUGIN_PRINTF(2, 3);
static inline void tocsin_leave(struct tocsin_answer *answer, const char *format, ...) {
        va_list ap;

        answer->has_action = false;
        va_start(ap, format);
        (void) vsnprintf(answer->reason, sizeof(answer->reason), format, ap);
        va_end(ap);
}

/** How often `action` was done for this machine within the time. */
static inline unsigned tocsin_count(const struct tocsin_question *question,
                                    enum tocsin_action action,
                                    uint64_t within_us) {
        unsigned count = 0;
        size_t i;

        for (i = 0; i < question->n_history; i++)
                count += question->history[i].action == action &&
                         question->history[i].ago_us < within_us;
        return count;
}

#ifdef __cplusplus
}
#endif

#endif
