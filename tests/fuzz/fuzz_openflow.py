"""Random and damaged OpenFlow messages through the codec: nothing but WireError may come out.

``python -m tests.fuzz.fuzz_openflow --seconds 60`` runs it longer; a failure prints the message and the seed.
The seeds are what ovs-ofctl really sent and one message of every kind. A damaged message that is still understood
must also survive the way back: writing it and reading that again gives the same message.
"""

from __future__ import annotations

import argparse
import random
import time
from contextlib import suppress
from pathlib import Path

from inband.errors import UsageError, WireError
from inband.openflow import messages as m
from inband.openflow.codec import decode, encode_segments, split
from inband.openflow.wire_fields import WIRE_FIELDS
from inband.vocabulary.openflow import OFP10
from tests.unit.openflow.samples import SAMPLES

VECTORS = Path(__file__).parents[1] / "vectors"
SEEDS = (
    *(bytes.fromhex(line) for path in sorted(VECTORS.glob("*.hex")) for line in path.read_text().split()),
    *(encode_segments(sample)[0] for sample in SAMPLES),
)

# Numbers that mean something at many places: lengths, types, ports, vendors, field headers.
INTERESTING = (
    *(number.to_bytes(2, "big") for number in (0, 1, 4, 7, 8, 9, 12, 16, 24, 40, 0x19, 0x800, 0x8000, 0xFFF8, 0xFFFF)),
    *(number.to_bytes(4, "big") for number in (0x2320, 0xFFFFFF00, 0xFFFFFFFA, 0xFFFFFFFF, 0x12080800)),
    *(row.header.to_bytes(4, "big") for row in WIRE_FIELDS),
)


def damaged(rng: random.Random) -> bytes:
    """A seed with some bytes changed, cut out, doubled or cut off, and mostly a header that says its length."""
    data = bytearray(rng.choice(SEEDS))
    for _ in range(rng.randrange(1, 5)):
        at = rng.randrange(len(data)) if data else 0
        match rng.randrange(7):
            case 0 | 1 if data:
                data[at] = rng.choice((0, 1, 0xFF, data[at] ^ 1 << rng.randrange(8), rng.randrange(256)))
            case 2 | 3:
                number = rng.choice(INTERESTING)
                at = at // len(number) * len(number)
                data[at : at + len(number)] = number
            case 4:
                data[at:at] = data[at : at + 8 * rng.randrange(1, 5)]
            case 5:
                other = rng.choice(SEEDS)
                data[at:] = other[rng.randrange(len(other)) :]
            case _:
                del data[rng.randrange(len(data) + 1) :]
    if len(data) >= 8 and rng.random() < 0.9:
        data[2:4] = min(len(data), 0xFFFF).to_bytes(2, "big")
        data[0] = rng.choice((data[0], 1, 4))
    return bytes(data)


def check(data: bytes, table_id_in_command: bool) -> bool:
    """Whether the message is understood; raises whatever must not be raised, or AssertionError."""
    with suppress(WireError):
        split(bytearray(data))
    try:
        envelope = decode(data, table_id_in_command=table_id_in_command)
    except WireError:
        return False
    try:
        segments = encode_segments(envelope, table_id_in_command=table_id_in_command)
    except UsageError:  # one that its version cannot say any more, or that outgrew a message
        return True
    # 1.0's errors of no name are all the same one, texts that are no UTF-8 become others.
    is_exact = "\ufffd" not in repr(envelope) and (
        envelope.version != OFP10 or not isinstance(envelope.message, m.Error)
    )
    if len(segments) == 1 and is_exact:
        again = decode(segments[0], table_id_in_command=table_id_in_command)
        assert again == envelope, f"{envelope} became {again}"
    return True


def fuzz(seconds: float, seed: int) -> int:
    """Check messages for a time; how many were understood."""
    rng = random.Random(seed)
    understood = 0
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for _ in range(100):
            data, named = damaged(rng), rng.random() < 0.3
            try:
                understood += check(data, named)
            except Exception:
                print(f"seed {seed}, table_id_in_command={named}: {data.hex()}")
                raise
    return understood


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=None, help="default: the clock's")
    arguments = parser.parse_args()
    seed = time.time_ns() if arguments.seed is None else arguments.seed
    print(f"{fuzz(arguments.seconds, seed)} damaged messages were understood, the others refused (seed {seed})")


if __name__ == "__main__":
    main()
