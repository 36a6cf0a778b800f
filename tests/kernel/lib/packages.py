# SPDX-License-Identifier: LGPL-2.1-or-later
"""Debian packages that guests are made of, for this or another architecture: downloaded from where
this machine's apt gets its own, unpacked below build/, never installed. apt works on folders of its
own here, so this takes no privilege and changes nothing."""

import contextlib
import fcntl
import re
import shutil
import subprocess

from .testing import SOURCE, Skip

# One for all builds.
CACHE = SOURCE / 'build' / 'guest-packages'
LIST = SOURCE / 'packaging' / 'build-depends'
GROUP = 'guest'
APT_SECONDS = 240


@contextlib.contextmanager
def locked():
    """One test program at a time: they need the same packages."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / 'lock', 'w', encoding='ascii') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def check_listed(package):
    if not re.search(rf'^{re.escape(package)}\s+{GROUP}$', LIST.read_text(), re.MULTILINE):
        raise AssertionError(f'{package} is not in {LIST}')


def apt(program, architecture, *words, cwd=None):
    """Its output, or None when it fails."""
    folder = CACHE / architecture / 'apt'
    for name in ('lists', 'cache'):
        (folder / name / 'partial').mkdir(parents=True, exist_ok=True)
    try:
        result = subprocess.run(
            [program, '-q', '-o', f'APT::Architecture={architecture}', '-o', f'APT::Architectures={architecture}',
             '-o', f'Dir::State::lists={folder}/lists', '-o', f'Dir::Cache={folder}/cache',
             # What this machine has installed is offered by nobody.
             '-o', 'Dir::State::status=/dev/null', '-o', 'APT::Sandbox::User=', *words],
            cwd=cwd, capture_output=True, text=True, timeout=APT_SECONDS, check=False)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return result.stdout if result.returncode == 0 else None


def find_wanted(package, architecture):
    """The package itself, or the kernel's that an empty one stands for; None: nobody offers it."""
    text = apt('apt-cache', architecture, 'show', '--no-all-versions', package)
    if text is None:
        return None
    kernel = re.search(r'^Depends:.*?\b(linux-image-[^ ,]+)', text, re.MULTILINE)
    return kernel[1] if kernel else package


def download(package, architecture, folder):
    wanted = find_wanted(package, architecture)
    if wanted is None:
        # Whatever of it fails, what is wanted may be among the rest.
        apt('apt-get', architecture, 'update')
        wanted = find_wanted(package, architecture)
    if wanted is None or apt('apt-get', architecture, 'download', wanted, cwd=folder) is None:
        raise Skip(f'package {package} of {architecture}')
    for file in folder.glob('*.deb'):
        subprocess.run(['dpkg', '-x', file, folder / 'root'], check=True)
        file.unlink()


def unpack(package, architecture='amd64'):
    """The folder that holds its files."""
    check_listed(package)
    if not shutil.which('dpkg'):
        raise Skip('dpkg')
    folder = CACHE / architecture / package
    with locked():
        if not folder.exists():
            unfinished = folder.with_name(f'{package}.unfinished')
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(parents=True)
            download(package, architecture, unfinished)
            unfinished.rename(folder)
    return folder / 'root'
