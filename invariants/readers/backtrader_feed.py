"""The clock of backtrader's data feed: ticks or bars, and what the label of one means.

Times are days since the year 1 in a float, so that each may be off by 6 microseconds. Where every
time of an output lies that near to a whole millisecond, the feed's clock is taken to be in
milliseconds and the times are put back on it; otherwise a fill lies somewhere in [t - 6 us, t + 7 us),
as the feed cuts times to whole microseconds. What a strategy did then it did as late as possible,
so that no tick which it had seen is one that its order missed; a cancel as early as possible.

Bars are told by their labels: whole seconds, and all a multiple of one step apart. A label is the
beginning of its bar unless ``meta.json`` says otherwise (``opt.bar_label = "end"``; ``opt.bar_seconds``
states the length, 0 for ticks). Then an execution lies somewhere in its bar, and what the strategy
did at a label, it did at the close of that bar.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from math import gcd
from typing import Self

from invariants.readers.parameters import Parameters
from simcore import InputError

ERROR_NS = 6_000
"""A float of days since the year 1 names a time to 10 microseconds: half of that, and a rounded one."""
CUT_NS = 999
"""Nanoseconds that the feed drops: a datetime of Python has none."""
_MS, _SECOND = 10**6, 10**9


@dataclass(frozen=True, slots=True)
class Feed:
    """The clock of the data feed: bars of ``bar_ns``, labelled by their beginning or end; 0 for ticks.

    ``phase_ns`` is where the labels lie within the bar length; ``error_ns`` how far a time may be off.
    """

    bar_ns: int
    phase_ns: int
    error_ns: int
    ends: bool = False

    @classmethod
    def of(cls, labels: Iterable[int], parameters: Parameters) -> Self:
        """The feed that these labels came from. Raises ``InputError``."""
        label = parameters.options.get("bar_label", "start")
        if label not in ("start", "end"):
            raise InputError(file=parameters.file, field="opt.bar_label", got=label, wanted="start or end")
        known = sorted(set(labels))
        whole = all(abs(ns - _to_ms(ns)) <= ERROR_NS for ns in known)
        known = sorted({_to_ms(ns) for ns in known}) if whole else known
        step = gcd(*(after - before for before, after in pairwise(known)))
        seconds = parameters.whole(parameters.options, "bar_seconds")
        is_bars = step >= _SECOND and all(ns % _SECOND == 0 for ns in known)
        bar_ns = (step if is_bars else 0) if seconds is None else seconds * _SECOND
        phase = known[0] % bar_ns if known and bar_ns else 0
        return cls(bar_ns, phase, 0 if whole else ERROR_NS, label == "end")

    def label(self, ns: int) -> int:
        """A time of the output without the error of its float."""
        return ns if self.error_ns else _to_ms(ns)

    def first(self, ns: int) -> int:
        """The first instant at which what is labelled so can have happened."""
        at = self.label(ns)
        return at - (max(self.bar_ns - 1, 0) if self.ends else 0) - self.error_ns

    def last(self, ns: int) -> int:
        """The last instant of it; with bars the close, at which the strategy acts."""
        at = self.label(ns)
        return at + (0 if self.ends else max(self.bar_ns - 1, 0)) + (self.error_ns and self.error_ns + CUT_NS)

    def decided(self, ns: int) -> int:
        """When the strategy acted that was told of the bar or tick of this label."""
        # an instant before the last: the tick may be that of a fill, of which it is then not known what came first
        return self.last(ns) - (1 if self.error_ns and not self.bar_ns else 0)

    def withdrawn(self, ns: int) -> int:
        """When the strategy cancelled that was told of the bar or tick of this label."""
        return self.decided(ns) if self.bar_ns else self.first(ns)

    def valid(self, ns: int) -> int:
        """The last instant at which an order good until this label may fill: the bar's that bears it."""
        at = self.label(ns)
        if not self.bar_ns:
            return self.first(ns)
        return self.last((at - self.phase_ns) // self.bar_ns * self.bar_ns + self.phase_ns)


def _to_ms(ns: int) -> int:
    return (ns + _MS // 2) // _MS * _MS
