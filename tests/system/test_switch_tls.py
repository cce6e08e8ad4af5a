"""TLS to a controller and from clients: what is right connects, what is wrong is named."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from lab.certificates import Authority, Identity
from lab.journal import until
from lab.net import Lab
from tests.system.switch_rig import Rig

pytestmark = pytest.mark.root


RUBBISH = """
import socket
for _ in range(5):
    with socket.create_connection(("10.0.0.1", 6005), timeout=3) as s:
        s.sendall(b"rubbish" * 10)
        s.recv(100)
"""


@dataclass(frozen=True, slots=True)
class Desk:
    """A switch whose TLS files are good, and the authorities that issue others."""

    rig: Rig
    good: Authority
    other: Authority
    own: Identity

    def set_files(self, identity: Identity, authority: Authority) -> None:
        """Give the switch other files."""
        files = (identity.key, identity.certificate, authority.ca)
        words = zip(("private-key", "certificate", "ca-cert"), files, strict=True)
        self.rig.call("inband/set", "br0", *(f"{key}={file}" for key, file in words))

    def controller(self, port: int, identity: Identity, authority: Authority) -> None:
        """Start a controller at h1, and wait until it listens."""
        files = (str(identity.key), str(identity.certificate), str(authority.ca))
        self.rig.h1.start(sys.executable, "-m", "tests.system.switch_peer", str(port), *files, label="tls")
        assert until(lambda: f":{port}" in self.rig.h1.run("ss", "-lntH"), 20.0)


@pytest.fixture(scope="module")
def desk() -> Iterator[Desk]:
    with Lab("ihk") as lab:
        rig = Rig(lab)
        good, other = Authority(lab.folder, "good"), Authority(lab.folder, "other")
        made = Desk(rig, good, other, good.issue("switch"))
        rig.start("--bridge", "br0", "--port", "p1", "--address", "10.0.0.1/24")
        made.set_files(made.own, good)
        made.controller(6001, good.issue("controller"), good)
        made.controller(6002, other.issue("stranger"), good)
        made.controller(6003, good.issue("expired", days=-2), good)
        yield made


def _connects(rig: Rig) -> bool:
    return until(lambda: bool(rig.controller()["connected"]), 4.0)


def _fails_with(rig: Rig, words: str) -> bool:
    return until(lambda: words in (rig.controller()["last_error"] or ""), 4.0)


def test_a_controller_with_a_certificate_of_our_authority_is_connected(desk: Desk) -> None:
    desk.rig.call("inband/set-controller", "br0", "tls:10.0.0.11:6001")

    assert _connects(desk.rig)
    assert desk.rig.controller()["version"] == "1.3"


@pytest.mark.parametrize(
    ("port", "words"), [(6002, "unable to get local issuer certificate"), (6003, "certificate has expired")]
)
def test_a_controller_with_a_wrong_certificate_is_refused_and_the_reason_shown(
    desk: Desk, port: int, words: str
) -> None:
    desk.rig.call("inband/set-controller", "br0", f"tls:10.0.0.11:{port}")

    assert _fails_with(desk.rig, words)
    assert not desk.rig.controller()["connected"]
    assert "Traceback" not in desk.rig.log()


def test_a_certificate_of_ours_that_the_controller_refuses_is_named_as_a_reason(desk: Desk) -> None:
    desk.set_files(desk.other.issue("foreign"), desk.good)
    desk.rig.call("inband/set-controller", "br0", "tls:10.0.0.11:6001")

    failed = _fails_with(desk.rig, "certificate")
    desk.set_files(desk.own, desk.good)

    assert failed
    assert _connects(desk.rig)  # new files hold for the next attempt


def test_a_controller_that_speaks_no_tls_is_named_as_such(desk: Desk) -> None:
    rig = desk.rig
    rig.h1.start(sys.executable, "-m", "lab.rubbish", "6004", "0400000800000001", "hold", label="plain")
    assert until(lambda: ":6004" in rig.h1.run("ss", "-lntH"), 20.0)

    rig.call("inband/set-controller", "br0", "tls:10.0.0.11:6004")

    assert _fails_with(rig, "TLS")


@pytest.mark.parametrize("key", ["private-key", "certificate", "ca-cert"])
def test_files_that_do_not_fit_are_refused_and_the_connection_stays(desk: Desk, key: str) -> None:
    rig = desk.rig
    rig.call("inband/set-controller", "br0", "tls:10.0.0.11:6001")
    assert _connects(rig)
    since = rig.controller()["since"]
    rubbish = rig.lab.folder / "rubbish.pem"
    rubbish.write_text("this is no certificate")

    assert str(rubbish) in rig.refusal("inband/set", "br0", f"{key}={rubbish}")
    assert "/nowhere.pem" in rig.refusal("inband/set", "br0", f"{key}=/nowhere.pem")

    assert rig.controller()["connected"]
    assert abs(rig.controller()["since"] - since) < 0.1


def test_keys_that_do_not_belong_together_or_are_locked_are_refused_at_once(desk: Desk) -> None:
    rig = desk.rig
    rig.call("inband/set-controller", "br0", "tls:10.0.0.11:6001")

    other, locked = desk.good.issue("second"), desk.good.issue("locked", password=b"secret")

    assert "belong together" in rig.refusal("inband/set", "br0", f"private-key={other.key}")
    files = (f"private-key={locked.key}", f"certificate={locked.certificate}")
    assert str(locked.key) in rig.refusal("inband/set", "br0", *files)


def test_clients_of_pssl_need_a_certificate_of_our_authority(desk: Desk) -> None:
    rig = desk.rig
    rig.call("inband/set-controller", "br0", "pssl:6005:0.0.0.0")
    client, stranger = desk.good.issue("client"), desk.other.issue("nobody")

    def dump(identity: Identity) -> str:
        files = ("-p", str(identity.key), "-c", str(identity.certificate), "-C", str(desk.good.ca))
        target = ("-O", "OpenFlow13", "dump-flows", "ssl:10.0.0.1:6005")
        return rig.h1.run("timeout", "5", "ovs-ofctl", *files, *target, check=False)

    assert "priority=0 actions=NORMAL" in dump(client)
    assert "NORMAL" not in dump(stranger)
    rig.h1.run(sys.executable, "-c", RUBBISH)
    assert "priority=0 actions=NORMAL" in dump(client)
    assert "Traceback" not in rig.log()
    assert len(rig.log().splitlines()) < 60
