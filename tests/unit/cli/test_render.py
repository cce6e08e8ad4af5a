"""`inband show` for people: all of the document, aligned, and nothing of it raw on the terminal."""

from __future__ import annotations

import io
import re

import pytest

from inband.cli.render import print_show
from inband.runtime.show import BridgeDocument, RemoteDocument, ShowDocument

NOW = 1_700_000_000.0


def bridge() -> BridgeDocument:
    return {
        "name": "br0",
        "datapath": "userspace",
        "datapath_id": "00000000000000ff",
        "fail_mode": "secure",
        "forwarding": "controller",
        "notes": ["ebpf not taken: no permission"],
        "ports": [
            {"name": "br0", "number": 0xFFFFFFFE, "mac": "02:00:00:00:00:01", "link_up": True, "config": []},
            {"name": "eth1", "number": 1, "mac": None, "link_up": False, "config": ["no-recv", "no-fwd"]},
        ],
        "controllers": [
            {
                "target": "tcp:192.0.2.1:6653",
                "connected": True,
                "role": "master",
                "version": "1.3",
                "since": NOW - 5,
                "last_error": None,
                "in_band": True,
            },
            {
                "target": "tcp:[2001:db8::1]:1",
                "connected": False,
                "role": None,
                "version": None,
                "since": NOW - 600,
                "last_error": "no\x1b[2J",
                "in_band": False,
                "next_try": NOW + 2,
            },
        ],
        "in_band": {
            "enabled": True,
            "local_mac": "02:00:00:00:00:01",
            "queue": 1,
            "hidden_flows": 12,
            "remotes": [
                {
                    "address": "192.0.2.1",
                    "port": 6653,
                    "protocol": "tcp",
                    "kinds": ["controller"],
                    "next_hop": "192.0.2.254",
                    "next_hop_mac": "02:00:00:00:00:09",
                    "interface": "br0",
                    "resolved_at": NOW - 7300,
                },
                {
                    "address": "192.0.2.9",
                    "port": 22,
                    "protocol": "tcp",
                    "kinds": ["manager"],
                    "next_hop": None,
                    "next_hop_mac": None,
                    "interface": None,
                    "resolved_at": None,
                },
            ],
        },
    }


def shown(document: ShowDocument) -> list[str]:
    file = io.StringIO()
    print_show(document, file, NOW)
    return file.getvalue().splitlines()


def test_a_bridge_is_shown_whole_and_plain_in_a_pipe() -> None:
    assert shown({"bridges": [bridge()]}) == [
        "bridge br0",
        "    datapath:    userspace, id 00000000000000ff",
        "    fail mode:   secure",
        "    forwarding:  controller",
        "    in-band:     on, local MAC 02:00:00:00:00:01, queue 1, 12 hidden flows",
        "    note:        ebpf not taken: no permission",
        "    port   interface  MAC                link  set by controller",
        "    LOCAL  br0        02:00:00:00:00:01  up",
        "    1      eth1       -                  down  no-recv no-fwd",
        "    controller           state                                        role    OpenFlow  in-band  last error",
        "    tcp:192.0.2.1:6653   connected for 5.0 s                          master  1.3       yes",
        "    tcp:[2001:db8::1]:1  not connected for 10 min, next try in 2.0 s  -       -         no       no\\x1b[2J",
        "    protected remote    for         next hop     MAC                interface  resolved",
        "    192.0.2.1:6653/tcp  controller  192.0.2.254  02:00:00:00:00:09  br0        2 h ago",
        "    192.0.2.9:22/tcp    manager     no route     unknown            -          -",
    ]


def test_who_calls_is_shown_with_the_port_here_and_a_network_on_link_has_no_next_hop() -> None:
    one = bridge()
    _, host = one["in_band"]["remotes"]
    network: RemoteDocument = {**host, "address": "192.0.2.0/24", "interface": "br0", "calls": True, "on_link": True}
    one["in_band"]["remotes"] = [{**host, "calls": True}, network]

    assert shown({"bridges": [one]})[-2:] == [
        "    from 192.0.2.9 to :22/tcp     manager  no route  unknown  -          -",
        "    from 192.0.2.0/24 to :22/tcp  manager  on-link   -        br0        -",
    ]


