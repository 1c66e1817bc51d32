"""What a channel of either kind is made of."""

import ssl

from tradebook import _address
from tradebook._caller import Options

TIMEOUT_SECONDS = 10.0


def make(
    address: str,
    events_address: str | None,
    client_id: str | None,
    token: str | None,
    tls: ssl.SSLContext | None,
    timeout: float,
) -> Options:
    """Raises ValueError."""
    metadata: list[tuple[str, str | bytes]] = []
    if client_id is not None:
        metadata.append(("client-id", client_id))
    if token is not None:
        metadata.append(("authorization", f"Bearer {token}"))
    return Options(
        address=_address.parse(address, tls),
        events_address=None if events_address is None else _address.parse(events_address, tls),
        metadata=metadata,
        timeout=timeout,
    )
