# SPDX-License-Identifier: LGPL-2.1-or-later
"""<tocsin/types.h>: the enums and structs of the vocabulary for plugins and VMMs. This is a public
ABI, so each struct begins with its size and what may grow is behind a pointer.
"""

import textwrap

from qapi_c import c_name, head, snake_name
from qapi_schema import Array, Builtin, Enum, Union

ENUM_MODULES = ('run-state', 'vfio', 'tocsin')
STRUCT_MODULES = ('run-state', 'vfio')
C_BUILTINS = {'bool': 'bool ', 'int': 'int64_t ', 'uint32': 'uint32_t ', 'uint64': 'uint64_t ',
              'str': 'const char *'}


def document(section, indent=''):
    words = ' '.join(section.text.split()).replace('@', '')
    if len(words) + len(indent) + 7 <= 100:
        return f'{indent}/** {words} */\n'
    lines = textwrap.wrap(words, 97 - len(indent))
    return f'{indent}/**\n' + ''.join(f'{indent} * {line}\n' for line in lines) + f'{indent} */\n'


def public_enum(enum):
    prefix = f'TOCSIN_{snake_name(enum.name)}_'.upper()
    text = document(enum.doc.sections[0]) + f'enum tocsin_{snake_name(enum.name)} {{\n'
    for number, value in enumerate(enum.values):
        text += document(enum.doc.members[value], ' ' * 8)
        text += f"        {prefix}{value.replace('-', '_').upper()} = {number},\n"
    return text + '};\n\n'


def public_type(type_):
    if isinstance(type_, Builtin):
        return C_BUILTINS[type_.name]
    if isinstance(type_, Enum):
        return f'enum tocsin_{snake_name(type_.name)} '
    return f'const struct tocsin_{snake_name(type_.name)} *'


def public_struct(struct):
    text = document(struct.doc.sections[0]) + f'struct tocsin_{snake_name(struct.name)} {{\n'
    text += '        size_t size;\n'
    for member in struct.members:
        name = c_name(member.name)
        assert not isinstance(member.type, Array), 'no list has come up in a public struct yet'
        text += document(struct.doc.members[member.name], ' ' * 8)
        type_ = public_type(member.type)
        if member.optional and not type_.endswith('*'):
            text += f'        bool has_{name};\n'
        text += f'        {type_}{name};\n'
    if isinstance(struct, Union):
        text += f'        /** By {struct.tag.name}. */\n        union {{\n'
        for value, branch in struct.branches.items():
            if branch:
                text += f'                {public_type(branch)}{c_name(value)};\n'
        text += '        } u;\n'
    return text + '};\n\n'


def public_header(schema):
    enums, structs = schema.c_types()
    text = head('The words of the vocabulary, in C99 and C++11.', 'MIT') + '''#ifndef TOCSIN_TYPES_H
#define TOCSIN_TYPES_H

/**
 * What the words mean is in tocsin-qmp-reference(7).
 *
 * Enums and structs only grow at their end. So a value that is none of an enum's is a newer one,
 * and `size`, with which each struct begins, is what its maker knew of it: a member beyond it is
 * not there. An optional number has a has_ before it; an optional string is NULL when absent.
 * Everything is borrowed for the call that hands it over.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

'''
    text += ''.join(public_enum(enum) for enum in enums if enum.module in ENUM_MODULES)
    text += ''.join(public_struct(struct) for struct in structs
                    if struct.module in STRUCT_MODULES and not struct.implicit)
    return text + '''#ifdef __cplusplus
}
#endif

#endif
'''
