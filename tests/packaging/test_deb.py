"""The Debian package on a fresh Debian with systemd: installed, run as a service, crashed, hung, and purged again."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.booted import Booted, prepare
from lab.journal import until

pytestmark = [pytest.mark.root, pytest.mark.slow, pytest.mark.timeout(400)]

ROOT = Path(__file__).resolve().parents[2]
INSTALL = """
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
install() { apt-get install -y -qq --no-install-recommends "$@" >/dev/null; }
install systemd systemd-sysv iputils-ping lintian dnsmasq-base udhcpc isc-dhcp-client
install python3-click python3-rich python3-dnspython iproute2
find / -xdev -not -path '/proc/*' | sort >/before
dpkg -i /srv/inband.deb >/dev/null
"""
TWO_HOSTS = """
for n in 1 2; do
    ip netns add h$n
    ip link add p$n type veth peer name eth0 netns h$n
    ip link set p$n up
    ip -n h$n link set eth0 up
    ip -n h$n addr add 10.0.0.1$n/24 dev eth0
done
"""
UPLINK = """
ip netns add router
ip link add up0 type veth peer name eth0 netns router
ip link set up0 up
ip -n router link set eth0 up
ip -n router addr add 192.0.2.1/24 dev eth0
ip netns exec router dnsmasq --port=0 --interface=eth0 --bind-interfaces --pid-file --leasefile-ro \\
    --dhcp-range=192.0.2.100,192.0.2.120,1h
