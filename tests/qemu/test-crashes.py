#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the record says of crashes: signatures, and which crashes are the same."""

from lib.testing import main, test

CONFIG = '[discover]\nqmp-glob = {folder}/*.qmp\n'


@test
def equal_crashes_are_grouped(stage):
    guests = [stage.guest(name, 's390-disabled-wait') for name in ['z1', 'z2']]
    guests.append(stage.guest('pc', 'x86-panic', '-device', 'pvpanic'))
    tocsin = stage.tocsin(CONFIG.format(folder=stage.folder))
    tocsin.wait_attached('z1', 'z2', 'pc')
    for guest in guests:
        guest.start()
    incidents = [tocsin.wait_incidents(guest.name)[0] for guest in guests]
    assert incidents[0]['signature'].startswith('s390-disabled-wait'), incidents[0]
    assert incidents[0]['signature'] == incidents[1]['signature']
    assert incidents[0]['headline'].startswith('The guest stopped in a disabled wait'), incidents[0]
    assert incidents[2]['signature'] == 'panic' and 'headline' not in incidents[2], incidents[2]

    groups = tocsin.execute('query-crashes')
    assert [(group['count'], group['machines'], group['signature']) for group in groups] == [
        (2, 2, incidents[0]['signature']), (1, 1, 'panic')], groups
    assert groups[0]['newest'] == max(incidents[0]['id'], incidents[1]['id'])
    found = tocsin.execute('query-incidents', {'reason': 'disabled-wait', 'machine': 'z*'})
    assert {incident['machine'] for incident in found} == {'z1', 'z2'}
    text = tocsin.ctl('incidents', 'show', str(incidents[0]['id']))
    assert 'the same crash: once on z1, 2 times on this host since ' in text, text
    assert 'z1 1, z2 1' in tocsin.ctl('incidents', '--group', '--kind', 'panic')
    # All of it is still known by the next tocsind.
    tocsin.stop()
    tocsin.start()
    assert tocsin.execute('query-crashes') == groups


@test
def an_address_is_found_in_the_system_map(stage):
    system_map = stage.folder / 'System.map'
    guest = stage.guest('z', 's390-disabled-wait')
    tocsin = stage.tocsin(CONFIG.format(folder=stage.folder) + f'[guest *]\nsystem-map = {system_map}\n')
    tocsin.wait_attached('z')
    guest.start()
    incident = tocsin.wait_incidents('z')[0]
    address = incident['info']['psw-addr']
    system_map.write_text(f'{address - 0x20:016x} T kaboom\n{address + 0x100:016x} T after\n')
    assert f'at kaboom+0x20 ({address:#x})' in tocsin.ctl('incidents', 'show', str(incident['id']))
    system_map.unlink()
    result = tocsin.ctl('incidents', 'show', str(incident['id']), check=False)
    assert f'at {address:#x}' in result.stdout and 'No such file' in result.stderr, result


main()
