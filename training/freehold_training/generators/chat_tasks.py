"""Short instructions with one right answer: words, lists, numbers, small translations."""

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from random import Random

from freehold_training.example import Split, part
from freehold_training.generators.chat_frame import Exchange
from freehold_training.generators.chat_judged import judged
from freehold_training.pools.text_values import values

_FILE = Path(__file__).parents[1] / "pools" / "text_tasks.txt"
_LANGUAGES = ("french", "spanish", "german", "italian")
_GROUPS = ("fruit", "vegetable", "tool", "vehicle", "furniture", "bird", "metal", "clothing")
_MANY = {
    "fruit": "fruits",
    "vegetable": "vegetables",
    "tool": "tools",
    "vehicle": "vehicles",
    "furniture": "pieces of furniture",
    "bird": "birds",
    "metal": "metals",
    "clothing": "pieces of clothing",
}
# For each list of pairs: how it is asked, the last for the evaluation, and how it is answered.
_PAIRED = {
    "opposite": (
        (
            "What is the opposite of {a}?",
            'Opposite of "{a}"?',
            "Give me the opposite of the word {a}.",
            "Which word means the opposite of {a}?",
        ),
        "The opposite of {a} is {b}.",
    ),
    "plural": (
        (
            "What is the plural of {a}?",
            'Plural of "{a}"?',
            "How do you write more than one {a}?",
            "Which is the plural form of {a}?",
        ),
        "The plural of {a} is {b}.",
    ),
    "past": (
        (
            "What is the past tense of {a}?",
            'Past tense of "{a}"?',
            "Put the verb {a} into the past.",
            "Which is the past form of {a}?",
        ),
        "The past tense of {a} is {b}.",
    ),
    "rhyme": (
        (
            "What rhymes with {a}?",
            "Give me a word that rhymes with {a}.",
            "Find a rhyme for {a}.",
            "Name a rhyme for the word {a}.",
        ),
        "{B} rhymes with {a}.",
    ),
    "synonym": (
        (
            "What is another word for {a}?",
            'Synonym of "{a}"?',
            "Give me a synonym for {a}.",
            "Which word means the same as {a}?",
        ),
        "Another word for {a} is {b}.",
    ),
}
_TRANSLATE = (
    'How do you say "{a}" in {language}?',
    "Translate {a} into {language}.",
    'What is "{a}" in {language}?',
    'Translate to {language}: "{a}"',
    'Which {language} word means "{a}"?',
)
# What lists of values are called where many of them are wanted.
_MANY_VALUES = {
    "animal": "animals",
    "city": "cities",
    "colour": "colours",
    "country": "countries",
    "first": "first names",
    "food": "dishes",
    "hobby": "hobbies",
    "instrument": "musical instruments",
    "job": "jobs",
    "language": "languages",
    "product": "things to buy",
}
_NUMBERS = {"six": 6, "seven": 7, "8": 8, "ten": 10, "10": 10, "12": 12, "fifteen": 15, "20": 20}
_SUMS: Sequence[tuple[str, Callable[[int, int], int]]] = (
    ("{a} + {b}", lambda a, b: a + b),
    ("{a} plus {b}", lambda a, b: a + b),
    ("{a} - {b}", lambda a, b: a - b),
    ("{a} minus {b}", lambda a, b: a - b),
)


@cache
def _lists() -> dict[str, list[str]]:
    lines = _FILE.read_text("utf-8").splitlines()
    cells = (line.split(": ", 1) for line in lines if not line.startswith("#"))
    return {name: entries.split(",") for name, entries in cells}


def exchange(random: Random, split: Split) -> Exchange:
    """Return an instruction and its answer, none that models are judged by."""
    while True:
        one = random.choice(_MAKERS)(random, split)
        if not judged(one[0]):
            return one


def _wording(wordings: Sequence[str], random: Random, split: Split) -> str:
    return wordings[-1] if split == "held_out" else random.choice(wordings[:-1])


def _pair(name: str, random: Random, split: Split) -> tuple[str, str]:
    return _split(random.choice(part(_lists()[name], split)))


def word_list(random: Random, split: Split, count: int) -> list[str]:
    """Return plain words, none twice."""
    pool = part(sorted({word for name in _GROUPS for word in _lists()[name]}), split)
    return random.sample(pool, min(count, len(pool)))


def translations(split: Split) -> list[tuple[str, dict[str, str]]]:
    """Return words, with what they are called in each language."""
    lists = {name: dict(_split(one) for one in _lists()[name]) for name in _LANGUAGES}
    words = part(sorted(lists[_LANGUAGES[0]]), split)
    return [(word, {name.capitalize(): lists[name][word] for name in lists}) for word in words]


def _split(entry: str) -> tuple[str, str]:
    one, other = entry.split("=")
    return one, other


def _paired(random: Random, split: Split) -> Exchange:
    name = random.choice(list(_PAIRED))
    wordings, answer = _PAIRED[name]
    a, b = _pair(name, random, split)
    capital = b[:1].upper() + b[1:]
    return _wording(wordings, random, split).format(a=a), answer.format(a=a, b=b, B=capital)


def _translated(random: Random, split: Split) -> Exchange:
    name = random.choice(_LANGUAGES)
    a, b = _pair(name, random, split)
    language = name.capitalize()
    question = _wording(_TRANSLATE, random, split).format(a=a, language=language)
    return question, f'"{a[:1].upper() + a[1:]}" in {language} is "{b}".'


