"""Make the documents and questions that ``search.py`` measures with.

    python bench/search_corpus.py factbook.jsonl

The source holds a line for each country of a public-domain book of facts (CC0), as
``{"rec": {"country", "capital", "location", "background", ...}}``. Four kinds of questions are
made, each with one document that answers it: `known` names what everybody knows of a country and
its document mostly does not say, `told` retells a sentence without its names and in other words,
`named` asks by a name in the document, `figure` by a number. The same source gives the same files.
"""

import json
import random
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
DOCUMENTS: Final = HERE / "search_documents.jsonl"
QUESTIONS: Final = HERE / "search_questions.jsonl"
_OF_EACH: Final = 60
_LONGEST: Final = 900
# What people think of when they hear of a country.
_KNOWN: Final = {
    "egypt": "the Sphinx and the pharaohs' pyramids",
    "france": "the Eiffel Tower and the Louvre",
    "india": "the Taj Mahal and Bollywood films",
    "peru": "Machu Picchu and llamas in the Andes",
    "japan": "samurai, sushi and Mount Fuji",
    "china": "the Great Wall and giant pandas",
    "united-states": "the Statue of Liberty and Hollywood",
    "canada": "maple syrup, hockey and Mounties",
    "mexico": "tequila, mariachi bands and Aztec temples",
    "brazil": "samba, Rio's carnival and the Amazon rainforest",
    "argentina": "tango, gauchos and Patagonia",
    "kenya": "Maasai herders and the Masai Mara",
    "tanzania": "Kilimanjaro and the Serengeti",
    "south-africa": "Nelson Mandela and the end of apartheid",
    "ethiopia": "Haile Selassie and the rock churches of Lalibela",
    "greece": "the Parthenon and Zeus on Olympus",
    "italy": "the Colosseum, pizza and gondolas",
    "germany": "Oktoberfest and the Bundesliga",
    "netherlands": "windmills, tulips and Dutch canals",
    "denmark": "Legoland and Hans Christian Andersen",
    "sweden": "IKEA, ABBA and Volvo",
    "norway": "fjords and Viking longships",
    "finland": "saunas and Nokia phones",
    "iceland": "Reykjavik's geysers and Eyjafjallajokull",
    "ireland": "leprechauns and Dublin's pubs",
    "united-kingdom": "Big Ben and Buckingham Palace",
    "spain": "flamenco, bullfights and paella",
    "portugal": "fado songs and Vasco da Gama's Lisbon",
    "switzerland": "the Matterhorn, cheese fondue and cuckoo watches",
    "austria": "Mozart's Salzburg and Viennese waltzes",
    "poland": "pierogi, Chopin and Krakow",
    "hungary": "goulash and Magyars on the Danube",
    "czechia": "Prague's Charles Bridge and Kafka",
    "romania": "Dracula's castle in Transylvania",
    "russia": "the Kremlin, Tolstoy and Siberia",
    "ukraine": "Chernobyl and Kyiv's golden domes",
    "turkey": "the Bosphorus and the Hagia Sophia",
    "israel": "kibbutzim and the Knesset",
    "jordan": "Petra's rose-red tombs and Wadi Rum",
    "saudi-arabia": "the pilgrimage to Mecca and Medina",
    "iran": "Persian carpets, ayatollahs and Persepolis",
    "iraq": "Babylon and the regime of Saddam",
    "afghanistan": "the Taliban and the Buddhas of Bamiyan",
    "pakistan": "Lahore, Karachi and the Khyber Pass",
    "nepal": "Sherpas and the way up Mount Everest",
    "sri-lanka": "Tamil Tigers and Ceylon tea",
    "bangladesh": "Dhaka's garment workers and Bengal tigers",
    "thailand": "Muay boxing and pad noodles",
    "cambodia": "Angkor Wat and the Khmer Rouge",
    "vietnam": "Ho Chi Minh, Saigon and pho soup",
    "indonesia": "Bali, Java and Komodo dragons",
    "philippines": "Manny Pacquiao and Manila's jeepneys",
    "australia": "kangaroos, koalas and the Sydney Opera House",
    "new-zealand": "kiwis, Maori hakas and hobbit film sets",
    "cuba": "Fidel Castro, Havana cigars and salsa",
    "jamaica": "Bob Marley, reggae and Rastafarians",
    "panama": "ships crossing between two oceans through locks",
    "chile": "Santiago, Atacama and Pinochet",
    "colombia": "Bogota, Medellin and Pablo Escobar",
    "holy-see-vatican-city": "the Pope, cardinals and the Sistine Chapel",
}
# What a sentence of history can be told with instead.
_OTHER_WORDS: Final = {
    "independence": "freedom",
    "independent": "free",
    "colony": "overseas possession",
    "colonial": "imperial",
    "conquered": "overran",
    "occupied": "held by foreign troops",
    "elections": "votes",
    "election": "vote",
    "elected": "voted in",
    "president": "head of state",
    "government": "rulers",
    "military": "army",
    "war": "armed conflict",
    "civil": "internal",
    "coup": "violent takeover",
    "settlers": "newcomers",
    "settled": "peopled",
    "established": "set up",
    "discovered": "first seen",
    "ceded": "handed over",
    "annexed": "took over",
    "kingdom": "monarchy",
    "king": "monarch",
    "slaves": "people in bondage",
    "slave": "bondage",
    "killed": "dead",
    "resigned": "stepped down",
    "protests": "street unrest",
    "violence": "bloodshed",
    "economy": "trade and industry",
    "economic": "material",
    "century": "hundred years",
    "treaty": "signed agreement",
    "invaded": "marched into",
    "rebels": "insurgents",
    "constitution": "basic law",
    "island": "isle",
    "islands": "isles",
    "people": "inhabitants",
    "ruled": "governed",
    "rule": "dominion",
    "power": "control",
    "party": "political movement",
    "parties": "political movements",
    "became": "turned into",
    "began": "started",
    "ended": "came to a close",
    "country": "nation",
    "territory": "land",
    "explorer": "seafarer",
    "explorers": "seafarers",
}
_WORD: Final = re.compile(r"[\w'-]+")


