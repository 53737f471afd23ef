"""Usage prices of a rate book: what they match and what they ask, each by one model."""

from functools import partial

from libs.pricing.book_terms import BookTerms
from libs.pricing.compile_price import compile_price
from libs.pricing.compiled_price import NUMERATOR_MAX, CompiledPrice, greatest_numerator
from libs.pricing.exact_number import ExactNumber, parse_number
from libs.pricing.faults import Unreadable, suggest
from libs.pricing.increments import NONE, ONE_BY_ONE, Increments, parse_increments, parse_step
from libs.pricing.network_code import VISITED_NETWORK, parse_network_code
from libs.pricing.prefix_reader import read_prefixes
from libs.pricing.reader import Reader
from libs.pricing.roaming import Roaming
from libs.pricing.roaming_reader import read_roaming
from libs.pricing.rounding_reader import read_rounding
from libs.pricing.tier_reader import read_tiers
from libs.pricing.unit import MONEY, UnitQuantity, parse_unit_quantity
from libs.pricing.usage_price import ZERO, Model, Rate, Step, Tiers, UsageMatch, UsagePrice
from libs.pricing.yaml_source import Mapping, Node

MODELS = ("price", "steps", "graduated", "volume", "package", "percentage")
TERMS = ("increments", "setup_fee", "minimum", "maximum", "free_first", "rounding", "crossing", "counted", "late_usage", "tax_category")
CROSSINGS = ("start", "split")
STEPS_MAX = 50
CHARACTERISTICS_MAX = 8
ONE = UnitQuantity(ExactNumber(1), "event", "event")


def read_usage_price(node: Node, terms: BookTerms) -> UsagePrice | None:
    """None when it has a fault: half a price would only seem to tie with others."""
    reader = terms.reader
    faults_before = len(reader.faults)
    fields = reader.fields(node, ("id", "description", "match"), (*MODELS, *TERMS))
    model_name = _model_name(node, fields, reader)
    id = terms.declare(fields.get("id"))
    rounding = read_rounding(fields.get("rounding"), terms.rounding, terms.currency, reader)
    own = fields
    model: Model | None
    per: UnitQuantity | None
    if model_name == "percentage":
        model, per, own = _read_percentage(fields, reader)
    else:
        model, per = _read_model(model_name, fields, terms)
    price = UsagePrice(
        id=id,
        description=reader.text(fields.get("description")),
        match=_match(fields.get("match"), terms),
        model=model or Rate(ZERO, ONE),
        increments=NONE if model_name == "percentage" else _read_increments(fields.get("increments"), per, reader),
        setup_fee=reader.value(own.get("setup_fee"), parse_number, ZERO),
        free_first=reader.value(own.get("free_first"), partial(_parse_free, per=per), ZERO) if per else ZERO,
        minimum=reader.value(own.get("minimum"), parse_number, None),
        maximum=reader.value(own.get("maximum"), parse_number, None),
        splits=read_crossing(fields.get("crossing"), reader, terms.splits) and per is not None and per.unit == "s",
        record_rounding=rounding.record,
        line_rounding=rounding.line,
        tax_category=reader.identifier(fields.get("tax_category")) or None,
        place=node.place,
    )
    _check_together(price, model_name, fields, own, reader)
    return price if model is not None and len(reader.faults) == faults_before else None


def compiled(price: UsagePrice, terms: BookTerms) -> CompiledPrice:
    """The price as integers; refused when they have too many digits."""
    whole = compile_price(price, terms.currency, terms.rate_book, is_tax_included=terms.is_tax_included)
    if greatest_numerator(whole) > NUMERATOR_MAX:
        terms.reader.faults.append(
            price.place.fault("amount, unit, increments and set-up fee have too many digits together", "use fewer decimals")
        )
    return whole


def read_crossing(node: Node | None, reader: Reader, default: bool) -> bool:
    """Whether a usage is split where its price changes."""
    return reader.value(node, _parse_crossing, "split" if default else "start") == "split"


