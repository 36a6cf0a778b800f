# SPDX-License-Identifier: LGPL-2.1-or-later
"""C out of the model: qapi-types.h and qapi-types.c. The C is data and declarations only; what is
done with them stands in qapi-visit.c, written by hand.
"""

import re
import textwrap

from qapi_schema import Array, Builtin, Enum, Struct, Union

C_BUILTINS = {
    'bool': ('bool ', 'BOOL'), 'int': ('int64_t ', 'INT'), 'uint32': ('uint32_t ', 'UINT32'),
    'uint64': ('uint64_t ', 'UINT64'), 'str': ('char *', 'STR'), 'any': ('json_object *', 'ANY'),
}
KEYWORDS = {'auto', 'break', 'case', 'class', 'const', 'continue', 'default', 'do', 'double',
            'else', 'enum', 'extern', 'float', 'for', 'goto', 'if', 'inline', 'int', 'long',
            'new', 'private', 'public', 'register', 'return', 'short', 'signed', 'sizeof',
            'static', 'struct', 'switch', 'this', 'typedef', 'union', 'unsigned', 'void',
            'volatile', 'while'}


def head(what, license_='LGPL-2.1-or-later'):
    return f'/* SPDX-License-Identifier: {license_} */\n' + comment(
        f'Made by policy/qapi/qapi_gen.py. {what}')


def c_name(name):
    """The name of a member, a branch or a command in C."""
    name = name.replace('-', '_')
    return name + '_' if name in KEYWORDS else name


def snake_name(name):
    """GuestPanicInformationHyperV -> guest_panic_information_hyper_v, S390CrashReason ->
    s390_crash_reason, QMPCapability -> qmp_capability"""
    name = re.sub(r'([a-z0-9])([A-Z])', r'\1_\2', name)
    return re.sub(r'([A-Z])([A-Z][a-z])', r'\1_\2', name).lower()


def enum_constant(enum, value):
    return f"{snake_name(enum.name)}_{value}".replace('-', '_').upper()


def comment(text, indent=''):
    """A C comment of a doc text, wrapped to the width of the house."""
    words = ' '.join(text.split()).replace('*/', '* /')
    one = f'{indent}/* {words} */\n'
    if len(one) <= 100:
        return one
    lines = textwrap.wrap(words, 96 - len(indent))
    return f'{indent}/* ' + f'\n{indent} * '.join(lines) + ' */\n'


def summary(doc):
    """The first paragraph of a definition's doc."""
    return doc.sections[0].text.split('\n\n')[0]


def value_type(type_):
    """The C type of a value, ready to have a name put behind it."""
    if isinstance(type_, Builtin):
        return C_BUILTINS[type_.name][0]
    return f'{type_.name} ' if isinstance(type_, Enum) else f'{type_.name} *'


def is_pointer(type_):
    return value_type(type_).endswith('*')


def declare_member(member):
    name = c_name(member.name)
    if isinstance(member.type, Array):
        return [f'{value_type(member.type.element)}*{name};', f'size_t n_{name};']
    lines = [f'{value_type(member.type)}{name};']
    if member.optional and not is_pointer(member.type):
        lines.insert(0, f'bool has_{name};')
    return lines


def declare_enum(enum):
    snake = snake_name(enum.name)
    text = comment(summary(enum.doc)) if summary(enum.doc) else ''
    text += f'typedef enum {enum.name} {{\n'
    for value in enum.values:
        text += f'        {enum_constant(enum, value)},\n'
    return text + f'''        _{snake.upper()}_MAX,
}} {enum.name};

const char *{snake}_to_string({enum.name} value);
int {snake}_from_string(const char *s, {enum.name} *ret);

'''


def declare_struct(struct):
    text = comment(f"Arguments or data of {struct.doc.symbol}." if struct.implicit
                   else summary(struct.doc))
    text += f'struct {struct.name} {{\n'
    for member in struct.members:
        text += ''.join(f'        {line}\n' for line in declare_member(member))
    if isinstance(struct, Union):
        text += '        union {\n'
        for value, branch in struct.branches.items():
            if branch:
                text += f'                {branch.name} {c_name(value)};\n'
        text += '        } u;\n'
    if not struct.members:
        # C has no empty structs.
        text += '        char empty;\n'
    snake = snake_name(struct.name)
    return text + f'''}};

{struct.name} *{snake}_free({struct.name} *value);
DEFINE_CLEANUP({struct.name} *, {snake}_free);
int {snake}_to_json(const {struct.name} *value, json_object **ret);
int {snake}_from_json(json_object *json, {struct.name} **ret, QapiError *error);

'''


