"""The vectors of stores: searched exactly, kept in memory for as long as there is room.

What is kept of a store is brought up to date at each search: only what came since is read and what
went is dropped, so that every process sees every change at once. A store too large to keep is read
block by block.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from sqlalchemy import Connection, Row, Select, func, select

from freehold.storage import approximate
from freehold.storage.approximate import Graph
from freehold.storage.database import Database
from freehold.storage.tables import vector_store_chunks, vector_store_files

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_FILE, _CHUNK = vector_store_files.c, vector_store_chunks.c
_CHUNKS_AT_ONCE = 4096
_FLOAT_BYTES = 4
_WITH_GRAPH: Final = 2.5  # what vectors and their graph take, in vectors
_ENDED: Final = object()


class OtherLengthError(Exception):
    """A stored vector has ``found`` numbers, and ``wanted`` are needed: another model made it."""

    def __init__(self, found: int, wanted: int) -> None:
        super().__init__(f"a vector has {found} numbers, not {wanted}")
        self.found = found
        self.wanted = wanted


class Near(NamedTuple):
    """A chunk and the cosine of the angle between its vector and the question's."""

    chunk: int
    similarity: float


@dataclass(frozen=True, slots=True)
class Place:
    """Which vectors: those of one store, as long as these; numbers as in the tables."""

    store_id: str
    dimensions: int


@dataclass(frozen=True, slots=True)
class _State:
    """What tells one state of a store from any other: chunks' numbers are never used again."""

    files: int
    chunks: int
    last_chunk: int


@dataclass(slots=True)
class _Rows:
    """Vectors of chunks, and the numbers of their chunks and files."""

    vectors: "NDArray[np.float32]"
    chunks: "NDArray[np.int64]"
    files: "NDArray[np.int64]"


@dataclass(slots=True)
class _Kept:
    """What is in memory of one store."""

    rows: _Rows
    state: _State | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    graph: Graph | None = None
    graph_state: _State | None = None  # None while it grows
    growing: "asyncio.Task[None] | None" = None

    @property
    def size(self) -> int:
        graph = self.graph.size if self.graph else 0
        return graph + sum(
            array.nbytes for array in (self.rows.vectors, self.rows.chunks, self.rows.files)
        )


