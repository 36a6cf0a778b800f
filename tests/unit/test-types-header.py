#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""<tocsin/types.h> is for every VMM and plugin: strict C99 and C++11 take it, twice over.

    test-types-header.py TYPES.H
"""

import shutil
import subprocess
import sys
import tempfile

LANGUAGES = (
    ('C99', 'cc', ['-x', 'c', '-std=c99']),
    ('C++11', 'c++', ['-x', 'c++', '-std=c++11']),
)
# What a plugin does with it, and that a struct knows its size.
PROGRAM = '''
#include "{header}"
#include "{header}"

int main(void) {{
        struct tocsin_guest_panic_information_hyper_v registers = {{ sizeof(registers), 0x9f, 3, 0, 0, 0 }};
        struct tocsin_guest_panic_information info;

        info.size = sizeof(info);
        info.type = TOCSIN_GUEST_PANIC_INFORMATION_TYPE_HYPER_V;
        info.u.hyper_v = &registers;
        return info.u.hyper_v->arg1 == 0x9f && TOCSIN_RUN_STATE_DEBUG == 0 ? 0 : 1;
}}
'''


def main():
    failed = False
    for name, compiler, options in LANGUAGES:
        if not shutil.which(compiler):
            print(f'skip types-header {name}: {compiler}')
            continue
        with tempfile.TemporaryDirectory() as folder:
            result = subprocess.run(
                [compiler, *options, '-pedantic', '-Wall', '-Wextra', '-Werror', '-o', f'{folder}/program', '-'],
                input=PROGRAM.format(header=sys.argv[1]), text=True, capture_output=True, check=False)
            good = result.returncode == 0 and subprocess.run([f'{folder}/program'], check=False).returncode == 0
        print(f'ok types-header {name}' if good else f'not ok types-header {name}\n{result.stderr}')
        failed |= not good
    return failed


if __name__ == '__main__':
    sys.exit(main())
