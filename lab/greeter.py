"""A service and its clients, as plain as ssh's beginning: who connects is greeted, and says so back.

    python -m lab.greeter serve PORT [--udp]
    python -m lab.greeter call HOST PORT COUNT [--udp] [--timeout SECONDS] [--interval SECONDS]

``serve`` prints "ready" and greets for ever. ``call`` makes one connection (or sends one datagram) after the other and
prints one line of JSON: how many failed, and the longest time that one of those that succeeded took.
"""

from __future__ import annotations

import argparse
import json
import socket
import sys
import threading
import time

GREETING = b"SSH-2.0-lab\r\n"


def main() -> int:
    """Do what the command line says."""
    options = argparse.ArgumentParser(prog="python -m lab.greeter")
    commands = options.add_subparsers(dest="command", required=True)
    serving, calling = commands.add_parser("serve"), commands.add_parser("call")
    serving.add_argument("port", type=int)
    calling.add_argument("host")
    calling.add_argument("port", type=int)
    calling.add_argument("count", type=int)
    calling.add_argument("--timeout", type=float, default=2.0)
    calling.add_argument("--interval", type=float, default=0.0)
    for each in (serving, calling):
        each.add_argument("--udp", action="store_true")
    given = options.parse_args()
    if given.command == "serve":
        _serve_udp(given.port) if given.udp else _serve(given.port)
    return _call_many(given)


def _serve(port: int) -> None:
    with socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=128) as server:
        print("ready", flush=True)
        while True:
            connection, _ = server.accept()
            threading.Thread(target=_greet, args=(connection,), daemon=True).start()


def _greet(connection: socket.socket) -> None:
    with connection:
        connection.settimeout(5.0)
        try:
            connection.sendall(GREETING)
            connection.recv(100)
        except OSError:
            pass  # the client's loss, which it counts


def _serve_udp(port: int) -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as server:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        server.bind(("::", port))
        print("ready", flush=True)
        while True:
            data, peer = server.recvfrom(65535)
            server.sendto(data, peer)


def _call_many(given: argparse.Namespace) -> int:
    failed, longest = 0, 0.0
    for number in range(given.count):
        start = time.monotonic()
        try:
            _ask(given.host, given.port, number, given.timeout) if given.udp else _call(
                given.host, given.port, given.timeout
            )
        except OSError:
            failed += 1
        else:
            longest = max(longest, time.monotonic() - start)
        time.sleep(given.interval)
    print(json.dumps({"failed": failed, "longest_s": round(longest, 4)}))
    return 0


def _call(host: str, port: int, timeout_s: float) -> None:
    with socket.create_connection((host, port), timeout_s) as connection:
        connection.settimeout(timeout_s)
        if connection.recv(100) != GREETING:
            raise OSError("not greeted")
        connection.sendall(GREETING)


def _ask(host: str, port: int, number: int, timeout_s: float) -> None:
    """One datagram larger than a frame, so that there are fragments, and its echo."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as sender:
        sender.settimeout(timeout_s)
        sender.connect((host, port))
        data = number.to_bytes(4, "big") * 1000
        sender.send(data)
        if sender.recv(65535) != data:
            raise OSError("another echo")


if __name__ == "__main__":
    sys.exit(main())