class Vectors:
    """Finds the nearest vectors. ``budget_bytes`` bounds what is kept of all stores together.

    A store of ``approximate_from`` chunks or more is searched approximately, where that can be
    done and no files are chosen.
    """

    def __init__(self, database: Database, budget_bytes: int, approximate_from: int) -> None:
        self._database = database
        self._budget = budget_bytes
        self._approximate_from = approximate_from
        self._kept: OrderedDict[Place, _Kept] = OrderedDict()

    @property
    def resident_bytes(self) -> int:
        """How much is in memory."""
        return sum(kept.size for kept in self._kept.values())

    async def nearest(
        self,
        place: Place,
        questions: "NDArray[np.float32]",
        *,
        limit: int,
        files: Collection[int] | None = None,
    ) -> list[list[Near]]:
        """Return for each question the ``limit`` nearest chunks, the nearest first.

        Questions are rows of unit length. ``files`` are the only ones that count, where given.
        Raises ``OtherLengthError`` where the store's vectors can't be compared with them.
        """
        state = await self._database.read(lambda c: _state(c, place.store_id))
        if not state.chunks:
            return [[] for _ in questions]
        if state.chunks * place.dimensions * _FLOAT_BYTES > self._budget:
            blocks = self._blocks(place, await self._files(place))
        else:
            kept = await self._current(place, state)
            if files is None and (graph := self._graph_of(place, kept)) is not None:
                return await asyncio.to_thread(_approximately, graph, questions, limit)
            blocks = _only(kept.rows)
        found: list[list[Near]] = [[] for _ in questions]
        async for rows in blocks:
            nearer = await asyncio.to_thread(_nearest, rows, questions, limit, files)
            found = [_merged(*pair, limit) for pair in zip(found, nearer, strict=True)]
        return found

    def forget(self, store_id: str) -> None:
        """Let go of what is kept of a store."""
        for place in [place for place in self._kept if place.store_id == store_id]:
            self._drop(place)

    async def caught_up(self) -> None:
        """Wait until no graph is growing."""
        await asyncio.gather(*(kept.growing for kept in self._kept.values() if kept.growing))

    async def close(self) -> None:
        """Stop what grows, let go of everything."""
        growing = [kept.growing for kept in self._kept.values() if kept.growing]
        for place in list(self._kept):
            self._drop(place)
        await asyncio.gather(*growing, return_exceptions=True)

    def _drop(self, place: Place) -> None:
        kept = self._kept.pop(place)
        if kept.growing is not None:
            kept.growing.cancel()

    def _graph_of(self, place: Place, kept: _Kept) -> Graph | None:
        """Return the graph of what is kept, None where there is none yet, and see that it grows."""
        large = len(kept.rows.chunks) >= self._approximate_from
        fits = _WITH_GRAPH * kept.rows.vectors.nbytes <= self._budget
        if not (large and fits and approximate.is_installed()):
            return None
        if kept.graph is not None and kept.graph_state == kept.state:
            return kept.graph
        if kept.growing is None or kept.growing.done():
            kept.growing = asyncio.create_task(self._grow(place, kept))
        return None

    async def _grow(self, place: Place, kept: _Kept) -> None:
        """Bring the graph to the state of now; what comes meanwhile is for the next time."""
        state, rows = kept.state, kept.rows
        kept.graph_state = None
        kept.graph = kept.graph or Graph(place.dimensions)
        steps = kept.graph.grow(rows.chunks, rows.vectors)
        while await asyncio.to_thread(_goes_on, steps):
            self._make_room(place)
        kept.graph_state = state

    async def _current(self, place: Place, state: _State) -> _Kept:
        """Return what is kept of a store, as the store is now."""
        kept = self._kept.setdefault(place, _Kept(_nothing(place)))
        self._kept.move_to_end(place)
        async with kept.turn:
            if kept.state != state:
                files = await self._files(place)
                kept.rows = await self._updated(place, kept.rows, files)
                kept.state = _state_of(files)
        self._make_room(place)
        return kept

    async def _updated(
        self, place: Place, rows: _Rows, files: Sequence[Row[int, int, Any]]
    ) -> _Rows:
        import numpy as np  # noqa: PLC0415 - loaded when something is searched

        known = set(np.unique(rows.files).tolist())
        new = [file for file in files if file.seq not in known]
        parts = [_of_files(rows, {file.seq for file in files})]
        parts += [block async for block in self._blocks(place, new)]
        return await asyncio.to_thread(_joined, parts)

    async def _blocks(
        self, place: Place, files: Sequence[Row[int, int, Any]]
    ) -> AsyncIterator[_Rows]:
        """Yield the vectors of files, some files at a time."""
        for group in _groups(files):
            seqs = [file.seq for file in group]
            found = await self._database.read(lambda c, seqs=seqs: _vectors(c, seqs))
            yield _rows(place, found)

    async def _files(self, place: Place) -> list[Row[int, int, Any]]:
        return await self._database.read(lambda c: _files(c, place.store_id))

    def _make_room(self, place: Place) -> None:
        """Let go of what was not asked for in the longest time, until the rest fits."""
        for other in [other for other in self._kept if other != place]:
            if self.resident_bytes <= self._budget:
                return
            self._drop(other)


