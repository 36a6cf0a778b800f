# SPDX-License-Identifier: LGPL-2.1-or-later
"""Reads one schema file in QAPI's syntax: JSON with single quotes and comments, where a comment
between two lines of "##" is documentation.

The difficulty is to keep the line of everything, so that whoever writes a schema is told where.
"""

import re
from dataclasses import dataclass, field


class SchemaError(Exception):
    """What is wrong with a schema, as "FILE:LINE: words"."""

    def __init__(self, where, text):
        super().__init__(f'{where}: {text}')


@dataclass(frozen=True)
class Where:
    file: str
    line: int

    def __str__(self):
        return f'{self.file}:{self.line}'


class Object(dict):
    """An object of the schema that knows where it and its keys stand."""

    def __init__(self, where):
        super().__init__()
        self.where = where
        self.key_where = {}


@dataclass
class Section:
    """A part of a doc comment: `tag` is '' for plain text, else Since, Returns, Note, Example."""
    tag: str
    lines: list
    where: Where

    @property
    def text(self):
        return '\n'.join(self.lines).strip('\n')


@dataclass
class Doc:
    """A doc comment. `symbol` is None for free-form text, which belongs to no definition."""
    where: Where
    symbol: str = None
    sections: list = field(default_factory=list)
    members: dict = field(default_factory=dict)
    features: dict = field(default_factory=dict)

    def tagged(self, tag):
        return next((s.text for s in self.sections if s.tag == tag), None)


SYMBOL = re.compile(r'@([A-Za-z0-9_-]+):$')
MEMBER = re.compile(r'@([A-Za-z0-9_-]+):(?:\s+(.*))?$')
TAG = re.compile(r'(Since|Returns|Notes?|Examples?|Features):(?:\s+(.*))?$')


def parse_doc(lines, where):
    """`lines` are those between the "##", without their "# "."""
    doc = Doc(where)
    body = lines
    while body and not body[0]:
        body = body[1:]
    first = where.line + 1 + len(lines) - len(body)
    symbol = SYMBOL.match(body[0]) if body else None
    if not symbol:
        doc.sections.append(Section('', body, where))
        return doc
    doc.symbol = symbol[1]

    section = Section('', [], where)
    doc.sections.append(section)
    in_features = blank = False
    for number, line in enumerate(body[1:], first + 1):
        here = Where(where.file, number)
        member, tag = MEMBER.match(line), TAG.match(line)
        if member:
            names = doc.features if in_features else doc.members
            if member[1] in names:
                raise SchemaError(here, f"'@{member[1]}' is documented twice")
            section = Section('', [member[2] or ''], here)
            names[member[1]] = section
        elif tag:
            in_features = tag[1] == 'Features'
            section = Section(tag[1].removesuffix('s') if tag[1] != 'Returns' else tag[1],
                              [tag[2] or ''], here)
            if not in_features:
                doc.sections.append(section)
        elif blank and line and not line.startswith(' ') and section.tag != 'Example' \
                and section is not doc.sections[0]:
            in_features = False
            section = Section('', [line], here)
            doc.sections.append(section)
        else:
            section.lines.append(line.strip() if section.tag != 'Example' else line)
        blank = not line
    return doc


TOKEN = re.compile(r"""(?P<space>[ \t\r]+) | (?P<newline>\n) | (?P<comment>\#[^\n]*)
                     | (?P<punctuation>[{}\[\]:,]) | '(?P<string>[^'\\\n]*)'
                     | (?P<keyword>true|false)\b""", re.VERBOSE)


class Parser:
    """Iterates over a file: each item is an Object or a Doc."""

    def __init__(self, text, file):
        self.text, self.file = text, file
        self.at, self.line = 0, 1
        self.kind = self.token = None

    def where(self):
        return Where(self.file, self.line)

    def fail(self, text):
        raise SchemaError(self.where(), text)

    def doc_block(self):
        where = self.where()
        lines = []
        end = self.text.find('\n', self.at)
        while end >= 0:
            start = end + 1
            end = self.text.find('\n', start)
            line = self.text[start:end if end >= 0 else None].rstrip()
            if line == '##':
                self.line += len(lines) + 1
                self.at = end if end >= 0 else len(self.text)
                return parse_doc(lines, where)
            if not line.startswith('#') or (len(line) > 1 and line[1] not in ' #'):
                raise SchemaError(Where(self.file, where.line + len(lines) + 1),
                                  'a doc comment has lines that begin with "# "')
            lines.append(line[2:])
        raise SchemaError(where, 'this doc comment does not end')

    def next(self):
        """Moves to the next token; a doc comment is one."""
        while self.at < len(self.text):
            at_line_start = self.at == 0 or self.text[self.at - 1] == '\n'
            if at_line_start and re.compile(r'##[ \t\r]*(\n|$)').match(self.text, self.at):
                self.kind, self.token = 'doc', self.doc_block()
                return
            match = TOKEN.match(self.text, self.at)
            if not match:
                self.fail(f'stray {self.text[self.at]!r}')
            self.at = match.end()
            if match.lastgroup == 'newline':
                self.line += 1
            elif match.lastgroup not in ('space', 'comment'):
                self.kind, self.token = match.lastgroup, match[match.lastgroup]
                return
        self.kind = self.token = None

    def is_mark(self, mark):
        return self.kind == 'punctuation' and self.token == mark

    def expect(self, mark):
        if not self.is_mark(mark):
            self.fail(f"expected '{mark}'")
        self.next()

    def value(self):
        kind, token = self.kind, self.token
        if self.is_mark('{'):
            return self.object()
        if self.is_mark('['):
            return self.array()
        if kind not in ('string', 'keyword'):
            self.fail('expected a value')
        self.next()
        return token if kind == 'string' else token == 'true'

    def array(self):
        items = []
        self.next()
        while not self.is_mark(']'):
            if items:
                self.expect(',')
            items.append(self.value())
        self.next()
        return items

    def object(self):
        result = Object(self.where())
        self.next()
        while not self.is_mark('}'):
            if result:
                self.expect(',')
            if self.kind != 'string':
                self.fail('expected a key')
            key, where = self.token, self.where()
            if key in result:
                self.fail(f"duplicate key '{key}'")
            self.next()
            self.expect(':')
            result.key_where[key] = where
            result[key] = self.value()
        self.next()
        return result

    def __iter__(self):
        self.next()
        while self.kind:
            if self.kind == 'doc':
                yield self.token
                self.next()
            elif self.is_mark('{'):
                yield self.object()
            else:
                self.fail("expected '{' or a doc comment")
