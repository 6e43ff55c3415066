"""Hypothesis strategies: rules and scenarios that hurt.

A draw costs far more than a byte, so an event is one draw of a few bytes (see ``worlds``), and the
number of events is drawn first: lists would rarely be longer than a few.
"""

from __future__ import annotations

from decimal import Decimal
from itertools import takewhile
from typing import Any

from hypothesis import strategies as st

from invariants.tapes.supports import Supports
from invariants.tapes.worlds import GENE, HEADER, HOUR_NS, SUBMIT, Gene, World
from simcore import InputError, Rules, Scenario
from simcore.rules import CHOICES

_LATENCIES_NS = (300_000_000, 0, 1, 250, 300_000_000, 2, 1_000_000, 2 * HOUR_NS + 1)
_CANCEL_LATENCIES_NS = (0, 1, 100_000_000, 2, 0, 300_000_000, 250, HOUR_NS)
_TTLS_NS = (5_000_000_000, None, 1, 2, 250, 1_000_000, None, 4_700_000_000)
"""Time to live beyond the latency, so that most orders can fill; None is without end."""
_CAPS_LOTS = (10, None, 5, 2, 10, 1, 10, 2**31, None, 2**53 + 1, 7, None, 3, 0, 10, 20)
_RATES = (Decimal(0), Decimal("0.0001"), Decimal("-0.00025"), Decimal(0))
_NEVER_LIVE = 250
"""From this byte on an order expires at once, just before it arrives, or as it does."""

_GOES_ON = 244
_SHARES = (20, 16, 12, 8, 6, 6, 5, 5, 4, 3, 2, 1)
"""From this byte on a scenario goes on, up to these shares of the longest."""
_CROWD = 16
_RELAY = 2
"""Of so many genes in a row one is a relay, where they are no crowd."""

_RULE_BYTES = 13

_DRAWS = st.binary(min_size=_RULE_BYTES, max_size=_RULE_BYTES)
_HEADERS = st.binary(min_size=HEADER, max_size=HEADER)
_GENES = st.binary(min_size=GENE, max_size=GENE)
# most scenarios have a few genes, some many, few none: a uniform length would be mostly long
_LENGTH_OF = (1, 2, 2, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 6, 6, 6, 7, 7, 8, 8, 9, 10, 11, 12, 2, 3, 4, 5, 6, 7, 0, 3)


def any_rules() -> st.SearchStrategy[Rules]:
    """Rules with every dial anywhere; the default of each is its simplest value."""
    return _DRAWS.map(_rules)


def _rules(drawn: bytes) -> Rules:
    words: dict[str, Any] = {name: CHOICES[name][drawn[i] % len(CHOICES[name])] for i, name in enumerate(CHOICES)}
    i = len(CHOICES)
    latency_ns = _LATENCIES_NS[drawn[i] % 8]
    beyond_ns = _TTLS_NS[drawn[i + 1] % 8]
    ttl_ns = None if beyond_ns is None else latency_ns + beyond_ns
    if drawn[i + 1] >= _NEVER_LIVE:
        ttl_ns = (0, max(latency_ns - 1, 0), latency_ns)[drawn[i + 1] % 3]
    cap_lots = _CAPS_LOTS[drawn[i + 3] % 16]
    return Rules(
        latency_ns=latency_ns,
        cancel_latency_ns=_CANCEL_LATENCIES_NS[drawn[i + 2] % 8],
        ttl_ns=ttl_ns,
        position_cap_lots=cap_lots,
        initial_position_lots=_initial(drawn[i + 4] % 32, cap_lots),
        fee_rate=_RATES[drawn[i + 4] // 64],
        **words,
    )


def _initial(choice: int, cap_lots: int | None) -> int:
    """Mostly flat; else long or short: a little, near, at and beyond the cap."""
    cap = 6 if cap_lots is None else cap_lots
    sign = 1 if choice % 2 else -1
    steps = (0, 0, 0, 0, 0, 0, 0, 0, 2, cap, cap + 3, cap - 1 if cap else 0, cap, cap + 1, 1, 3)
    return sign * steps[choice // 2]


def scenarios(
    rules: Rules | st.SearchStrategy[Rules] | None = None,
    *,
    supports: Supports | None = None,
    max_events: int = 32,
    longest: int = 0,
) -> st.SearchStrategy[Scenario]:
    """Scenarios whose trades are aimed at the instants, prices and sizes at which simulators lie.

    ``rules``: fixed, drawn from a strategy, or (None) any. ``supports``: what the simulator can be
    driven to do; nothing else is generated. ``max_events``: of tape and actions together, about; but one
    in twenty goes on from there, up to ``longest``. Raises ``InputError`` for rules that are neither.
    """
    able = Supports() if supports is None else supports
    drawn = st.just(rules) if isinstance(rules, Rules) else any_rules() if rules is None else rules
    if not isinstance(drawn, st.SearchStrategy):
        raise InputError(file="scenarios", field="rules", got=rules, wanted="Rules, a strategy of Rules, or None")
    return _scenarios(drawn, able, max_events, longest)


@st.composite
def _scenarios(
    draw: Any, rules: st.SearchStrategy[Rules], supports: Supports, max_events: int, longest: int
) -> Scenario:
    chosen = supports.within(draw(rules))
    header = draw(_HEADERS)
    world = World(chosen, header, supports, max_events)
    genes = [Gene(*draw(_GENES)) for _ in range(_LENGTH_OF[header[4] % len(_LENGTH_OF)])]
    for gene in genes:
        world.grow(gene)
    if header[6] >= _GOES_ON and genes and world.unit_lots == 1:
        world.max_events = max(longest // _SHARES[header[6] - _GOES_ON], max_events)
        _go_on(world, genes, crowding=header[5] % 3 == 1)
    return world.scenario()


def _go_on(world: World, genes: list[Gene], *, crowding: bool) -> None:
    """Grow the world until it is full, by genes that follow from the ones drawn: to draw them would take too long.

    ``crowding``: most of them are orders sent at once, so that many are there together; else some are relays.
    """
    for turn in takewhile(lambda _: not world.is_full, range(world.max_events)):
        at = turn % len(genes)
        genes[at] = Gene(*((5 * byte + 2 * place + 1) % 256 for place, byte in enumerate(genes[at])))
        if crowding and turn % _CROWD:
            world.grow(genes[at]._replace(op=SUBMIT, when=0))
        elif not crowding and turn % _RELAY == 0:
            world.relay(genes[at])
        else:
            world.grow(genes[at])
