"""Usage becomes charges: the rating service alone, on real Kafka and MongoDB."""

from decimal import Decimal

from libs.contracts import ChargesClosed, UsageRated
from tests.rating_world import RatingWorld


async def test_a_usage_becomes_a_charge_and_a_cut_closes_it(rating: RatingWorld) -> None:
    await rating.customer("ada", "+12125550001")
    await rating.publish(rating.call("u-1", "+12125550001", seconds=600))
    await rating.settle()

    (rated,) = await rating.facts(UsageRated)
    assert (rated.account_id, rated.price_id, Decimal(rated.numerator) / rated.denominator) == ("ada", "voice-day", Decimal("1.7"))
    (charge,) = await rating.charges()
    assert (charge.usage_count, charge.quantity, charge.amount) == (1, 600, None)

    await rating.publish(rating.cut("cut-1", "ada"))
    await rating.settle()
    (closed,) = await rating.facts(ChargesClosed)
    assert [line.amount for line in closed.lines] == [Decimal("1.70")]
