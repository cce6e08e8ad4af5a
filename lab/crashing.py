"""A controller that accepts, says HELLO, and dies a second later, again and again.

`python -m lab.crashing ADDRESS PORT`; with `--tls KEY CERTIFICATE CA` one over TLS that stays and answers what it is
asked. It manages nothing: no FLOW_MOD, no role.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import sys
import time

from lab import messages as of

LIFE_S = 1.0
_HELLO, _ECHO_REQUEST, _ECHO_REPLY = of.hello(4), 2, 3


def crash(address: str, port: int) -> None:
    """Live for LIFE_S, with all clients meanwhile, then begin anew."""
    while True:
        with socket.create_server((address, port)) as listening:
            listening.settimeout(LIFE_S)
            end, callers = time.monotonic() + LIFE_S, []
            while time.monotonic() < end:
                with contextlib.suppress(TimeoutError):
                    caller, _ = listening.accept()
                    caller.sendall(_HELLO)
                    callers.append(caller)
                    listening.settimeout(max(0.01, end - time.monotonic()))
            for caller in callers:
                # Unread bytes have the kernel reset the connection, as it does when a process dies.
                caller.close()


def serve_tls(address: str, port: int, key: str, certificate: str, authority: str) -> None:
    """Say HELLO to one caller after the other and answer its echoes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(authority)
    with socket.create_server((address, port)) as listening:
        while True:
            plain, _ = listening.accept()
            with contextlib.suppress(OSError), context.wrap_socket(plain, server_side=True) as caller:
                caller.sendall(_HELLO)
                while data := caller.recv(65536):
                    if data[1] == _ECHO_REQUEST:
                        caller.sendall(data[:1] + bytes([_ECHO_REPLY]) + data[2:])


if __name__ == "__main__":
    _, host, number, *files = sys.argv
    if files:
        serve_tls(host, int(number), *files[1:])
    else:
        crash(host, int(number))
