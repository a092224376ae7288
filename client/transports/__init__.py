"""What a link runs over: WebTransport, or WebSocket on HTTP/1.1 or HTTP/3."""

from chiron.client.transports.choice import Choice, Opener
from chiron.client.transports.transport import Ended, Name, Transport

__all__ = ["Choice", "Ended", "Name", "Opener", "Transport"]
