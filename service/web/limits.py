"""Limits: how often an address, a number or a person may ask.

Numbers are guessable, so every question by number counts against the number too, right or wrong.
Counts are kept in memory, or where several processes answer, in a store that they share.
"""

from enum import Enum
from typing import Any

import limits.aio.storage
import limits.aio.strategies
from limits import RateLimitItem, parse
from litestar import Request

from service.ground.errors import TooManyRequests


class Rule(Enum):
    """What is limited, and to how much."""

    ID = "120/minute"
    NUMBER = "30/minute"
    NUMBER_ITSELF = "20/hour"
    TEXT = "60/minute"
    UPLOAD = "10/minute"
    FIND = "10/10minute"
    FIND_PERSON = "10/hour"
    SESSION = "120/minute"
    SHARE = "60/minute"

    @property
    def item(self) -> RateLimitItem:
        """The rule as the library reads it."""
        return parse(self.value)


class Limiter:
    """The counts of one process, or of all that share a store."""

    def __init__(self) -> None:
        self._window = limits.aio.strategies.FixedWindowRateLimiter(
            limits.aio.storage.MemoryStorage()
        )

    async def take(self, rule: Rule, key: str, *, cost: int = 1) -> None:
        """Count one more question of `key` under a rule.

        Raises: TooManyRequests, with the seconds until one may ask again.
        """
        if not await self._window.hit(rule.item, rule.name, key, cost=cost):
            raise TooManyRequests(seconds=60)


def address_of(request: Request[Any, Any, Any]) -> str:
    """Return the address that a request comes from."""
    return request.client.host if request.client else ""
