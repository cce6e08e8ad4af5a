"""Rows of the table `operations` about the system and the operator: what takes, renumbers, cuts or misdates a switch.

``rows`` is what the table takes. The peer takes part where it can: in the row of the controller that dies, and in the
one of the narrow link; it has no adopt, no confirm and no floor for the time, and its addresses are the system's.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bench.figures import Effort, Figure, Row, shown
from lab import topology
from lab.addressing import IPV4, IPV6, Addressing
from lab.certificates import DAY, NOW, Authority
from lab.inband import InbandSwitch, OnDatapath
from lab.journal import until
from lab.measure import up
from lab.net import Lab, Namespace
from lab.scene import Scene, scene
from lab.switch import SwitchMaker
from lab.topology import PORT, BridgePlan, Site, Topology
from lab.unixctl import ControlError

BACK_S, CONFIRM_S, ADOPT_S = 1.0, 10.0, 0.2
_ONLY_OURS = Figure("-", False)


def rows(effort: Effort) -> list[Row]:
    """The rows, in the order of the issue's table."""
    return [
        *(Row(f"{what}: back, channel alive", "1 s", _taken(change)) for what, change in THEFTS.items()),
        Row(
            "reboot (interfaces and run directory gone), other cards in another order, one removed",
            "same numbers, id, MAC",
            _reboot,
        ),
        Row("controller that dies each second, standalone, ping", "2 % lost", _dying(effort)),
        Row("reload --confirm 10 that cuts the channel", "back in 11 s", _reload(kill=False)),
        Row("the same with kill -9 in between", "back in 11 s", _reload(kill=True)),
        *(
            Row(f"adopt over TCP and {on.name}, 1,000 messages/s, both datapaths", "0.2 s", _adopt(effort, on))
            for on in (IPV4, IPV6)
        ),
        *(Row(f"TLS: {what}", words, _tls(what)) for what, words in CLOCKS.items()),
        Row("link of MTU 1400 in a row of 3, 1 MB by HTTP from br0", "arrives", _narrow),
    ]


THEFTS: dict[str, tuple[str, ...]] = {
    "ip addr flush dev br0": ("addr flush dev br0",),
    "default route removed": ("route del default",),
    "MAC changed by another program": ("link set br0 address 02:11:11:11:11:11",),
}


def _taken(commands: tuple[str, ...]) -> Callable[[SwitchMaker], Figure]:
    def measure(make: SwitchMaker) -> Figure:
        if make is not InbandSwitch:
            return _ONLY_OURS
        with up(make, topology.behind_gateway) as stage:
            if stage is None:
                return Figure("never up", False)
            box = stage.switch.site.namespace
            before, begin = _belongings(box), time.monotonic()
            box.ip(*commands)
            if not until(lambda: _belongings(box) == before, 5.0):
                return Figure("not back", False)
            back_s = time.monotonic() - begin
            time.sleep(2.0)
            silence = stage.silence(begin, time.monotonic())
            return Figure(
                f"back {shown(back_s)}, silence {shown(silence)}",
                back_s <= BACK_S and silence <= BACK_S,
                {"back_s": back_s, "silence_s": silence},
            )

    return measure


def _belongings(box: Namespace) -> tuple[object, ...]:
    addresses = box.run("ip", "-o", "-4", "addr", "show", "br0").split("inet ")[1:]
    route = box.run("ip", "route", "show", "default").split("proto")[0]
    return ([each.split()[0] for each in addresses], route.strip(), box.mac("br0"))


def _reboot(make: SwitchMaker) -> Figure:
    if make is not InbandSwitch:
        return _ONLY_OURS
    with scene(make, lambda lab: topology.with_hosts(topology.same_subnet(lab), 2)) as stage:
        (switch,) = stage.switches
        assert isinstance(switch, InbandSwitch)
        before = _identity(switch)
        switch.kill9()
        plan, box = switch.site.bridges[0], switch.site.namespace
        others = tuple(reversed(plan.ports))[1:]
        _lose_all(switch, (plan.name, *plan.ports))
        elsewhere = stage.lab.namespace("elsewhere")
        for port in others:
            stage.lab.link(box, port, elsewhere, port)
        switch.site = Site(box, (BridgePlan(plan.name, others, plan.address, plan.gateway),))
        switch.start(connect=False)
        after = _identity(switch)
        same = all(after[key] == before[key] for key in after)
        return Figure("the same" if same else f"{before} became {after}", same, {"before": before, "after": after})


