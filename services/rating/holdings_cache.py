"""Who holds which identifier, and who pays, as this worker read it last: a few thousand as objects, and millions as compact rows.

Each entry knows when it was read. What changes is remembered with the time of its change, so an entry that is older counts no more.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from msgspec import Struct
from msgspec.msgpack import Decoder, Encoder

from libs.contracts import FormerOffering, Suspension
from services.rating.compact_cache import CompactCache
from services.rating.domain.holdings import Account, Holding, Product

# 1 KB each. Emptied when it is full: rows are nearly as good.
OBJECTS_MAX = 25_000
# Rows of a million customers with one number each: 100 bytes with short ids, 170 with UUIDs.
ROWS_BYTES_MAX = 160 * 2**20
# 150 bytes each. When there are more, all is read again: at 50 products a second, two keys each, that is every eight minutes.
CHANGES_MAX = 50_000
# Accounts that were cut for the same months share their terms. Those of more kinds keep their own in their rows.
TERMS_MAX = 5_000


class Known(Struct, frozen=True, gc=False):
    """The tenures of an identifier, the account that pays for each if it is known, and the moment before they were read."""

    read_at: int
    tenures: tuple[Holding, ...]
    accounts: tuple[Account, ...]

    @property
    def is_complete(self) -> bool:
        """Return whether the account of each tenure is known."""
        return len(self.accounts) == len(self.tenures)


class _Terms(Struct, frozen=True, gc=False, array_like=True):
    """The terms that many accounts share."""

    currency: str
    time_zone: str
    cuts: dict[str, int]


class _Tenure(Struct, frozen=True, gc=False, array_like=True):
    """A holding, flat, with the terms of its account or their number."""

    id: str
    account_id: str
    offering_id: str
    name: str
    status: str
    started_at: datetime
    ended_at: datetime | None
    group_id: str | None
    suspensions: tuple[tuple[datetime, datetime | None], ...]
    former_offerings: tuple[tuple[str, datetime], ...]
    changed_at: datetime | None
    valid_from: datetime
    valid_to: datetime | None
    terms: int | _Terms


class _Row(Struct, frozen=True, gc=False, array_like=True):
    read_at: int
    tenures: tuple[_Tenure, ...]


_encode = Encoder().encode
_decode = Decoder(_Row).decode


class HoldingsCache:
    """Entries by identifier. A moment is the number of changes that were noticed by then."""

    def __init__(self, rows_bytes_max: int = ROWS_BYTES_MAX) -> None:
        self.now = 0
        self._valid_since = 0
        self._changed: dict[str, int] = {}
        self._objects: dict[str, Known] = {}
        self._rows = CompactCache(rows_bytes_max)
        self._terms: list[_Terms] = []
        self._terms_numbers: dict[bytes, int] = {}

    def find(self, identifiers: Iterable[str]) -> tuple[dict[str, Known], list[str]]:
        """Return the entries that count still, and the identifiers of the others."""
        objects, found, others = self._objects, {}, []
        for identifier in identifiers:
            known = objects.get(identifier)
            if known is not None and self._counts(identifier, known):
                found[identifier] = known
            else:
                others.append(identifier)
        if not others:
            return found, others
        unpacked: dict[str, Known] = {}
        for identifier, row in self._rows.find(others).items():
            known = self._unpack(row)
            if self._counts(identifier, known):
                unpacked[identifier] = known
        self._keep_objects(unpacked)
        found |= unpacked
        return found, [identifier for identifier in others if identifier not in unpacked]

    def keep(self, read: Mapping[str, Known]) -> None:
        """Keep what was read of identifiers. What lacks an account is read again instead, for the account may come."""
        complete = {identifier: known for identifier, known in read.items() if known.is_complete}
        self._rows.keep({identifier: self._pack(known) for identifier, known in complete.items()})
        self._keep_objects(complete)

    def forget(self, keys: Iterable[str]) -> None:
        """Let no entry count that has one of these identifiers, products or accounts and was read before now."""
        self.now += 1
        self._changed.update(dict.fromkeys(keys, self.now))
        if len(self._changed) > CHANGES_MAX:
            self.forget_all()

    def forget_all(self) -> None:
        """Let nothing count that was read before now."""
        self.now += 1
        self._valid_since = self.now
        for entries in (self._changed, self._objects, self._rows, self._terms, self._terms_numbers):
            entries.clear()

    def _counts(self, identifier: str, known: Known) -> bool:
        read_at, changed = known.read_at, self._changed
        if read_at < self._valid_since:
            return False
        if read_at == self.now:
            return True
        if changed.get(identifier, 0) > read_at:
            return False
        for tenure in known.tenures:
            product = tenure.product
            if changed.get(product.id, 0) > read_at or changed.get(product.account_id, 0) > read_at:
                return False
        return True

    def _keep_objects(self, known: Mapping[str, Known]) -> None:
        if len(self._objects) + len(known) > OBJECTS_MAX:
            self._objects.clear()
        self._objects.update(known)

    def _pack(self, known: Known) -> bytes:
        tenures = [_flat(holding, self._numbered(account)) for holding, account in zip(known.tenures, known.accounts, strict=True)]
        return _encode(_Row(known.read_at, tuple(tenures)))

    def _numbered(self, account: Account) -> int | _Terms:
        terms = _Terms(account.currency, account.time_zone, dict(account.cuts))
        number = self._terms_numbers.setdefault(_encode(terms), len(self._terms))
        if number == len(self._terms):
            if number == TERMS_MAX:
                del self._terms_numbers[_encode(terms)]
                return terms
            self._terms.append(terms)
        return number

    def _unpack(self, row: bytes) -> Known:
        flat = _decode(row)
        return Known(flat.read_at, tuple(map(_holding, flat.tenures)), tuple(map(self._account, flat.tenures)))

    def _account(self, flat: _Tenure) -> Account:
        terms = self._terms[flat.terms] if isinstance(flat.terms, int) else flat.terms
        return Account(flat.account_id, terms.currency, terms.time_zone, terms.cuts)


def _flat(holding: Holding, terms: int | _Terms) -> _Tenure:
    product = holding.product
    return _Tenure(
        product.id,
        product.account_id,
        product.offering_id,
        product.name,
        product.status,
        product.started_at,
        product.ended_at,
        product.group_id,
        tuple([(suspension.start, suspension.end) for suspension in product.suspensions]),
        tuple([(former.offering_id, former.until) for former in product.former_offerings]),
        product.changed_at,
        holding.valid_from,
        holding.valid_to,
        terms,
    )


def _holding(flat: _Tenure) -> Holding:
    product = Product(
        flat.id,
        flat.account_id,
        flat.offering_id,
        flat.name,
        flat.status,
        flat.started_at,
        flat.ended_at,
        flat.group_id,
        tuple([Suspension(start=start, end=end) for start, end in flat.suspensions]),
        tuple([FormerOffering(offering_id=offering_id, until=until) for offering_id, until in flat.former_offerings]),
        flat.changed_at,
    )
    return Holding(product, flat.valid_from, flat.valid_to)
