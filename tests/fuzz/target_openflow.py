"""OpenFlow messages through the codec, by coverage: see ``fuzz_openflow`` for what is checked."""

from __future__ import annotations

from collections.abc import Iterable

from inband.openflow.codec import HEADER
from tests.fuzz import fuzz_openflow
from tests.fuzz.fuzzing import Target

_TRUE_LENGTH, _NAMES_TABLES = 1, 2


def check(data: bytes) -> None:
    """One message behind a byte of choices: is its length made true, and do 1.0's FLOW_MODs name tables."""
    choices, raw = data[0] if data else 0, bytearray(data[1:])
    if choices & _TRUE_LENGTH and len(raw) >= HEADER.size:
        raw[2:4] = len(raw).to_bytes(2, "big")
    fuzz_openflow.check(bytes(raw), bool(choices & _NAMES_TABLES))


def seeds() -> Iterable[bytes]:
    """What ovs-ofctl sent, and one message of every kind."""
    for seed in fuzz_openflow.SEEDS:
        if len(seed) < 2000:
            yield bytes((_TRUE_LENGTH,)) + seed


TARGET = Target(check, seeds, fuzz_openflow.INTERESTING, max_bytes=2000)
