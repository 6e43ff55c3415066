"""Orders that backtesting.py may have cancelled without a word in any table: the account had no margin for them.

An order that would open more than the free margin is dropped, with a warning on the terminal alone. Held
against each bar of the life of an order that nothing explains as filled: what it would have opened there, the
opposite trades that stood through the bar taken off, beside all that was open, is to be covered by the equity.
``opt.margin`` in ``meta.json`` is the ``margin`` of ``Backtest``; without it all is paid in full.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from invariants.readers.backtestingpy_log import Bars, Leg, Log, Placed

Floats = npt.NDArray[np.float64]

SLACK = 1.1
"""What fees, the spread and a price beyond the limit may add to an order's notional."""


def unfunded(log: Log, trades: Sequence[tuple[Leg, Leg]], bars: Bars, equity: Floats, margin: float) -> list[Placed]:
    """The orders, not known to be filled, for which the margin may have been too small."""
    labels = np.array(bars.labels, np.int64)
    account = _Account(trades, labels)
    return [order for order in log.orders if not order.is_filled and account.lacks(order, equity / margin)]


class _Account:
    """What was open in each bar: at all, and through the whole of it by side; sizes and notionals."""

    def __init__(self, trades: Sequence[tuple[Leg, Leg]], labels: npt.NDArray[np.int64]) -> None:
        self.labels = labels
        self.open = np.zeros(len(labels) + 1)
        self.through = {side: np.zeros((len(labels) + 1, 2)) for side in (1, -1)}
        first, last = (np.searchsorted(labels, [trade[k].label for trade in trades]) for k in (0, 1))
        for (entry, exit_), begin, end in zip(trades, first.tolist(), last.tolist(), strict=True):
            size, value = float(entry.size), float(entry.size * max(entry.price, exit_.price))
            self.open[begin] += value
            self.open[end + 1] -= value
            if begin + 1 < end:
                self.through[entry.side][begin + 1] += (size, value)
                self.through[entry.side][end] -= (size, value)
        self.open = np.cumsum(self.open)
        self.through = {side: np.cumsum(sums, axis=0) for side, sums in self.through.items()}

    def lacks(self, order: Placed, limit: Floats) -> bool:
        """Whether in some bar of its life the order may have needed more than ``limit``."""
        begin = int(np.searchsorted(self.labels, order.label, "right"))
        end = len(self.labels) if order.cancel is None else int(np.searchsorted(self.labels, order.cancel, "right"))
        opposite = self.through[-order.side][begin:end]
        size, price = float(order.size), float(order.price)
        opened = np.maximum(size - opposite[:, 0], 0)
        closed = np.minimum(opposite[:, 1], opposite[:, 0] * price)
        needed = SLACK * (opened * price + self.open[begin:end] - closed)
        return bool(((opened > 0) & (needed > limit[begin:end])).any())
