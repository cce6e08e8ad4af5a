"""What a DHCP lease makes ``host/dhcp_script.sh`` do: with a lease's words, and an ``ip`` that only takes notes.

The clients print addresses, lengths and seconds themselves, so most words are such; some are any bytes at all, for a
client that passes on what a server wrote. Coverage knows nothing of a shell, so the fuzzer chooses at random here.

Checked: the script ends well and says nothing; it starts no commands but those below, each ``ip`` in a known form;
nothing of a lease is run or expanded, and it writes the file of DNS servers and no other.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import inband.host.dhcp_client as dhcp_client
from tests.fuzz.fuzzing import Script, Target

SCRIPT = Path(dhcp_client.__file__).with_name("dhcp_script.sh")
EXIT_CODES = (0, 3)  # 3: the client declines a lease
LIMIT_S = 10.0

UDHCPC_EVENTS = ("deconfig", "bound", "renew", "nak", "leasefail")
DHCLIENT_REASONS = ("PREINIT", "BOUND", "RENEW", "EXPIRE", "PREINIT6", "BOUND6", "EXPIRE6", "MEDIUM")
IP_FORMS = (
    "link set IF up", "-4 address replace", "-4 -o address show dev IF dynamic", "address delete", "-6 address delete",
    "-6 -o address show dev IF", "-4 route add", "-4 route replace", "-4 route show", "-4 route delete",
    "-6 address replace",
)  # fmt: skip
INTERFACE = "br0"
_DECOY = "1"  # what a pattern in a lease would become

# What the noting `ip` answers, chosen by the first two words of the question.
_IP = """#!/bin/sh
printf '%s\\0' "$@" >>"$NOTES/ip"; printf '\\n' >>"$NOTES/ip"
case "$*" in
*"address show"*) [ ! -e "$NOTES/addresses" ] || cat "$NOTES/addresses" ;;
*"route show"*) [ ! -e "$NOTES/routes" ] || cat "$NOTES/routes" ;;
*"route add"*) [ ! -e "$NOTES/refuse" ] ;;
esac
"""
_ADDRESSES = "2: br0 inet 192.0.2.7/24 scope global dynamic br0\n2: br0 inet 10.0.0.7/8 scope global dynamic br0\n"
_ROUTES = "default via 192.0.2.1\n198.51.100.0/24 via 192.0.2.2\n"


def check(data: bytes) -> None:
    """Run the script once."""
    script = Script(data)
    with tempfile.TemporaryDirectory(prefix="inband-fuzz-") as name:
        tools, notes, there = (Path(name) / each for each in ("tools", "notes", "there"))
        for folder in (tools, notes, there):
            folder.mkdir()
        _write_tool(tools / "ip", _IP)
        _write_tool(tools / "sleep", "#!/bin/sh\n")
        _write_answers(notes, script.number())
        (there / _DECOY).touch()
        arguments, lease = _lease(script)
        _run(arguments, {**lease, "PATH": f"{tools}:{os.defpath}", "NOTES": str(notes)}, there)
        _check_notes(notes)
        _check_files(there, lease)


def _run(arguments: list[str], environment: Mapping[str, str], there: Path) -> None:
    environment = {**environment, "interface": INTERFACE, "INBAND_DNS_FILE": str(there / "dns")}
    command = ["sh", str(SCRIPT), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=LIMIT_S, cwd=there, check=False)
    assert done.returncode in EXIT_CODES, done
    assert not done.stderr, done.stderr


def _write_answers(notes: Path, choices: int) -> None:
    for bit, (file, text) in enumerate({"addresses": _ADDRESSES, "routes": _ROUTES, "refuse": ""}.items()):
        if choices >> bit & 1:
            (notes / file).write_text(text)


def _write_tool(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def _lease(script: Script) -> tuple[list[str], Mapping[str, str]]:
    """What the client starts the script with: udhcpc by an argument, dhclient by a variable."""
    if script.number() & 1:
        event = UDHCPC_EVENTS[script.number() % len(UDHCPC_EVENTS)]
        words = {"ip": 1, "subnet": 1, "router": 3, "dns": 3, "lease": 1, "staticroutes": 6}
        return [event], {name: _words(script, most) for name, most in words.items()}
    reason = DHCLIENT_REASONS[script.number() % len(DHCLIENT_REASONS)]
    words = {
        "new_ip_address": 1, "new_subnet_mask": 1, "new_routers": 3, "new_domain_name_servers": 3,
        "new_dhcp_lease_time": 1, "new_dhcp6_name_servers": 2, "new_ip6_address": 1, "new_ip6_prefixlen": 1,
        "old_ip6_address": 1, "new_max_life": 1, "new_preferred_life": 1,
    }  # fmt: skip
    return [], {"reason": reason, **{name: _words(script, most) for name, most in words.items()}}


def _words(script: Script, most: int) -> str:
    return " ".join(_word(script) for _ in range(script.number() % (most + 1)))


def _word(script: Script) -> str:
    match script.number() % 6:
        case 0:
            return str(IPv4Address(script.number(4)))
        case 1:
            return f"{IPv4Address(script.number(4))}/{script.number() % 33}"
        case 2:
            return str(IPv6Address(script.number(16)))
        case 3:
            return str(script.number(4))
        case 4:
            return str(script.number() % 33)
        case _:
            return script.sized(1).replace(b"\0", b"").decode(errors="surrogateescape")


def _check_notes(notes: Path) -> None:
    assert {path.name for path in notes.iterdir()} <= {"ip", "addresses", "routes", "refuse"}
    asked = (notes / "ip").read_bytes().split(b"\0\n") if (notes / "ip").exists() else [b""]
    for words in asked[:-1]:
        text = " ".join(word.decode(errors="replace") for word in words.split(b"\0"))
        assert text.startswith(tuple(form.replace("IF", INTERFACE) for form in IP_FORMS)), text


def _check_files(there: Path, lease: Mapping[str, str]) -> None:
    assert {path.name for path in there.iterdir()} <= {"dns", _DECOY}
    given = " ".join(lease.get(name, "") for name in ("dns", "new_domain_name_servers", "new_dhcp6_name_servers"))
    if (there / "dns").exists():
        written = (there / "dns").read_text(errors="surrogateescape").split()
        assert written == given.split(), f"{given!r} became {written}"


def seeds() -> Iterable[bytes]:
    """A lease with everything from each client, of both families, and its end."""
    one, route = b"\1\0\xc0\0\2\7", b"\2\1\xc6\x33\x64\0\x18\0\xc0\0\2\1"
    for event in range(len(UDHCPC_EVENTS)):
        yield bytes((3, 1, event)) + one + b"\1\0\xff\xff\xff\0" + one + one + b"\1\3\0\0\x0e\x10"
        yield bytes((7, 1, event)) + one + b"\1\0\xff\xff\xff\0" + one + one + b"\1\3\0\0\x0e\x10" + route
    for reason in range(len(DHCLIENT_REASONS)):
        yield bytes((3, 0, reason)) + one * 5 + (b"\1\2" + bytes(15) + b"\1") * 4
    yield bytes((0, 1, 1)) + b"\1\5\x04*;$(" + b"\0\0" + b"\1\5\2* "


WORDS = (b"*", b"?", b"$(touch x)", b"`touch x`", b";", b"-n", b"..", b"~", b"[a-z]", b"\\", b"'", b'"')
TARGET = Target(check, seeds, WORDS, max_bytes=300)
