"""The audit of what rating alone stores: split calls, tiers, allowances, adjustments and re-ratings; right as it is, and told when not."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from libs.audit import Findings
from libs.audit.buckets import audit_buckets
from libs.audit.charges import audit_amounts_together, audit_charges
from libs.audit.domain.difference import Category
from libs.audit.published import audit_published_bills
from libs.audit.reader import open_reader
from libs.audit.reratings import audit_reratings
from libs.audit.usages import audit_prices
from libs.contracts import BillIssued, RerateRequested
from libs.periods import calendar_month
from libs.pricing import load_rate_books
from tests.contracts.test_fact_examples import EXAMPLES
from tests.rating_world import ZONE, RatingWorld, call, cut

ADA = "+12125550001"
BILL = EXAMPLES / BillIssued.topic / "0.2.0-discounts.json"
BOOK = """
id: BOOK_ID
effective_from: SINCE
currency: USD
time_bands:
  day: {hours: 08:00-18:00}
  evening: {hours: 18:00-08:00}
offerings:
  everything:
    crossing: split
    rounding: {point: bill}
    discounts:
      - {id: loyal, description: For loyalty, percent: 10}
    allowances:
      - {id: minutes, description: Free minutes, amount: 100 s, covers: {usage_types: voice}}
    recurring_prices:
      - {id: fee, description: Fee, amount: 9.995, period: month}
    usage_prices:
      - {id: day, description: By day, match: {usage_type: voice, time_band: day}, price: {amount: DAY, per: 60 s}, setup_fee: 0.10}
      - {id: evening, description: In the evening, match: {usage_type: voice, time_band: evening}, price: {amount: 0.06, per: 60 s}}
      - id: texts
        description: Texts
        match: {usage_type: sms}
        graduated: [{up_to: 10 message, price: {amount: 0.10, per: 1 message}}, {price: {amount: 0.05, per: 1 message}}]
      - {id: pictures, description: Pictures, match: {usage_type: mms}, price: {amount: 0.105, per: 1 message}}
      - {id: films, description: Films, match: {usage_type: film}, price: {amount: 0.105, per: 1 message}}
