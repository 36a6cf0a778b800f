#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The schema compiler: reads qapi-schema.json and writes everything that is made of it into a
folder. Run by meson; errors are "FILE:LINE: words".
"""

import argparse
import sys
from pathlib import Path

import qapi_c
import qapi_commands
import qapi_docs
import qapi_introspect
import qapi_public
from qapi_parser import SchemaError
from qapi_schema import Schema

OUTPUTS = {
    'qapi-types.h': qapi_c.types_header,
    'qapi-types.c': qapi_c.types_source,
    'qapi-introspect.c': qapi_introspect.introspect_source,
    'qapi-commands.h': qapi_commands.commands_header,
    'qapi-commands.c': qapi_commands.commands_source,
    'types.h': qapi_public.public_header,
    'qmp-reference.md': qapi_docs.markdown,
    'tocsin-qmp-reference.7': qapi_docs.man,
}


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument('schema', type=Path)
    arguments.add_argument('output', type=Path, nargs='+', help='files to make, by their name')
    arguments.add_argument('--depfile', type=Path)
    options = arguments.parse_args()
    try:
        schema = Schema(options.schema)
    except SchemaError as error:
        sys.exit(str(error))
    for output in options.output:
        output.write_text(OUTPUTS[output.name](schema))
    if options.depfile:
        names = ' '.join(str(file) for file in schema.files)
        options.depfile.write_text(f'{options.output[0]}: {names}\n')


if __name__ == '__main__':
    main()
