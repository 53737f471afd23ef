"""Walking sorted streams side by side: what belongs to one key is seen together, whoever lacks it and whoever repeats it."""

from collections.abc import AsyncIterator
from typing import Any


async def align(*streams: AsyncIterator[tuple[str, Any]]) -> AsyncIterator[tuple[str, list[list[Any]]]]:
    """Each key once, in order, with the values that every stream has for it (none, one or several).

    Streams yield (key, value) in ascending order of code points, as MongoDB sorts strings.
    """
    heads = [await anext(stream, None) for stream in streams]
    while keys := [head[0] for head in heads if head is not None]:
        key = min(keys)
        values: list[list[Any]] = [[] for _ in streams]
        for number, stream in enumerate(streams):
            while (head := heads[number]) is not None and head[0] == key:
                values[number].append(head[1])
                heads[number] = following = await anext(stream, None)
                assert following is None or following[0] >= key, f"stream {number} is not in order: {following[0]} after {key}"
        yield key, values
