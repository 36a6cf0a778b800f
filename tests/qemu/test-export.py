#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""tocsinctl incidents export: what a vendor gets, and what nobody gets by it."""

import json
import os
import stat
import tarfile

from lib.testing import main, test

CONFIG = ('[discover]\nqmp-glob = {folder}/*.qmp\n[guest *]\nmode = enforce\npanic = reset\n'
          '[rule keep]\nkind = panic\nevidence = registers, memory\n[evidence]\nkeep-free = 0\n')


def crashed(stage):
    guest = stage.guest('web', 'x86-panic', '-device', 'pvpanic', '-m', '64')
    tocsin = stage.tocsin(CONFIG.format(folder=stage.folder))
    tocsin.wait_machine('web', 'to be told', lambda machine: machine.get('enforced'))
    guest.start()
    return tocsin, tocsin.wait_incidents('web')[0]


def unpack(path):
    with tarfile.open(path) as tar:
        return {member.name: (member, tar.extractfile(member).read()) for member in tar}


@test
def everything_is_in_it(stage):
    tocsin, incident = crashed(stage)
    path = stage.folder / 'web.tar'
    assert tocsin.ctl('incidents', 'export', '1', path) == f'{path}\n'
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = unpack(path)
    assert set(found) == {f'incident-1/{name}'
                          for name in ['record.json', 'report.txt', 'registers.txt', 'memory.kdump']}
    assert json.loads(found['incident-1/record.json'][1]) == incident
    assert found['incident-1/report.txt'][1].decode() + '\n' == tocsin.ctl('incidents', 'show', '1')
    for file in incident['evidence']:
        member, content = found[f'incident-1/{file["name"]}']
        assert member.size == file['size'] and member.mode == 0o600
        assert content == (tocsin.state / 'evidence' / '1' / file['name']).read_bytes()

    # Never over what is there.
    failed = tocsin.ctl('incidents', 'export', '1', path, check=False)
    assert failed.returncode == 1 and 'File exists' in failed.stderr and set(unpack(path)) == set(found)
    path.unlink()
    tocsin.ctl('incidents', 'export', '1', path, '--without-evidence')
    assert set(unpack(path)) == {'incident-1/record.json', 'incident-1/report.txt'}
    assert tocsin.ctl('incidents', 'export', '7', check=False).returncode == 4


@test
def only_what_is_tocsinds_own_is_packed(stage):
    tocsin, _ = crashed(stage)
    path, folder = stage.folder / 'web.tar', tocsin.state / 'evidence' / '1'
    registers = folder / 'registers.txt'
    secret = stage.folder / 'secret'
    secret.write_text('secret')

    def refused(reason):
        result = tocsin.ctl('incidents', 'export', '1', path, check=False)
        assert result.returncode == 1 and f'registers.txt: {reason}' in result.stderr, result
        assert not path.exists()
    registers.unlink()
    refused('No such file')
    registers.symlink_to(secret)
    refused('Too many levels of symbolic links')
    registers.unlink()
    os.mkfifo(registers)
    refused('Operation not permitted')
    if os.geteuid() == 0:
        registers.unlink()
        registers.write_text('not ours')
        os.chown(registers, 65534, 65534)
        refused('Operation not permitted')


main()