def main(source: str) -> None:
    """Write both files."""
    lines = Path(source).read_text(encoding="utf-8").splitlines()
    records = [json.loads(line)["rec"] for line in lines]
    documents = [{"name": f"{_plain(each['country'])}.txt", "text": text(each)} for each in records]
    _write(DOCUMENTS, documents)
    _write(QUESTIONS, list(questions(records, random.Random(7))))  # noqa: S311 - no secret


def text(record: dict[str, Any]) -> str:
    """Return the document of a country."""
    facts = (
        f"{record['country']}. Capital: {record['capital'] or 'none'}. "
        f"Location: {record['location']}. Population: {record['population']}. "
        f"Area: {record['area']}. "
        f"Languages: {record['languages'] or 'not listed'}. Climate: {record['climate']}. "
        f"Government: {record['gov']}. Currency: {record['currency']}."
    )
    return f"{facts}\n\n{_beginning(record['background'])}\n"


def questions(records: list[dict[str, Any]], chance: random.Random) -> Iterator[dict[str, str]]:
    """Yield every question with its kind and the name of the document that answers it."""
    makers = {"known": _well_known, "told": _told, "named": _named, "figure": _figure}
    for kind, make in makers.items():
        made = [(make(record, chance), record) for record in records]
        possible = [(question, record) for question, record in made if question]
        for question, record in chance.sample(possible, _OF_EACH):
            name = f"{_plain(record['country'])}.txt"
            yield {"kind": kind, "question": question, "document": name}


def _well_known(record: dict[str, Any], chance: random.Random) -> str | None:
    known = _KNOWN.get(_plain(record["country"]))
    places = [f"Where would I look for {known}?", f"I think of {known}: which country is it?"]
    return chance.choice(places) if known else None


def _told(record: dict[str, Any], chance: random.Random) -> str | None:
    sentences = re.split(r"(?<=[.;])\s+", _beginning(record["background"]))
    possible = [told for each in sentences if (told := _retold(each))]
    return f"Where was it that {chance.choice(possible)}?" if possible else None


def _retold(sentence: str) -> str | None:
    """Return a sentence without names and numbers, with other words where there are some."""
    words = [word for word in _WORD.findall(sentence)[1:] if word.islower()]
    told = [_OTHER_WORDS.get(word, word) for word in words]
    changed = sum(one != other for one, other in zip(words, told, strict=True))
    return " ".join(told) if len(told) >= 8 and changed >= 3 else None


def _named(record: dict[str, Any], chance: random.Random) -> str | None:
    country, capital = record["country"], record["capital"] or "none"
    if capital in text(record).split(".")[0] or capital.lower() in ("none", "not listed"):
        return None
    return chance.choice(
        [
            f"What do people pay with in {capital}?",
            f"How is the state run whose seat is {capital}?",
            f"What is the weather like around {capital}?",
            f"Which tongues are spoken in {country}?",
        ]
    )


def _figure(record: dict[str, Any], chance: random.Random) -> str | None:
    area = re.match(r"[\d,]+ sq km", record["area"] or "")
    people = re.match(r"[\d,]+", record["population"] or "")
    if not area or not people or len(people[0]) < 5:
        return None
    return chance.choice([f"Who covers {area[0]}?", f"Where do {people[0]} inhabitants live?"])


def _beginning(background: str) -> str:
    """Return whole sentences from the beginning, not too many."""
    cut = background[:_LONGEST]
    return cut if len(background) <= _LONGEST else cut[: cut.rindex(". ") + 1]


def _plain(name: str) -> str:
    return re.sub(r"\W+", "-", name).strip("-").lower()


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
