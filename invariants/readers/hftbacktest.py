"""hftbacktest: a log of order snapshots, which the user's loop writes, and the ``Recorder``'s npz.

The engine writes no orders and no fills; ``hftbacktest_log`` says how they follow from the log, and
``hftbacktest_recorder`` what the engine itself records. Either may be absent.

Two clocks: fills carry the exchange's time, and their response reaches the local side later
(https://hftbacktest.readthedocs.io/en/latest/latency_models.html). A position that was recorded at a
local time knows the fills whose response had arrived by then; here it stands just before the first
fill that it cannot know. A response arrives ``resp`` after its fill where the parameters say so, else
when the log first shows the fill; where the log leaves that open, it is taken as the position says.

``meta.json`` beside them may hold ``version``, ``rc`` (what the last call of the backtester returned;
1 is the end of the data, which is how a run ends) and ``opt`` with ``ex`` (partial, nopartial: the
profile), ``entry`` and ``resp`` (constant order latencies in nanoseconds; a cancel is a request like
a submit). Figures of the run that it may state are held against the rows: ``last_ts`` (the end, local),
``orders``, ``num_trades``, ``trading_volume`` and ``final_position``; ``log_rows`` and ``recorder_rows``.

Prices, sizes and sums are floats: ``invariants.readers.floats`` says when they are taken for the
decimals that they were meant to be. Nothing else is rounded.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from itertools import accumulate
from pathlib import Path
from typing import Any

from invariants.readers.engine_run import Output, run_of
from invariants.readers.hftbacktest_log import COLUMNS, TABLE, Fill, Log, State, read_log
from invariants.readers.hftbacktest_recorder import Recorder, looks_recorded, read_recorder
from invariants.readers.parameters import Parameters, parameters_of, with_claims
from invariants.readers.peek import columns_of
from invariants.readers.sources import Blob, Sources, blobs
from invariants.readers.tables import SUFFIXES
from invariants.readers.tape import Tape
from invariants.readers.totals import with_others
from simcore import InputError, Rules, Run
from simcore import pandas_later as pd
from simcore.frames import STAMPS, UNJUDGED
from simcore.run import Rejected

LOG = "order_snapshots"
RECORDER = "recorder.npz"
END_OF_DATA = 1
PROFILES = {"partial": "hftbacktest-partial", "nopartial": "hftbacktest-nopartial"}
ORDER_COLUMNS = ("order_id", "side", "price", "size", "submit_ns", "live_ns", "cancel_ns", "end_ns", "end", "row")
FILL_COLUMNS = ("ns", "ns_to", "order_id", "side", "price", "size", "fee", "row")


def is_hftbacktest(path: Path) -> bool:
    """Whether ``path`` is a log of order snapshots or a recorder's npz, or a folder with one."""
    files = _files(path)
    return _log_file(files) is not None or _recorder_file(files) is not None


def read_hftbacktest(
    path: str | Path, *, rules: Rules | str | Path | None = None, tape: Tape | Sources | None = None
) -> Run:
    """The run in the folder ``path``, or around that file. Raises ``InputError``.

    A recorder alone gives the engine's own totals, and nothing to hold them against.
    """
    given = Path(path)
    folder = given if given.is_dir() else given.parent
    log_file = _log_file(_files(given))
    recorder_file = _recorder_file(_files(given)) or _recorder_file(_files(folder))
    if log_file is None and recorder_file is None:
        wanted = f"{LOG}.parquet, {LOG}.csv or {RECORDER}"
        raise InputError(file=str(path), field="file", got="none of them", wanted=wanted)
    log = Log() if log_file is None else read_log(_blob(log_file))
    recorder = Recorder() if recorder_file is None else read_recorder(_blob(recorder_file))
    run = run_of(_output(folder, log, recorder, parameters_of(folder)), rules=rules, tape=tape)
    if log_file is None:
        # that no fills were given is not the same as that there were none
        return replace(run, read={name: count for name, count in run.read.items() if name != "fills"})
    return run


def _files(path: Path) -> list[Path]:
    try:
        return sorted(path.iterdir()) if path.is_dir() else [path] if path.is_file() else []
    except OSError:
        return []


def _log_file(files: Iterable[Path]) -> Path | None:
    """The log among the files, by its usual name or by its columns; Parquet before CSV."""
    tables = sorted((f for f in files if f.name.endswith(SUFFIXES)), key=lambda f: f.suffix != ".parquet")
    named = (file for file in tables if file.name.partition(".")[0] == LOG)
    return next(named, next((file for file in tables if columns_of(file) >= COLUMNS), None))


