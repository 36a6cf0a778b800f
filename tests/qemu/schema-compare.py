#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Compares our schema with that of the installed QEMU: every command and event that a machine's
endpoint has and QEMU has too must be the same, down to the last value of the last enum.

    schema-compare.py PRINT-SCHEMA [QEMU]

Types have no names in introspection, so they are compared by what they consist of. Where our
vocabulary is of another release than this QEMU, NEWER and DROPPED say so, and nothing else may
differ. Exit status 0: they agree, 1: they don't, 77: there is no QEMU.
"""

import json
import shutil
import subprocess
import sys
import threading

# (path within the data, value or branch): the release of QEMU that has it first.
NEWER = {
    ('info.type', 'tdx'): (10, 1),
    ('info.type', 'sev'): (11, 0),
    ('info', 'tdx'): (10, 1),
    ('info', 'sev'): (11, 0),
}
# (path, member): the last release of QEMU that is known to have it. We always answer with it.
DROPPED = {
    ('', 'singlestep'): (7, 2),
}
QEMU_SECONDS = 60


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
        self.differences = {}
        self.expected = []

    def differ(self, top, path, text):
        self.differences.setdefault(top, []).append(f'{path or "all of it"}: {text}')

    def sets(self, top, path, ours, theirs, what):
        """What both have, after what only one has was reported."""
        for name in sorted(ours - theirs):
            since = NEWER.get((path, name))
            if since and self.version < since:
                self.expected.append(f'{top}: {path}: {name} is of QEMU {since[0]}.{since[1]}')
            elif (path, name) in DROPPED and self.version > DROPPED[path, name]:
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
        """Returns the commands and events that were compared."""
        theirs = self.theirs.tops()
        both = [name for name in self.ours.tops() if name in theirs]
        for name in both:
            mine, other = self.ours.by_name[name], theirs[name]
            if mine['meta-type'] != other['meta-type']:
                self.differ(name, '', 'a command for one, an event for the other')
                continue
            if mine.get('features', []) != other.get('features', []):
                self.differ(name, '', 'features differ')
            self.types(name, '', mine['arg-type'], other['arg-type'])
            if 'ret-type' in mine:
                self.types(name, '', mine['ret-type'], other['ret-type'])
        return both


def ask_qemu(qemu):
    """Version and schema of a QEMU without a machine."""
    with subprocess.Popen([qemu, '-M', 'none', '-S', '-display', 'none', '-nodefaults',
                           '-qmp', 'stdio'], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        alarm = threading.Timer(QEMU_SECONDS, process.kill)
        alarm.start()

        def ask(command):
            process.stdin.write(json.dumps({'execute': command}).encode() + b'\n')
            process.stdin.flush()
            return json.loads(process.stdout.readline())['return']

        version = json.loads(process.stdout.readline())['QMP']['version']['qemu']
        ask('qmp_capabilities')
        schema = Schema(ask('query-qmp-schema'))
        alarm.cancel()
        process.kill()
    return (version['major'], version['minor']), schema


def main():
    qemu = shutil.which(sys.argv[2] if len(sys.argv) > 2 else 'qemu-system-x86_64')
    if not qemu:
        print('qemu-system-x86_64')
        return 77
    ours = Schema(json.loads(subprocess.run([sys.argv[1]], stdout=subprocess.PIPE, check=True).stdout))
    version, theirs = ask_qemu(qemu)
    comparison = Comparison(ours, theirs, version)
    both = comparison.run()
    for name in both:
        for text in comparison.differences.get(name, ()):
            print(f'not ok schema {name}: {text}')
        if name not in comparison.differences:
            print(f'ok schema {name}')
    print(f'QEMU {version[0]}.{version[1]}')
    for name in sorted(ours.tops().keys() - theirs.tops().keys()):
        print(f'not in this QEMU: {name}')
    for text in comparison.expected:
        print(f'expected: {text}')
    return 1 if comparison.differences or not both else 0


if __name__ == '__main__':
    sys.exit(main())
