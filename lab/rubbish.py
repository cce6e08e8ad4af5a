"""A controller that speaks rubbish: it sends given bytes to each client, says `spoke`, and holds the line or hangs
up.

python -m lab.rubbish PORT HEX hold|hang-up
"""

from __future__ import annotations

import asyncio
import sys


async def main(port: int, rubbish: bytes, *, hold: bool) -> None:
    """Serve until the process is ended."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(rubbish)
        await writer.drain()
        print("spoke", flush=True)
        while hold and await reader.read(4096):
            pass
        writer.close()

    server = await asyncio.start_server(serve, "0.0.0.0", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), bytes.fromhex(sys.argv[2]), hold=sys.argv[3] == "hold"))
