"""The index of the words of chunks: FTS5 on SQLite, tsvector and GIN on PostgreSQL.

Both fold and stem words as in English; a question matches a chunk that has any of its words.
"""

import json
import re
from collections.abc import Sequence
from typing import Final

from sqlalchemy import DDL, Connection, Table, event, text

# The store is a word of its own column, so that a search never reads other stores' matches.
_SQLITE: Final = (
    """CREATE VIRTUAL TABLE chunk_words USING fts5(
    store, text, content='', tokenize='porter unicode61 remove_diacritics 2')""",
    """CREATE TRIGGER chunk_words_gone AFTER DELETE ON vector_store_chunks BEGIN
    INSERT INTO chunk_words(chunk_words, rowid, store, text)
    VALUES ('delete', old.seq, old.store_seq, old.text);
    END""",
)
_POSTGRES: Final = (
    """CREATE TABLE chunk_words (
    chunk bigint PRIMARY KEY REFERENCES vector_store_chunks (seq) ON DELETE CASCADE,
    store bigint NOT NULL,
    words tsvector NOT NULL)""",
    "CREATE INDEX ix_chunk_words_words ON chunk_words USING gin (words)",
)
_INDEX: Final = {
    "sqlite": text(
        "INSERT INTO chunk_words(rowid, store, text) "
        "SELECT seq, store_seq, text FROM vector_store_chunks WHERE file_seq = :file"
    ),
    "postgresql": text(
        "INSERT INTO chunk_words(chunk, store, words) "
        "SELECT seq, store_seq, to_tsvector('english', text) "
        "FROM vector_store_chunks WHERE file_seq = :file"
    ),
}
_SEARCH: Final = {
    "sqlite": (
        "SELECT rowid FROM chunk_words WHERE chunk_words MATCH :words {only} "
        "ORDER BY bm25(chunk_words, 0.0, 1.0) LIMIT :limit"
    ),
    "postgresql": (
        "SELECT chunk FROM chunk_words, to_tsquery('english', :words) AS asked "
        "WHERE store = :store AND words @@ asked {only} "
        "ORDER BY ts_rank_cd(words, asked, 1) DESC, chunk LIMIT :limit"
    ),
}
_ONLY: Final = {
    "sqlite": "AND rowid IN (SELECT c.seq FROM vector_store_chunks c "
    "WHERE c.file_seq IN (SELECT value FROM json_each(:files)))",
    "postgresql": "AND chunk IN (SELECT c.seq FROM vector_store_chunks c "
    "WHERE c.file_seq IN (SELECT value::bigint FROM json_array_elements_text(:files)))",
}
_WORD: Final = re.compile(r"\w+")
_MOST_WORDS: Final = 32
# Words that nearly every English text has: PostgreSQL leaves them out by itself.
_EVERYWHERE_TEXT: Final = (
    "a about above after again all am an and any are as at be because been before being below "
    "between both but by can did do does doing down during each few for from further had has have "
    "having he her here hers him his how i if in into is it its just me more most my no nor not "
    "now of off on once only or other our out over own s same she should so some such t than that "
    "the their them then there these they this those through to too under until up very was we "
    "were what when where which while who whom why will with would you your"
)
_EVERYWHERE: Final = frozenset(_EVERYWHERE_TEXT.split())


def statements(dialect: str) -> Sequence[str]:
    """Return what makes the index in a database of this dialect."""
    return {"sqlite": _SQLITE, "postgresql": _POSTGRES}[dialect]


def attach(chunks: Table) -> None:
    """Have the index made whenever the table of chunks is."""
    for dialect in ("sqlite", "postgresql"):
        for statement in statements(dialect):
            event.listen(chunks, "after_create", DDL(statement).execute_if(dialect=dialect))


def is_part(table: str | None) -> bool:
    """Return whether a table of the database belongs to the index."""
    return table is not None and table.startswith("chunk_words")


def add_file(connection: Connection, file_seq: int) -> None:
    """Index the chunks of one file, which have just been written."""
    connection.execute(_INDEX[connection.dialect.name], {"file": file_seq})


def search(
    connection: Connection,
    store_seq: int,
    question: str,
    *,
    limit: int,
    files: Sequence[int] | None = None,
) -> list[int]:
    """Return the chunks of a store that the question's words match best, the best first.

    ``files`` are the only ones that count, where given.
    """
    words = telling_words(question)
    if not words:
        return []
    dialect = connection.dialect.name
    only = "" if files is None else _ONLY[dialect]
    given = {"words": _asked(words, store_seq, dialect), "store": store_seq, "limit": limit}
    if files is not None:
        given["files"] = json.dumps(list(files))
    return list(connection.scalars(text(_SEARCH[dialect].format(only=only)), given))


def telling_words(question: str) -> list[str]:
    """Return the words that may tell one chunk from another; all, where none does."""
    words = list(dict.fromkeys(_WORD.findall(question.lower())))
    telling = [word for word in words if word not in _EVERYWHERE] or words
    return sorted(telling, key=len, reverse=True)[:_MOST_WORDS]


def _asked(words: Sequence[str], store_seq: int, dialect: str) -> str:
    if dialect == "sqlite":
        any_word = " OR ".join(f'"{word}"' for word in words)
        return f'store : "{store_seq}" AND text : ({any_word})'
    return " | ".join(f"'{word}'" for word in words)
