#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The schema compiler refuses what it can't make C of, and says where.

A case is a schema, the line the error names, and its words. `doc()` writes the doc comment that a
definition needs, four lines and one for each member, so that a case shows nothing but its fault.
"""

import pathlib
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'policy' / 'qapi'))

# pylint: disable=wrong-import-position
import qapi_c
import qapi_docs
from qapi_introspect import Introspection
from qapi_parser import SchemaError
from qapi_profiles import PROFILES
from qapi_schema import Schema


def doc(name, *members):
    return ''.join(['##\n', f'# @{name}:\n', '#\n',
                    *(f'# @{member}: text\n' for member in members), '##\n'])


# Seven lines, and five.
ENUM = doc('Color', 'red', 'dark-blue') + "{ 'enum': 'Color', 'data': [ 'red', 'dark-blue' ] }\n"
EMPTY = doc('Nothing') + "{ 'struct': 'Nothing', 'data': {} }\n"

CASES = {
    'stray character': ("\n{ 'enum': ? }", 2, "stray '?'"),
    'string without end': ("{ 'enum': 'Color }", 1, 'stray "\'"'),
    'no object': ("[ 'enum' ]", 1, "expected '{' or a doc comment"),
    'no comma': ("{ 'enum': 'Color'\n'data': [] }", 2, "expected ','"),
    'no value': ("{ 'enum': }", 1, 'expected a value'),
    'no colon': ("{ 'enum' 'Color' }", 1, "expected ':'"),
    'end within': ("{ 'enum': 'Color',\n", 2, 'expected a key'),
    'duplicate key': ("{ 'enum': 'Color',\n'enum': 'Color' }", 2, "duplicate key 'enum'"),
    'doc without end': ("\n##\n# text", 2, 'this doc comment does not end'),
    'doc with a hole': ("##\n# text\n\n##\n", 3, 'a doc comment has lines that begin with "# "'),
    'doc alone': (doc('Color') + '\n' + EMPTY, 1,
                  "no definition follows the doc comment of 'Color'"),
    'doc at the end': (EMPTY + doc('Color'), 6, "no definition follows the doc comment of 'Color'"),
    'doc of another': (doc('Colour') + "{ 'struct': 'Color', 'data': {} }", 1,
                       "the doc comment of 'Color' names 'Colour'"),
    'no doc': ("{ 'struct': 'Color', 'data': {} }", 1, "'Color' has no doc comment"),
    'member without doc': (doc('Pen') + "{ 'struct': 'Pen', 'data': { 'ink': 'str' } }", 1,
                           "'@ink' of 'Pen' is not documented"),
    'value without doc': (doc('Color', 'red')
                          + "{ 'enum': 'Color', 'data': [ 'red', 'blue' ] }", 1,
                          "'@blue' of 'Color' is not documented"),
    'doc without words': ("##\n# @Pen:\n#\n# @ink:\n##\n"
                          "{ 'struct': 'Pen', 'data': { 'ink': 'str' } }", 1,
                          "'@ink' of 'Pen' is not documented"),
    'doc without member': (doc('Pen', 'ink') + "{ 'struct': 'Pen', 'data': {} }", 4,
                           "'Pen' has no '@ink'"),
    'doc of a member twice': (doc('Pen', 'ink', 'ink') + "{ 'struct': 'Pen', 'data': {} }", 5,
                              "'@ink' is documented twice"),
    'feature without doc': (doc('Pen', 'ink') + "{ 'struct': 'Pen', 'data': "
                            "{ 'ink': { 'type': 'str', 'features': [ 'deprecated' ] } } }", 1,
                            "feature '@deprecated' of 'Pen' is not documented"),
    'no kind': ("{ 'data': {} }", 1, 'expected one of enum, struct, union, command, event, include'),
    'two kinds': ("{ 'enum': 'A', 'struct': 'B' }", 1,
                  'expected one of enum, struct, union, command, event, include'),
    'unknown key': (doc('Pen') + "{ 'struct': 'Pen',\n'date': {} }", 6,
                    "struct has unknown key 'date'"),
    'missing key': (doc('Pen') + "{ 'struct': 'Pen' }", 5, "struct lacks key 'data'"),
    'name is a list': ("{ 'struct': [], 'data': {} }", 1, 'the name of this struct is not a string'),
    'name of a type': (doc('pen') + "{ 'struct': 'pen', 'data': {} }", 5,
                       "'pen' is no name for a struct"),
    'name of a command': (doc('Pen') + "{ 'command': 'Pen' }", 5, "'Pen' is no name for a command"),
    'name of an event': (doc('pen') + "{ 'event': 'pen' }", 5, "'pen' is no name for a event"),
    'name of a member': (doc('Pen', 'INK') + "{ 'struct': 'Pen',\n'data': {\n'INK': 'str' } }", 8,
                         "'INK' is no name for a member"),
    'name taken by C': (doc('Pen', 'has-ink') + "{ 'struct': 'Pen', 'data': { 'has-ink': 'str' } }",
                        6, "'has-ink' is no name for a member"),
    'name of a value': (doc('Color', 'Red') + "{ 'enum': 'Color', 'data': [ 'Red' ] }", 6,
                        "'Red' is no name for a value"),
    'value twice': (doc('Color', 'red') + "{ 'enum': 'Color', 'data': [ 'red', 'red' ] }", 6,
                    "value 'red' is there twice"),
    'no values': (doc('Color') + "{ 'enum': 'Color', 'data': [] }", 5,
                  "'data' of an enum is a list of names"),
    'defined twice': (EMPTY + EMPTY, 10, "'Nothing' is already defined"),
    'unknown type': (doc('Pen', 'ink') + "{ 'struct': 'Pen',\n'data': { 'ink': 'string' } }", 7,
                     "unknown type 'string'"),
    'unknown type in a list': (doc('Pen', 'ink') + "{ 'struct': 'Pen', 'data': { 'ink': ['x'] } }",
                               6, "unknown type 'x'"),
    'list of two types': (doc('Pen', 'ink')
                          + "{ 'struct': 'Pen', 'data': { 'ink': ['str', 'int'] } }", 6,
                          'a list type names the type of its elements'),
    'members as a list': (doc('Pen') + "{ 'struct': 'Pen', 'data': [] }", 5,
                          "'data' is an object of members"),
    'member twice': (doc('Pen', 'ink')
                     + "{ 'struct': 'Pen', 'data': { 'ink': 'str',\n'*ink': 'str' } }", 7,
                     "member 'ink' is there twice"),
    'contains itself': (doc('Pen', 'pen') + "{ 'struct': 'Pen', 'data': { '*pen': 'Pen' } }", 6,
                        "'Pen' contains itself"),
    'contains itself in a list': (doc('Pen', 'pens')
                                  + "{ 'struct': 'Pen', 'data': { 'pens': [ 'Pen' ] } }", 6,
                                  "'Pen' contains itself"),
    'base is an enum': (ENUM + doc('Pen') + "{ 'struct': 'Pen', 'base': 'Color', 'data': {} }", 12,
                        "'Color' is not a struct"),
    'base has a base': (EMPTY + doc('Bb')
                        + "{ 'struct': 'Bb', 'base': 'Nothing', 'data': {} }\n" + doc('Cc')
                        + "{ 'struct': 'Cc', 'base': 'Bb', 'data': {} }", 15, "base 'Bb' has a base"),
    'discriminator is no enum': (doc('Pen', 'ink')
                                 + "{ 'union': 'Pen', 'base': { 'ink': 'str' },\n"
                                 "'discriminator': 'ink', 'data': {} }", 7,
                                 'the discriminator is a mandatory enum member of the base'),
    'discriminator is optional': (ENUM + doc('Pen', 'ink')
                                  + "{ 'union': 'Pen', 'base': { '*ink': 'Color' }, "
                                  "'discriminator': 'ink', 'data': {} }", 13,
                                  'the discriminator is a mandatory enum member of the base'),
    'branch is no value': (ENUM + EMPTY + doc('Pen', 'ink')
                           + "{ 'union': 'Pen', 'base': { 'ink': 'Color' }, 'discriminator': 'ink',"
                           "\n'data': { 'green': 'Nothing' } }", 19,
                           "'green' is no value of 'Color'"),
    'branch is no struct': (ENUM + doc('Pen', 'ink')
                            + "{ 'union': 'Pen', 'base': { 'ink': 'Color' },"
                            "'discriminator': 'ink', 'data': { 'red': 'str' } }", 13,
                            "'str' is not a struct"),
    'branch has a member of the base': (
        ENUM + doc('Ink', 'ink') + "{ 'struct': 'Ink', 'data': { 'ink': 'str' } }\n"
        + doc('Pen', 'ink') + "{ 'union': 'Pen', 'base': { 'ink': 'Color' },"
        "'discriminator': 'ink', 'data': { 'red': 'Ink' } }", 13,
        "member 'ink' is in the base of 'Pen' as well"),
    'returns a string': (doc('draw') + "{ 'command': 'draw',\n'returns': 'str' }", 6,
                         'a command returns an object or a list of objects'),
    'arguments have the name of a type': (
        doc('DrawArg') + "{ 'struct': 'DrawArg', 'data': {} }\n" + doc('draw')
        + "{ 'command': 'draw', 'data': {} }", 10, "'DrawArg' is the name of the data of 'draw'"),
    'include of nothing': ("\n{ 'include': 'none.json' }", 2, 'No such file or directory'),
}


def compile_text(folder, text):
    path = folder / 'case.json'
    path.write_text(text)
    return Schema(path)


def check_refused(folder, text, line, words):
    try:
        compile_text(folder, text)
    except SchemaError as error:
        if str(error).startswith(f'{folder}/case.json:{line}: ') and str(error).endswith(words):
            return None
        return str(error).removeprefix(f'{folder}/')
    return 'not refused'


def check_include(folder):
    """An error in an included file names that file; a file is read once."""
    (folder / 'inner.json').write_text("{ 'include': 'case.json' }\n" + ENUM)
    schema = compile_text(folder, "{ 'include': 'inner.json' }\n{ 'include': 'inner.json' }\n" + EMPTY)
    if list(schema.types) != ['Color', 'Nothing']:
        return f'types are {list(schema.types)}'
    (folder / 'inner.json').write_text('\n\n?')
    try:
        compile_text(folder, "{ 'include': 'inner.json' }")
    except SchemaError as error:
        return None if str(error) == f"{folder}/inner.json:3: stray '?'" else str(error)
    return 'not refused'


def check_names(_):
    wanted = {'RunState': 'run_state', 'S390CrashReason': 's390_crash_reason',
              'GuestPanicInformationS390': 'guest_panic_information_s390',
              'GuestPanicInformationHyperV': 'guest_panic_information_hyper_v',
              'QMPCapability': 'qmp_capability', 'QapiVfioMigrationState': 'qapi_vfio_migration_state'}
    wrong = [f'{name}: {qapi_c.snake_name(name)}' for name, snake in wanted.items()
             if qapi_c.snake_name(name) != snake]
    return ', '.join(wrong) or None


def check_introspection(folder):
    """Numbers in the order of use, the empty object for a branch without data, one `int`."""
    text = ENUM + doc('Ink', 'depth') + "{ 'struct': 'Ink', 'data': { 'depth': 'uint32' } }\n" + \
        doc('Pen', 'ink', 'size') + "{ 'union': 'Pen', 'base': { 'ink': 'Color', '*size': 'uint64' }," \
        " 'discriminator': 'ink', 'data': { 'red': 'Ink' } }\n" + \
        doc('draw') + "{ 'command': 'draw', 'returns': [ 'Pen' ] }\n"
    path = folder / 'control.json'
    path.write_text(text)
    got = Introspection(Schema(path), PROFILES[0]).entities
    wanted = [
        {'name': 'draw', 'meta-type': 'command', 'arg-type': '0', 'ret-type': '[1]'},
        {'name': '0', 'meta-type': 'object', 'members': []},
        {'name': '[1]', 'meta-type': 'array', 'element-type': '1'},
        {'name': '1', 'meta-type': 'object', 'tag': 'ink',
         'members': [{'name': 'ink', 'type': '2'}, {'name': 'size', 'type': 'int', 'default': None}],
         'variants': [{'case': 'red', 'type': '3'}, {'case': 'dark-blue', 'type': '0'}]},
        {'name': '2', 'meta-type': 'enum', 'members': [{'name': 'red'}, {'name': 'dark-blue'}],
         'values': ['red', 'dark-blue']},
        {'name': 'int', 'meta-type': 'builtin', 'json-type': 'int'},
        {'name': '3', 'meta-type': 'object', 'members': [{'name': 'depth', 'type': 'int'}]},
    ]
    key = lambda entity: entity['name']
    return None if sorted(got, key=key) == sorted(wanted, key=key) else f'got {got}'


def check_reference(folder):
    """Both forms have every definition as a heading, and every member, even after an odd line."""
    text = ENUM + doc('Ink', 'depth').replace('text', ".text\n#     'more\\text (since 1)") + \
        "{ 'struct': 'Ink', 'data': { '*depth': [ 'uint32' ] } }\n" + doc('DRAWN', 'color') + \
        "{ 'event': 'DRAWN', 'data': { 'color': 'Color' } }\n"
    schema = compile_text(folder, "##\n# = Part\n#\n# Words.\n#\n# - one\n#   two\n# - three\n##\n" + text)
    wanted = {
        qapi_docs.markdown: ['## Part\n\nWords.\n\n- one two\n- three\n', '### Color\n', '### Ink\n',
                             "- **`depth`** (list of uint32, optional): .text 'more\\text (since 1)\n",
                             '### DRAWN\n', '- **`color`** ([`Color`](#color)): text\n',
                             '- **`dark-blue`**: text\n'],
        qapi_docs.man: ['.SH "PART"\n.PP\nWords.\n.IP \\(bu 2\none two\n.IP \\(bu 2\nthree\n',
                        '.SS "Color"\n', '.SS "Ink"\n', '.SS "DRAWN"\n',
                        ".TP\n\\fBdepth\\fR (list of uint32, optional)\n\\&.text 'more\\etext",
                        '.TP\n\\fBdark\\-blue\\fR\ntext\n'],
    }
    missing = [part for write, parts in wanted.items() for part in parts if part not in write(schema)]
    return f'missing {missing}' if missing else None


def main():
    checks = {name: lambda folder, case=case: check_refused(folder, *case)
              for name, case in CASES.items()}
    checks |= {'includes': check_include, 'names in C': check_names,
               'introspection': check_introspection, 'reference': check_reference}
    failed = False
    for name, check in checks.items():
        with tempfile.TemporaryDirectory() as folder:
            problem = check(pathlib.Path(folder))
        print(f'not ok qapi-compiler {name}: {problem}' if problem else f'ok qapi-compiler {name}')
        failed |= bool(problem)
    return failed


if __name__ == '__main__':
    sys.exit(main())
