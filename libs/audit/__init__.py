"""The audit: everything derived is derived again, independently of the services, and compared with what they stored.

`domain/` holds the comparisons, pure and one module per subject; the modules beside it read their subjects in order, from
one point in time, and walk them together, so that memory stays bounded however much there is. Nothing is written.
"""

from libs.audit.auditor import audit
from libs.audit.findings import Findings

__all__ = ["Findings", "audit"]
