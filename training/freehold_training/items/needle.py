"""Long texts of ordinary sentences with one fact in them, to see how far back a model reads."""

from collections.abc import Iterator, Sequence
from random import Random

from freehold_training.example import Item

SIZES = {"needle_0.5k": 500, "needle_1k": 1000, "needle_2k": 2000, "needle_4k": 4000}
"""Row -> about how many tokens its texts are long."""

_DEPTHS = (0.1, 0.3, 0.5, 0.7, 0.9)
_FACTS_AT_A_DEPTH = 2
_WORDS_A_TOKEN = 0.8  # of such English text in the vocabularies of small open models

_WHO = (
    "The baker", "A tall sailor", "My neighbour", "The old gardener", "A young nurse",
    "The librarian", "Our teacher", "The bus driver", "A street musician", "The clockmaker",
    "The farmer's daughter", "A retired judge", "The night porter", "Her cousin", "The painter",
)  # fmt: skip
_DID = (
    "opened the windows", "carried two baskets", "waited for the ferry", "read the newspaper",
    "swept the stairs", "fed the pigeons", "repaired a fence", "told a long story",
    "bought fresh bread", "looked for an umbrella", "watered the roses", "wrote a postcard",
    "hummed a slow tune", "counted the boats", "painted the gate",
)  # fmt: skip
_WHERE = (
    "by the harbour", "behind the church", "in the market hall", "near the railway bridge",
    "on the hill", "beside the mill", "at the corner of the square", "under the lime trees",
    "in front of the school", "along the canal", "next to the post office", "in the courtyard",
)  # fmt: skip
_WHEN = (
    "early in the morning", "shortly before noon", "in the afternoon", "after the rain",
    "on a windy day", "as the lamps were lit", "while the bells rang", "late in the evening",
    "when the shops closed", "on the first warm day",
)  # fmt: skip
# A fact's wording, and the question about it.
_FACTS = (
    ("The code of the storage room is {}.", "What is the code of the storage room?"),
    ("The parcel for the museum has the number {}.", "Which number does the parcel have?"),
    (
        "The engine of the red tractor has the serial number {}.",
        "What is the serial number of the red tractor's engine?",
    ),
    ("The winning ticket of the raffle was number {}.", "Which ticket won the raffle?"),
    ("The safe in the town hall opens with {}.", "With which number does the safe open?"),
)


def items(row: str, seed: int) -> Iterator[Item]:
    """Yield the row's items: two facts at each of five depths, always the same for a seed."""
    random = Random(f"{seed}:{row}")  # noqa: S311 - texts, not secrets
    for number in range(len(_DEPTHS) * _FACTS_AT_A_DEPTH):
        depth = _DEPTHS[number % len(_DEPTHS)]
        fact, question = _FACTS[(number + number // len(_DEPTHS)) % len(_FACTS)]
        code = str(random.randrange(10_000, 100_000))
        text = _text(random, SIZES[row], depth, fact.format(code))
        yield {
            "id": f"{row}-{number}",
            "row": row,
            "messages": [{"role": "user", "content": f"{text}\n\n{question}"}],
            "max_tokens": 60,
            "expect": {"contains": [code]},
        }


def _text(random: Random, tokens: int, depth: float, fact: str) -> str:
    sentences: list[str] = []
    words = 0
    while words < tokens * _WORDS_A_TOKEN:
        sentence = _sentence(random, sentences[-1:])
        sentences.append(sentence)
        words += len(sentence.split())
    sentences.insert(round(depth * len(sentences)), fact)
    return " ".join(sentences)


def _sentence(random: Random, last: Sequence[str]) -> str:
    sentence = " ".join(map(random.choice, (_WHO, _DID, _WHERE, _WHEN))) + "."
    return _sentence(random, last) if sentence in last else sentence
