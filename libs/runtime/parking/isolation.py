"""Find which messages of a batch fail by themselves, so that the others are handled.

A batch that fails is split until single messages fail. Each of them gets a few more tries, while the others have been handled
already. Later messages of the same chain are never handled before a message that failed: they come after it succeeds, or wait.
"""

from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from libs.contracts import Fact
from libs.runtime.failures import is_infrastructure, reason_of, storable
from libs.runtime.parking.unprocessable import Unprocessable

# Parts that a failed batch is split into: one bad message among 500 costs 24 more calls, 500 bad ones 574.
PARTS = 8
TRIES_MAX = 3
# Before each further round of tries, once for all messages of the round.
PAUSES_S = (0.1, 0.4)
# A chain whose messages fail and recover one after the other may ask for more rounds than a message has tries.
ROUNDS_MAX = 8


@dataclass(slots=True, eq=False)
class Item:
    """A message in hand. `verdict` is the reason to park it unhandled; `chain` names the messages that keep their order."""

    record: Any
    fact: Fact | None
    malformed: str | None = None
    chain: str | None = None
    verdict: str | None = None
    tries: int = 0


@dataclass
class Settled:
    """What a batch came to. `failed` gives each message with its reason; `waiting` are those behind a parked one, in order."""

    handled: list[Item] = field(default_factory=list)
    failed: list[tuple[Item, str]] = field(default_factory=list)
    waiting: list[Item] = field(default_factory=list)
    retried_in_vain: int = 0
    recovered: int = 0


class Isolation:
    """One batch on its way. `answer` handles messages as a batch; `pause` waits between tries, and may raise to give up."""

    def __init__(
        self,
        answer: Callable[[Sequence[Item]], Awaitable[None]],
        pause: Callable[[float], Awaitable[None]],
        *,
        tries_max: int = TRIES_MAX,
        blocked: Collection[str] = (),
    ) -> None:
        self._answer = answer
        self._pause = pause
        self._tries_max = tries_max
        # By chain, the place in the batch of the first message that stops it. What came before that place may go.
        self._blocked = dict.fromkeys(blocked, -1)
        self._held: dict[str, int] = {}
        self._place: dict[int, int] = {}
        self._has_verdicts = False
        self._later: list[Item] = []
        self._settled = Settled()

    async def settle(self, items: Sequence[Item]) -> Settled:
        """Handle what can be handled. Raises what the infrastructure causes; what was handled until then is handled again later."""
        self._place = {id(item): number for number, item in enumerate(items)}
        self._has_verdicts = any(item.verdict is not None for item in items)
        queue = list(items)
        for number in range(ROUNDS_MAX):
            await self._round(queue)
            queue = [item for item in sorted(self._later, key=self._place_of) if not self._waits(item)]
            if not queue:
                break
            await self._pause(PAUSES_S[min(number, len(PAUSES_S) - 1)])
        for item in queue:
            if not self._waits(item):
                self._park(item, "messages of its key kept failing one after the other")
        self._settled.waiting.sort(key=self._place_of)
        return self._settled

    async def _round(self, queue: Sequence[Item]) -> None:
        self._held, self._later = {}, []
        # What failed before comes alone, and before what waits for it.
        for item in (item for item in queue if item.tries):
            await self._try([item])
        await self._try([item for item in queue if not item.tries])

    async def _try(self, items: Sequence[Item]) -> None:
        # Nearly always all of them may, and there are tens of thousands a second.
        is_free = not (self._blocked or self._held or self._has_verdicts)
        ready = items if is_free else [item for item in items if self._may_go(item)]
        if not ready:
            return
        try:
            await self._answer(ready)
        except Exception as error:
            if not isinstance(error, Unprocessable) and is_infrastructure(error):
                raise
            if len(ready) == 1:
                self._failed(ready[0], error)
                return
            for part in _parts(ready):
                await self._try(part)
        else:
            self._settled.handled += ready
            self._settled.recovered += ready[0].tries > 0

    def _may_go(self, item: Item) -> bool:
        if self._waits(item):
            return False
        if item.chain in self._held and self._held[item.chain] < self._place_of(item):
            self._later.append(item)
            return False
        if item.verdict is not None:
            self._park(item, storable(item.verdict))
            return False
        return True

    def _waits(self, item: Item) -> bool:
        """Return whether a message is behind a parked one, and let it wait there."""
        if item.chain not in self._blocked or self._blocked[item.chain] > self._place_of(item):
            return False
        self._settled.waiting.append(item)
        return True

    def _failed(self, item: Item, error: Exception) -> None:
        item.tries += 1
        if isinstance(error, Unprocessable):
            self._park(item, storable(str(error)))
        elif item.tries >= self._tries_max:
            self._settled.retried_in_vain += item.tries > 1
            self._park(item, reason_of(error))
        else:
            self._later.append(item)
            if item.chain is not None:
                self._held[item.chain] = min(self._place_of(item), self._held.get(item.chain, self._place_of(item)))

    def _park(self, item: Item, reason: str) -> None:
        self._settled.failed.append((item, reason))
        if item.chain is not None:
            self._blocked[item.chain] = min(self._place_of(item), self._blocked.get(item.chain, self._place_of(item)))

    def _place_of(self, item: Item) -> int:
        return self._place[id(item)]


def _parts(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    size = max(1, -(-len(items) // PARTS))
    for start in range(0, len(items), size):
        yield items[start : start + size]
