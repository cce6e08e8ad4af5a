"""The network's key: what neighbours sign their messages with, and what shows that a message is of this network.

A keyed BLAKE2b hash (RFC 7693) is the last value of a message, over the MAC address that the frame comes from and all
of the message before the hash. So none of it can be changed, and it cannot be sent again in another switch's name or
for another port. That it is no old one is ``link``'s to find out (docs/decisions/19-one-key-for-the-network.md).

Two keys may be valid at a time: the first one signs.

Invariants: a key is never in a text (``repr``). Hashes are compared in constant time. Work is bounded by the message.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b

from inband.fabric.hello import HASH_BYTES, split_hash, with_hash
from inband.vocabulary.addresses import Mac

MIN_SECRET_BYTES = 32
# What tells these hashes from others that are made with the same secret (RFC 7693 calls it the personalization).
_KEY_PERSON, _MESSAGE_PERSON = b"inband key 1", b"inband hello 1"


class Hashed(StrEnum):
    """What is wrong with a message's hash, in the words that people are told; RIGHT: nothing."""

    RIGHT = "right"
    MISSING = "its messages have no hash: it has no network-key"
    WRONG = "bad hash: its messages are signed with another network-key"
    UNEXPECTED = "its messages are signed with a network-key, and this switch has none"


@dataclass(frozen=True, slots=True)
class NetworkKeys:
    """The keys that are valid. The first one signs."""

    keys: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def of(cls, *secrets: bytes) -> NetworkKeys:
        """Keys from what people have chosen; each is MIN_SECRET_BYTES long at least."""
        return cls(tuple(blake2b(secret, person=_KEY_PERSON).digest() for secret in secrets))

    def sign(self, body: bytes, source: Mac) -> bytes:
        """A message, with its hash, that leaves in a frame from this MAC address."""
        return with_hash(body, _hash(self.keys[0], source.packed, body))

    def look(self, body: bytes, source: bytes) -> Hashed:
        """Whether a message that came from this MAC address has the right hash. Raises WireError if it is cut."""
        signed, found = split_hash(body)
        if found is None:
            return Hashed.MISSING
        is_right = [hmac.compare_digest(_hash(key, source, signed), found) for key in self.keys]
        return Hashed.RIGHT if any(is_right) else Hashed.WRONG


def _hash(key: bytes, source: bytes, signed: bytes) -> bytes:
    return blake2b(source + signed, digest_size=HASH_BYTES, key=key, person=_MESSAGE_PERSON).digest()