def _lose_all(switch: InbandSwitch, interfaces: tuple[str, ...]) -> None:
    """Do what a reboot does: no interface is left, nor the run directory."""
    for each in interfaces:
        switch.site.namespace.ip(f"link del {each}")
    left = switch.site.namespace.run("ls", "/sys/class/net").split()
    assert left == ["lo"], left
    shutil.rmtree(switch.run_dir)
    switch.run_dir.mkdir(mode=0o700)


def _identity(switch: InbandSwitch) -> dict[str, object]:
    status = switch.status()
    numbers = {port["name"]: port["number"] for port in status["ports"]}
    mac = next(port["mac"] for port in status["ports"] if port["name"] == "br0")
    return {"datapath_id": status["datapath_id"], "mac": mac, **numbers}


def _dying(effort: Effort) -> Callable[[SwitchMaker], Figure]:
    seconds = effort.hostile_s * 2

    def measure(make: SwitchMaker) -> Figure:
        with scene(make, lambda lab: topology.with_hosts(topology.same_subnet(lab), 2)) as stage:
            stage.switch.set_fail_mode("standalone")
            (one, _), (_, address) = stage.topology.hosts["h1"], stage.topology.hosts["h2"]
            stage.switch.set_controllers(f"tcp:{stage.topology.remote}:{PORT + 1}")
            if not until(lambda: one.pings(address, count=1) == 1, 40.0):  # patience, without a controller
                return Figure("does not go standalone", False)
            words = ("-m", "lab.crashing", "0.0.0.0", str(PORT + 1))
            stage.topology.controller.start(sys.executable, *words, label="crashing")
            count = int(seconds / 0.1)
            answered = one.pings(address, count=count, interval_s=0.1)
            lost = 1 - answered / count
            return Figure(f"{100 * lost:.1f} % lost", lost <= 0.02, {"lost": lost, "pings": count})

    return measure


def _reload(*, kill: bool) -> Callable[[SwitchMaker], Figure]:
    def measure(make: SwitchMaker) -> Figure:
        if make is not InbandSwitch:
            return _ONLY_OURS
        with up(make, topology.same_subnet) as stage:
            if stage is None:
                return Figure("never up", False)
            switch = stage.switch
            assert isinstance(switch, InbandSwitch)
            switch.change_file("address", '"10.9.9.9/24"')
            begin = time.monotonic()
            switch.call("inband/reload", f"--confirm={CONFIRM_S:g}")
            if kill:
                time.sleep(1.0)
                switch.kill9()
                switch.start_again()
            back = stage.controller.journal.wait_up(stage.dpids, CONFIRM_S + 10.0, since=begin + 0.5)
            if len(back) < len(stage.dpids):
                return Figure("not back", False)
            took = max(back.values()) - begin
            return Figure(f"back {shown(took)}", took <= CONFIRM_S + 1.0, {"back_s": took})

    return measure


def _adopt(effort: Effort, on: Addressing) -> Callable[[SwitchMaker], Figure]:
    def measure(make: SwitchMaker) -> Figure:
        if make is not InbandSwitch:
            return _ONLY_OURS
        found = {datapath: _session_over_adopt(datapath, on, effort.short_s) for datapath in ("userspace", "ebpf")}
        lost = sum(sent - answered for sent, answered, _ in found.values())
        longest = max(each[2] for each in found.values())
        numbers: dict[str, object] = {datapath: each[2] for datapath, each in found.items()}
        return Figure(f"{lost} lost, {longest:.3f} s", lost == 0 and longest <= ADOPT_S, numbers)

    return measure


def _session_over_adopt(datapath: str, on: Addressing, seconds: float) -> tuple[int, int, float]:
    """Messages sent and answered, and the longest time until an answer came."""
    with Lab() as lab:
        box, manager = lab.namespace("box"), lab.namespace("manager")
        on.prepare(box, manager)
        lab.link(box, "eth0", manager, "eth0")
        box.address("eth0", *on.interfaces(on.near, 1))
        manager.address("eth0", *on.interfaces(on.near, 9))
        (address,) = on.addresses(on.near, 1)
        switch = OnDatapath(datapath)(lab, Site(box, (BridgePlan("br0", ()),)))
        switch.fail_mode = "standalone"
        switch.start()
        box.start(sys.executable, "-m", "lab.messages_per_ms", "serve", address, "7000", label="serve")
        assert until(lambda: ":7000" in box.run("ss", "-lntH"), 20.0)
        words = ("-m", "lab.messages_per_ms", "call", address, "7000", str(seconds * 2))
        calling = manager.start(sys.executable, *words, label="call")
        assert until(lambda: ":7000" in manager.run("ss", "-ntH"), 20.0)
        time.sleep(seconds)
        switch.call("inband/adopt", "--confirm=30", "br0", "eth0")
        switch.call("inband/confirm")
        calling.wait(seconds * 2 + 10.0)
        sent, answered, longest = calling.log.read_text().split()
        return int(sent), int(answered), float(longest)


