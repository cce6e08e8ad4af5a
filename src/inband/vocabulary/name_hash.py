"""Names of the DNS as numbers of a fixed length, for messages and sets that have no room for names."""

from __future__ import annotations

from hashlib import blake2b

NAME_HASH_BYTES = 16


def name_hash(name: str) -> int:
    """The hash of a name in lower case: BLAKE2b of 16 bytes (RFC 7693), personalization "inband name 1"."""
    return int.from_bytes(blake2b(name.encode(), digest_size=NAME_HASH_BYTES, person=b"inband name 1").digest(), "big")