def _model_name(node: Node, fields: dict[str, Node], reader: Reader) -> str:
    given = [model for model in MODELS if model in fields]
    if not given and isinstance(node, Mapping):
        reader.refuse(node, "'price' is missing", f"add `price:`, or another model: {', '.join(MODELS[1:])}")
    for another in given[1:]:
        reader.refuse(fields[another], f"both `{given[0]}` and `{another}` are given", "keep one of the two, or make two prices of it")
    return given[0] if given else "price"


def _read_model(name: str, fields: dict[str, Node], terms: BookTerms) -> tuple[Model | None, UnitQuantity | None]:
    reader = terms.reader
    if name not in fields:
        return None, None
    if name == "price":
        rate = _read_rate(fields[name], reader)
        return rate, rate.per if rate else None
    if name == "steps":
        steps = _read_steps(fields[name], reader)
        return steps, steps[0].rate.per if steps else None
    tiers = read_tiers(name, fields, terms)  # type: ignore[arg-type]
    return tiers, UnitQuantity(ExactNumber(1), tiers.unit, tiers.unit) if tiers else None


def _read_rate(node: Node | None, reader: Reader) -> Rate | None:
    fields = reader.fields(node, ("amount", "per"))
    amount = reader.value(fields.get("amount"), parse_number, ZERO)
    per = reader.value(fields.get("per"), parse_unit_quantity, None)
    return Rate(amount, per) if per else None


def _read_steps(node: Node, reader: Reader) -> tuple[Step, ...] | None:
    items = reader.items(node)
    if len(items) > STEPS_MAX:
        reader.refuse(node, f"{len(items)} steps", f"use at most {STEPS_MAX}")
        return None
    steps: list[Step] = []
    for item in items:
        step = _read_step(item, steps, reader)
        if step is None:
            return None
        steps.append(step)
    return tuple(steps) or None


def _read_step(node: Node, before: list[Step], reader: Reader) -> Step | None:
    fields = reader.fields(node, ("from", "price"), ("increments",))
    rate = _read_rate(fields.get("price"), reader)
    if rate is None:
        return None
    unit = before[0].rate.per.unit if before else rate.per.unit
    if rate.per.unit != unit:
        reader.refuse(
            fields["price"], f"it is not counted in {unit}, as the first step is", f"state all steps in {unit} or multiples of it"
        )
    start = reader.value(fields.get("from"), partial(_parse_free, per=rate.per), ZERO)
    if not before and start != ZERO:
        reader.refuse(fields["from"], "the first step does not begin at 0", "let it begin `from: 0`")
    elif before and start.to_decimal() <= before[-1].start.to_decimal():
        reader.refuse(fields["from"], f"the step begins at {start}, not after the one before it", "let `from` grow from step to step")
    return Step(start, rate, _read_increments(fields.get("increments"), rate.per, reader))


def _read_percentage(fields: dict[str, Node], reader: Reader) -> tuple[Model, UnitQuantity, dict[str, Node]]:
    """A percentage is a price per hundred of money, with limits and a fixed fee of its own."""
    asked = reader.fields(fields["percentage"], ("rate",), ("fixed", "free_amount", "minimum", "maximum"))
    hundred = UnitQuantity(ExactNumber(100), MONEY, MONEY)
    model = Rate(reader.value(asked.get("rate"), parse_number, ZERO), hundred)
    for key in ("increments", "setup_fee", "free_first", "minimum", "maximum"):
        if key in fields:
            reader.refuse(
                fields[key], f"a percentage has no `{key}` beside it", "use `fixed`, `free_amount`, `minimum`, `maximum` within it"
            )
    names = {"setup_fee": "fixed", "free_first": "free_amount", "minimum": "minimum", "maximum": "maximum"}
    return model, UnitQuantity(ExactNumber(1), MONEY, MONEY), {key: asked[name] for key, name in names.items() if name in asked}


