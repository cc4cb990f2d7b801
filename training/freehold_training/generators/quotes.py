"""Finding one's way in any text: its sentences, its gaps, what it mentions and what it does not."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from os import environ
from random import Random

from freehold_training.corpus import FOLDER, rows
from freehold_training.example import Example, Split, part
from freehold_training.generators.chat_frame import LONGEST, length
from freehold_training.generators.reading_layouts import answered, laid_out
from freehold_training.generators.reading_texts import Asked, Passage, passage

# Sources of running prose, and how often each is taken where it is at hand.
_SOURCES = {"fairytale_stories": 1, "openstax": 1}
_OWN = 0.15
_PARAGRAPH = re.compile(r"\n\s*\n")
_PLAIN_PARAGRAPH = re.compile(r"[A-Z\"'][^\n|{}<>=\\]*[.!?][\"']?")
_SENTENCE = re.compile(r"(?<=[a-z0-9]{2}[.!?])[\"']? (?=[\"']?[A-Z0-9])")
_WORD = re.compile(r"[A-Za-z]{5,}")
# What is worth a gap: a name inside a sentence, a number, a longer word.
_GAP = re.compile(r"(?<=[a-z,] )(?:[A-Z][a-z]{3,}|\d[\d,]*|[a-z]{7,})\b")
_DOING = re.compile(
    r"((?:[A-Z][a-z]{2,} ){1,2}|(?:The|An|One) (?:[a-z]{3,} ){1,2})"
    r"((?:was|had|went|came|took|gave|made|found|wrote|became|won|built|saw|told|began|brought"
    r"|kept|[a-z]{3,}ed) "
    r"[^;:\"?!]{12,90})\."
)
_NOT_NAMES = re.compile(
    r"(?:This|That|These|Those|Then|When|There|They|She|But|And|After|Before|Some|Many|Most|Such"
    r"|His|Her|Its|Their|Our|What|How|Now|Here|For|From|With|All|Both|Each|One day|Other|Another"
    r"|Next|Figure)\b"
)
_PARAGRAPHS = 8
_QUESTIONS = (5, 6, 6, 7, 8)
_SHORT, _LONG = 6, 34


@dataclass(frozen=True)
class Window:
    """A piece of a text in its sentences; ``elsewhere`` holds words that are not in it."""

    text: str
    sentences: Sequence[str]
    elsewhere: Sequence[str]


def _quotes(random: Random, split: Split) -> Iterator[Example]:
    while True:
        source, window = piece(random, split)
        asked = questions(window, random)
        if len(asked) < min(_QUESTIONS):
            continue
        given = Passage("text", "the text", window.text, [], [])
        messages = laid_out([given], [one.question for one in asked], random, split)
        example: Example = {
            "row": "quotes",
            "source": source,
            "messages": answered(messages, asked),
        }
        if length(example) <= LONGEST:
            yield example


def questions(window: Window, random: Random) -> list[Asked]:
    """Return different questions on the text; the same answer is not asked for twice."""
    found: dict[str, Asked] = {}
    for _ in range(3 * max(_QUESTIONS)):
        make = random.choices(_MAKERS, _WEIGHTS)[0]
        if one := make(window, random):
            found.setdefault(one.answer, one)
    kept = list(found.values())
    return random.sample(kept, min(len(kept), random.choice(_QUESTIONS)))


def piece(random: Random, split: Split) -> tuple[str, Window]:
    """Return where a piece of text is from, and the piece: of our own where nothing is at hand."""
    names = [name for name in _SOURCES if rows(name) and _paragraphs(environ[FOLDER], name, split)]
    if not names or random.random() < _OWN:
        return "own", _cut(passage(random, split).text, passage(random, split).text.split())
    name = random.choices(names, [_SOURCES[name] for name in names])[0]
    paragraphs = _paragraphs(environ[FOLDER], name, split)
    start = random.randrange(len(paragraphs))
    wanted = random.choice([60, 90, 120, 160, 200, 260])
    taken: list[str] = []
    for paragraph in paragraphs[start : start + _PARAGRAPHS]:
        taken.append(paragraph)
        if sum(len(one.split()) for one in taken) >= wanted:
            break
    others = " ".join(random.choice(paragraphs) for _ in range(6))
    return name, _cut("\n\n".join(taken), others.split())


def _cut(text: str, others: Sequence[str]) -> Window:
    sentences = [
        one.strip() for block in text.split("\n") for one in _SENTENCE.split(block) if one.strip()
    ]
    own = set(_words(text))
    elsewhere = [word for word in others if _WORD.fullmatch(word) and word.lower() not in own]
    return Window(text, sentences, elsewhere)


@cache
def _paragraphs(folder: str, name: str, split: Split) -> Sequence[str]:
    """Return the plain paragraphs of a source in their order, those of the split's documents."""
    del folder
    found: list[str] = []
    for text in part([row["text"] for row in rows(name)], split):
        for block in _PARAGRAPH.split(text):
            plain = " ".join(block.split())
            if 20 <= len(plain.split()) <= 180 and _PLAIN_PARAGRAPH.fullmatch(plain):
                found.append(plain)
    return found


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def _shown(word: str, random: Random) -> str:
    return word if word[0].isupper() and random.random() < 0.7 else f'"{word}"'


