"""The phases of a TCP connection."""

from __future__ import annotations

from enum import Enum, auto

# The life of a TCP connection
# ----------------------------
#
# ANNOUNCING is the header of the PROXY protocol, SECURING the TLS handshake. HTTP and UPGRADED are the two things that
# bytes can mean. ENDING begins with `Hub.finish`: what is queued still leaves, nothing is added. The flush marks the
# last bytes; our FIN follows them, and in LINGERING what the peer still sends is thrown away until its FIN comes or the
# time is over. Closing at once would make the kernel answer unread input with a reset, which may destroy our last bytes
# on their way (RFC 9112 §9.6).
#
# GONE is entered from every phase, by `connection_lost` alone.


class Phase(Enum):
    ANNOUNCING = auto()
    SECURING = auto()
    HTTP = auto()
    UPGRADED = auto()
    ENDING = auto()
    LINGERING = auto()
    GONE = auto()


NEXT: dict[Phase, frozenset[Phase]] = {
    Phase.ANNOUNCING: frozenset({Phase.HTTP, Phase.ENDING, Phase.GONE}),
    Phase.SECURING: frozenset({Phase.HTTP, Phase.ENDING, Phase.GONE}),
    Phase.HTTP: frozenset({Phase.UPGRADED, Phase.ENDING, Phase.GONE}),
    Phase.UPGRADED: frozenset({Phase.ENDING, Phase.GONE}),
    Phase.ENDING: frozenset({Phase.LINGERING, Phase.GONE}),
    Phase.LINGERING: frozenset({Phase.GONE}),
    Phase.GONE: frozenset(),
}