def _sorted(random: Random, split: Split) -> Exchange:
    if random.random() < 0.5:
        words = word_list(random, split, random.randint(3, 5))
        asks = (
            "Sort these words alphabetically: {all}",
            "Put in alphabetical order: {all}",
            "{all} - sort them from A to Z.",
            "Arrange alphabetically: {all}",
        )
        answer = ", ".join(sorted(words))
        return _wording(asks, random, split).format(all=", ".join(words)), answer
    numbers = random.sample(range(1, 100), random.randint(3, 5))
    asks = (
        "Sort these numbers: {all}",
        "Put these numbers in order, smallest first: {all}",
        "Order from small to large: {all}",
        "Arrange by size, starting with the smallest: {all}",
    )
    shown = ", ".join(map(str, numbers))
    return _wording(asks, random, split).format(all=shown), ", ".join(map(str, sorted(numbers)))


def _counted(random: Random, split: Split) -> Exchange:
    words = word_list(random, split, random.randint(2, 6))
    asks = (
        "How many words are in this list: {all}?",
        "Count the words: {all}",
        "How many things do I name here? {all}",
        "Say how many words these are: {all}",
    )
    question = _wording(asks, random, split).format(all=", ".join(words))
    return question, f"There are {len(words)} words."


def _listing(random: Random, split: Split) -> Exchange:
    group = random.choice(_GROUPS)
    names = random.sample(_lists()[group], random.randint(2, 5))
    bullet = random.choice(["numbered", "bullet", "plain"])
    asks = (
        "Name {n} {many}{form}.",
        "Give me {n} {many}{form}.",
        "List {n} {many}{form}.",
        "I need {n} {many}{form}.",
    )
    forms = {"numbered": " as a numbered list", "bullet": " as a bullet list", "plain": ""}
    question = _wording(asks, random, split).format(
        n=len(names), many=_MANY[group], form=forms[bullet]
    )
    lines = {
        "numbered": "\n".join(f"{number}. {name}" for number, name in enumerate(names, 1)),
        "bullet": "\n".join(f"- {name}" for name in names),
        "plain": ", ".join(names),
    }
    return question, lines[bullet]


def _long_listing(random: Random, split: Split) -> Exchange:
    """Return a wish for many things: none is named twice, and the list ends."""
    name, (wanted, count) = random.choice(list(_MANY_VALUES)), random.choice([*_NUMBERS.items()])
    known = values(name, split)
    found = random.sample(known, min(count, len(known)))
    asks = (
        "List {n} {many}.",
        "Give me a list of {n} {many}.",
        "Write down {n} different {many}.",
        "Tell me {n} {many}, one a line.",
        "I want {n} {many}.",
    )
    question = _wording(asks, random, split).format(n=wanted, many=_MANY_VALUES[name])
    mark = "{number}. {name}" if random.random() < 0.7 else "- {name}"
    lines = [mark.format(number=number, name=name) for number, name in enumerate(found, 1)]
    return question, "\n".join(lines)


def _odd_one(random: Random, split: Split) -> Exchange:
    group, other = random.sample(_GROUPS, 2)
    odd = random.choice(part(_lists()[other], "train"))
    words = [*random.sample([word for word in _lists()[group] if word != odd], 3), odd]
    asks = (
        "Which word does not belong: {all}?",
        "Pick the odd one out: {all}",
        "One of these does not fit: {all}. Which one?",
        "Find the word that is different: {all}",
    )
    shuffled = ", ".join(random.sample(words, 4))
    question = _wording(asks, random, split).format(all=shuffled)
    return question, f"{odd.capitalize()}. The others are {_MANY[group]}."


def _sum(random: Random, split: Split) -> Exchange:
    if random.random() < 0.25:
        a, b = random.randint(2, 10), random.randint(2, 10)
        shown, result = random.choice([f"{a} times {b}", f"{a} x {b}"]), a * b
    else:
        a, b = sorted((random.randint(1, 60), random.randint(1, 60)), reverse=True)
        form, compute = random.choice(_SUMS)
        shown, result = form.format(a=a, b=b), compute(a, b)
    asks = (
        "What is {sum}?",
        "{sum} = ?",
        "Calculate {sum}.",
        "How much is {sum}?",
        "Work out {sum}.",
    )
    return _wording(asks, random, split).format(sum=shown), f"{shown} is {result}."


def _changed(random: Random, split: Split) -> Exchange:
    words = word_list(random, split, random.randint(1, 3))
    plain = " ".join(words)
    kind = random.choice(["upper", "capital", "comma"])
    asks = {
        "upper": (
            "Write in capital letters: {all}",
            "Make this uppercase: {all}",
            "Put into upper case: {all}",
        ),
        "capital": (
            "Capitalize each word: {all}",
            "Start every word with a capital letter: {all}",
            "Give every word a capital first letter: {all}",
        ),
        "comma": (
            "Put commas between these words: {all}",
            "Separate with commas: {all}",
            "Write this with commas between: {all}",
        ),
    }
    answers = {"upper": plain.upper(), "capital": plain.title(), "comma": ", ".join(words)}
    return _wording(asks[kind], random, split).format(all=plain), answers[kind]


def _letters(random: Random, split: Split) -> Exchange:
    word = random.choice(word_list(random, split, 3))
    if random.random() < 0.5:
        asks = (
            "What is the first letter of {a}?",
            "Which letter does {a} begin with?",
            "With which letter does {a} start?",
        )
        return _wording(asks, random, split).format(
            a=word
        ), f"The first letter is {word[0].upper()}."
    asks = (
        "What is the last letter of {a}?",
        "Which letter does {a} end with?",
        "Last letter of {a}?",
    )
    return _wording(asks, random, split).format(a=word), f"The last letter is {word[-1].upper()}."


_MAKERS: Sequence[Callable[[Random, Split], Exchange]] = (
    _paired,
    _translated,
    _sorted,
    _counted,
    _listing,
    _long_listing,
    _long_listing,
    _odd_one,
    _sum,
    _changed,
    _letters,
)
