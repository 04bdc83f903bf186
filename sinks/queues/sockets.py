"""A TCP connection to an address that was checked, with TLS for the name: for libraries that are handed a socket."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any

from sinks.webhooks.destinations import Address, Destination, Rules, checked_addresses
from sinks.webhooks.sender import Lookup


async def connected(
    destination: Destination, lookup: Lookup, rules: Rules, tls: ssl.SSLContext | None, connect_s: float
) -> socket.socket:
    """To the first of the checked addresses that answers; the socket does not block.

    Raises DestinationRefused, and OSError (TimeoutError is one) of the last address.
    """
    addresses = [destination.address] if destination.address else None
    addresses = addresses or checked_addresses(destination.host, await lookup(destination.host), rules)
    for address in addresses[:-1]:
        try:
            return await _connected(address, destination, tls, connect_s / len(addresses))
        except OSError:
            continue  # the last one's failure is told
    return await _connected(addresses[-1], destination, tls, connect_s / len(addresses))


async def _connected(address: Address, destination: Destination, tls: ssl.SSLContext | None, timeout_s: float) -> socket.socket:
    made = socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        async with asyncio.timeout(timeout_s):
            await asyncio.get_running_loop().sock_connect(made, (str(address), destination.port))
            if tls is not None:
                made = tls.wrap_socket(made, server_hostname=destination.host, do_handshake_on_connect=False)
                await _shake_hands(made)
    except BaseException:
        made.close()
        raise
    return made


async def _shake_hands(made: ssl.SSLSocket) -> None:
    loop = asyncio.get_running_loop()
    while True:
        try:
            made.do_handshake()
        except ssl.SSLWantReadError:
            await _ready(loop.add_reader, loop.remove_reader, made.fileno())
        except ssl.SSLWantWriteError:
            await _ready(loop.add_writer, loop.remove_writer, made.fileno())
        else:
            return


async def _ready(add: Callable[..., Any], remove: Callable[[int], Any], number: int) -> None:
    ready = asyncio.Event()
    add(number, ready.set)
    try:
        await ready.wait()
    finally:
        remove(number)
