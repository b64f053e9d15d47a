"""Runs beside LocalStack, in the network of its container: it passes connections on to the gateway, slowly after
SIGUSR1 and at full speed again after SIGUSR2.

STAGEMAKER_GATEWAY_URL names it, so that what the stage and its containers ask of S3 goes through it. It imports only
the standard library, since it runs as one file in a plain Python image.
"""

import asyncio
import os
import signal

PORT = int(os.environ.get("PROXY_PORT", "4577"))
GATEWAY_PORT = int(os.environ.get("PROXY_GATEWAY_PORT", "4566"))
SLOW_BYTES_PER_S = 65536
PIECE_BYTES = 16384
slow = False


def choose(value: bool) -> None:
    """Be slow, or not any more."""
    global slow
    slow = value
    print("slow" if slow else "fast", flush=True)


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """All bytes of one direction."""
    try:
        while piece := await reader.read(PIECE_BYTES):
            if slow:
                await asyncio.sleep(len(piece) / SLOW_BYTES_PER_S)
            writer.write(piece)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.close()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection, both directions."""
    try:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", GATEWAY_PORT)
    except OSError:
        writer.close()
        return
    await asyncio.gather(copy(reader, there_writer), copy(there_reader, writer))
    there_writer.close()
    writer.close()


async def main() -> None:
    """Until SIGTERM."""
    loop, end = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, choose, True)
    loop.add_signal_handler(signal.SIGUSR2, choose, False)
    loop.add_signal_handler(signal.SIGTERM, end.set)
    server = await asyncio.start_server(serve, "0.0.0.0", PORT)
    choose(False)
    await end.wait()
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
