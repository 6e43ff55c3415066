"""The fills in time order, each with the mid that stood before it and the age of its quote."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from invariants.diagnosis.bootstrap import Floats
from invariants.diagnosis.mids import Mids
from invariants.laws.ruling import Mask
from simcore.run import ABSENT, Ints, Run


@dataclass(frozen=True, eq=False, slots=True)
class Executions:
    """Columns of one length, in time order.

    ``row`` is the place in ``Run.fills``. ``doubled_mid`` is twice the mid strictly before the
    fill, in ticks; where none stood yet (``has_mid`` is false) it is the first one of the tape.
    ``submit_ns`` is ABSENT where the order, or when it was sent, is not known.
    """

    row: Ints
    ns: Ints
    ns_to: Ints
    order: Ints
    side: Ints
    price_ticks: Ints
    size_lots: Ints
    submit_ns: Ints
    doubled_mid: Ints
    has_mid: Mask

    def __len__(self) -> int:
        return len(self.ns)

    @property
    def weights(self) -> Floats:
        """The sizes; a size that is none weighs nothing."""
        return np.maximum(self.size_lots, 0).astype(np.float64)

    @property
    def has_age(self) -> Mask:
        """Fills of which it is known when their order was sent."""
        return np.asarray(self.submit_ns != ABSENT)

    @property
    def age_ns(self) -> Ints:
        """The age of the quote when it filled; zero where it is not known."""
        return np.where(self.has_age, self.ns - self.submit_ns, 0)

    def beyond_doubled(self, doubled_mid: Ints) -> Ints:
        """How far this mid lies on our side of the price, in half ticks: positive is good for us."""
        return self.side * (doubled_mid - 2 * self.price_ticks)


def executions_of(run: Run, mids: Mids) -> Executions:
    """The fills of ``run`` against ``mids`` (of which there must be some)."""
    fills = run.fills
    row = np.argsort(fills.ns, kind="stable")
    ns, order = fills.ns[row], fills.order[row]
    place = mids.place_before(ns)
    submit_ns = np.full(len(row), ABSENT)
    if run.provenance.get("submit_ns") != "absent":
        known = order >= 0
        submit_ns[known] = run.orders.submit_ns[order[known]]
    return Executions(
        row=row,
        ns=ns,
        ns_to=fills.ns_to[row],
        order=order,
        side=fills.side[row],
        price_ticks=fills.price_ticks[row],
        size_lots=fills.size_lots[row],
        submit_ns=submit_ns,
        doubled_mid=mids.doubled_ticks[np.maximum(place, 0)] if len(mids) else 2 * fills.price_ticks[row],
        has_mid=np.asarray(place >= 0),
    )
