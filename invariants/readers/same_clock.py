"""Whether a run and its tape speak of one time: milliseconds read as nanoseconds would convict every fill."""

from __future__ import annotations

from simcore import InputError, Run
from simcore.run import ABSENT, Ints

YEAR_NS = 366 * 86_400 * 10**9


def check_clock(run: Run) -> None:
    """Refuse a run of which orders and fills all stand years from its tape: other units, or another tape.

    Fills alone that do are a matter for the laws. Raises ``InputError``.
    """
    sent_ns = run.orders.submit_ns[run.orders.submit_ns != ABSENT]
    if not (len(run.trades) and len(sent_ns) and len(run.fills)):
        return
    first_ns, last_ns = int(run.trades.ns.min()), int(run.trades.ns.max())
    if any(is_near(ns, first_ns, last_ns) for ns in (sent_ns, run.fills.ns)):
        return
    raise InputError(
        file=run.files["fills"],
        row=int(run.fills.row[0]),
        field="ns",
        got=int(run.fills.ns[0]),
        wanted=f"nanoseconds of the time of the tape, {first_ns} to {last_ns}, from which the orders are as far",
    )


def is_near(ns: Ints, first_ns: int, last_ns: int) -> bool:
    """Whether any of these instants is less than a year before the first, or behind the last."""
    # Python's integers: a year before the earliest instant is none of int64
    return bool(((ns > max(first_ns - YEAR_NS, ABSENT)) & (ns <= last_ns + YEAR_NS)).any())