def types_header(schema):
    enums, structs = schema.c_types()
    text = head('The types of the schema.') + '''#pragma once
/*
 * For each type: foo_free() takes NULL and returns NULL; foo_to_json() returns 0, -ENOMEM, or
 * -EINVAL when a mandatory struct is NULL or an enum out of range (a mandatory string that is NULL
 * is written as ""); foo_from_json() returns 0, -ENOMEM or QAPI_E_INVALID with QEMU's words in
 * `error`. For each enum: foo_to_string() returns NULL when out of range, foo_from_string() 0 or
 * -EINVAL.
 *
 * All pointers are owned by their struct. NULL, has_x == false and n_x == 0 mean absent.
 */
#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/qapi/qapi-error.h"
#include "policy/util/cleanup.h"

'''
    text += ''.join(declare_enum(enum) for enum in enums)
    text += ''.join(f'typedef struct {struct.name} {struct.name};\n' for struct in structs)
    return text + '\n' + ''.join(declare_struct(struct) for struct in structs)


def describe_member(struct, member):
    name = c_name(member.name)
    type_ = member.type.element if isinstance(member.type, Array) else member.type
    fields = [f'.name = "{member.name}"']
    if isinstance(type_, Builtin):
        fields.append(f'.kind = QAPI_KIND_{C_BUILTINS[type_.name][1]}')
    else:
        is_enum = isinstance(type_, Enum)
        fields.append(f".kind = QAPI_KIND_{'ENUM' if is_enum else 'STRUCT'}")
        fields.append(f".of = &{snake_name(type_.name)}_{'enum' if is_enum else 'shape'}")
    if member.optional:
        fields.append('.optional = true')
    fields.append(f'.offset = offsetof({struct.name}, {name})')
    if isinstance(member.type, Array):
        fields += ['.array = true', f'.presence = offsetof({struct.name}, n_{name})']
    elif member.optional and not is_pointer(type_):
        fields.append(f'.presence = offsetof({struct.name}, has_{name})')
    lines = textwrap.wrap(', '.join(fields), 84, break_long_words=False, break_on_hyphens=False)
    return '        { ' + '\n          '.join(lines) + ' },\n'


def describe_struct(struct):
    snake = snake_name(struct.name)
    text = ''
    fields = [f'.size = sizeof({struct.name})']
    if struct.members:
        text += f'static const QapiMember {snake}_members[] = {{\n'
        text += ''.join(describe_member(struct, member) for member in struct.members) + '};\n'
        fields += [f'.members = {snake}_members', f'.n_members = ELEMENTSOF({snake}_members)']
    if isinstance(struct, Union):
        text += f'static const QapiType *const {snake}_branches[] = {{\n'
        for value, branch in struct.branches.items():
            if branch:
                text += f'        [{enum_constant(struct.tag.type, value)}] = ' \
                        f'&{snake_name(branch.name)}_shape,\n'
        # The last value may have no branch; the array has an element for it all the same.
        last = enum_constant(struct.tag.type, struct.tag.type.values[-1])
        if not list(struct.branches.values())[-1]:
            text += f'        [{last}] = NULL,\n'
        text += '};\n'
        fields += [f'.tag = &{snake}_members[{struct.members.index(struct.tag)}]',
                   f'.branches = {snake}_branches',
                   f'.branch_offset = offsetof({struct.name}, u)']
    text += f'static const QapiType {snake}_shape = {{\n'
    return text + ''.join(f'        {field},\n' for field in fields) + \
        f'}};\nQAPI_DEFINE_TYPE({struct.name}, {snake});\n\n'


def describe_enum(enum):
    snake = snake_name(enum.name)
    text = f'static const char *const {snake}_names[] = {{\n'
    text += ''.join(f'        [{enum_constant(enum, value)}] = "{value}",\n'
                    for value in enum.values)
    return text + f'''}};
static const QapiEnum {snake}_enum = {{
        {snake}_names,
        ELEMENTSOF({snake}_names),
}};
QAPI_DEFINE_ENUM({enum.name}, {snake});

'''


def types_source(schema):
    enums, structs = schema.c_types()
    text = head('The types of the schema, described for qapi-visit.c.')
    text += '#include "policy/qapi/qapi-visit.h"\n#include "qapi-types.h"\n\n'
    text += ''.join(describe_enum(enum) for enum in enums)
    return text + ''.join(describe_struct(struct) for struct in structs)