"""


@pytest.fixture
def rate_books_dir(tmp_path: Path) -> Path:
    """The book of the day, and a dearer one that is only asked for by name."""
    write_book(tmp_path, "today", since="2020-01-01", day="0.12")
    write_book(tmp_path, "dearer", since="2019-01-01", day="0.24")
    return tmp_path


def write_book(directory: Path, id: str, since: str, day: str) -> None:
    (directory / f"{id}.yaml").write_text(BOOK.replace("BOOK_ID", id).replace("SINCE", since).replace("DAY", day))


@dataclass(frozen=True)
class Corruption:
    """A document that is changed behind the back of rating, and what the audit must say."""

    collection: str
    query: dict[str, Any]
    change: dict[str, Any]
    expected: Category


CORRUPTIONS = (
    Corruption("usage", {"parts": {"$exists": True}}, {"$inc": {"parts.1.numerator": 1}}, Category.CHARGE_USAGES),
    Corruption("usage", {"parts": {"$exists": True}}, {"$inc": {"parts.1.charged_quantity": 1}}, Category.USAGE_PRICE),
    Corruption("usage", {"allowances": {"$exists": True}}, {"$inc": {"allowances.0.quantity": 1}}, Category.BUCKET),
    Corruption("usage", {"allowances": {"$exists": True}}, {"$inc": {"charged_quantity": 1}}, Category.USAGE_PRICE),
    Corruption("buckets", {}, {"$inc": {"used": 1}}, Category.BUCKET),
    Corruption("charges", {"tiers": {"$ne": None}, "sequence": 1}, {"$set": {"tiers.counted_before": 0}}, Category.CHARGE_TERMS),
    Corruption("charges", {"tiers": {"$ne": None}, "sequence": 1}, {"$set": {"tiers.usage_count_before": 0}}, Category.CHARGE_TERMS),
    Corruption("charges", {"tiers": {"$ne": None}, "sequence": 0}, {"$set": {"tiers.tiers.0.amount": 1}}, Category.CHARGE_AMOUNT),
    Corruption("charges", {"kind": "discount"}, {"$set": {"sums": {"1": -7}}}, Category.CHARGE_AMOUNT),
    Corruption("charges", {"price_id": "films"}, {"$set": {"amount": 0}}, Category.CHARGE_AMOUNT),
    Corruption("charges", {"price_id": "fee"}, {"$inc": {"sums.200": 1000}}, Category.CHARGE_AMOUNT),
    Corruption("charges", {"kind": "discount"}, {"$set": {"cut_id": "another"}}, Category.CHARGE_CUT),
    Corruption("reratings", {}, {"$inc": {"postings.0.numerator": 1}}, Category.USAGE_RERATED),
    Corruption("reratings", {}, {"$inc": {"postings.0.numerator": 1}}, Category.CHARGE_USAGES),
    # Another price than the dearer book's, posted as it should be; and one that allowances paid less of.
    Corruption("reratings", {}, {"$inc": {"new.0.numerator": 1, "postings.0.numerator": 1}}, Category.USAGE_PRICE),
    Corruption("reratings", {"allowances": {"$ne": []}}, {"$inc": {"new.0.charged_quantity": 1}}, Category.USAGE_PRICE),
    Corruption("reratings", {"allowances": {"$ne": []}}, {"$inc": {"allowances.0.quantity": 1}}, Category.USAGE_RERATED),
    # The same price from a book that gives another one.
    Corruption("reratings", {}, {"$set": {"new.$[].rate_book": "today"}}, Category.USAGE_PRICE),
)


async def findings_of(rating: RatingWorld, books: Path) -> Findings:
    findings = Findings()
    async with open_reader(rating.settings) as reader:
        await audit_prices(load_rate_books(books), reader, findings)
        await audit_charges(reader, findings)
        await audit_amounts_together(reader, findings)
        await audit_buckets(reader, findings)
        await audit_reratings(load_rate_books(books), reader, findings)
    return findings


@asynccontextmanager
async def corrupted(rating: RatingWorld, corruption: Corruption) -> AsyncIterator[None]:
    collection = rating.service.database[corruption.collection]
    before = await collection.find_one(corruption.query, sort=[("_id", 1)])
    assert before is not None, f"nothing to corrupt: {corruption}"
    await collection.update_one({"_id": before["_id"]}, corruption.change)
    yield
    await collection.replace_one({"_id": before["_id"]}, before)


async def test_all_that_rating_stores_is_computed_again(rating: RatingWorld, rate_books_dir: Path) -> None:
    await rating.customer("ada", ADA, offering="everything")
    texts = {"usage_type": "sms", "unit": "message"}
    await rating.publish(
        call("minutes", ADA, seconds=130),
        call("split", ADA, seconds=3600, at="2026-03-02 17:30"),
        call("texts", ADA, seconds=8, **texts),
        call("picture", ADA, seconds=1, usage_type="mms", unit="message"),
        call("film", ADA, seconds=1, usage_type="film", unit="message"),
    )
    await rating.settle()
    await rating.publish(cut("march", "ada"))
    await rating.settle()
    await rating.publish(call("late", ADA, seconds=8, **texts), call("late-split", ADA, seconds=3600, at="2026-03-02 17:30"))
    await rating.settle()
    month = calendar_month("2026-03", ZONE)
    asked_at = month.end
    await rating.publish(RerateRequested(id="dearer", account_id="ada", period=month, rate_book="dearer", requested_at=asked_at))
    await rating.settle()

    found = await findings_of(rating, rate_books_dir)
    assert found.differences == []
    assert {subject: found.checked[subject] for subject in ("usages", "buckets", "re-ratings")} == {
        "usages": 7,
        "buckets": 1,
        "re-ratings": 3,
    }
    for corruption in CORRUPTIONS:
        async with corrupted(rating, corruption):
            assert corruption.expected in (await findings_of(rating, rate_books_dir)).counts, corruption
    assert (await findings_of(rating, rate_books_dir)).differences == []

    write_book(rate_books_dir, "published-since", since="2026-03-01", day="0.36")
    found = await findings_of(rating, rate_books_dir)
    assert (found.differences, [subject for subject in found.checked if "not priced" in subject]) == ([], [])
    wrong = Corruption("usage", {"parts": {"$exists": True}}, {"$inc": {"numerator": 1, "parts.1.numerator": 1}}, Category.USAGE_PRICE)
    async with corrupted(rating, wrong):
        assert wrong.expected in (await findings_of(rating, rate_books_dir)).counts


async def test_a_published_bill_that_cannot_be_read_is_told_and_the_others_are_compared(rating: RatingWorld) -> None:
    bill = BillIssued.from_message(BILL.read_bytes())
    await rating.publish(bill)
    await rating.service.publisher.publish_raw(rating.settings.topic(BillIssued.topic), b"?", b'{"id": 7}')
    findings = Findings()
    async with open_reader(rating.settings) as reader:
        await audit_published_bills(rating.settings, reader, findings)
    assert {(each.id, each.found) for each in findings.differences} == {
        (bill.id, "no such bill is stored"),
        (BillIssued.topic, "1 messages that cannot be read"),
    }
