/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One pass over the text looks for words that come before numbers (markers) and for lines with JSON.
 * Only when there is none may the text be bare numbers, and then nothing else: prose has numbers too.
 */
#include "policy/decode/paste.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/decode/paste-number.h"
#include "policy/decode/s390-psw.h"
#include "policy/qapi/json.h"

/* How far behind a marker its numbers may stand: an event of a Hyper-V host is a few lines. */
#define PASTE_WINDOW 1024

/* A record lies at most this deep in what was pasted: {"return": [{"info": ...}]}. */
#define PASTE_JSON_DEPTH 8

#define PASTE_HYPERV_ARGS 5

static int paste_add(Paste *paste, GuestPanicInformation *take_info, unsigned n_parameters) {
        if (paste->n_items == PASTE_ITEMS_MAX) {
                guest_panic_information_free(take_info);
                paste->is_cut = true;
                return 0;
        }
        paste->items[paste->n_items++] = (PasteItem){ take_info, n_parameters };
        return 0;
}

static int paste_add_hyperv(Paste *paste, const uint64_t *numbers, size_t n) {
        GuestPanicInformation *info = calloc(1, sizeof(*info));

        if (!info)
                return -ENOMEM;
        info->type = GUEST_PANIC_INFORMATION_TYPE_HYPER_V;
        info->u.hyper_v.arg1 = numbers[0];
        info->u.hyper_v.arg2 = n > 1 ? numbers[1] : 0;
        info->u.hyper_v.arg3 = n > 2 ? numbers[2] : 0;
        info->u.hyper_v.arg4 = n > 3 ? numbers[3] : 0;
        info->u.hyper_v.arg5 = n > 4 ? numbers[4] : 0;
        return paste_add(paste, info, (unsigned) n - 1);
}

static int paste_add_s390(Paste *paste, uint32_t core, S390Psw psw, S390CrashReason reason) {
        GuestPanicInformation *info = calloc(1, sizeof(*info));

        if (!info)
                return -ENOMEM;
        info->type = GUEST_PANIC_INFORMATION_TYPE_S390;
        info->u.s390.core = core;
        info->u.s390.psw_mask = psw.mask;
        info->u.s390.psw_addr = psw.addr;
        info->u.s390.reason = reason;
        return paste_add(paste, info, 0);
}

/* Five numbers: P0 to P4, or a stop code and its parameters. */
static int paste_read_hyperv(Paste *paste, const char *p, const char *end) {
        uint64_t numbers[PASTE_HYPERV_ARGS];

        if (paste_number_find(&p, end, PASTE_NUMBER_PREFIXED, numbers, PASTE_HYPERV_ARGS) <
            PASTE_HYPERV_ARGS)
                return 0;
        return paste_add_hyperv(paste, numbers, PASTE_HYPERV_ARGS);
}

/* The debugger prints hexadecimal without 0x: "BugCheck 9F, {3, ffffe00012345060, 0, 0}". */
static int paste_read_debugger(Paste *paste, const char *p, const char *end) {
        uint64_t numbers[PASTE_HYPERV_ARGS];

        if (paste_number_find(&p, end, PASTE_NUMBER_HEX, numbers, PASTE_HYPERV_ARGS) <
            PASTE_HYPERV_ARGS)
                return 0;
        return paste_add_hyperv(paste, numbers, PASTE_HYPERV_ARGS);
}

/* The reason stands somewhere behind the CPU number; none that is known leaves what the PSW says. */
static S390CrashReason paste_find_reason(const char *p, const char *end, S390Psw psw) {
        for (S390CrashReason reason = 0; reason < _S390_CRASH_REASON_MAX; reason++) {
                const char *word = s390_crash_reason_to_string(reason);

                if (memmem(p, (size_t) (end - p), word, strlen(word)))
                        return reason;
        }
        return s390_psw_get_reason(psw, NULL);
}

/* A CPU number, the mask and the address, as QEMU and libvirt print them, with the reason before
 * or behind. */
static int paste_read_s390(Paste *paste, const char *p, const char *end) {
        const char *start = p, *eol;
        uint64_t numbers[3];
        S390Psw psw;

        if (paste_number_find(&p, end, PASTE_NUMBER_PREFIXED, numbers, ELEMENTSOF(numbers)) <
            ELEMENTSOF(numbers))
                return 0;
        psw = (S390Psw){ numbers[1], numbers[2] };
        eol = memchr(p, '\n', (size_t) (end - p));
        return paste_add_s390(paste,
                              (uint32_t) numbers[0],
                              psw,
                              paste_find_reason(start, eol ? eol : end, psw));
}

static const struct {
        const char *words;
        int (*read)(Paste *paste, const char *p, const char *end);
} paste_markers[] = {
        { "HV crash parameters:", paste_read_hyperv }, /* QEMU, -d guest_errors */
        { "panic hyper-v:", paste_read_hyperv },       /* libvirt, the log of a domain */
        { "ErrorCode0", paste_read_hyperv },           /* Hyper-V host, event 18590 */
        { "bugcheck was:", paste_read_hyperv },        /* Windows, event 1001 */
        { "STOP:", paste_read_hyperv },                /* blue screen */
        { "BugCheck ", paste_read_debugger },          /* WinDbg */
        { "Guest crashed on cpu", paste_read_s390 },   /* QEMU, -d guest_errors */
        { "panic s390:", paste_read_s390 },            /* libvirt */
};

static int paste_walk(Paste *paste, json_object *value, unsigned depth);

