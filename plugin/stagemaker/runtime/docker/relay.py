"""How the stage, in a container of its own, calls a server on an isolated network without being on that network.

On it, the server could call the stage's own ports, which listen on all of its addresses. So a small container of the
stage's image is on both networks: it listens on the stage's network only, and passes each connection on to the server.
Pure: what runs in it, and its configuration.
"""

from collections.abc import Mapping
from typing import Any

# Arguments: an address of the stage's network, the server's address and port. It listens on its own address of the
# stage's network, at the server's port.
PROGRAM = """
import asyncio, contextlib, socket, sys

async def copy(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        writer.transport.abort()

async def relay(reader, writer):
    with contextlib.suppress(OSError):
        there, back = await asyncio.open_connection(*sys.argv[2:])
        await asyncio.gather(copy(reader, back), copy(there, writer))
        back.close()
    writer.close()

async def main():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((sys.argv[1], 9))  # which sends nothing, and chooses the own address of that network
        own = probe.getsockname()[0]
    await (await asyncio.start_server(relay, own, int(sys.argv[3]))).serve_forever()

asyncio.run(main())
"""


def relay_config(
    image: str, network: str, stage: str, server: tuple[str, int], labels: Mapping[str, str]
) -> dict[str, Any]:
    """Of a container on the stage's `network`, where the stage has the address `stage`. It has no rights, and is to be
    connected to the server's network before it starts."""
    return {
        "Image": image,
        "Entrypoint": ["python", "-IS", "-c", PROGRAM],
        "Cmd": [stage, server[0], str(server[1])],
        "User": "65534:65534",
        "Healthcheck": {"Test": ["NONE"]},
        "Labels": dict(labels),
        "HostConfig": {
            "NetworkMode": network,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "ReadonlyRootfs": True,
            "Memory": 64 << 20,
            "PidsLimit": 16,
        },
    }
