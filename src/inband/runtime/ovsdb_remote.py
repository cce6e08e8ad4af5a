"""Where the database is that is followed, as people write it for ovs-vsctl's ``--db``."""

from __future__ import annotations

from inband.errors import UsageError
from inband.switch.targets import Scheme, parse_target

EXAMPLE = "write unix:/run/openvswitch/db.sock, or tcp:127.0.0.1:6640"


def parse_remote(text: str) -> str:
    """Read ``unix:PATH`` or ``tcp:ADDRESS:PORT``, several with commas between (a cluster). Raises UsageError."""
    for one in text.split(","):
        target = parse_target(one)
        if target.scheme not in (Scheme.UNIX, Scheme.TCP):
            raise UsageError(
                f"{one!r} is not the remote of a database: {EXAMPLE}; for TLS have a relay on this machine"
            )
        if target.scheme is Scheme.TCP and (target.address is None or str(target) != one.replace(" ", "")):
            raise UsageError(f"{one!r}: the remote of a database has an address and a port: {EXAMPLE}")
    return text
