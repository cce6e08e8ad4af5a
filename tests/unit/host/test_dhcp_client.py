"""Which DHCP client is started, and how. That it gets a lease is a system test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from inband.errors import HostError
from inband.host.dhcp_client import command_line, find_client


def executable(path: Path) -> str:
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return str(path)


def test_without_a_client_the_error_names_packages(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="udhcpc, isc-dhcp-client or dhcpcd"):
        find_client(str(tmp_path))


def test_udhcpc_is_preferred(tmp_path: Path) -> None:
    executable(tmp_path / "dhcpcd")
    executable(tmp_path / "dhclient")
    udhcpc = executable(tmp_path / "udhcpc")

    assert find_client(str(tmp_path)) == udhcpc


def test_a_client_that_speaks_no_ipv6_is_not_asked_for_an_address_of_it(tmp_path: Path) -> None:
    executable(tmp_path / "udhcpc")
    with pytest.raises(HostError, match="no DHCPv6 client: install one of the packages isc-dhcp-client or dhcpcd"):
        find_client(str(tmp_path), version=6)
    dhclient = executable(tmp_path / "dhclient")

    assert find_client(str(tmp_path), version=6) == dhclient


@pytest.mark.parametrize(("client", "sign"), [("dhclient", "-6"), ("dhcpcd", "--ipv6only")])
def test_a_client_is_told_which_family_it_is_for(client: str, sign: str, tmp_path: Path) -> None:
    assert sign in command_line(f"/sbin/{client}", "br0", tmp_path, version=6)


@pytest.mark.parametrize("client", ["udhcpc", "dhclient", "dhcpcd"])
def test_every_client_stays_in_the_foreground_on_its_interface(client: str, tmp_path: Path) -> None:
    command = command_line(f"/sbin/{client}", "br0", tmp_path)

    assert f"/sbin/{client}" in command
    assert "br0" in command
    assert {"-f", "-d", "--nobackground"} & set(command)


@pytest.mark.parametrize("client", ["udhcpc", "dhclient"])
def test_the_script_is_ours_and_can_be_run(client: str, tmp_path: Path) -> None:
    command = command_line(f"/sbin/{client}", "br0", tmp_path)

    (script,) = [word for word in command if word.endswith(".sh")]
    assert os.access(script, os.X_OK)


def test_a_client_whose_switch_died_before_the_kernel_was_told_to_end_it_with_us_does_not_start(tmp_path: Path) -> None:
    client, started = tmp_path / "dhcpcd", tmp_path / "started"
    client.write_text(f"#!/bin/sh\ntouch {started}\n")
    client.chmod(0o755)
    code = (
        "import json, pathlib, sys; from inband.host.dhcp_client import command_line\n"
        "print(json.dumps(command_line(sys.argv[1], 'br0', pathlib.Path(sys.argv[2]))))"
    )

    of_ours = command_line(str(client), "br0", tmp_path)
    asked = [sys.executable, "-c", code, str(client), str(tmp_path)]
    of_the_dead = json.loads(subprocess.run(asked, capture_output=True, check=True).stdout)

    subprocess.run(of_the_dead, check=False)
    assert not started.exists()
    subprocess.run(of_ours, check=True)
    assert started.exists()