static int paste_walk_object(Paste *paste, json_object *object, unsigned depth) {
        GuestPanicInformation *info;
        size_t n_items = paste->n_items;
        json_object *member;
        int r;

        r = guest_panic_information_from_json(object, &info, NULL);
        if (r < 0)
                return r;
        if (r == 0)
                return paste_add(paste, info, PASTE_HYPERV_ARGS - 1);
        /* a record of an incident has its panic information twice: here and in its event's data */
        if (json_object_object_get_ex(object, "info", &member)) {
                r = paste_walk(paste, member, depth - 1);
                if (r < 0 || paste->n_items > n_items)
                        return r;
        }
        json_object_object_foreach(object, key, v) {
                r = paste_walk(paste, v, depth - 1);
                if (r < 0)
                        return r;
                (void) key;
        }
        return 0;
}

static int paste_walk(Paste *paste, json_object *value, unsigned depth) {
        int r = 0;

        if (depth == 0)
                return 0;
        if (json_object_is_type(value, json_type_object))
                return paste_walk_object(paste, value, depth);
        if (!json_object_is_type(value, json_type_array))
                return 0;
        for (size_t i = 0; i < json_object_array_length(value) && r >= 0; i++)
                r = paste_walk(paste, json_object_array_get_idx(value, i), depth - 1);
        return r;
}

/* JSON from the first brace on; what is none is no error here. */
static int paste_read_json(Paste *paste, const char *p, const char *end) {
        _cleanup_(json_object_putp) json_object *value = NULL;
        int r;

        while (end > p && end[-1] != '}' && end[-1] != ']')
                end--;
        if (p == end)
                return 0;
        r = json_parse(p, (size_t) (end - p), &value, NULL);
        if (r == -ENOMEM)
                return r;
        return r < 0 ? 0 : paste_walk(paste, value, PASTE_JSON_DEPTH);
}

static int paste_read_markers(Paste *paste, const char *p, const char *end) {
        for (size_t i = 0; i < ELEMENTSOF(paste_markers); i++) {
                size_t n = strlen(paste_markers[i].words);

                if ((size_t) (end - p) > n && memcmp(p, paste_markers[i].words, n) == 0) {
                        const char *window = (size_t) (end - p) - n > PASTE_WINDOW
                                                     ? p + n + PASTE_WINDOW
                                                     : end;

                        return paste_markers[i].read(paste, p + n, window);
                }
        }
        return 0;
}

/* Log lines and events. */
static int paste_read_text(Paste *paste, const char *text, const char *end) {
        int r = 0;

        for (const char *line = text; line < end && r == 0 && !paste->is_cut;) {
                const char *eol = memchr(line, '\n', (size_t) (end - line));
                const char *brace;

                if (!eol)
                        eol = end;
                brace = memchr(line, '{', (size_t) (eol - line));
                if (brace && memmem(brace, (size_t) (eol - brace), "\"type\"", strlen("\"type\"")))
                        r = paste_read_json(paste, brace, eol);
                /* numbers of a marker may stand on the lines behind it */
                for (const char *p = line; p < eol && r == 0 && !paste->is_cut; p++)
                        r = paste_read_markers(paste, p, end);
                line = eol < end ? eol + 1 : end;
        }
        return r;
}

/* A short PSW, as ESA and z/VM show it: bit 12 is on there and off in what it stands for. */
static S390Psw paste_expand_psw(uint64_t first, uint64_t second) {
        uint64_t ba = second & UINT64_C(0x80000000);

        return (S390Psw){ .mask = (first << 32 ^ S390_PSW_SHORT) | ba, .addr = second & ~ba };
}

/* Nothing but numbers: a PSW or crash registers. */
static int paste_read_numbers(Paste *paste, const char *text, const char *end) {
        PasteNumbers numbers;
        S390Psw psw;

        if (!paste_number_parse_all(text, end, &numbers))
                return 0;
        if (numbers.n == 4 && numbers.is_words)
                psw = (S390Psw){ .mask = numbers.value[0] << 32 | numbers.value[1],
                                 .addr = numbers.value[2] << 32 | numbers.value[3] };
        else if (numbers.n == 2 && numbers.is_words)
                psw = paste_expand_psw(numbers.value[0], numbers.value[1]);
        else if (numbers.n == 2 && numbers.value[0] > UINT32_MAX)
                psw = (S390Psw){ .mask = numbers.value[0], .addr = numbers.value[1] };
        else
                return paste_add_hyperv(paste, numbers.value, numbers.n);
        return paste_add_s390(paste, 0, psw, s390_psw_get_reason(psw, NULL));
}

int paste_parse(Paste *paste, const char *text, size_t n) {
        const char *end = text + n, *p = text;
        int r = 0;

        if (n > PASTE_TEXT_MAX)
                return PASTE_E_TOO_LONG;
        while (p < end && strchr(" \t\r\n", *p) && *p)
                p++;
        if (p < end && (*p == '{' || *p == '['))
                r = paste_read_json(paste, p, end);
        if (r == 0 && paste->n_items == 0)
                r = paste_read_text(paste, p, end);
        if (r == 0 && paste->n_items == 0)
                r = paste_read_numbers(paste, p, end);
        if (r < 0)
                return r;
        return paste->n_items > 0 ? 0 : PASTE_E_NOTHING;
}

void paste_deinit(Paste *paste) {
        for (size_t i = 0; i < paste->n_items; i++)
                guest_panic_information_free(paste->items[i].info);
        *paste = (Paste) PASTE_NULL;
}