def _check_together(price: UsagePrice, model_name: str, fields: dict[str, Node], own: dict[str, Node], reader: Reader) -> None:
    minimum, maximum = price.minimum, price.maximum
    if minimum is not None and maximum is not None and minimum.to_decimal() > maximum.to_decimal():
        reader.refuse(own["maximum"], f"the maximum {maximum} is less than the minimum {minimum}", "exchange the two, or keep one")
    if model_name not in ("graduated", "volume", "package"):
        for key in ("counted", "late_usage"):
            if key in fields:
                reader.refuse(fields[key], f"`{key}` is for graduated, volume and package prices", "remove it, or use one of these models")
    elif isinstance(price.model, Tiers) and not price.model.counted_by_record:
        for key in ("minimum", "maximum"):
            if key in fields:
                reader.refuse(fields[key], f"a record has no {key} where the month is counted", "add `counted: record`, or remove it")
    if model_name == "steps" and "increments" in fields:
        reader.refuse(fields["increments"], "steps have increments of their own", "write `increments` within each step")
    if "crossing" in fields and read_crossing(fields["crossing"], Reader(), default=False) and not price.splits and price.unit != "s":
        reader.refuse(
            fields["crossing"], f"usage counted in {price.unit} cannot be split: nobody knows how long it lasted", "use `crossing: start`"
        )


def _read_increments(node: Node | None, per: UnitQuantity | None, reader: Reader) -> Increments:
    return reader.value(node, partial(parse_increments, per=per), ONE_BY_ONE) if per else ONE_BY_ONE


def _match(node: Node | None, terms: BookTerms) -> UsageMatch:
    reader = terms.reader
    keys = ("called", "zone", "time_band", "roaming_zone", "visited_network", "roaming", "characteristics")
    fields = reader.fields(node, ("usage_type",), keys)
    if "called" in fields and "zone" in fields:
        reader.refuse(fields["called"], "both `called` and `zone` are given", "keep one of the two")
    if "roaming_zone" in fields and "visited_network" in fields:
        reader.refuse(fields["visited_network"], "both `roaming_zone` and `visited_network` are given", "keep one of the two")
    for key in ("roaming_zone", "visited_network"):
        if "roaming" in fields and key in fields:
            reader.refuse(fields["roaming"], f"both `{key}` and `roaming` are given", f"keep `{key}`, which is for usage in these networks")
    called = read_prefixes(fields["called"], reader) if "called" in fields else ()
    networks = read_prefixes(fields["visited_network"], reader, parse_network_code) if "visited_network" in fields else ()
    return UsageMatch(
        usage_type=reader.identifier(fields.get("usage_type")),
        called=reader.reference(fields.get("zone"), terms.zones, "zone") or called,
        time_band=reader.reference(fields.get("time_band"), terms.bands, "time band"),
        networks=reader.reference(fields.get("roaming_zone"), terms.roaming_zones, "roaming zone") or networks,
        characteristics=_read_characteristics(fields.get("characteristics"), reader),
        home_networks=terms.home_networks,
        roaming=read_roaming(fields.get("roaming"), terms, Roaming.EXCLUDED) or Roaming.EXCLUDED,
    )


def _read_characteristics(node: Node | None, reader: Reader) -> dict[str, frozenset[str]]:
    named = reader.named(node, "value")
    if node is not None and len(named) > CHARACTERISTICS_MAX:
        reader.refuse(node, f"{len(named)} characteristics", f"use at most {CHARACTERISTICS_MAX}")
        return {}
    if VISITED_NETWORK in named:
        reader.refuse(named[VISITED_NETWORK], "it is no characteristic like others", "write `visited_network:` in `match:`")
    return {name: frozenset(reader.text(item) for item in reader.items(value)) for name, value in named.items()}


def _parse_free(text: str, per: UnitQuantity) -> ExactNumber:
    """A quantity that may be zero."""
    return ZERO if text.split(" ")[0] == "0" and parse_number(text.split(" ")[0]) == ZERO else parse_step(text, per)


def _parse_crossing(text: str) -> str:
    if text not in CROSSINGS:
        raise Unreadable(f"unknown crossing {text[:80]!r}", suggest(text, CROSSINGS, "use start or split"))
    return text