dhclient -pf /run/uplink.pid -lf /run/uplink.leases up0
"""
CONFIG = """
[[bridge]]
name = "br0"
port = ["p1", "p2"]
address = "10.0.0.1/24"
datapath = "ebpf"
"""
# What other packages and the system itself write while it runs, and caches that `apt` keeps of any package.
NOT_OURS = ("/var/log/", "/var/lib/systemd/", "/var/lib/dpkg/", "/var/cache/", "/etc/machine-id", "/tmp/", "/var/tmp/")


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Booted]:
    dist, folder = tmp_path_factory.mktemp("dist"), tmp_path_factory.mktemp("system") / "root"
    subprocess.run([ROOT / "tools" / "deb", sys.executable, dist], check=True, timeout=200)
    prepare(folder, "true", 200)
    shutil.copy(next(dist.iterdir()), folder / "srv" / "inband.deb")
    prepare(folder, INSTALL, 200)
    with Booted(folder) as booted:
        yield booted
    shutil.rmtree(folder)


def _property(system: Booted, name: str) -> str:
    return system.run("systemctl", "show", "--property", name, "--value", "inband.service").strip()


def _restarts_to(system: Booted, count: int) -> bool:
    return _property(system, "NRestarts") == str(count) and _property(system, "ActiveState") == "active"


def test_lintian_has_nothing_to_say_of_the_package(system: Booted) -> None:
    said = system.run("runuser", "-u", "nobody", "--", "lintian", "--fail-on", "error,warning", "/srv/inband.deb")

    assert said == ""


def test_the_service_runs_at_once_and_touches_nothing(system: Booted) -> None:
    assert _property(system, "ActiveState") == "active"
    assert "no bridges" in system.run("inband", "show")
    assert "br0" not in system.run("ip", "-o", "link")


def test_systemd_finds_nothing_wrong_with_the_unit_and_little_exposed(system: Booted) -> None:
    assert system.run("systemd-analyze", "verify", "inband.service") == ""
    exposure = system.run("systemd-analyze", "security", "--no-pager", "inband.service").splitlines()[-1]
    assert float(exposure.split(":")[1].split()[0]) < 3, exposure


def test_it_switches_what_the_file_says_after_a_reload(system: Booted) -> None:
    system.run("sh", "-euc", TWO_HOSTS)
    system.run("sh", "-euc", f"cat >/etc/inband.toml <<'END'\n{CONFIG}\nEND")

    system.run("systemctl", "reload", "inband")

    (bridge,) = json.loads(system.run("inband", "show", "--json"))["bridges"]
    assert bridge["datapath"] == "ebpf"
    assert " 0% packet loss" in _ping(system, 3)
    assert "verdict:" in system.run("inband", "trace", "br0", "in_port=1,icmp,nw_dst=10.0.0.12")


def _ping(system: Booted, count: int) -> str:
    ping = ["ping", "-n", "-q", "-i", "0.05", "-W", "1", "-c", str(count), "10.0.0.12"]
    return system.run("ip", "netns", "exec", "h1", *ping, check=False)


def test_after_a_crash_it_is_started_again_and_known_flows_were_never_cut(system: Booted) -> None:
    crash = "sleep 0.5; systemctl kill --signal KILL --kill-who main inband"
    killer = f"({crash}) & exec ip netns exec h1 ping -n -q -i 0.02 -c 100 -W 1 10.0.0.12"

    pings = system.run("sh", "-c", killer, check=False)

    assert until(lambda: _restarts_to(system, 1), 20.0)
    assert " 0% packet loss" in pings
    assert " 0% packet loss" in _ping(system, 3)


def test_a_loop_that_hangs_is_ended_by_the_watchdog_and_says_where_it_was(system: Booted) -> None:
    folder = "/run/systemd/system/inband.service.d"
    system.run("sh", "-euc", f"mkdir -p {folder}; printf '[Service]\\nWatchdogSec=2\\n' >{folder}/fast.conf")
    system.run("systemctl", "daemon-reload")
    system.run("systemctl", "restart", "inband")
    before = int(_property(system, "NRestarts"))

    system.run("systemctl", "kill", "--signal", "STOP", "--kill-who", "main", "inband")

    assert until(lambda: _restarts_to(system, before + 1), 20.0)
    log = system.run("journalctl", "--no-pager", "--unit", "inband")
    assert "Watchdog timeout" in log
    assert "(most recent call first)" in log
    assert " 0% packet loss" in _ping(system, 3)


def test_its_dhcp_client_may_do_what_it_must(system: Booted) -> None:
    serve = ["--port=0", "--interface=eth0", "--bind-interfaces", "--pid-file", "--leasefile-ro"]
    system.run("ip", "netns", "exec", "h2", "dnsmasq", *serve, "--dhcp-range=10.0.0.100,10.0.0.120,1h")

    system.run("inband", "set", "br0", "address=dhcp")

    assert until(lambda: "inet 10.0.0.1" in system.run("ip", "-o", "addr", "show", "dev", "br0", "dynamic"), 20.0)


def test_an_adopted_card_keeps_its_address_and_loses_the_client_that_asked_for_it(system: Booted) -> None:
    system.run("sh", "-euc", UPLINK)
    before = system.run("ip", "-4", "-brief", "addr", "show", "dev", "up0").split()[2]

    system.run("inband", "add-bridge", "up")
    system.run("inband", "adopt", "up", "up0", "--confirm", "60")
    system.run("inband", "confirm")

    assert system.run("ip", "-4", "-brief", "addr", "show", "dev", "up").split()[2] == before
    # It ends when the bridge's own client has the lease, which the commands do not wait for. Other processes end while
    # the list is read.
    assert until(lambda: "dhclient" not in system.run("sh", "-c", "cat /proc/[0-9]*/comm", check=False), 20.0)


def test_manual_pages_and_completions_are_there(system: Booted) -> None:
    files = system.run("dpkg", "-L", "inband").splitlines()

    assert {each for each in files if "/man/" in each and each.endswith(".gz")} == {
        "/usr/share/man/man5/inband.toml.5.gz",
        "/usr/share/man/man8/inband.8.gz",
    }
    assert "br0" in system.run(
        "bash",
        "-c",
        ". /usr/share/bash-completion/completions/inband; COMP_WORDS=(inband del-bridge b); COMP_CWORD=2;"
        "_inband_completion inband; echo ${COMPREPLY[@]}",
    )


def test_purged_it_leaves_nothing(system: Booted) -> None:
    system.run("dpkg", "--purge", "inband")

    assert "br0" not in system.run("ip", "-o", "link")
    assert "inband" not in system.run("sh", "-c", "cat /proc/mounts; ls /run")
    new = system.run("sh", "-c", "find / -xdev -not -path '/proc/*' | sort | comm -13 /before -").splitlines()
    assert [each for each in new if not each.startswith(NOT_OURS) and each != "/before"] == []