def _recorder_file(files: Iterable[Path]) -> Path | None:
    archives = [file for file in files if file.suffix == ".npz"]
    return next((file for file in archives if file.name == RECORDER or looks_recorded(file)), None)


def _blob(path: Path) -> Blob:
    return next(iter(blobs(path)))


def _output(folder: Path, log: Log, recorder: Recorder, parameters: Parameters) -> Output:
    has_log = bool(log.file)
    states, states_file = (recorder.states, recorder.file) if recorder.file else (log.states, log.file)
    moments = [states[-1].now] if states else []
    # of a position that other orders moved, too, their part is not known to the lot
    sampled = states if has_log and not log.others_filled else []
    return Output(
        engine="hftbacktest",
        version=parameters.version,
        name=parameters.variant or folder.name or "run",
        fills=_fills(log),
        orders=_orders(log) if has_log else None,
        positions=_positions(sampled, log, parameters.whole(parameters.options, "resp")) if sampled else None,
        profile=PROFILES.get(str(parameters.options.get("ex"))),
        dials=_dials(parameters),
        provenance=dict.fromkeys(STAMPS, "native" if has_log else "absent"),
        reported=with_others(_reported(log, recorder, parameters), log.others.elements(), log.others_filled.elements()),
        end_ns=parameters.whole(parameters.values, "last_ts"),
        last_event_ns=max([*moments, log.last_now] if log.last_now is not None else moments, default=None),
        exit_code=_exit_code(parameters),
        files=_shown(log, states_file, parameters),
        inputs={**{f.file: f.sha256 for f in (log, recorder) if f.file}, **parameters.inputs},
        rejected=(*log.rejected, *_contradicted(log, recorder, parameters)),
        read={TABLE: log.read} if has_log else {"samples": len(recorder.states)},
    )


def _shown(log: Log, states_file: str, parameters: Parameters) -> dict[str, str]:
    tables = dict.fromkeys(("orders", "fills", TABLE), log.file) if log.file else {}
    return {
        **tables,
        "positions": states_file,
        "reported": " and ".join(filter(None, (states_file, *parameters.inputs))),
    }


def _orders(log: Log) -> pd.DataFrame:
    last_now = log.last_now or 0
    rows = []
    for life in log.lives:
        one = life.first
        times = (one.local_ns, life.live_ns, life.cancel_ns, life.end_ns)
        rows.append((one.order_id, one.side, one.price, one.qty, *times, life.end(last_now), one.row))
    return _frame(rows, ORDER_COLUMNS, submit_ns="int64", live_ns="Int64", cancel_ns="Int64", end_ns="Int64")


def _fills(log: Log) -> pd.DataFrame:
    paired = zip(log.fills, _fees(log), strict=True)
    rows = [(f.ns, f.ns_to, f.order_id, f.side, f.price, f.size, fee, f.row) for f, fee in paired]
    return _frame(rows, FILL_COLUMNS, ns="int64", ns_to="int64")


def _frame(rows: list[tuple[Any, ...]], columns: tuple[str, ...], **dtypes: str) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=list(columns), dtype=object)
    return frame.astype({**dtypes, "row": "int64"})


def _fees(log: Log) -> list[Decimal | None]:
    """What the account's fee rose by when each fill was seen; None where two were seen at once, or no fee was."""
    rise: dict[int, Decimal] = {}
    paid = Decimal(0)
    if log.others_filled:
        return [None] * len(log.fills)
    for state in log.states:
        if state.fee is None or not state.fee.is_finite():
            return [None] * len(log.fills)
        rise[state.now] = rise.get(state.now, Decimal(0)) + state.fee - paid
        paid = state.fee
    at_once = Counter(fill.seen for fill in log.fills)
    return [rise.get(fill.seen) if at_once[fill.seen] == 1 else None for fill in log.fills]


def _positions(states: list[State], log: Log, response_ns: int | None) -> pd.DataFrame:
    """Samples at the exchange time of which they know: just before the first fill that they cannot know."""
    fills = sorted(log.fills, key=lambda fill: fill.ns_to)
    sums = list(accumulate((fill.side * fill.size for fill in fills), initial=Decimal(0)))
    latest, earliest = _arrivals(fills, response_ns)
    rows = []
    for state in states:
        surely, perhaps = bisect_right(latest, state.now), bisect_right(earliest, state.now)
        fits = (count for count in range(surely, perhaps + 1) if sums[count] == state.position)
        rows.append((_known_to(state.now, next(fits, surely), fills), state.position, state.row))
    return _frame(rows, ("ns", "position", "row"), ns="int64")


