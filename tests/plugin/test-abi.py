#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The ABI rule of <tocsin/plugin.h>, held against the frozen headers of tests/abi/: what was there keeps
its place, its size and its number, and a plugin made with the old headers still works.

    test-abi.py TOCSIN-PLUGIN INCLUDE...
"""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

FROZEN = pathlib.Path(__file__).resolve().parent.parent / 'abi' / '0'
HEADERS = ('types.h', 'plugin.h')
# Their arrays are handed over without a size for each element.
NEVER_CHANGE = ('tocsin_value', 'tocsin_past')

PLUGIN = '''
#include <tocsin/plugin.h>

static const struct tocsin_option options[] = {
        { "limit", TOCSIN_OPTION_LIMIT, "2/1h", "How many." },
};

static int init(const struct tocsin_value *values, void **ret_state) {
        static unsigned max;

        max = (unsigned) values[0].number;
        *ret_state = &max;
        return 0;
}

static void panic(void *state, const struct tocsin_question *question, struct tocsin_answer *answer) {
        if (tocsin_count(question, TOCSIN_ACTION_RESET, question->history[0].ago_us + 1) < *(unsigned *) state)
                tocsin_decide(answer, TOCSIN_ACTION_RESET, "%s %llx", question->incident->machine,
                              (unsigned long long) question->incident->info->u.hyper_v->arg1);
}

const struct tocsin_plugin tocsin_plugin = {
        TOCSIN_PLUGIN_HEAD, "old", "1", "An old one.", TOCSIN_PLUGIN_OPTIONS(options), init, NULL, NULL, panic, NULL,
};
'''
TIME = {'seconds': 1, 'microseconds': 2}
HELLO = {'protocol': 1, 'name': 'old', 'options': {}}
QUESTION = {
    'number': 1, 'ability': 'panic',
    'incident': {'id': 7, 'machine': 'vm', 'run': 'r', 'kind': 'panic', 'status': 'open', 'time': TIME, 'opened': TIME,
                 'opened-boot': 5, 'boot-id': 'x', 'steps': [],
                 'info': {'type': 'hyper-v', 'arg1': 159, 'arg2': 0, 'arg3': 0, 'arg4': 0, 'arg5': 0}},
    'decision': {'action': 'pause', 'by': 'x', 'reason': 'y', 'trail': []},
    'history': [{'incident': 1, 'kind': 'panic', 'action': 'reset', 'ago': 5}],
}


def compile_c(folder, name, text, includes, *options):
    source = pathlib.Path(folder, f'{name}.c')
    source.write_text(text)
    subprocess.run(['cc', '-std=c99', '-Wall', '-Wextra', '-Wno-unused-parameter', '-Werror', '-pedantic',
                    *(f'-I{i}' for i in includes), *options, '-o', f'{folder}/{name}', source], check=True)
    return f'{folder}/{name}'


def thaw(folder):
    """The frozen headers where they can be included."""
    target = pathlib.Path(folder, 'frozen', 'tocsin')
    target.mkdir(parents=True)
    for name in HEADERS:
        (target / name).write_text((FROZEN / f'{name}.txt').read_text())
    return target.parent


def read_names():
    """Members of structs and values of enums, as the frozen headers have them."""
    text = ''.join((FROZEN / f'{name}.txt').read_text() for name in HEADERS)
    text = re.sub(r'/\*.*?\*/', '', text, flags=re.DOTALL)
    structs = {}
    for name, body in re.findall(r'^struct (\w+) \{(.*?)^\};', text, re.DOTALL | re.MULTILINE):
        body = re.sub(r'\bunion \{.*?\}', 'union', body, flags=re.DOTALL)
        structs[name] = [re.search(r'\(\*(\w+)\)|(\w+)(\[\w+\])?\s*$', member).group(0) for member in
                         (m.strip() for m in body.split(';')) if member]
        structs[name] = [re.sub(r'\W|\[.*', '', m.split('[')[0]) for m in structs[name]]
    values = re.findall(r'^\s+(TOCSIN_\w+) = \d+,', text, re.MULTILINE)
    return structs, values


def measure(folder, name, includes, structs, values):
    lines = [f'printf("{s}.{m} %zu %zu\\n", offsetof(struct {s}, {m}), sizeof(((struct {s} *) 0)->{m}));'
             for s, members in structs.items() for m in members]
    lines += [f'printf("{s} %zu\\n", sizeof(struct {s}));' for s in NEVER_CHANGE]
    lines += [f'printf("{v} %d\\n", (int) {v});' for v in values]
    program = compile_c(folder, name, '#include <stdio.h>\n#include <tocsin/plugin.h>\n'
                        'int main(void) {\n' + '\n'.join(lines) + '\nreturn 0;\n}\n', includes)
    out = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    return dict(line.split(' ', 1) for line in out.splitlines())


def check_places(folder, frozen, includes):
    structs, values = read_names()
    assert len(structs['tocsin_plugin']) == 14 and len(values) > 50, 'the frozen header was not understood'
    old = measure(folder, 'old', [frozen], structs, values)
    new = measure(folder, 'new', includes, structs, values)
    return [f'{name} was {place} and is {new[name]}' for name, place in old.items() if new[name] != place]


def check_old_plugin(folder, frozen, host):
    plugin = compile_c(folder, 'old.so', PLUGIN, [frozen], '-shared', '-fPIC')
    out = subprocess.run([host, f'--module={plugin}'], input=f'{json.dumps(HELLO)}\n{json.dumps(QUESTION)}\n',
                         text=True, capture_output=True, check=False)
    answers = [json.loads(line) for line in out.stdout.splitlines()]
    wanted = [{'abilities': ['panic'], 'version': '1'}, {'number': 1, 'action': 'reset', 'reason': 'vm 9f'}]
    return [] if answers == wanted else [f'{answers} {out.stderr}']


def check_cpp(folder, includes):
    source = pathlib.Path(folder, 'plugin.cc')
    source.write_text(PLUGIN)
    out = subprocess.run(['c++', '-std=c++11', '-Wall', '-Wextra', '-Wno-unused-parameter', '-Werror', '-pedantic',
                          *(f'-I{i}' for i in includes), '-shared', '-fPIC', '-o', f'{folder}/cc.so', source],
                         capture_output=True, text=True, check=False)
    return out.stderr.splitlines()


def main():
    host, *includes = sys.argv[1:]
    good = True
    with tempfile.TemporaryDirectory() as folder:
        frozen = thaw(folder)
        results = [('places and numbers', check_places(folder, frozen, includes)),
                   ('a plugin made with the first headers', check_old_plugin(folder, frozen, host))]
        if shutil.which('c++'):
            results.append(('C++11', check_cpp(folder, includes)))
        else:
            print('skip plugin-abi: C++11: c++')
        for name, problems in results:
            print('\n'.join(f'    {p}' for p in problems), end='\n' if problems else '')
            print(f'{"not ok" if problems else "ok"} plugin-abi: {name}')
            good = good and not problems
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())
