/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Lines are as printk() stores them and makedumpfile or a console prints them: "<4>" and a time, and
 * with CONFIG_PRINTK_CALLER who spoke, in front. Call traces are as lib/dump_stack.c and the
 * architectures' show_stack() write them: "Call Trace:", then a function a line, "? " before one that is
 * only found on the stack.
 */
#include "policy/decode/klog.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define KLOG_PANIC "Kernel panic - not syncing"
#define KLOG_TRACE "Call Trace:"

typedef struct KlogLine {
        const char *start, *end;
} KlogLine;

/* Takes "<LEVEL>" and "[ TIME]" and "[ CALLER]" off. */
static void klog_skip_prefix(KlogLine *line) {
        const char *p = line->start;

        if (p < line->end && *p == '<')
                for (p++; p < line->end && (isdigit((unsigned char) *p) || *p == '>'); p++)
                        ;
        for (;;) {
                const char *close;

                while (p < line->end && *p == ' ')
                        p++;
                /* the "[<000000000010fdee>]" of s390 is no time */
                if (line->end - p < 2 || *p != '[' || p[1] == '<')
                        break;
                close = memchr(p, ']', (size_t) (line->end - p));
                if (!close)
                        break;
                p = close + 1;
        }
        line->start = p;
}

/* The next line, without what stands before its message; false at the end. */
static bool klog_next(const char **at, const char *end, KlogLine *ret) {
        const char *newline;

        if (*at >= end)
                return false;
        newline = memchr(*at, '\n', (size_t) (end - *at));
        *ret = (KlogLine){ *at, newline ? newline : end };
        *at = newline ? newline + 1 : end;
        klog_skip_prefix(ret);
        return true;
}

static bool klog_begins(const KlogLine *line, const char *word) {
        size_t n = strlen(word);

        return (size_t) (line->end - line->start) >= n && memcmp(line->start, word, n) == 0;
}

static void klog_copy(const KlogLine *line, char *ret, size_t size) {
        size_t n = 0;

        for (const char *p = line->start; p < line->end && n + 5 < size; p++)
                if (*p >= 0x20 && *p < 0x7f)
                        ret[n++] = *p;
                else
                        n += (size_t) snprintf(ret + n, size - n, "\\x%02x", (unsigned char) *p);
        ret[n] = '\0';
}

static bool klog_is_symbol(char c) {
        return isalnum((unsigned char) c) || c == '_' || c == '.' || c == '$';
}

/* "panic+0x118/0x2ed", wherever it stands in the line; what is before "+0x" in *ret. */
static bool klog_find_symbol(const KlogLine *line, KlogLine *ret) {
        for (const char *p = line->start; line->end - p > 3; p++) {
                const char *start = p;

                if (memcmp(p, "+0x", 3) != 0)
                        continue;
                while (start > line->start && klog_is_symbol(start[-1]))
                        start--;
                *ret = (KlogLine){ start, p };
                return start < p;
        }
        return false;
}

/* "? foo+0x1/0x2": a return address on the stack, that nobody may return to. */
static bool klog_is_guess(const KlogLine *line) {
        return line->start < line->end && *line->start == '?';
}

static void klog_read_trace(const char *at, const char *end, KlogPanic *ret) {
        size_t n = 0, frames = 0;
        KlogLine line, symbol;

        ret->trace[0] = '\0';
        while (frames < KLOG_FRAMES_MAX && klog_next(&at, end, &line)) {
                int length;

                if (!klog_find_symbol(&line, &symbol)) {
                        /* "<TASK>" comes first; what else comes ends it */
                        if (frames > 0 && !klog_begins(&line, "<"))
                                break;
                        continue;
                }
                if (klog_is_guess(&line))
                        continue;
                length = snprintf(ret->trace + n,
                                  sizeof(ret->trace) - n,
                                  "%s%.*s",
                                  frames > 0 ? ", " : "",
                                  (int) (symbol.end - symbol.start),
                                  symbol.start);
                if (length < 0 || n + (size_t) length >= sizeof(ret->trace)) {
                        ret->trace[n] = '\0';
                        break;
                }
                n += (size_t) length;
                frames++;
        }
}

bool klog_find_panic(const char *text, size_t n, KlogPanic *ret) {
        const char *at = text, *end = text + n, *trace = NULL;
        KlogLine line, panic = { NULL, NULL };

        while (klog_next(&at, end, &line)) {
                if (klog_begins(&line, KLOG_PANIC))
                        panic = line;
                else if (klog_begins(&line, KLOG_TRACE))
                        trace = at;
        }
        if (!panic.start)
                return false;
        klog_copy(&panic, ret->line, sizeof(ret->line));
        ret->trace[0] = '\0';
        if (trace)
                klog_read_trace(trace, end, ret);
        return true;
}
