/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a new plugin begins with: its source, how it is built, and how it is tried. */
#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "daemon/ctl/verbs.h"

/* As a section [plugin NAME] takes it. */
#define VERB_PLUGIN_NAME_MAX 80

typedef struct PluginTemplate {
        const char *language, *file; /* @ stands for the name, here and in the text */
        bool executable;
        const char *text;
} PluginTemplate;

static const PluginTemplate plugin_templates[] = {
        { "c",
          "@.c",
          false,
          "/* A policy plugin for tocsin: see tocsin-plugin.h(3). */\n"
          "#include <tocsin/plugin.h>\n"
          "\n"
          "static const struct tocsin_option options[] = {\n"
          "        { \"most\", TOCSIN_OPTION_LIMIT, \"2/1h\", \"Reset so often; then leave it.\" },\n"
          "};\n"
          "\n"
          "static const struct tocsin_value *configured;\n"
          "\n"
          "static int init(const struct tocsin_value *values, void **ret_state) {\n"
          "        (void) ret_state;\n"
          "        configured = values;\n"
          "        return 0;\n"
          "}\n"
          "\n"
          "static void panic(void *state, const struct tocsin_question *question,\n"
          "                  struct tocsin_answer *answer) {\n"
          "        unsigned resets = tocsin_count(question, TOCSIN_ACTION_RESET, configured[0].within_us);\n"
          "\n"
          "        (void) state;\n"
          "        if (question->incident->kind != TOCSIN_INCIDENT_KIND_PANIC)\n"
          "                return;\n"
          "        if (resets < configured[0].number)\n"
          "                tocsin_decide(answer, TOCSIN_ACTION_RESET, \"%u resets so far\", resets);\n"
          "        else\n"
          "                tocsin_leave(answer, \"it was reset %u times\", resets);\n"
          "}\n"
          "\n"
          "const struct tocsin_plugin tocsin_plugin = {\n"
          "        TOCSIN_PLUGIN_HEAD,\n"
          "        .name = \"@\",\n"
          "        .version = \"1\",\n"
          "        .doc = \"Resets a guest that panicked, a few times.\",\n"
          "        .options = TOCSIN_PLUGIN_OPTIONS(options),\n"
          "        .init = init,\n"
          "        .panic = panic,\n"
          "};\n" },
        { "c",
          "Makefile",
          false,
          "CFLAGS = -std=c99 -Wall -Wextra -O2 -fPIC $(shell pkg-config --cflags tocsin)\n"
          "\n"
          "@.so: @.c\n"
          "\t$(CC) $(CFLAGS) -shared -o $@ $<\n"
          "\n"
          "check: @.so\n"
          "\ttocsin-plugin-check ./@.so --option most=3/1h\n"
          "\n"
          ".PHONY: check\n" },
        { "python",
          "@.py",
          true,
          "#!/usr/bin/python3\n"
          "\"\"\"A policy plugin for tocsin: one line of JSON in, one out. See the plugin guide.\"\"\"\n"
          "\n"
          "import json\n"
          "import sys\n"
          "\n"
          "\n"
          "def write(message):\n"
          "    print(json.dumps(message), flush=True)\n"
          "\n"
          "\n"
          "def decide(question, most):\n"
          "    if question['incident']['kind'] != 'panic':\n"
          "        return {}\n"
          "    resets = sum(past['action'] == 'reset' for past in question['history'])\n"
          "    if resets < most:\n"
          "        return {'action': 'reset', 'reason': f'{resets} resets today'}\n"
          "    return {'reason': f'it was reset {resets} times'}\n"
          "\n"
          "\n"
          "def main():\n"
          "    options = json.loads(sys.stdin.readline())['options']\n"
          "    try:\n"
          "        most = int(options.get('most', 2))\n"
          "    except ValueError as error:\n"
          "        write({'abilities': [], 'error': f'most: {error}'})\n"
          "        return\n"
          "    write({'abilities': ['panic'], 'version': '1'})\n"
          "    for line in sys.stdin:\n"
          "        question = json.loads(line)\n"
          "        write({'number': question['number']} | decide(question, most))\n"
          "\n"
          "\n"
          "main()\n" },
        { "python",
          "Makefile",
          false,
          "check:\n"
          "\ttocsin-plugin-check ./@.py --option most=3\n"
          "\n"
          ".PHONY: check\n" },
        { "sh",
          "@.sh",
          true,
          "#!/bin/sh\n"
          "# A policy plugin for tocsin: one line of JSON in, one out. See the plugin guide. A process is\n"
          "# started for no question: with jq that would take milliseconds.\n"
          "read -r hello\n"
          "echo '{\"abilities\": [\"watchdog\"]}'\n"
          "while read -r question; do\n"
          "    number=${question#*'\"number\": '}\n"
          "    number=${number%%,*}\n"
          "    case $question in\n"
          "    *'\"kind\": \"watchdog\"'*'\"machine\": \"test-'*|*'\"machine\": \"test-'*'\"kind\": \"watchdog\"'*)\n"
          "        echo \"{\\\"number\\\": $number, \\\"action\\\": \\\"pause\\\", \\\"reason\\\": \\\"somebody looks at test guests\\\"}\" ;;\n"
          "    *)\n"
          "        echo \"{\\\"number\\\": $number}\" ;;\n"
          "    esac\n"
          "done\n" },
        { "sh",
          "Makefile",
          false,
          "check:\n"
          "\ttocsin-plugin-check ./@.sh\n"
          "\n"
          ".PHONY: check\n" },
};

