/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "policy/decode/system-map.h"

#include <string.h>

#include "policy/util/cleanup.h"

/* No function is longer; an address further behind a symbol lies behind the end of the text. */
#define SYSTEM_MAP_FUNCTION_MAX (UINT64_C(1) << 20)

/* The marker of where the text ends lies in no function. */
#define SYSTEM_MAP_END "_etext"

typedef struct SystemMapLine {
        uint64_t address;
        char type;
        const char *name;
        size_t n_name;
} SystemMapLine;

static bool system_map_parse_address(const char **p, const char *end, uint64_t *ret) {
        uint64_t address = 0;
        size_t n = 0;

        for (; *p < end; (*p)++, n++) {
                char c = **p;

                if (c >= '0' && c <= '9')
                        address = address << 4 | (uint64_t) (c - '0');
                else if (c >= 'a' && c <= 'f')
                        address = address << 4 | (uint64_t) (c - 'a' + 10);
                else
                        break;
        }
        *ret = address;
        return n > 0 && n <= 16;
}

static bool system_map_parse_line(const char *line, const char *end, SystemMapLine *ret) {
        const char *p = line;

        if (!system_map_parse_address(&p, end, &ret->address))
                return false;
        if (end - p < 4 || p[0] != ' ' || p[2] != ' ')
                return false;
        ret->type = p[1];
        ret->name = p + 3;
        ret->n_name = (size_t) (end - ret->name);
        /* a module's name follows its symbols behind a tab (/proc/kallsyms) */
        for (size_t i = 0; i < ret->n_name; i++)
                if (ret->name[i] <= ' ' || ret->name[i] > '~')
                        ret->n_name = i;
        return ret->n_name > 0;
}

bool system_map_find(const SystemMap *map, uint64_t address, SystemMapSymbol *ret) {
        const char *end = map && map->text ? map->text + map->size : NULL;
        SystemMapLine best = {}, line;

        for (const char *p = end ? map->text : NULL; p < end;) {
                const char *eol = memchr(p, '\n', (size_t) (end - p));

                if (!eol)
                        eol = end;
                /* text symbols only: global before local, so that an alias does not hide the name */
                if (system_map_parse_line(p, eol, &line) && line.type != '\0' &&
                    strchr("TtWw", line.type) && line.address <= address &&
                    (!best.name || line.address > best.address ||
                     (line.address == best.address && line.type == 'T' && best.type != 'T')))
                        best = line;
                p = eol < end ? eol + 1 : end;
        }
        if (!best.name || address - best.address >= SYSTEM_MAP_FUNCTION_MAX ||
            best.n_name >= SYSTEM_MAP_NAME_SIZE)
                return false;
        if (best.n_name == strlen(SYSTEM_MAP_END) &&
            memcmp(best.name, SYSTEM_MAP_END, best.n_name) == 0)
                return false;
        memcpy(ret->name, best.name, best.n_name);
        ret->name[best.n_name] = '\0';
        ret->offset = address - best.address;
        return true;
}
