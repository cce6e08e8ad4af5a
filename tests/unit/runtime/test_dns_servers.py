"""Whom to ask for names when none are configured: a lease, the system, or what is behind the system's stub."""

from __future__ import annotations

from pathlib import Path

import pytest

from inband.errors import UsageError
from inband.runtime import dns_servers
from inband.runtime.dns_servers import find_servers, parse_dns_server, remove_stale_leases
from inband.switch.names import MAX_SERVERS


def servers(tmp_path: Path, text: str | None, *, lease: str = "", behind: str = "") -> list[str]:
    """The servers that are found."""
    resolv_conf, stub = tmp_path / "resolv.conf", tmp_path / "behind"
    if text is not None:
        resolv_conf.write_text(text)
    if lease:
        (tmp_path / "br0.dns").write_text(lease)
    if behind:
        stub.write_text(behind)
    found = find_servers(tmp_path, resolv_conf, stub)
    return [str(server) for server in found.servers]


def test_what_a_dead_process_was_told_for_a_bridge_that_is_no_more_is_forgotten(tmp_path: Path) -> None:
    (tmp_path / "old.4.dns").write_text("10.0.0.1\n")
    (tmp_path / "br.0.6.dns").write_text("10.0.0.2\n")

    remove_stale_leases(tmp_path, ["br.0"])

    assert servers(tmp_path, "") == ["10.0.0.2"]


def test_the_systems_servers_are_read_as_the_c_library_does(tmp_path: Path) -> None:
    text = "# nameserver 1.1.1.1\nsearch example.net\nnameserver 192.0.2.1\n nameserver  2001:db8::1 \nnameserver x\n"

    assert servers(tmp_path, text) == ["192.0.2.1", "2001:db8::1"]


def test_those_of_a_lease_come_before_the_systems(tmp_path: Path) -> None:
    assert servers(tmp_path, "nameserver 192.0.2.1\n", lease="10.0.0.1\n10.0.0.2\n") == [
        "10.0.0.1",
        "10.0.0.2",
        "192.0.2.1",
    ]


def test_behind_a_stub_on_this_host_are_the_real_ones(tmp_path: Path) -> None:
    stub = "nameserver 127.0.0.53\n"

    assert servers(tmp_path, stub, behind="nameserver 192.0.2.1\n") == ["192.0.2.1"]
    (tmp_path / "behind").unlink()
    assert servers(tmp_path, stub) == ["127.0.0.53"]


def test_without_any_there_are_none(tmp_path: Path) -> None:
    assert servers(tmp_path, None) == []


def test_no_more_are_asked_than_is_sensible(tmp_path: Path) -> None:
    text = "".join(f"nameserver 192.0.2.{number}\n" for number in range(1, 20))

    assert len(servers(tmp_path, text)) == MAX_SERVERS


@pytest.mark.parametrize("text", ["x", "224.0.0.1", "0.0.0.0", "::", "ff02::1", "fe80::1", "10.0.0.1:53"])
def test_what_cannot_be_a_server_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_dns_server(text)


def test_a_link_local_server_is_taken_with_its_interface() -> None:
    assert str(parse_dns_server("fe80::1%br0")) == "fe80::1%br0"
    assert Path("/etc/resolv.conf") == dns_servers.RESOLV_CONF
