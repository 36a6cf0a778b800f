# SPDX-License-Identifier: LGPL-2.1-or-later
"""The kernel as an ELF file out of a bzImage. QEMU starts it directly (PVH), which saves the one or
two seconds that an emulated guest takes to decompress itself."""

import lzma
import shutil
import struct
import subprocess

from .testing import Skip

# Documentation/arch/x86/boot.rst: offsets of the fields, and from where payload_offset counts.
SETUP_SECTORS = 0x1f1
PAYLOAD_OFFSET = 0x248
SECTOR = 512

XZ = b'\xfd7zXZ\0'
ZSTD = b'\x28\xb5\x2f\xfd'


def extract(image):
    """image, ELF: bytes."""
    offset, length = struct.unpack_from('<II', image, PAYLOAD_OFFSET)
    start = ((image[SETUP_SECTORS] or 4) + 1) * SECTOR + offset
    payload = image[start:start + length]
    if payload.startswith(XZ):
        # Behind it the decompressed size is appended.
        return lzma.LZMADecompressor().decompress(payload)
    if payload.startswith(ZSTD):
        if not shutil.which('zstd'):
            raise Skip('zstd')
        return subprocess.run(['zstd', '-dcq'], input=payload[:-4], stdout=subprocess.PIPE, check=True).stdout
    raise AssertionError(f'a kernel packed in an unknown way: {payload[:6].hex()}')