CLOCKS = {
    "clock behind the newest time known, certificate of that time": "connects, said in show",
    "the same, certificate that expired before that": "refused",
    "right clock, certificate of tomorrow": "refused",
}


def _tls(what: str) -> Callable[[SwitchMaker], Figure]:
    is_behind = what != "right clock, certificate of tomorrow"
    connects = what.startswith("clock behind")

    def measure(make: SwitchMaker) -> Figure:
        if make is not InbandSwitch:
            return _ONLY_OURS
        with _tls_pair(is_behind=is_behind, days=(1, 30) if "expired" not in what else (-1, 1)) as switch:
            until(lambda: bool(_first(switch)["connected"] or _first(switch)["last_error"]), 10.0)
            time.sleep(1.0)
            first, notes = _first(switch), " ".join(map(str, switch.status().get("notes", [])))
            is_said = "the clock says" in notes
            reached = bool(first["connected"]) is connects and (is_said or not is_behind)
            text = "connects" if first["connected"] else str(first["last_error"])
            return Figure(f"{text}{', said in show' if is_said else ''}", reached)

    return measure


def _first(switch: InbandSwitch) -> dict[str, object]:
    return dict(switch.status()["controllers"][0])


@contextmanager
def _tls_pair(*, is_behind: bool, days: tuple[int, int]) -> Iterator[InbandSwitch]:
    """A switch and a controller over TLS, whose certificate holds from and to so many days from now.

    A real clock cannot be set back here, so the newest time known lies ahead: two days from now.
    """
    with Lab() as lab:
        box, far = lab.namespace("box"), lab.namespace("far")
        lab.link(box, "p1", far, "eth0")
        far.address("eth0", "10.0.0.9/24")
        authority = Authority(lab.folder, "ours", days=60)
        own, peer = authority.issue("switch", days=60), authority.issue("peer", days=days[1], start=days[0])
        files = (str(peer.key), str(peer.certificate), str(authority.ca))
        far.start(sys.executable, "-m", "lab.crashing", "0.0.0.0", "6653", "--tls", *files, label="tls")
        switch = InbandSwitch(lab, Site(box, (BridgePlan("br0", ("p1",), "10.0.0.1/24"),)))
        if is_behind:
            switch.state_dir.mkdir(mode=0o700)
            newest = (NOW + 2 * DAY).timestamp()
            (switch.state_dir / "time").touch()
            os.utime(switch.state_dir / "time", (newest, newest))
        switch.start()
        names = ("private-key", "certificate", "ca-cert")
        for name, file in zip(names, (own.key, own.certificate, authority.ca), strict=True):
            switch.call("inband/set", "br0", f"{name}={file}")
        switch.call("inband/set-controller", "br0", "tls:10.0.0.9:6653")
        yield switch


def _narrow(make: SwitchMaker) -> Figure:
    with up(make, _narrow_row) as stage:
        if stage is None:
            return Figure("never up", False)
        return _download(stage)


def _narrow_row(lab: Lab) -> Topology:
    """The link between the second and the third is narrow, at both ends, as a link is."""
    made = topology.row(lab, 3)
    for site, port in ((made.sites[1], "south"), (made.sites[2], "north")):
        site.namespace.ip(f"link set {port} mtu 1400")
    return made


def _download(stage: Scene) -> Figure:
    """1 MB by HTTP from the last switch's br0 to the controller's machine."""
    box = stage.switches[-1].site.namespace
    address = stage.switches[-1].site.bridges[0].addresses[0].split("/")[0]
    folder = stage.lab.folder / "www"
    folder.mkdir()
    (folder / "file").write_bytes(bytes(1 << 20))
    try:
        for switch in stage.switches:
            switch.set_managers(f"tcp:{address}:8000")
    except ControlError:
        return Figure("manager refused", False)
    stage.controller.order("calm")
    box.start(sys.executable, "-m", "http.server", "8000", "--directory", str(folder), label="http")
    assert until(lambda: ":8000" in box.run("ss", "-lntH"), 20.0)
    words = ("curl", "-s", "-m", "20", "-o", "/dev/null", "-w", "%{size_download} %{time_total}")
    answer = stage.topology.controller.run(*words, f"http://{address}:8000/file", check=False, timeout_s=30.0)
    size, seconds = answer.split()
    return Figure(f"{size} bytes in {seconds} s", int(size) == 1 << 20, {"bytes": int(size), "seconds": float(seconds)})
