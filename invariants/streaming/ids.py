"""The ids of orders as numbers, by which they are found and compared in any number of rows.

Integers are their own numbers; of texts it is a hash. Where an order is judged with its fills, the ids themselves
are compared: two texts of one hash, and an integer that is taken for its text, are not judged in pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from invariants.readers.tables import quoted_in
from invariants.splitting.carrying import places_of
from invariants.streaming.files import TableFile
from invariants.streaming.shelf import room_in
from simcore import pandas_later as pd
from simcore.cells import numpy_of
from simcore.run import Fills, Ints, Orders, objects

IDS_AT_ONCE = 2**20
"""Hashes compared in one go: 16 MB with their rows."""


class NotInPiecesError(Exception):
    """A run that can only be judged as a whole; the argument says why."""


@dataclass(frozen=True, slots=True)
class Ids:
    """The different ids that fills name: ``numbers`` that rise. They are ``hashed`` where any table has texts."""

    numbers: Ints
    hashed: bool

    @classmethod
    def of(cls, fills: Fills, orders: TableFile | None) -> Ids:
        """Those of these fills. Raises ``NotInPiecesError`` for ids of another kind, or of two."""
        kind = pa.int64() if orders is None else orders.schema.field("order_id").type
        if orders is not None and quoted_in(orders.schema):
            raise NotInPiecesError("the ids of orders are integers and texts side by side")
        if orders and len(fills) and isinstance(fills.order_id[0], str) != _are_texts(kind):
            raise NotInPiecesError("the ids of orders and of fills are integers and texts")
        hashed = _are_texts(kind) or fills.order_id.dtype == np.object_
        return cls(np.unique(_of_fills(fills, hashed=hashed)), hashed)

    def places_of_fills(self, fills: Fills) -> Ints:
        """For each fill the place of its id among these, which are all that there are."""
        return self.places(_of_fills(fills, hashed=self.hashed))

    def column(self, cells: Any) -> Ints:
        """The number of each id of an Arrow column; a missing one has any.

        Raises ``NotInPiecesError`` for ids of another kind.
        """
        array = cells.combine_chunks() if isinstance(cells, pa.ChunkedArray) else cells
        if _are_texts(array.type) or self.hashed:
            return _hashes(np.asarray(array.cast(pa.large_string())))
        return numpy_of(array.cast(pa.int64()))

    def places(self, column: Ints) -> Ints:
        """For each number of a column its place among these, -1 where it is none of them."""
        if rising(column) is None:
            by_number = np.argsort(column)  # in their order they are found several times as fast
            found = np.empty(len(column), np.int64)
            found[by_number] = places_of(self.numbers, column[by_number])
            return found
        # few of the ids of a whole run are here: those are looked for, not all that is here
        low, high = np.searchsorted(self.numbers, column[0], "left"), np.searchsorted(self.numbers, column[-1], "right")
        at = np.searchsorted(column, self.numbers[low:high])
        true = column[at] == self.numbers[low:high]
        found = np.full(len(column), -1)
        found[at[true]] = np.arange(low, high)[true]
        return found


def _are_texts(kind: Any) -> bool:
    """Whether a column of this type has texts, or else integers; raises ``NotInPiecesError``."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return True
    if pa.types.is_integer(kind) and not pa.types.is_uint64(kind):
        return False
    raise NotInPiecesError(f"ids of the type {kind}")


def _of_fills(fills: Fills, *, hashed: bool) -> Ints:
    if not hashed:
        return np.asarray(fills.order_id, dtype=np.int64)
    kinds = set(map(type, fills.order_id.tolist()))
    if len(kinds) > 1:
        raise NotInPiecesError("the ids that fills name are integers and texts side by side")
    return _hashes(objects(map(str, fills.order_id)) if kinds == {int} else fills.order_id)


def _hashes(texts: Any) -> Ints:
    return np.asarray(pd.util.hash_array(texts, categorize=False)).view(np.int64)


def rising(numbers: Ints) -> tuple[int, int] | None:
    """The first and the last, where they rise."""
    return (int(numbers[0]), int(numbers[-1])) if len(numbers) and bool((numbers[1:] > numbers[:-1]).all()) else None


def check_same(orders: Orders, fills: Fills) -> None:
    """Raise ``NotInPiecesError`` where a fill's order, found by a number, has another id."""
    named = fills.order >= 0
    if (orders.order_id[fills.order[named]] != fills.order_id[named]).any():
        raise NotInPiecesError("an id of a fill is like that of an order, and not the same")


def without(dropped: Ints, count: int) -> Ints:
    """Of so many rows those that are not among the ``dropped``, which may be others, too."""
    keep = np.ones(count, np.bool_)
    keep[dropped[(dropped >= 0) & (dropped < count)]] = False
    return np.flatnonzero(keep)


def hashes_in(file: TableFile, group: int, ids: Ids, dropped: Ints, folder: str) -> list[Ints]:
    """Leave the hashes of the ids of a row group, which rise, and then their rows in the folder.

    Returned is where each round begins there, and the end. Raises ``InputError``.
    """
    found = []
    for first, table in file.batches(group, ["order_id"]):
        numbers = ids.column(table.column(0))
        kept = without(dropped - first, len(numbers))
        hashes = numbers if ids.hashed else _hashes(numbers)
        found.append(np.stack((hashes[kept], kept + first)))
    both = np.concatenate([np.empty((2, 0), np.int64), *found], axis=1)
    both = both[:, np.argsort(both[0])]
    with room_in(folder):
        _hashes_at(folder, group).write_bytes(both.tobytes())
    return [np.concatenate(([0], np.searchsorted(both[0], _edges(file)), [both.shape[1]]))]


def _hashes_at(folder: str, group: int) -> Path:
    return Path(folder) / f"ids-{group}"


def _edges(file: TableFile) -> Ints:
    """The hashes between the rounds."""
    return np.linspace(-(2.0**63), 2.0**63, len(file) // IDS_AT_ONCE + 2)[1:-1].astype(np.int64)


def repeated(file: TableFile, folder: str, begins: Sequence[Ints]) -> Ints:
    """Orders whose id was used before, and the first order of that id: an array of two rows.

    The hashes in the folder are compared in as many rounds as keep memory bounded, then the ids themselves.
    ``begins``: for each row group what ``hashes_in`` returned.
    """
    suspects = [_alike(folder, begins, number) for number in range(len(_edges(file)) + 1)]
    first: dict[Any, int] = {}
    again = []
    for rows, table in file.picked(np.sort(np.concatenate(suspects))):
        for name, row in zip(table.column("order_id").to_pylist(), rows.tolist(), strict=True):
            if first.setdefault(name, row) != row:
                again.append((row, first[name]))
    return np.array(again, dtype=np.int64).reshape(-1, 2).T


def _alike(folder: str, begins: Sequence[Ints], number: int) -> Ints:
    """The rows of one round whose hash some other row has, too."""
    columns: tuple[list[Ints], list[Ints]] = ([], [])
    for group, edges in enumerate(begins):
        first, end, count = (int(edges[k]) for k in (number, number + 1, -1))
        for column, at in zip(columns, (first, count + first), strict=True):
            column.append(np.fromfile(_hashes_at(folder, group), np.int64, end - first, offset=8 * at))
    hashes, rows = map(np.concatenate, columns)
    in_order = np.sort(hashes)
    twice = np.unique(in_order[1:][in_order[1:] == in_order[:-1]])
    return np.asarray(rows[places_of(twice, hashes) >= 0], dtype=np.int64)
