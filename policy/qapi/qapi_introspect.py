# SPDX-License-Identifier: LGPL-2.1-or-later
"""The answer to query-qmp-schema, as QEMU gives it: commands and events first, then the types they
use in the order of their first use, under numbers instead of names.
"""

import json

from qapi_c import head
from qapi_profiles import PROFILES
from qapi_schema import Array, Builtin, Command, Enum, Union


class Introspection:
    """Collects the entities of one profile."""

    EMPTY = object()  # the object without members, which has no name in a schema

    def __init__(self, schema, profile):
        self.names = {}  # what has a number, by identity
        self.used = []
        self.entities = []
        for item in profile.select(schema):
            if isinstance(item, Command):
                self.add(item.name, 'command', {
                    'arg-type': self.use(item.arg or self.EMPTY),
                    'ret-type': self.use(item.ret or self.EMPTY)})
            else:
                self.add(item.name, 'event', {
                    'arg-type': self.use(profile.event_data(item) or self.EMPTY)})
        for type_ in self.used:  # grows on the way
            self.describe(type_)

    def add(self, name, meta_type, rest):
        self.entities.append({'name': name, 'meta-type': meta_type, **rest})

    def name(self, type_):
        if isinstance(type_, Array):
            return f'[{self.use(type_.element)}]'
        if isinstance(type_, Builtin):
            return 'int' if type_.json == 'int' else type_.name
        return self.names.setdefault(type_, str(len(self.names)))

    def use(self, type_):
        """Every list type is a new object, and all integers are one type: the name decides."""
        name = self.name(type_)
        if all(name != self.name(used) for used in self.used):
            self.used.append(type_)
        return name

    def members(self, type_):
        described = []
        for member in type_.members:
            entry = {'name': member.name, 'type': self.use(member.type)}
            if member.optional:
                entry['default'] = None
            if member.features:
                entry['features'] = member.features
            described.append(entry)
        return described

    def describe(self, type_):
        name = self.name(type_)
        if type_ is self.EMPTY:
            self.add(name, 'object', {'members': []})
        elif isinstance(type_, Builtin):
            self.add(name, 'builtin', {'json-type': type_.json})
        elif isinstance(type_, Array):
            self.add(name, 'array', {'element-type': self.use(type_.element)})
        elif isinstance(type_, Enum):
            self.add(name, 'enum', {'members': [{'name': value} for value in type_.values],
                                    'values': type_.values})
        else:
            rest = {'members': self.members(type_)}
            if isinstance(type_, Union):
                rest['tag'] = type_.tag.name
                rest['variants'] = [{'case': value, 'type': self.use(branch or self.EMPTY)}
                                    for value, branch in type_.branches.items()]
            self.add(name, 'object', rest)


def introspect_source(schema):
    text = head('The answers to query-qmp-schema.')
    text += '#include "policy/qapi/qmp-session.h"\n\n'
    text += 'static const char *const schema_texts[_QAPI_PROFILE_MAX] = {\n'
    for profile in PROFILES:
        lines = [json.dumps(entity) for entity in Introspection(schema, profile).entities]
        text += f'        [QAPI_PROFILE_{profile.name}] =\n'
        text += ''.join('                ' + json.dumps(mark + line) + '\n'
                        for mark, line in zip(['['] + [', '] * len(lines), lines))
        text += '                "]",\n'
    return text + '''};

const char *qapi_schema_text(QapiProfile profile) {
        return schema_texts[profile];
}
'''
