"""One line and an exit code, as monitoring systems want them."""

from __future__ import annotations

import pytest

from inband.cli.health import CRITICAL, OK, WARNING, health_of
from inband.runtime.show import BridgeDocument, ControllerDocument, FrontDocument, ShowDocument


def _controller(*, connected: bool, error: str | None = None) -> ControllerDocument:
    return {
        "target": "tcp:192.0.2.1:6653",
        "connected": connected,
        "role": None,
        "version": None,
        "since": None,
        "last_error": error,
        "in_band": True,
    }


def _bridge(*controllers: ControllerDocument, forwarding: str = "controller", up: bool = True) -> BridgeDocument:
    return {
        "name": "br0",
        "datapath": "ebpf",
        "datapath_id": "1",
        "fail_mode": "standalone",
        "forwarding": forwarding,
        "ports": [{"name": "eth1", "number": 1, "mac": None, "link_up": up, "config": []}],
        "controllers": list(controllers),
        "in_band": {"enabled": True, "local_mac": None, "queue": None, "hidden_flows": 0, "remotes": []},
    }


def _front(*complaints: str, problem: str | None = None) -> FrontDocument:
    return {
        "remote": "unix:/run/db.sock",
        "followed": problem is None,
        "problem": problem,
        "bridges": ["br0"],
        "complaints": list(complaints),
    }


@pytest.mark.parametrize(
    ("document", "code", "words"),
    [
        ({"bridges": []}, WARNING, "no bridge"),
        ({"bridges": [_bridge(_controller(connected=True))]}, OK, "1 of 1 controllers connected"),
        ({"bridges": [_bridge(forwarding="standalone")]}, OK, "no controller is configured"),
        (
            {"bridges": [_bridge(_controller(connected=True), _controller(connected=False, error="refused"))]},
            WARNING,
            "refused",
        ),
        ({"bridges": [_bridge(_controller(connected=False, error="refused"))]}, CRITICAL, "br0: no controller"),
        ({"bridges": [_bridge(_controller(connected=True), up=False)]}, WARNING, "port 1 (eth1) is down"),
        ({"bridges": [_bridge(_controller(connected=True))], "unconfirmed": "reload"}, WARNING, "reload"),
        ({"bridges": [_bridge()], "ovsdb": _front(problem="the connection was lost")}, WARNING, "connection was lost"),
        ({"bridges": [_bridge()], "ovsdb": _front("Port p1: bonds")}, WARNING, "Port p1: bonds"),
        ({"bridges": [_bridge()], "ovsdb": _front()}, OK, "no controller is configured"),
    ],
)
def test_the_worst_decides(document: ShowDocument, code: int, words: str) -> None:
    found, line = health_of(document)

    assert found == code
    assert words in line
    assert "\n" not in line
