"""Records with something in them: lists of things, lists of names, an address inside an order."""

from collections.abc import Sequence
from random import Random
from typing import Any

from freehold_training.example import Split
from freehold_training.generators.json_answers_records import Told, as_json, object_schema
from freehold_training.pools.text_values import draw

_STRING, _INTEGER, _NUMBER = {"type": "string"}, {"type": "integer"}, {"type": "number"}


def listed(random: Random, split: Split) -> Told:
    """Return a text and its record with a list or an object inside."""
    return random.choice((_invoice, _order, _guests, _stock, _parcel))(random, split)


def joined(words: Sequence[str]) -> str:
    """Return the words as a sentence lists them."""
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else words[0]


def _wording(wordings: Sequence[str], random: Random, split: Split) -> str:
    """Return one of the wordings; the last is for the evaluation."""
    return wordings[-1] if split == "held_out" else random.choice(wordings[:-1])


def _name(names: str, random: Random) -> str:
    return random.choice(names.split())


def _distinct(kind: str, count: int, random: Random, split: Split) -> list[str]:
    found: dict[str, None] = {}
    while len(found) < count:
        found[draw(kind, random, split)] = None
    return list(found)


def _array(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": schema}


def _invoice(random: Random, split: Split) -> Told:
    number, customer = draw("code", random, split), draw("person", random, split)
    products = _distinct("product", random.randint(1, 3), random, split)
    lines = [(one, random.randint(1, 9), draw("price", random, split)) for one in products]
    item, quantity = _name("item product name", random), _name("quantity qty count", random)
    price, items = _name("price unit_price", random), _name("items lines line_items", random)
    told = "; ".join(f"{count} x {one} at ${cost}" for one, count, cost in lines)
    wording = _wording(
        (
            "Invoice {number} for {customer}: {told}.",
            "Invoice number {number}. Customer: {customer}. Items: {told}.",
            "We bill {customer} under invoice {number} for {told}.",
            "{customer} gets invoice {number}, which lists {told}.",
        ),
        random,
        split,
    )
    keys = _name("invoice invoice_number number", random), _name("customer client name", random)
    answer = {
        keys[0]: number,
        keys[1]: customer,
        items: [
            {item: one, quantity: count, price: as_json("number", cost)}
            for one, count, cost in lines
        ],
    }
    if item == keys[1]:
        return _invoice(random, split)
    line = object_schema({item: _STRING, quantity: _INTEGER, price: _NUMBER})
    schema = object_schema({keys[0]: _STRING, keys[1]: _STRING, items: _array(line)})
    text = wording.format(number=number, customer=customer, told=told)
    return Told("invoice", "the invoice", text, answer, schema)


def _order(random: Random, split: Split) -> Told:
    products = _distinct("product", random.randint(1, 4), random, split)
    counts = [random.randint(1, 9) for _ in products]
    form = _wording(
        ("{count} x {one}", "{one} ({count})", "{one}, quantity {count}", "{one}: {count}"),
        random,
        split,
    )
    pairs = list(zip(products, counts, strict=True))
    told = joined([form.format(one=one, count=count) for one, count in pairs])
    wording = _wording(
        (
            "I would like to order {told}.",
            "Please send me {told}.",
            "Can I get {told}?",
            "We need {told} for the office.",
            "Put {told} in my basket.",
        ),
        random,
        split,
    )
    item, quantity = _name("item product name", random), _name("quantity qty count amount", random)
    answer = {"items": [{item: one, quantity: count} for one, count in pairs]}
    schema = object_schema({"items": _array(object_schema({item: _STRING, quantity: _INTEGER}))})
    return Told("order", "the order", wording.format(told=told), answer, schema)


def _guests(random: Random, split: Split) -> Told:
    title = draw("word", random, split)
    names = _distinct(random.choice(["first", "person"]), random.randint(2, 5), random, split)
    day = draw("day", random, split)
    wording = _wording(
        (
            "{names} are going to the {title} dinner on {day}.",
            "The {title} workshop is on {day}. {names} will attend.",
            "{day}: {title} meeting with {names}.",
            "On {day} we expect {names} at the {title} party.",
        ),
        random,
        split,
    )
    keys = (
        _name("name title event", random),
        _name("day weekday date", random),
        _name("participants people guests attendees", random),
    )
    answer = dict(zip(keys, (title, day, names), strict=True))
    schema = object_schema({keys[0]: _STRING, keys[1]: _STRING, keys[2]: _array(_STRING)})
    text = wording.format(names=joined(names), title=title, day=day)
    return Told("calendar event", "the event", text, answer, schema)


def _stock(random: Random, split: Split) -> Told:
    place = draw("town", random, split)
    towns = _distinct("word", random.randint(2, 4), random, split)
    counts = [int(draw("count", random, split)) for _ in towns]
    told = joined([f"{count} in {one}" for one, count in zip(towns, counts, strict=True)])
    wording = _wording(
        (
            "The firm from {place} counted its members: {told}.",
            "Members by town, as reported from {place}: {told}.",
            "{place} reports {told}.",
        ),
        random,
        split,
    )
    keys = _name("town place", random), _name("members count number", random)
    answer = {
        "reported_from": place,
        "places": [
            {keys[0]: one, keys[1]: count} for one, count in zip(towns, counts, strict=True)
        ],
    }
    line = object_schema({keys[0]: _STRING, keys[1]: _INTEGER})
    schema = object_schema({"reported_from": _STRING, "places": _array(line)})
    return Told("report", "the report", wording.format(place=place, told=told), answer, schema)


def _parcel(random: Random, split: Split) -> Told:
    person, code = draw("person", random, split), draw("code", random, split)
    street, town = draw("address", random, split), draw("town", random, split)
    postcode = draw("postcode", random, split)
    wording = _wording(
        (
            "Order {code} goes to {person}, {street}, {postcode} {town}.",
            "Please deliver order {code} to {person} at {street} in {town}, postcode {postcode}.",
            "{person} ordered {code}. The address is {street}, {town} {postcode}.",
            "For {person}: order {code}, to be left at {street}, {postcode} {town}.",
        ),
        random,
        split,
    )
    inside, zipped = _name("address delivery_address", random), _name("postcode zip", random)
    who, order = _name("customer name recipient", random), _name("order order_id id", random)
    place = {"street": street, "city": town, zipped: postcode}
    answer = {order: code, who: person, inside: place}
    schema = object_schema(
        {order: _STRING, who: _STRING, inside: object_schema(dict.fromkeys(place, _STRING))}
    )
    text = wording.format(person=person, code=code, street=street, town=town, postcode=postcode)
    return Told("delivery", "the delivery", text, answer, schema)
