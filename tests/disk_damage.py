"""Simulated disk failures."""

import contextlib
import resource


def flip(file, place=0.5, bit=4):
    content = bytearray(file.read_bytes())
    content[int(place * len(content))] ^= 1 << bit
    file.write_bytes(content)


@contextlib.contextmanager
def no_room():
    """Limits files to 20 kB: writing more fails as on a full disk, but with another error
    number.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
