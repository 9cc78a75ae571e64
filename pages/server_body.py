"""What a request brings along, read as far as somebody wants it: a length may be missing, or a lie.

What it does not know: what the bytes mean.
"""

import asyncio
from contextlib import suppress
from typing import Final

from starlette.requests import ClientDisconnect, Request

WHOLE_S: Final = 10.0
"""A form of some hundred bytes that takes longer does not come from a form."""


async def whole(request: Request, most: int) -> bytes | None:
    """Read all of a body; None as soon as it is longer than that, slower than ``WHOLE_S``, or broken off.

    Args:
        request: Whose body was not read yet.
        most: Bytes.
    """
    read = bytearray()
    with suppress(TimeoutError, ClientDisconnect):
        async with asyncio.timeout(WHOLE_S):
            async for part in request.stream():
                read += part
                if len(read) > most:
                    return None
            return bytes(read)
    return None


async def beginning(request: Request, most: int, within_s: float) -> bytes:
    """Read what of a body comes at once; never fails, whatever becomes of the rest.

    Args:
        request: Whose body was not read yet.
        most: Bytes.
        within_s: How long to wait for them.
    """
    read = bytearray()
    with suppress(TimeoutError, ClientDisconnect):
        async with asyncio.timeout(within_s):
            async for part in request.stream():
                read += part
                if len(read) >= most:
                    break
    return bytes(read[:most])
