"""A file that is lost while the switch is off costs what needs it, and not the network."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.certificates import Authority
from lab.journal import until
from lab.net import Lab
from tests.system.switch_rig import Rig

pytestmark = pytest.mark.root


@pytest.fixture
def rig() -> Iterator[Rig]:
    with Lab("iun") as lab:
        yield Rig(lab)


def _configuration(rig: Rig) -> tuple[str, Path, Path]:
    """A bridge with TLS and a network-key: its configuration file, the certificate, the key."""
    authority = Authority(rig.lab.folder, "good")
    own, key = authority.issue("switch"), rig.lab.folder / "network.key"
    key.write_text("0123456789abcdef" * 4)
    key.chmod(0o600)
    bridge = f"""
[[bridge]]
name = "br0"
port = ["p1", "p2"]
address = "10.0.0.1/24"
controller = ["tls:10.0.0.11:6653", "tcp:10.0.0.12:6653"]
private-key = "{own.key}"
certificate = "{own.certificate}"
ca-cert = "{authority.ca}"
network-key = ["{key}"]
"""
    return rig.config(bridge), Path(own.certificate), key


def _targets(rig: Rig) -> set[str]:
    return {each["target"] for each in rig.show()["controllers"]}


def test_it_starts_without_what_needs_a_lost_file_and_takes_the_file_by_reload_when_it_is_back(rig: Rig) -> None:
    path, *files = _configuration(rig)
    moved = [file.rename(file.with_suffix(".away")) for file in files]

    rig.start("--config", path)

    assert _targets(rig) == {"tcp:10.0.0.12:6653"}
    assert all(str(file) in rig.log() for file in files)
    assert "10.0.0.1/24" in rig.box.run("ip", "-4", "-brief", "addr", "show", "dev", "br0")
    assert "neighbours are off" in rig.call("inband/neighbours")
    assert str(files[0]) in rig.refusal("inband/reload")

    for away, file in zip(moved, files, strict=True):
        away.rename(file)
    rig.call("inband/reload")

    assert until(lambda: _targets(rig) == {"tcp:10.0.0.12:6653", "tls:10.0.0.11:6653"}, 5.0)
    assert "neighbours are off" not in rig.call("inband/neighbours")


def test_a_change_that_is_not_confirmed_is_undone_though_a_file_is_lost_meanwhile(rig: Rig) -> None:
    path, certificate, _ = _configuration(rig)
    rig.start("--config", path)
    Path(path).write_text(Path(path).read_text().replace('"p1", "p2"', '"p2"'))
    rig.call("inband/reload", "--confirm=1")
    assert rig.ports() == {"p2": 2}

    certificate.unlink()

    assert until(lambda: rig.ports() == {"p1": 1, "p2": 2}, 4.0)
    assert _targets(rig) == {"tcp:10.0.0.12:6653"}
    assert "certificate" in rig.log()
