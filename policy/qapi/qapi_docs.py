# SPDX-License-Identifier: LGPL-2.1-or-later
"""The QMP reference out of the doc comments, as Markdown and as a man page. Both are written by the
same walk, which knows five kinds of blocks; a writer says how each of them looks.
"""

import re
import textwrap

from qapi_profiles import PROFILES
from qapi_schema import Array, Command, Doc, Enum, Event, Struct, Union

TITLE = 'The QMP reference of tocsin'


class Markdown:
    def __init__(self):
        self.text = '<!-- SPDX-License-Identifier: LGPL-2.1-or-later -->\n\n'
        self.heading(1, TITLE)

    @staticmethod
    def inline(text):
        return re.sub(r'@([A-Za-z0-9_-]*[A-Za-z0-9])', r'`\1`', text)

    def heading(self, level, text):
        self.text += f"\n{'#' * level} {text}\n\n".lstrip('\n' if level == 1 else '')

    def paragraph(self, text):
        self.text += self.inline(text) + '\n\n'

    def item(self, text):
        self.text += f'- {self.inline(text)}\n'

    def term(self, term, note, text):
        note = f' ({note})' if note else ''
        self.text += f'- **`{term}`**{note}: {self.inline(text)}\n'

    def code(self, lines):
        self.text += '```\n' + ''.join(f'{line}\n' for line in lines) + '```\n\n'

    def end_list(self):
        self.text += '\n'

    def type(self, name):
        return f'[`{name}`](#{name.lower()})'

    def finish(self):
        return re.sub(r'\n{3,}', '\n\n', self.text).rstrip('\n') + '\n'


class Man:
    def __init__(self):
        self.text = '.\\" SPDX-License-Identifier: LGPL-2.1-or-later\n' \
                    '.TH TOCSIN-QMP-REFERENCE 7 "" tocsin ""\n' \
                    f'.SH NAME\ntocsin-qmp-reference \\- {TITLE}\n'

    @staticmethod
    def escape(text):
        text = text.replace('\\', '\\e').replace('-', '\\-')
        return '\n'.join('\\&' + line if line[:1] in ('.', "'") else line
                         for line in text.split('\n'))

    def inline(self, text):
        text = self.escape(text)
        text = re.sub(r'@((?:[A-Za-z0-9_]|\\-)*[A-Za-z0-9])', r'\\fB\1\\fR', text)
        return re.sub(r'\*(\w+)\*', r'\\fI\1\\fR', text)

    def heading(self, level, text):
        macro = '.SH' if level == 2 else '.SS'
        self.text += f'{macro} "{self.escape(text.upper() if level == 2 else text)}"\n'

    def paragraph(self, text):
        self.text += f'.PP\n{self.inline(text)}\n'

    def item(self, text):
        self.text += f'.IP \\(bu 2\n{self.inline(text)}\n'

    def term(self, term, note, text):
        note = f' ({self.escape(note)})' if note else ''
        self.text += f'.TP\n\\fB{self.escape(term)}\\fR{note}\n{self.inline(text)}\n'

    def code(self, lines):
        body = '\n'.join(self.escape(line) for line in lines)
        self.text += f'.PP\n.RS 4\n.nf\n{body}\n.fi\n.RE\n'

    def end_list(self):
        pass

    def type(self, name):
        return name

    def finish(self):
        return self.text


class Reference:
    def __init__(self, schema, writer):
        self.schema, self.writer = schema, writer
        for number, item in enumerate(schema.items):
            if isinstance(item, Doc):
                self.text(item.sections[0].lines)
                if number == 0:
                    self.sockets()
            else:
                self.definition(item)

    def text(self, lines):
        """Headings, lists and paragraphs of plain text."""
        blocks = [[]]
        for line in lines:
            starts = line.startswith('- ') or line.startswith('=')
            if not line or starts:
                blocks.append([])
            if line:
                blocks[-1].append(line.strip())
        in_list = False
        for block in filter(None, blocks):
            joined = ' '.join(block)
            is_item = joined.startswith('- ')
            if in_list and not is_item:
                self.writer.end_list()
            in_list = is_item
            if is_item:
                self.writer.item(joined[2:])
            elif joined.startswith('='):
                marks, title = joined.split(' ', 1)
                self.writer.heading(len(marks) + 1, title)
            else:
                self.writer.paragraph(joined)
        if in_list:
            self.writer.end_list()

    def sockets(self):
        """What is spoken where."""
        self.writer.heading(2, 'Sockets')
        self.writer.paragraph('All of them speak QMP. Behind each command and event below stands '
                              'of which part it is:')
        for profile in PROFILES:
            parts = [f'commands of {", ".join(profile.commands)}',
                     f'events of {", ".join(profile.events)}']
            if profile.every_machine:
                parts.append('each event has three members more: @machine, whose it is, @seq, its '
                             'number in the event log, and, where it is true, @synthetic: tocsin '
                             'made it, since the VMM could not. EVENTS_LOST has none of them')
            self.writer.term(profile.socket, '', '; '.join(parts) + '.')
        self.writer.end_list()

    def type_name(self, type_):
        if isinstance(type_, Array):
            return f'list of {self.type_name(type_.element)}'
        if isinstance(type_, (Enum, Struct)):
            return self.writer.type(type_.name)
        return type_.name

    def members(self, struct, doc):
        for member in struct.members:
            note = self.type_name(member.type) + (', optional' if member.optional else '')
            self.writer.term(member.name, note, ' '.join(doc.members[member.name].text.split()))
        if isinstance(struct, Union):
            for value, branch in struct.branches.items():
                if branch:
                    self.writer.item(f'where {struct.tag.name} is {value}: the members of '
                                     f'{self.type_name(branch)}')
        if struct.members:
            self.writer.end_list()

    def definition(self, item):
        doc, writer = item.doc, self.writer
        kind = type(item).__name__.lower()
        writer.heading(3, item.name)
        since = doc.tagged('Since')
        writer.paragraph(f'({kind} of {item.module}' + (f', since {since})' if since else ')'))
        self.text(doc.sections[0].lines)
        if isinstance(item, Enum):
            for value in item.values:
                writer.term(value, '', ' '.join(doc.members[value].text.split()))
            writer.end_list()
        elif isinstance(item, Struct):
            self.members(item, doc)
        elif isinstance(item, (Command, Event)) and item.arg:
            writer.paragraph('Arguments:' if isinstance(item, Command) else 'Data:')
            self.members(item.arg, item.arg.doc)
        for name, section in doc.features.items():
            writer.paragraph(f'Feature @{name}: {" ".join(section.text.split())}')
        if isinstance(item, Command) and item.ret:
            returns = doc.tagged('Returns')
            writer.paragraph(f'Returns: {self.type_name(item.ret)}'
                             + (f' ({" ".join(returns.split())})' if returns else ''))
        for section in doc.sections[1:]:
            if section.tag == 'Example':
                writer.paragraph('Example:')
                writer.code(textwrap.dedent(section.text).splitlines())
            elif section.tag in ('Note', ''):
                self.text(section.lines)


def markdown(schema):
    return Reference(schema, Markdown()).writer.finish()


def man(schema):
    return Reference(schema, Man()).writer.finish()
