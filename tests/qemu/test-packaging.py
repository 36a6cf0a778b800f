#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a distribution gets, as far as it can be tried without installing it: units as closed as
promised, completion that its shell can read, and a README whose configuration is one."""

import re
import shutil
import subprocess

from lib.testing import BUILD, SOURCE, Skip, find_program, main, test

# Of 10; the peers' units are at 9.6.
EXPOSURE_MAX = {'tocsind.service': 2.0, 'tocsin-kernel.service': 4.0}


def need(program):
    path = shutil.which(program)
    if not path:
        raise Skip(program)
    return path


@test
def units_are_closed(_stage):
    analyze = need('systemd-analyze')
    for unit, most in EXPOSURE_MAX.items():
        result = subprocess.run([analyze, 'security', '--offline=true', '--no-pager', BUILD / 'packaging' / unit],
                                capture_output=True, text=True, timeout=60, check=False)
        exposure = re.search(r'exposure level for \S+: ([0-9.]+)', result.stdout)
        assert exposure, f'{unit}: {result.stdout[-300:]}{result.stderr}'
        assert float(exposure[1]) <= most, f'{unit}: {exposure[1]}'


@test
def completion_can_be_read(_stage):
    folder = SOURCE / 'packaging' / 'completion'
    for shell, file in {'bash': 'tocsinctl.bash', 'zsh': '_tocsinctl', 'fish': 'tocsinctl.fish'}.items():
        if shutil.which(shell):
            subprocess.run([shell, '-n', folder / file], check=True, timeout=60)


@test
def the_configuration_in_the_readme_is_one(stage):
    text = (SOURCE / 'README.md').read_text()
    lines = re.search(r'^    # Guests whose QEMU.*?(?=^Then$)', text, re.M | re.S)[0]
    file = stage.folder / 'readme.conf'
    file.write_text(re.sub(r'^    ', '', lines, flags=re.M))
    assert file.read_text().count('[') > 3
    result = subprocess.run([find_program('tocsinctl'), 'config', 'check', '--config', file], capture_output=True,
                            text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr


@test
def manuals_have_no_warnings(_stage):
    groff = need('groff')
    for page in sorted((SOURCE / 'docs').glob('*.[1-8]')):
        result = subprocess.run([groff, '-man', '-Tutf8', '-Kutf8', '-ww', '-z', page], capture_output=True,
                                text=True, timeout=60, check=False)
        assert result.returncode == 0 and not result.stderr, result.stderr


if __name__ == '__main__':
    main()
