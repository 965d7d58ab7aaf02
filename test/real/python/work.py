"""What the demo endpoints do to their server: compute, in Python and in C."""
import hashlib
import itertools
import time

BLOCK = bytes(256 * 1024)


def burn(ms):
    end = time.thread_time() + ms / 1000
    while time.thread_time() < end:
        for _ in range(500):
            pass


def native(ms):
    end = time.thread_time() + ms / 1000
    while time.thread_time() < end:
        hashlib.sha256(BLOCK).digest()


def native_holding_gil(ms):
    """One call: the interpreter looks up between two bytecodes only, and there are none in it."""
    start = time.perf_counter()
    sum(itertools.repeat(1, 1_000_000))
    per_second = 1_000_000 / (time.perf_counter() - start)
    sum(itertools.repeat(1, int(per_second * ms / 1000)))


def plain(number):
    return int(number) if number == int(number) else number
