"""The signature of a delivery: HMAC-SHA256 over "<unix seconds>.<body>", in a header `t=<unix seconds>,v1=<hex>`.

The time is signed along, so that a recorded delivery cannot be replayed later. The README has the recipe to verify it.
"""

import hashlib
import hmac

HEADER = "X-Tarifa-Signature"


def signature(body: bytes, secret: bytes, unix_seconds: int) -> str:
    """The value of the header."""
    digest = hmac.new(secret, f"{unix_seconds}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={unix_seconds},v1={digest}"
