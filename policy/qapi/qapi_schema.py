# SPDX-License-Identifier: LGPL-2.1-or-later
"""The schema as a model: definitions with their members resolved to types, and every check that
keeps the generators simple. What passes here can be generated.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from qapi_parser import Doc, Object, Parser, SchemaError, Where


@dataclass(eq=False)
class Builtin:
    """A type QAPI has by itself. `json` is its name in introspection."""
    name: str
    json: str


@dataclass(eq=False)
class Array:
    element: object

    @property
    def name(self):
        return f'[{self.element.name}]'


@dataclass(eq=False)
class Member:
    name: str
    type: object
    optional: bool
    features: list
    where: Where


@dataclass(eq=False)
class Definition:
    name: str
    module: str
    where: Where
    doc: Doc


@dataclass(eq=False)
class Enum(Definition):
    values: list


@dataclass(eq=False)
class Struct(Definition):
    """Also the arguments of a command and the data of an event, where those have no name."""
    members: list = field(default_factory=list)
    implicit: bool = False


@dataclass(eq=False)
class Union(Struct):
    """`branches` maps every value of the tag to a Struct, or to None."""
    tag: Member = None
    branches: dict = field(default_factory=dict)


@dataclass(eq=False)
class Command(Definition):
    arg: Struct = None
    ret: object = None
    allow_preconfig: bool = False
    gen: bool = True


@dataclass(eq=False)
class Event(Definition):
    arg: Struct = None


# As far as our schemas use them: a type more is a line here, in qapi_c.py and in qapi-visit.c.
BUILTINS = {name: Builtin(name, 'int') for name in ('int', 'uint32', 'uint64')} | {
    'str': Builtin('str', 'string'), 'bool': Builtin('bool', 'boolean'),
    'any': Builtin('any', 'value')}

# Keys of each kind of definition: those it must have, and those it may have.
KEYS = {
    'enum': ({'data'}, set()),
    'struct': ({'data'}, {'base'}),
    'union': ({'base', 'discriminator', 'data'}, set()),
    'command': (set(), {'data', 'returns', 'allow-preconfig', 'gen'}),
    'event': (set(), {'data'}),
    'include': (set(), set()),
}
NAMES = {
    'enum': re.compile(r'[A-Z][A-Za-z0-9]*[a-z0-9][A-Za-z0-9]*$'),
    'struct': re.compile(r'[A-Z][A-Za-z0-9]*[a-z0-9][A-Za-z0-9]*$'),
    'union': re.compile(r'[A-Z][A-Za-z0-9]*[a-z0-9][A-Za-z0-9]*$'),
    'command': re.compile(r'[a-z][a-z0-9_-]*$'),
    'event': re.compile(r'[A-Z][A-Z0-9_]*$'),
}
MEMBER_NAME = re.compile(r'[a-z][a-z0-9]*(-[a-z0-9]+)*$')


def camel_name(name):
    """set-action -> SetAction, GUEST_PANICKED -> GuestPanicked"""
    return ''.join(part.capitalize() for part in re.split('[-_]', name))


class Schema:
    """All definitions of a file and of what it includes, in order: `types`, `commands`, `events`,
    and `items`, which has the free-form docs too."""

    def __init__(self, path):
        self.files = []
        self.items = []
        self.types = {}
        self.commands = {}
        self.events = {}
        self._raw = []
        self._read(Path(path), None)
        for definition, raw in self._raw:
            self._fill(definition, raw)
        for definition, _ in self._raw:
            if isinstance(definition, Struct):
                self._check_recursion(definition, ())
            self._check_doc(definition)

    # Reading

    def _read(self, path, where):
        if path in self.files:
            return
        try:
            text = path.read_text()
        except OSError as error:
            raise SchemaError(where or path, f"can't read {path}: {error.strerror}") from error
        self.files.append(path)
        doc = None
        for item in Parser(text, str(path)):
            if isinstance(item, Doc):
                self._refuse_orphan(doc)
                doc = item if item.symbol else None
                if not item.symbol:
                    self.items.append(item)
                continue
            kind = self._kind(item)
            if kind == 'include':
                self._refuse_orphan(doc)
                doc = None
                self._read(path.parent / item['include'], item.where)
            else:
                self._declare(kind, item, doc, path.stem)
                doc = None
        self._refuse_orphan(doc)

    @staticmethod
    def _refuse_orphan(doc):
        if doc:
            raise SchemaError(doc.where, f"no definition follows the doc comment of '{doc.symbol}'")

    @staticmethod
    def _kind(raw):
        kinds = [kind for kind in KEYS if kind in raw]
        if len(kinds) != 1:
            raise SchemaError(raw.where, f"expected one of {', '.join(KEYS)}")
        kind = kinds[0]
        must, may = KEYS[kind]
        for key, where in raw.key_where.items():
            if key not in must | may | {kind}:
                raise SchemaError(where, f"{kind} has unknown key '{key}'")
        for key in sorted(must - raw.keys()):
            raise SchemaError(raw.where, f"{kind} lacks key '{key}'")
        if not isinstance(raw[kind], str):
            raise SchemaError(raw.where, f'the name of this {kind} is not a string')
        return kind

    def _declare(self, kind, raw, doc, module):
        name, where = raw[kind], raw.where
        if not NAMES[kind].match(name):
            raise SchemaError(where, f"'{name}' is no name for a {kind}")
        for table in (BUILTINS, self.types, self.commands, self.events):
            if name in table:
                raise SchemaError(where, f"'{name}' is already defined")
        if not doc:
            raise SchemaError(where, f"'{name}' has no doc comment")
        if doc.symbol != name:
            raise SchemaError(doc.where, f"the doc comment of '{name}' names '{doc.symbol}'")
        common = (name, module, where, doc)
        if kind == 'enum':
            definition = Enum(*common, values=self._enum_values(raw))
        elif kind == 'struct':
            definition = Struct(*common)
        elif kind == 'union':
            definition = Union(*common)
        elif kind == 'command':
            definition = Command(*common, allow_preconfig=raw.get('allow-preconfig', False),
                                 gen=raw.get('gen', True))
        else:
            definition = Event(*common)
        table = {'command': self.commands, 'event': self.events}.get(kind, self.types)
        table[name] = definition
        self.items.append(definition)
        self._raw.append((definition, raw))

    @staticmethod
    def _enum_values(raw):
        values = raw['data']
        where = raw.key_where['data']
        if not isinstance(values, list) or not values:
            raise SchemaError(where, "'data' of an enum is a list of names")
        for value in values:
            if not isinstance(value, str) or not re.match(r'[a-z0-9]+(-[a-z0-9]+)*$', value):
                raise SchemaError(where, f'{value!r} is no name for a value')
            if values.count(value) > 1:
                raise SchemaError(where, f"value '{value}' is there twice")
        return list(values)

    # Resolving

    def _fill(self, definition, raw):
        if isinstance(definition, Union):
            self._fill_union(definition, raw)
        elif isinstance(definition, Struct):
            if 'base' in raw:
                definition.members += self._base(definition, raw)
            definition.members += self._members(raw, 'data')
            self._check_unique(definition)
        elif isinstance(definition, (Command, Event)):
            suffix = 'Arg' if isinstance(definition, Command) else 'Event'
            definition.arg = self._argument(definition, raw, suffix)
            if 'returns' in raw:
                definition.ret = self._type(raw['returns'], raw.key_where['returns'])
                inner = definition.ret.element if isinstance(definition.ret, Array) \
                    else definition.ret
                if not isinstance(inner, Struct):
                    raise SchemaError(raw.key_where['returns'],
                                      'a command returns an object or a list of objects')

    def _type(self, name, where):
        if isinstance(name, list):
            if len(name) != 1 or not isinstance(name[0], str):
                raise SchemaError(where, 'a list type names the type of its elements')
            return Array(self._type(name[0], where))
        found = BUILTINS.get(name) or self.types.get(name) if isinstance(name, str) else None
        if not found:
            raise SchemaError(where, f'unknown type {name!r}')
        return found

    def _struct_type(self, name, where):
        found = self._type(name, where)
        if not isinstance(found, Struct) or isinstance(found, Union):
            raise SchemaError(where, f"'{name}' is not a struct")
        return found

    def _members(self, raw, key):
        data = raw[key]
        if not isinstance(data, Object):
            raise SchemaError(raw.key_where[key], f"'{key}' is an object of members")
        members = []
        for name, value in data.items():
            where = data.key_where[name]
            optional = name.startswith('*')
            name = name.removeprefix('*')
            if not MEMBER_NAME.match(name) or name.startswith('has-'):
                raise SchemaError(where, f"'{name}' is no name for a member")
            features = []
            if isinstance(value, Object):
                if not {'type'} <= value.keys() <= {'type', 'features'}:
                    raise SchemaError(where, "a member has 'type' and may have 'features'")
                features, value = value.get('features', []), value['type']
            members.append(Member(name, self._type(value, where), optional, features, where))
        return members

    def _base(self, definition, raw):
        """Members of the base; a base struct may stand after who uses it, so it is read now."""
        if isinstance(raw['base'], Object):
            return self._members(raw, 'base')
        base = self._struct_type(raw['base'], raw.key_where['base'])
        base_raw = next(r for d, r in self._raw if d is base)
        if base is definition or 'base' in base_raw:
            raise SchemaError(raw.key_where['base'], f"base '{base.name}' has a base")
        return self._members(base_raw, 'data')

    def _fill_union(self, union, raw):
        union.members = self._base(union, raw)
        where = raw.key_where['discriminator']
        union.tag = next((m for m in union.members if m.name == raw['discriminator']), None)
        if not union.tag or union.tag.optional or not isinstance(union.tag.type, Enum):
            raise SchemaError(where, 'the discriminator is a mandatory enum member of the base')
        union.branches = dict.fromkeys(union.tag.type.values)
        if not isinstance(raw['data'], Object):
            raise SchemaError(raw.key_where['data'], "'data' is an object of branches")
        for value, name in raw['data'].items():
            where = raw['data'].key_where[value]
            if value not in union.branches:
                raise SchemaError(where, f"'{value}' is no value of '{union.tag.type.name}'")
            union.branches[value] = self._struct_type(name, where)
        self._check_unique(union)

    def _argument(self, definition, raw, suffix):
        if 'data' not in raw:
            return None
        where = raw.key_where['data']
        if isinstance(raw['data'], str):
            return self._struct_type(raw['data'], where)
        name = camel_name(definition.name) + suffix
        if name in self.types:
            raise SchemaError(where, f"'{name}' is the name of the data of '{definition.name}'")
        arg = Struct(name, definition.module, where, definition.doc,
                     self._members(raw, 'data'), implicit=True)
        self._check_unique(arg)
        return arg

    # Checking

    @staticmethod
    def _check_unique(struct):
        """A base and what is added to it may not have a member in common."""
        seen = set()
        for member in struct.members:
            if member.name in seen:
                raise SchemaError(member.where, f"member '{member.name}' is there twice")
            seen.add(member.name)

    def _check_recursion(self, struct, outer):
        """Bounds the depth of everything that walks a value."""
        if struct in outer:
            raise SchemaError(struct.where, f"'{struct.name}' contains itself")
        inner = [m.type.element if isinstance(m.type, Array) else m.type for m in struct.members]
        if isinstance(struct, Union):
            inner += [branch for branch in struct.branches.values() if branch]
            for branch in filter(None, struct.branches.values()):
                for member in branch.members:
                    if any(member.name == m.name for m in struct.members):
                        raise SchemaError(member.where, f"member '{member.name}' is in the base "
                                          f"of '{struct.name}' as well")
        for type_ in inner:
            if isinstance(type_, Struct):
                self._check_recursion(type_, outer + (struct,))

    def _check_doc(self, definition):
        doc = definition.doc
        if isinstance(definition, Enum):
            names, features = definition.values, set()
        else:
            struct = definition if isinstance(definition, Struct) else definition.arg
            own = struct if struct and (struct is definition or struct.implicit) else None
            names = [m.name for m in own.members] if own else []
            features = {f for m in own.members for f in m.features} if own else set()
        for name in names:
            if name not in doc.members or not doc.members[name].text:
                raise SchemaError(doc.where,
                                  f"'@{name}' of '{definition.name}' is not documented")
        for name, section in doc.members.items():
            if name not in names:
                raise SchemaError(section.where, f"'{definition.name}' has no '@{name}'")
        for name in sorted(features - doc.features.keys()):
            raise SchemaError(doc.where, f"feature '@{name}' of '{definition.name}' "
                              'is not documented')
        for name in sorted(doc.features.keys() - features):
            raise SchemaError(doc.features[name].where,
                              f"'{definition.name}' has no feature '@{name}'")

    # Asking

    def _reach(self, roots):
        found = []
        todo = list(roots)
        while todo:
            type_ = todo.pop()
            if isinstance(type_, Array):
                todo.append(type_.element)
            elif type_ is not None and type_ not in found:
                found.append(type_)
                if isinstance(type_, Struct):
                    todo += [m.type for m in type_.members]
                if isinstance(type_, Union):
                    todo += type_.branches.values()
        return found

    def c_types(self):
        """Enums, structs and unions that get C, what others contain first. A command with
        'gen': false has none: its answer is made as text."""
        textual = self._reach(c.ret for c in self.commands.values() if not c.gen)
        others = [t for t in self.types.values() if t not in textual]
        others += [d.arg for d in (self.commands | self.events).values() if d.arg]
        others += [c.ret for c in self.commands.values() if c.gen]
        wanted = self._reach(others)
        ordered = []

        def add(type_):
            if isinstance(type_, Array):
                add(type_.element)
            elif isinstance(type_, Struct) and type_ in wanted and type_ not in ordered:
                for member in type_.members:
                    add(member.type)
                for branch in type_.branches.values() if isinstance(type_, Union) else ():
                    add(branch)
                ordered.append(type_)

        for type_ in self.types.values():
            add(type_)
        for definition in (self.commands | self.events).values():
            add(definition.arg)
        return [t for t in self.types.values() if isinstance(t, Enum) and t in wanted], ordered
