"""Several answers at once, told apart by what they yield."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TypeVar

T = TypeVar("T")


async def merged(
    sources: Sequence[AsyncGenerator[T, None]], at_once: int
) -> AsyncGenerator[T, None]:
    """Yield what any source yields, ``at_once`` of them at a time in their order.

    An exception of one ends them all. A request of many answers so never fills the line in front
    of an engine by itself.
    """
    queue: asyncio.Queue[tuple[T] | BaseException | None] = asyncio.Queue()
    turns = asyncio.Semaphore(at_once)

    async def drain(source: AsyncGenerator[T, None]) -> None:
        try:
            async with turns, aclosing(source) as items:
                async for item in items:
                    queue.put_nowait((item,))
            queue.put_nowait(None)
        except BaseException as error:
            queue.put_nowait(error)
            raise

    tasks = [asyncio.create_task(drain(source)) for source in sources]
    try:
        running = len(tasks)
        while running:
            item = await queue.get()
            if item is None:
                running -= 1
            elif isinstance(item, BaseException):
                raise item
            else:
                yield item[0]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
