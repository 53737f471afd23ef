"""How long MongoDB keeps the transaction of a process that died or hangs, and with it the locks that others wait for."""

import structlog
from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure

# MongoDB looks for expired transactions every half of their lifetime: 12 s end within 18 s.
LIFETIME_LIMIT_S = 12
PARAMETER = "transactionLifetimeLimitSeconds"

logger = structlog.get_logger(__name__)


async def lifetime_warning(client: AsyncMongoClient) -> dict[str, str]:
    """Return a warning when MongoDB keeps abandoned transactions for longer; nothing when the user may not read the parameter."""
    try:
        answer = await client.admin.command({"getParameter": 1, PARAMETER: 1})
    except OperationFailure as error:
        logger.info("MongoDB does not tell how long it keeps abandoned transactions", reason=str(error))
        return {}
    limit_s = answer[PARAMETER]
    if limit_s <= LIFETIME_LIMIT_S:
        return {}
    return {
        "transactions": (
            f"MongoDB keeps the locks of a process that died or hangs for up to {limit_s * 3 // 2} s: "
            f"start mongod with --setParameter {PARAMETER}={LIFETIME_LIMIT_S}"
        )
    }
