"""Where the database is that is followed, as people write it for ovs-vsctl's ``--db``."""

from __future__ import annotations

from inband.errors import UsageError
from inband.switch.targets import Scheme, parse_target

NAME = "name="
EXAMPLE = "write unix:/run/openvswitch/db.sock, or tcp:127.0.0.1:6640"


def parse_remote(text: str) -> str:
    """Read ``unix:PATH`` or ``tcp:ADDRESS:PORT``, several with commas between (a cluster). Raises UsageError.

    ``name=NAME`` among them is what this switch is called in a database that is for several.
    """
    remotes = [one for one in text.split(",") if not one.startswith(NAME)]
    if not remotes:
        raise UsageError(f"{text!r} names no database: {EXAMPLE}")
    for one in remotes:
        try:
            target = parse_target(one)
        except UsageError as error:  # its example is a controller
            raise UsageError(f"{str(error).partition(': write ')[0]}: {EXAMPLE}") from None
        if target.scheme not in (Scheme.UNIX, Scheme.TCP):
            raise UsageError(
                f"{one!r} is not the remote of a database: {EXAMPLE}; for TLS have a relay on this machine"
            )
        if target.scheme is Scheme.TCP and (target.address is None or str(target) != one.replace(" ", "")):
            raise UsageError(f"{one!r}: the remote of a database has an address and a port: {EXAMPLE}")
    return text


def split_name(text: str) -> tuple[str, str | None]:
    """What :func:`parse_remote` took, as remotes for the library, and the name if there is one."""
    parts = text.split(",")
    names = [one.removeprefix(NAME) for one in parts if one.startswith(NAME)]
    return ",".join(one for one in parts if not one.startswith(NAME)), names[-1] if names else None
