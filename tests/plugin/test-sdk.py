#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The SDK as its user has it: installed, outside the tree. What `tocsinctl plugin new` writes is built and
checked with nothing but what was installed."""

import json
import os
import re
import shutil
import subprocess
import textwrap

from stage import BUILD, SOURCE, Panicking, config, is_sanitized
from lib.testing import Skip, add_test, main, test
from lib.waiting import wait_for

MESON = shutil.which('meson')


def run(*words, **keywords):
    out = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                         check=False, **keywords)
    assert out.returncode == 0, f'{words}: {out.stdout}'
    return out.stdout


def install(stage):
    """Returns an environment in which everything is where it was installed."""
    if not MESON or not shutil.which('pkg-config') or not shutil.which('make'):
        raise Skip('meson, pkg-config and make')
    if is_sanitized():
        raise Skip('a build without sanitizers: a plugin is not built with them')
    root = stage.folder / 'root'
    run(MESON, 'install', '-C', BUILD, '--no-rebuild', '--destdir', root)
    options = json.loads((BUILD / 'meson-info' / 'intro-buildoptions.json').read_text())
    prefix = root / next(o['value'] for o in options if o['name'] == 'prefix').lstrip('/')
    pc = next(prefix.glob('lib/**/tocsin.pc'))
    return prefix, os.environ | {
        'PATH': f'{prefix}/bin:{os.environ["PATH"]}',
        'PKG_CONFIG_PATH': str(pc.parent),
        'PKG_CONFIG_SYSROOT_DIR': str(root),
        'TOCSIN_PLUGIN': str(prefix / 'libexec' / 'tocsin' / 'tocsin-plugin'),
    }


def check_template(stage, language):
    _, environment = install(stage)
    folder = stage.folder / 'own'
    folder.mkdir()
    run('tocsinctl', 'plugin', 'new', 'mine', f'--{language}', cwd=folder, env=environment)
    out = run('make', '-C', folder / 'mine', 'check', env=environment)
    assert ' 0 wrong' in out, out


for _language in ('c', 'python', 'sh'):
    add_test(f'a new plugin in {_language}', lambda stage, language=_language: check_template(stage, language))


@test
def the_guides_examples_work(stage):
    _, environment = install(stage)
    guide = (SOURCE / 'docs' / 'plugin-guide.md').read_text()
    blocks = [textwrap.dedent(block) for block in re.findall(r'(?:^    .*\n|^\n)+', guide, re.MULTILINE)]
    examples = {'again.c': '#include', 'example.py': '#!/usr/bin/python3', 'example.sh': '#!/bin/sh'}
    for name, first in examples.items():
        file = stage.folder / name
        file.write_text(next(block.lstrip('\n') for block in blocks if block.lstrip('\n').startswith(first)))
        file.chmod(0o755)
    run('sh', '-c', next(block for block in blocks if 'cc -shared' in block), cwd=stage.folder, env=environment)
    for name in ('again.so', 'example.py', 'example.sh'):
        out = run('tocsin-plugin-check', '--deadline', '2000', stage.folder / name, env=environment)
        assert ' 0 wrong' in out, out


@test
def a_new_plugin_in_c_runs_in_tocsind(stage):
    _, environment = install(stage)
    run('tocsinctl', 'plugin', 'new', 'mine', cwd=stage.folder, env=environment)
    run('make', '-C', stage.folder / 'mine', env=environment)
    guest = Panicking(stage, 'vm')
    tocsin = stage.tocsin(config({'vm': guest}, {'mine': (stage.folder / 'mine' / 'mine.so', {'most': '1/1h'}, '')}))
    tocsin.wait_attached('vm')
    wait_for(lambda: tocsin.execute('query-plugins')[0]['state'] == 'ready', 'the plugin to be ready')
    guest.panic()
    assert tocsin.wait_incidents('vm')[0]['decision']['by'] == 'plugin mine'
    text = tocsin.ctl('plugins')
    assert 'mine' in text and 'ready' in text, text
    text = tocsin.ctl('plugins', 'mine')
    assert 'most = 1/1h' in text and 'Reset so often' in text, text
    tocsin.ctl('plugin', 'restart', 'mine')
    assert tocsin.ctl('plugins', 'other', check=False).returncode == 4


if __name__ == '__main__':
    main()
