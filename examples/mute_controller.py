"""A controller that installs nothing: it asks each switch for an echo every 10 ms, and measures.

`python3 mute_controller.py FILE` listens on port 6653. When a switch was silent for over 30 ms it adds a line to FILE:
the datapath id and the seconds.
"""

import asyncio
import sys
import time

HELLO, ECHO_REQUEST, FEATURES_REQUEST, FEATURES_REPLY = 0, 2, 5, 6
PERIOD_S, SILENCE_S = 0.01, 0.03


def message(kind):
    """An OpenFlow 1.3 message without a body."""
    return bytes([4, kind, 0, 8, 0, 0, 0, 1])


async def ask(writer):
    """Echo requests until the connection ends."""
    while not writer.is_closing():
        writer.write(message(ECHO_REQUEST))
        await asyncio.sleep(PERIOD_S)


async def serve(reader, writer):
    """One switch."""
    writer.write(message(HELLO) + message(FEATURES_REQUEST))
    asking = asyncio.create_task(ask(writer))
    dpid, heard = 0, time.monotonic()
    try:
        while True:
            header = await reader.readexactly(8)
            body = await reader.readexactly(int.from_bytes(header[2:4], "big") - 8)
            if header[1] == FEATURES_REPLY:
                dpid = int.from_bytes(body[:8], "big")
            silence, heard = time.monotonic() - heard, time.monotonic()
            if silence > SILENCE_S:
                with open(sys.argv[1], "a") as file:
                    file.write(f"{dpid} {silence:.3f}\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        asking.cancel()


async def main():
    """Until the process is ended."""
    server = await asyncio.start_server(serve, "0.0.0.0", 6653)
    await server.serve_forever()


asyncio.run(main())
