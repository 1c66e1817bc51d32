"""The Python client of tradebook: gRPC channels to its server, blocking here and for
asyncio in tradebook.aio, for the stubs in tradebook.v1."""

from tradebook import aio
from tradebook._channel import Channel
from tradebook._request_id import new_request_id

__all__ = ["Channel", "aio", "new_request_id"]
