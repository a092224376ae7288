"""What `chiron doctor` knows: what is wrong with a machine, a data folder or a database, and how to mend it.

Everything is looked at and nothing is changed: no folder or lock is made, PostgreSQL is not started, and what must be
tried by writing (a disk's speed) is tried in a file without a name. So it may run beside a server, and before there is
one.
"""

from chiron.server.doctor.examination import CHECKS, examine
from chiron.server.doctor.findings import Fault, Finding, State
from chiron.server.doctor.subject import Subject

__all__ = ["CHECKS", "Fault", "Finding", "State", "Subject", "examine"]
