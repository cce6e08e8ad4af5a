"""Where the database is, as people write it."""

from __future__ import annotations

import pytest

from inband.errors import UsageError
from inband.runtime.ovsdb_remote import parse_remote, split_name


@pytest.mark.parametrize(
    ("text", "remotes", "name"),
    [
        ("unix:/run/openvswitch/db.sock", "unix:/run/openvswitch/db.sock", None),
        ("tcp:127.0.0.1:6640,tcp:[2001:db8::1]:6640", "tcp:127.0.0.1:6640,tcp:[2001:db8::1]:6640", None),
        ("unix:/run/relay.sock,name=s1", "unix:/run/relay.sock", "s1"),
    ],
)
def test_remotes_and_a_name(text: str, remotes: str, name: str | None) -> None:
    assert split_name(parse_remote(text)) == (remotes, name)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "does not say how to connect: write unix:/run/openvswitch/db.sock"),
        ("/run/openvswitch/db.sock", "does not say how to connect: write unix:/run/openvswitch/db.sock"),
        ("tcp:192.0.2.1:99999", "'99999' is not a TCP port"),
        ("name=s1", "names no database"),
        ("ptcp:6640", "is not the remote of a database"),
        ("ssl:192.0.2.1:6640", "is not the remote of a database"),
        ("tcp:localhost:6640", "has an address and a port"),
        ("tcp:127.0.0.1", "has an address and a port"),
    ],
)
def test_what_is_none_is_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_remote(text)
