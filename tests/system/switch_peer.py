"""A controller that speaks TLS: HELLO, answers to ECHO, and nothing else.

python -m tests.system.switch_peer PORT KEY CERTIFICATE CA
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import struct
import sys

from lab import messages as of


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Be a controller until the switch hangs up."""
    writer.write(of.hello(of.V13))
    with contextlib.suppress(asyncio.IncompleteReadError, OSError):
        while True:
            version, kind, length, xid = struct.unpack("!BBHI", await reader.readexactly(8))
            body = await reader.readexactly(length - 8)
            if kind == of.ECHO_REQUEST:
                writer.write(of.message(version, of.ECHO_REPLY, xid, body))
    writer.close()


async def main(port: int, key: str, certificate: str, ca: str) -> None:
    """Serve until the process is ended."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(ca)
    context.verify_mode = ssl.CERT_REQUIRED
    server = await asyncio.start_server(serve, "0.0.0.0", port, ssl=context)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), *sys.argv[2:5]))
