"""Certificates without a clock: one that is certainly wrong refuses none for its start, and no expired one passes."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest

from inband.runtime.tls_clock import TlsClock, validity
from lab.certificates import DAY, NOW, Authority, Identity

TODAY = NOW.timestamp()
A_DAY = DAY.total_seconds()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "ours")


def _handshake(clock: TlsClock, authority: Authority, identity: Identity) -> str | None:
    """What a client with this clock says to a server with this certificate; None: it connects."""
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(identity.certificate, identity.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.load_verify_locations(authority.ca)
    clock.prepare(context)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(to_client, to_server)
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError as error:
                return error.verify_message
    return clock.complaint(client)


def _clock(now: float, floor: float) -> TlsClock:
    clock = TlsClock(lambda: now)
    clock.learn(floor)
    return clock


def test_a_clock_of_1970_takes_a_certificate_of_this_year(authority: Authority) -> None:
    clock = _clock(100.0, TODAY - 30 * A_DAY)

    assert clock.is_wrong
    assert _handshake(clock, authority, authority.issue("c")) is None


def test_a_certificate_that_expired_before_the_newest_time_known_is_refused(authority: Authority) -> None:
    clock = _clock(100.0, TODAY)

    assert "expired" in (_handshake(clock, authority, authority.issue("c", days=-2)) or "")


def test_an_authority_that_expired_before_the_newest_time_known_is_refused(authority: Authority) -> None:
    clock = _clock(100.0, TODAY + 2 * A_DAY)

    assert "expired" in (_handshake(clock, authority, authority.issue("c", days=30)) or "")


def test_a_clock_that_can_be_right_relaxes_nothing(authority: Authority) -> None:
    clock = _clock(datetime.now(UTC).timestamp(), TODAY - A_DAY)

    assert not clock.is_wrong
    assert "expired" in (_handshake(clock, authority, authority.issue("c", days=-2)) or "")


def test_a_context_that_was_used_with_a_wrong_clock_is_strict_again_when_it_is_right() -> None:
    now = [100.0]
    clock = TlsClock(lambda: now[0])
    clock.learn(TODAY)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    strict = context.verify_flags
    clock.prepare(context)
    assert context.verify_flags != strict

    now[0] = TODAY + 1
    clock.prepare(context)

    assert context.verify_flags == strict


def test_a_file_from_after_the_end_of_the_own_certificate_proves_nothing(authority: Authority) -> None:
    clock = _clock(datetime.now(UTC).timestamp(), TODAY + 20_000 * A_DAY)
    clock.learn_own(validity(authority.issue("own", days=300).certificate))

    assert not clock.is_wrong
    assert clock.note is None
    assert _handshake(clock, authority, authority.issue("c")) is None


def test_start_and_end_of_a_certificate_are_read(authority: Authority, tmp_path: Path) -> None:
    start, end = validity(authority.issue("c", days=3).certificate) or (0.0, 0.0)
    assert abs(start - (TODAY - A_DAY)) < 60
    assert abs(end - (TODAY + 3 * A_DAY)) < 60
    (tmp_path / "none").write_text("nothing")
    assert validity(tmp_path / "none") is None
    assert validity(tmp_path / "missing") is None