def _arrivals(fills: list[Fill], response_ns: int | None) -> tuple[list[int], list[int]]:
    """The latest and the earliest local time at which each response arrived; responses never overtake."""
    if response_ns is not None:
        latest = earliest = [fill.ns_to + response_ns for fill in fills]
    else:
        latest = [fill.seen for fill in fills]
        earliest = [max(fill.ns_to, min(fill.unseen + 1, fill.seen)) for fill in fills]
    return list(accumulate(latest, max)), list(accumulate(earliest, max))


def _known_to(now: int, known: int, fills: list[Fill]) -> int:
    """The exchange time up to which an account that knows the first ``known`` fills is complete."""
    if known == len(fills):
        return now
    if known and fills[known].ns_to == fills[known - 1].ns_to:
        return fills[known].ns_to  # a part of an instant: the law tries each
    # no earlier than what it knows, even where the next fill, of which only an interval is known, may be
    return min(now, max(fills[known].ns - 1, fills[known - 1].ns_to if known else 0))


SIZE_DECIMALS = 9
STATED = {"orders": "submits", "num_trades": "fills", "trading_volume": "turnover", "final_position": "position"}
"""Figures of the run that its parameters may state, and the total that each is."""


def _reported(log: Log, recorder: Recorder, parameters: Parameters) -> dict[str, Any]:
    """The engine's own totals, of the first account that knows all fills, and those that ``meta.json`` states.

    Where no account does, or (cash) a fill is of several prices of which the log shows one, unjudged. Of an
    account and parameters that differ, the one that the log contradicts: a file that was cut is not what the
    parameters state.
    """
    finals = [*recorder.states[-1:], *log.states[-1:]]
    last_seen = max((fill.seen for fill in log.fills), default=0)
    final = next((state for state in finals if state.now >= last_seen), None)
    figures = _figures(final or finals[-1]) if finals else {}
    one_price = all(fill.single for fill in log.fills)
    open_ = [name for name in figures if final is None or (name == "cash" and not one_price)]
    judged = {UNJUDGED + name if name in open_ else name: value for name, value in figures.items()}
    if not log.file:
        return judged
    last_ns = parameters.whole(parameters.values, "last_ts")
    told_ns = last_ns if last_ns is not None else last_seen if final is not None else -1
    return with_claims(judged, dict(_stated(parameters, knows=told_ns >= last_seen)), _counted(log))


def _stated(parameters: Parameters, *, knows: bool) -> Iterator[tuple[str, Decimal]]:
    """The totals that the parameters state; ``knows``: when they were taken, all fills had been seen."""
    for name, ours in STATED.items():
        number = parameters.number(parameters.values, name)
        if number is not None:
            # sums of sizes in binary: as many decimals as sizes have
            short = round(number, SIZE_DECIMALS).normalize()
            # a total is held to its last digit: 400 must not become 4E+2
            exact = short.quantize(Decimal(1)) if short == short.to_integral_value() else short
            yield ours if knows or ours == "submits" else UNJUDGED + ours, exact


def _contradicted(log: Log, recorder: Recorder, parameters: Parameters) -> tuple[Rejected, ...]:
    """The parameters, where they state that a file had another number of rows."""
    found: list[Rejected] = []
    for name, file, rows in (("log_rows", log.file, log.read), ("recorder_rows", recorder.file, len(recorder.states))):
        if file:
            found += parameters.contradicted(name, parameters.number(parameters.values, name), rows, f"as {file} has")
    return tuple(found)


def _counted(log: Log) -> dict[str, Decimal | int]:
    """The same totals, of the log."""
    return {
        "submits": len(log.lives),
        "fills": len(log.fills),
        "turnover": sum((fill.size for fill in log.fills), Decimal(0)),
        "position": sum((fill.side * fill.size for fill in log.fills), Decimal(0)),
    }


def _figures(state: State) -> dict[str, Decimal]:
    # the engine's balance is before fees
    cash = None if state.balance is None or state.fee is None else state.balance - state.fee
    figures = {"position": state.position, "cash": cash, "fees": state.fee, "fills": state.num_trades}
    figures["turnover"] = state.volume
    return {name: value for name, value in figures.items() if value is not None and value.is_finite()}


def _dials(parameters: Parameters) -> Mapping[str, Any]:
    entry_ns = parameters.whole(parameters.options, "entry")
    latencies = {} if entry_ns is None else {"latency_ns": entry_ns, "cancel_latency_ns": entry_ns}
    return {"initial_position_lots": 0, **latencies}  # whatever the exchange model, a backtest begins flat


def _exit_code(parameters: Parameters) -> int | None:
    code = parameters.whole(parameters.values, "rc")
    return 0 if code == END_OF_DATA else code