def _asked(question: str, answer: str) -> Asked:
    return Asked(question, answer, answer)


def _whole(window: Window) -> list[str]:
    return [
        one
        for one in window.sentences
        if _SHORT <= len(one.split()) <= _LONG and not one.startswith(("Q: ", "A: "))
    ]


def _single(window: Window, random: Random) -> tuple[str, str] | None:
    """Return a word that stands once in the text, and its sentence."""
    counted = Counter(_words(window.text))
    whole = random.sample(_whole(window), len(_whole(window)))
    for sentence in whole:
        words = [word for word in _WORD.findall(sentence) if counted[word.lower()] == 1]
        if words:
            return random.choice(words), sentence
    return None


_WHERE = (
    "Which sentence mentions {w}?",
    "Quote the sentence with {w}.",
    "Where does the text mention {w}?",
    "What does the text say about {w}?",
    "Find the sentence about {w}.",
    "Is there anything on {w} in it? Quote it.",
)
_WHETHER = (
    "Does the text mention {w}?",
    "Is {w} mentioned?",
    "Does {w} occur in the text?",
    "Is there anything about {w} in the text?",
)
_ON = (
    'How does this sentence go on: "{h} ..."',
    'Complete the sentence from the text: "{h} ..."',
    'Finish: "{h} ..."',
    'The text says "{h}". What comes next?',
)
_GAPS = (
    'Fill the gap as in the text: "{g}"',
    'Which word is missing? "{g}"',
    'What belongs in the gap: "{g}"',
)
_NEXT = (
    'Which sentence follows "{s}"?',
    'What comes right after "{s}"?',
)
_WHO = ("Who or what {d}?", "Who {d}? Answer from the text.")


def _mentioned(window: Window, random: Random) -> Asked | None:
    if not (found := _single(window, random)):
        return None
    word, sentence = found
    return _asked(random.choice(_WHERE).format(w=_shown(word, random)), sentence)


def _whether(window: Window, random: Random) -> Asked | None:
    if random.random() < 0.7:
        if not (found := _single(window, random)):
            return None
        word, sentence = found
        ask = random.choice(_WHETHER).format(w=_shown(word, random))
        return _asked(ask, f'Yes: "{sentence}"')
    if not window.elsewhere:
        return None
    word = random.choice(window.elsewhere)
    ask = random.choice(_WHETHER).format(w=_shown(word, random))
    return _asked(ask, f"No, the text does not mention {word}.")


def _unmentioned(window: Window, random: Random) -> Asked | None:
    if not window.elsewhere:
        return None
    word = random.choice(window.elsewhere)
    ask = random.choice(_WHERE[2:4]).format(w=word)
    return Asked(ask, f"The text does not mention {word}.", None)


def _finished(window: Window, random: Random) -> Asked | None:
    long = [one for one in _whole(window) if len(one.split()) > 2 * _SHORT]
    if not long:
        return None
    words = random.choice(long).split()
    cut = random.randint(4, len(words) - 4)
    return _asked(random.choice(_ON).format(h=" ".join(words[:cut])), " ".join(words[cut:]))


def _gap(window: Window, random: Random) -> Asked | None:
    whole = random.sample(_whole(window), len(_whole(window)))
    for sentence in whole:
        if gaps := list(_GAP.finditer(sentence)):
            gap = random.choice(gaps)
            holed = f"{sentence[: gap.start()]}___{sentence[gap.end() :]}"
            return _asked(random.choice(_GAPS).format(g=holed), gap[0])
    return None


def _following(window: Window, random: Random) -> Asked | None:
    pairs = [
        (one, two)
        for one, two in pairwise(window.sentences)
        if max(len(one), len(two)) < 160 and min(len(one), len(two)) > 20
    ]
    if not pairs:
        return None
    one, two = random.choice(pairs)
    return _asked(random.choice(_NEXT).format(s=one), two)


def _who(window: Window, random: Random) -> Asked | None:
    found = [
        (match[2], sentence)
        for sentence in _whole(window)
        if (match := _DOING.fullmatch(sentence)) and not _NOT_NAMES.match(sentence)
    ]
    if not found:
        return None
    done, sentence = random.choice(found)
    return _asked(random.choice(_WHO).format(d=done), sentence)


_MAKERS: Sequence[Callable[[Window, Random], Asked | None]] = (
    _mentioned,
    _whether,
    _unmentioned,
    _finished,
    _gap,
    _following,
    _who,
)
_WEIGHTS = (24, 14, 3, 16, 16, 8, 18)
GENERATORS = {"quotes": _quotes}
