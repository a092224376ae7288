"""Router, authentication, rules, limits, problem details, access log: what every request passes through."""

from chiron.server.gateway.access_log import AccessLog
from chiron.server.gateway.admission import Admission
from chiron.server.gateway.commands import Commands
from chiron.server.gateway.gateway import Finished, Gateway
from chiron.server.gateway.limits import Limits, Rates
from chiron.server.gateway.static import Pages

__all__ = ["AccessLog", "Admission", "Commands", "Finished", "Gateway", "Limits", "Pages", "Rates"]