def test_a_bridge_with_nothing_is_short() -> None:
    small = bridge()
    small["ports"], small["controllers"] = [], []
    small["in_band"] = {"enabled": False, "local_mac": None, "queue": None, "hidden_flows": 0, "remotes": []}
    del small["notes"]

    assert shown({"bridges": [small]})[1:] == [
        "    datapath:    userspace, id 00000000000000ff",
        "    fail mode:   secure",
        "    forwarding:  controller",
        "    in-band:     off",
    ]


def test_no_bridges_say_what_to_do() -> None:
    assert shown({"bridges": []}) == ["no bridges: add one with `inband add-bridge`"]


def test_names_are_shown_with_their_addresses_until_when_and_who_said_so() -> None:
    document: ShowDocument = {
        "bridges": [],
        "names": [
            {
                "name": "ctl.example.net",
                "addresses": [
                    {
                        "address": "2001:db8::1",
                        "family": "IPv6",
                        "valid_until": NOW + 240,
                        "server": "10.0.0.53",
                        "current": True,
                        "in_use": True,
                    },
                    {
                        "address": "192.0.2.1",
                        "family": "IPv4",
                        "valid_until": NOW - 60,
                        "server": None,
                        "current": False,
                        "in_use": False,
                    },
                ],
                "problem": "no answer\x07 from 10.0.0.53",
                "next_question": NOW + 1,
            },
            {"name": "new.example.net", "addresses": [], "problem": None, "next_question": None},
        ],
        "dns_servers": [
            {
                "address": "10.0.0.53",
                "source": "DHCP",
                "answers": 3,
                "unanswered": 1,
                "ignored": 2,
                "last_answer": NOW - 5,
                "last_error": "no answer in 0.3 s",
            }
        ],
    }

    assert shown(document)[1:] == [
        "names of remotes",
        "    name             address      family  valid                 said by         state",
        "    ctl.example.net  2001:db8::1  IPv6    for 4 min             10.0.0.53       in use",
        "    ctl.example.net  192.0.2.1    IPv4    ended 60 s ago, kept  an earlier run  kept for now",
        "    ctl.example.net  -            -       -                     -               no answer\\x07 from 10.0.0.53",
        "    new.example.net  -            -       -                     -               asked for",
        "    DNS server  from  answered  ignored  last answer  last error",
        "    10.0.0.53   DHCP  3 of 4    2        5.0 s ago    no answer in 0.3 s",
    ]


def test_advice_is_given_once_for_each_cause() -> None:
    lost = bridge()
    lost["controllers"][1]["advice"] = "there is no route"
    lost["in_band"]["remotes"][0]["advice"] = "there is no route"
    lost["in_band"]["remotes"][1]["advice"] = "it is mute"

    lines = [line for line in shown({"bridges": [lost]}) if ("route" in line and ":1:" in line) or "mute" in line]
    assert lines == ["    tcp:[2001:db8::1]:1:  there is no route", "    192.0.2.9:            it is mute"]


def test_on_a_terminal_of_80_columns_no_word_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    document = bridge()
    document["controllers"][1]["last_error"] = "no answer in 8.0 s"
    document["controllers"][1]["last_error_at"] = NOW - 3
    document["in_band"]["remotes"][0]["address"] = "2001:db8:1111:2222:3333:4444:5555:6666"

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    file = Terminal()
    print_show({"bridges": [document]}, file, NOW)
    text = re.sub(r"\x1b\[[0-9;]*m", "", file.getvalue())

    assert "[2001:db8:1111:2222:3333:4444:5555:6666]:6653/tcp" in text
    assert "tcp:[2001:db8::1]:1" in text
    assert "no answer in 8.0 s (3.0 s ago)" in text
    assert max(map(len, text.splitlines())) <= 80