/* The template with the name in it; Makefiles have `$@` of their own. */
static void verb_fill(Text *text, const char *template, const char *name) {
        for (const char *p = template; *p; p++)
                if (*p == '@' && (p == template || p[-1] != '$'))
                        text_add(text, name);
                else
                        text_printf(text, "%c", *p);
}

static int verb_write_template(const PluginTemplate *template, const char *name) {
        Text path = TEXT_NULL, text = TEXT_NULL;
        _cleanup_free_ char *file_name = NULL;
        FILE *file;
        int r;

        text_printf(&path, "%s/", name);
        verb_fill(&path, template->file, name);
        file_name = text_take(&path);
        if (!file_name)
                return -ENOMEM;
        file = fopen(file_name, "wxe");
        if (!file)
                return -errno;
        verb_fill(&text, template->text, name);
        r = text_print(&text, file);
        text_deinit(&text);
        if (r == 0 && template->executable && chmod(file_name, 0755) < 0)
                r = -errno;
        if (fclose(file) != 0 && r == 0)
                r = -errno;
        return r;
}

static bool verb_is_plugin_name(const char *name) {
        for (const char *p = name; *p; p++)
                if (!isalnum((unsigned char) *p) && !(strchr("_-", *p) && p > name))
                        return false;
        return name[0] != '\0' && strlen(name) <= VERB_PLUGIN_NAME_MAX;
}

int verb_new_plugin(Ctl *ctl, const char *name, const char *language) {
        int r = 0;

        if (!verb_is_plugin_name(name))
                return ctl_fail_usage(ctl, "a plugin's name is of letters, digits, - and _");
        if (mkdir(name, 0777) < 0)
                r = -errno;
        for (size_t i = 0; r == 0 && i < ELEMENTSOF(plugin_templates); i++)
                if (strcmp(plugin_templates[i].language, language) == 0)
                        r = verb_write_template(&plugin_templates[i], name);
        if (r < 0) {
                (void) fprintf(stderr, "tocsinctl: %s: %s\n", name, strerror(-r));
                return CTL_EXIT_FAILURE;
        }
        (void) printf("%s/ is there; `make -C %s check` tries it\n", name, name);
        return CTL_EXIT_OK;
}
