#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Compares our schema with that of the installed QEMU: every command and event that a machine's
endpoint has and QEMU has too must be the same, down to the last value of the last enum.

Types have no names in introspection, so they are compared by what they consist of. Where our
vocabulary is of a newer QEMU, NEWER says so; a difference there is expected only as far as that
QEMU is older.

usage: schema-compare.py OUR-SCHEMA.json [QEMU]     exit status 0: they agree, 1: they don't, 77: no QEMU
"""

import json
import shutil
import subprocess
import sys

# What QEMU has had since: the name, a value of the enum at the path, the release.
NEWER = {
    ('info.type', 'tdx'): (10, 1),
    ('info.type', 'sev'): (11, 0),
    ('info', 'tdx'): (10, 1),
    ('info', 'sev'): (11, 0),
}
# QEMU dropped it: the member at the path, the release that no longer has it.
DROPPED = {
    ('', 'singlestep'): (8, 1),
}
# Told at the server's start, not by what it speaks.
TIMEOUT = 20


class Schema:
    """An answer to query-qmp-schema."""

    def __init__(self, entities):
        self.by_name = {entity['name']: entity for entity in entities}

    def tops(self):
        return {name: e for name, e in self.by_name.items()
                if e['meta-type'] in ('command', 'event')}


class Comparison:
    def __init__(self, ours, theirs, version):
        self.ours, self.theirs, self.version = ours, theirs, version
        self.differences = []
        self.expected = []

    def differ(self, top, path, text):
        self.differences.append(f'{top}: {path or "(all)"}: {text}')

    def sets(self, top, path, ours, theirs, what):
        """What both have, after what only one has was reported."""
        for name in sorted(ours - theirs):
            since = NEWER.get((path, name))
            if since and self.version < since:
                self.expected.append(f'{top}: {path}: {name} is of QEMU {since[0]}.{since[1]}')
            elif self.version >= DROPPED.get((path, name), (999,)):
                self.expected.append(f'{top}: {name} is gone from this QEMU')
            else:
                self.differ(top, path, f"only ours has {what} '{name}'")
        for name in sorted(theirs - ours):
            self.differ(top, path, f"only QEMU has {what} '{name}'")
        return sorted(ours & theirs)

    def members(self, top, path, ours, theirs):
        ours, theirs = ({m['name']: m for m in e['members']} for e in (ours, theirs))
        for name in self.sets(top, path, set(ours), set(theirs), 'member'):
            here = f'{path}.{name}' if path else name
            mine, other = ours[name], theirs[name]
            if ('default' in mine) != ('default' in other):
                self.differ(top, here, 'optional for one, mandatory for the other')
            if mine.get('features', []) != other.get('features', []):
                self.differ(top, here, 'features differ')
            self.types(top, here, mine['type'], other['type'])

    def variants(self, top, path, ours, theirs):
        if ours.get('tag') != theirs.get('tag'):
            self.differ(top, path, 'tags differ')
        ours, theirs = ({v['case']: v['type'] for v in e.get('variants', [])}
                        for e in (ours, theirs))
        for case in self.sets(top, path, set(ours), set(theirs), 'branch'):
            self.types(top, f'{path}({case})', ours[case], theirs[case])

    def types(self, top, path, our_name, their_name):
        ours, theirs = self.ours.by_name[our_name], self.theirs.by_name[their_name]
        kind = ours['meta-type']
        if kind != theirs['meta-type']:
            self.differ(top, path, f"{kind} here, {theirs['meta-type']} there")
        elif kind == 'builtin':
            if ours != theirs:
                self.differ(top, path, f'{our_name} here, {their_name} there')
        elif kind == 'enum':
            self.sets(top, path, set(ours['values']), set(theirs['values']), 'value')
        elif kind == 'array':
            self.types(top, path + '[]', ours['element-type'], theirs['element-type'])
        elif kind == 'object':
            self.members(top, path, ours, theirs)
            self.variants(top, path, ours, theirs)
        else:
            self.differ(top, path, f'{kind} is not compared')

    def run(self):
        """Returns how many commands and events were compared."""
        theirs = self.theirs.tops()
        both = [name for name in self.ours.tops() if name in theirs]
        for name in both:
            mine, other = self.ours.by_name[name], theirs[name]
            if mine['meta-type'] != other['meta-type']:
                self.differ(name, '', 'a command for one, an event for the other')
                continue
            self.types(name, '', mine['arg-type'], other['arg-type'])
            if 'ret-type' in mine:
                self.types(name, '', mine['ret-type'], other['ret-type'])
        return both


def ask_qemu(qemu):
    """Version and schema of a QEMU without a machine."""
    lines = ['{"execute": "qmp_capabilities"}', '{"execute": "query-qmp-schema"}',
             '{"execute": "quit"}']
    answer = subprocess.run([qemu, '-M', 'none', '-S', '-display', 'none', '-nodefaults',
                             '-qmp', 'stdio'], input='\n'.join(lines) + '\n',
                            stdout=subprocess.PIPE, text=True, timeout=TIMEOUT, check=True).stdout
    messages = [json.loads(line) for line in answer.splitlines()]
    version = messages[0]['QMP']['version']['qemu']
    schema = next(m['return'] for m in messages if isinstance(m.get('return'), list))
    return (version['major'], version['minor']), Schema(schema)


def main():
    qemu = shutil.which(sys.argv[2] if len(sys.argv) > 2 else 'qemu-system-x86_64')
    if not qemu:
        print('no QEMU here')
        return 77
    with open(sys.argv[1], encoding='ascii') as file:
        ours = Schema(json.load(file))
    version, theirs = ask_qemu(qemu)
    comparison = Comparison(ours, theirs, version)
    both = comparison.run()
    print(f'compared {len(both)} commands and events with QEMU {version[0]}.{version[1]}')
    for name in sorted(ours.tops().keys() - theirs.tops().keys()):
        print(f'only ours: {name}')
    for text in comparison.expected:
        print(f'expected: {text}')
    for text in comparison.differences:
        print(f'DIFFERENCE: {text}')
    return 1 if comparison.differences or not both else 0


if __name__ == '__main__':
    sys.exit(main())