def unpacked(vectors: Sequence[bytes], dimensions: int) -> "NDArray[np.float32]":
    """Return stored vectors as rows. Raises ``OtherLengthError``."""
    import numpy as np  # noqa: PLC0415 - loaded when something is searched

    for vector in vectors:
        if len(vector) != dimensions * _FLOAT_BYTES:
            raise OtherLengthError(len(vector) // _FLOAT_BYTES, dimensions)
    return np.frombuffer(b"".join(vectors), np.float32).reshape(len(vectors), dimensions)


def _searchable(store_id: str) -> tuple[Any, ...]:
    return _FILE.vector_store_id == store_id, _FILE.status == "completed", _FILE.chunks > 0


def _state(connection: Connection, store_id: str) -> _State:
    counted = select(func.count(), func.sum(_FILE.chunks), func.max(_FILE.last_chunk))
    files, chunks, last = connection.execute(counted.where(*_searchable(store_id))).one()
    return _State(files, int(chunks or 0), last or 0)


def _state_of(files: Sequence[Row[int, int, Any]]) -> _State:
    last = max((file.last_chunk for file in files), default=0)
    return _State(len(files), sum(file.chunks for file in files), last)


def _files(connection: Connection, store_id: str) -> list[Row[int, int, Any]]:
    named: Select[int, int, Any] = select(_FILE.seq, _FILE.chunks, _FILE.last_chunk).where(
        *_searchable(store_id)
    )
    return list(connection.execute(named))


def _vectors(connection: Connection, files: Sequence[int]) -> list[Row[int, int, Any]]:
    wanted: Select[int, int, Any] = select(_CHUNK.seq, _CHUNK.file_seq, _CHUNK.vector)
    return list(connection.execute(wanted.where(_CHUNK.file_seq.in_(files))))


def _groups(files: Sequence[Row[int, int, Any]]) -> list[list[Row[int, int, Any]]]:
    """Return the files in groups that have about as many chunks as are read at once."""
    groups: list[list[Row[int, int, Any]]] = []
    room = 0
    for file in files:
        if file.chunks > room or not groups:
            groups.append([])
            room = _CHUNKS_AT_ONCE
        groups[-1].append(file)
        room -= file.chunks
    return groups


def _goes_on(steps: Iterator[None]) -> bool:
    """Take one step; return whether there was one."""
    return next(steps, _ENDED) is not _ENDED


def _approximately(graph: Graph, questions: "NDArray[np.float32]", limit: int) -> list[list[Near]]:
    return [[Near(*each) for each in found] for found in graph.search(questions, limit)]


async def _only(rows: _Rows) -> AsyncIterator[_Rows]:
    yield rows


def _nothing(place: Place) -> _Rows:
    return _rows(place, [])


def _rows(place: Place, found: Sequence[Row[int, int, Any]]) -> _Rows:
    """Return rows of the table as arrays. Raises ``OtherLengthError``."""
    import numpy as np  # noqa: PLC0415 - as above

    return _Rows(
        unpacked([row.vector for row in found], place.dimensions),
        np.array([row.seq for row in found], np.int64),
        np.array([row.file_seq for row in found], np.int64),
    )


def _of_files(rows: _Rows, files: Collection[int]) -> _Rows:
    """Return the rows of these files only."""
    import numpy as np  # noqa: PLC0415 - as above

    wanted = np.isin(rows.files, np.fromiter(files, np.int64, len(files)))
    if wanted.all():
        return rows
    return _Rows(rows.vectors[wanted], rows.chunks[wanted], rows.files[wanted])


def _joined(parts: Sequence[_Rows]) -> _Rows:
    import numpy as np  # noqa: PLC0415 - as above

    return _Rows(
        np.concatenate([part.vectors for part in parts]),
        np.concatenate([part.chunks for part in parts]),
        np.concatenate([part.files for part in parts]),
    )


def _nearest(
    rows: _Rows, questions: "NDArray[np.float32]", limit: int, files: Collection[int] | None
) -> list[list[Near]]:
    """Return the nearest rows to each question."""
    import numpy as np  # noqa: PLC0415 - as above

    if files is not None:
        rows = _of_files(rows, files)
    similarities = rows.vectors @ questions.T
    found: list[list[Near]] = []
    for column in similarities.T:
        best = np.argpartition(-column, limit)[:limit] if len(column) > limit else slice(None)
        near = zip(rows.chunks[best].tolist(), column[best].tolist(), strict=True)
        found.append(sorted((Near(*each) for each in near), key=_nearest_first))
    return found


def _merged(one: Sequence[Near], other: Sequence[Near], limit: int) -> list[Near]:
    return sorted([*one, *other], key=_nearest_first)[:limit]


def _nearest_first(near: Near) -> tuple[float, int]:
    return -near.similarity, near.chunk
