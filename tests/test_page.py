"""The page of a report: one file that loads nothing, says all, stays small, and is the same every time."""

from __future__ import annotations

import base64
import hashlib
import html
import re
import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pages import RULES, START_NS, broken, crowded, data_of, early, quoted, renamed, withheld
from tables import table

from invariants.auditing import Report, audit
from invariants.diagnosis import diagnose, sweep
from invariants.diagnosis.text import sanity_lines
from invariants.report import report_html, report_page
from invariants.report.page.listing import LARGEST_BYTES, ROOMS, Room, listing, packed
from invariants.report.page.plots import Bar, bars, timeline
from invariants.report.page.text import label, safe, short
from invariants.report.page.windows import DRAWN, LANES, Windows
from invariants.verdict import Finding, Judgement, Verdict
from simcore import Rules
from simcore.run import ABSENT, Rejected

MEGABYTE = 1_000_000
HOSTILE = (
    "<script>window.evil=1</script>",
    '"><img src=x onerror=window.evil=1>',
    "' onclick='window.evil=1",
    "</script></title></style><b>",
    "<!-- <![CDATA[ ]]>",
    "\u202eevil\u202c\u200f\x1b[2J\x00\u2028",
    "$$\\alpha$$ \\(x\\) @{price}{safe}",
    "x" * MEGABYTE,
)  # fmt: skip


def hostile() -> Report:
    """Every string of a run is a stranger's."""
    run = renamed(early(quoted(), 10_000_000_000), *HOSTILE)
    names = dict(zip(("orders", "fills", "tape"), HOSTILE, strict=False))
    lost = tuple(Rejected("fills", word, 7, word, word, word) for word in HOSTILE)
    return audit(
        replace(
            run,
            name="".join(HOSTILE),
            files=names,
            inputs=dict.fromkeys(HOSTILE, "0" * 64),
            engine=HOSTILE[1],
            engine_version=HOSTILE[3],
            rejected=lost,
            read={**run.read, "fills": run.read["fills"] + len(lost)},
            rules=replace(RULES, documented={"fill_price_equals_limit.better": "".join(HOSTILE)}),
        )
    )


def text_of(page: str) -> str:
    """What a reader reads, without the scripts."""
    body = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)
    return html.unescape(re.sub(r"<[^>]*>", " ", body))


# one file, the same every time


def test_the_same_run_gives_the_same_page() -> None:
    first = report_page(broken(), diagnose(broken().run, report=broken()))
    assert report_page(broken(), diagnose(broken().run, report=broken())) == first


def test_the_page_is_the_same_in_another_process() -> None:
    code = (
        "import sys, hashlib; sys.path[:0] = ['.', 'tests']\nfrom pages import broken\n"
        "from invariants.report import report_page\nprint(hashlib.sha256(report_page(broken()).encode()).hexdigest())"
    )
    root = Path(__file__).parent.parent
    said = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True).stdout
    assert said.strip() == hashlib.sha256(report_page(broken()).encode()).hexdigest()


def test_plots_have_ids_of_their_own() -> None:
    assert timeline() == timeline()
    assert bars("title", "axis", [Bar("p1001", 0, 1, "red", "p1002")]) == bars(
        "title", "axis", [Bar("p1001", 0, 1, "red", "p1002")]
    )
    assert "p1001" in str(bars("title", "axis", [Bar("p1001", 0, 1, "red", "p1002")]))


def test_the_policy_allows_the_scripts_of_the_page_and_nothing_else() -> None:
    page = report_page(broken())
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy
    rules = dict(part.strip().partition(" ")[::2] for part in policy[1].split(";"))
    scripts = re.findall(r'<script id="\w+">(.*?)</script>', page, flags=re.DOTALL)
    hashes = {f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in scripts}
    assert set(rules["script-src"].split()) == hashes
    assert len(hashes) == 2
    assert rules["default-src"] == "'none'"
    assert page.index("Content-Security-Policy") < page.index("<style>")


def test_nothing_is_loaded() -> None:
    page = re.sub(r"<script\b.*?</script>", "", report_page(broken()), flags=re.DOTALL)
    assert not re.findall(r"\b(?:src|srcset|action|data)\s*=\s*[\"']", page)
    assert not [link for link in re.findall(r'href="([^"]*)"', page) if not link.startswith("#")]
    assert not re.findall(r"@import|url\(", page)


# what it says


def test_verdicts_are_told_at_a_glance_and_every_law_has_an_anchor() -> None:
    page, report = report_page(broken()), broken()
    for judgement in report.judgements:
        assert f'id="law-{judgement.law}"' in page
    counts = re.findall(r'<div class="([a-z-]+)"><dt>[^<]*</dt><dd>(\d+)</dd></div>', page)
    verdicts = [j.verdict.value.replace(" ", "-") for j in report.judgements]
    assert dict(counts) == {v: str(verdicts.count(v)) for v in set(verdicts)}


def test_every_finding_is_on_the_page() -> None:
    data, report = data_of(report_page(broken())), broken()
    told = [(data["laws"][law], data["files"][file], row, message, story)
            for law, file, _, row, message, story, _ in data["findings"]]  # fmt: skip
    assert told == [(f.law, f.file, f.row, f.message, f.story) for j in report.judgements for f in j.findings]


def test_rules_inputs_versions_and_provenance_are_told() -> None:
    run = replace(quoted(), inputs={"run.toml": "ab" * 32}, engine="engine", engine_version="1.2")
    said = text_of(report_page(audit(run)))
    for words in ("ab" * 32, "latency_ns", "250,000,001", "numpy", "native", "read = ", "engine", "1.2"):
        assert words in said
    assert "No law is broken" in said


def test_the_histogram_and_the_missed_crossings_are_told() -> None:
    report = audit(withheld(quoted()))
    page = report_page(report)
    said = " ".join(text_of(page).split())
    counts = dict(report.justification)
    assert f"a trade went through the limit {counts['through']:,}" in said
    assert "nominal window" in said
    source = _sources(data_of(page)["plots"]["justification"])["bars"]
    assert source["high"] == list(counts.values())


def _sources(item: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The data of a plot's named sources."""
    found: dict[str, dict[str, Any]] = {}

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            if value.get("name") == "ColumnDataSource" and "name" in value["attributes"]:
                attributes = value["attributes"]
                found[attributes["name"]] = dict(attributes["data"]["entries"])
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(item)
    return found


def test_by_model_deviations_are_told_with_their_source() -> None:
    rules = {"pricing": "limit", "documented": {"fill_price_equals_limit.better": "https://example.org/fills"}}
    run = table(
        """
        1000  submit  O9  BUY   100  2
        1250  trade   -   -     99   2
        1250  fill    O9  BUY   99   2
        """,
        **rules,
    )
    said = " ".join(text_of(report_page(audit(run))).split())
    assert "fill_price_equals_limit.better 1: https://example.org/fills" in said


def test_a_run_of_nothing_has_a_page() -> None:
    page = report_page(audit(table("")))
    assert data_of(page)["findings"] == []
    assert len(page) < 2 * MEGABYTE


# timelines


def window_of(report: Report, law: str, number: int = 0) -> tuple[dict[str, Any], list[Any]]:
    """The data of a page, and the window of a law's finding."""
    data = listing(report, ROOMS[0])
    found = [f for f in data["findings"] if data["laws"][f[0]] == law]
    return data, data["windows"][found[number][6]]


def times(data: dict[str, Any], name: str, part: list[int]) -> list[int]:
    return list(accumulate(map(int, data[name]["ns"])))[slice(*part)]


def test_a_window_shows_the_order_from_submit_to_end_with_its_trade_and_fill() -> None:
    run = table(
        """
        1000  submit  O9  BUY   100          2
        1100  top     -   -     99/101       5/6
        1249  trade   -   -     100          2
        1249  fill    O9  BUY   100          2
        9999  trade   -   -     100          2
        """,
        latency_ns=250,
    )
    data, window = window_of(audit(run), "latency_is_respected")
    ns, lo, hi, trades, tops, fills, _, orders, own, *_ = window
    assert int(ns) == 1249
    assert int(lo) < 1000
    assert 1250 < int(hi) < 9999
    assert times(data, "trades", trades) == [1249]
    assert times(data, "tops", tops) == [1100]
    assert times(data, "fills", fills) == [1249]
    assert orders == [own] == [0]
    name, side, price, size, submit, live, cancel, end, sent, start, stop, why, word, row = data["orders"][0]
    assert (name, side, price, size, row) == ("O9", "BUY", 100, 2, 1)
    assert (submit, live, cancel, end, sent, start, stop) == ("1000", None, None, None, "1000", "1250", "1250")
    assert (why, word) == ("filled", "")
    assert data["fills"]["position"] == [2]
    assert data["fills"]["before"] == [0]


@pytest.mark.parametrize(
    ("more", "rules", "stop", "why"),
    [
        ("2000 cancel O9", {"cancel_latency_ns": 30}, 2030, "cancel takes effect"),
        ("", {"ttl_ns": 700}, 1700, "expires"),
        ("", {}, None, "never ended"),
    ],
)
def test_an_order_ends_where_the_run_says(more: str, rules: dict[str, Any], stop: int | None, why: str) -> None:
    run = table(f"1000 submit O9 BUY 100 2\n{more}\n3000 trade - - 100 2\n4000 fill O9 BUY 100 1", **rules)
    data, _ = window_of(audit(run), "fills_have_trades")
    [order] = data["orders"]
    assert order[10:12] == [None if stop is None else str(stop), why]


def test_the_logged_life_of_an_order_stands_before_the_nominal_one() -> None:
    run = table(
        """
        ns    event   id  side  price_ticks  size_lots  live_ns  end_ns  end
        1000  submit  O9  BUY   100          2          1300     1900    expired
        2000  trade   -   -     101          2
        2100  fill    O9  BUY   100          2
        """,
        latency_ns=100,
    )
    data, _ = window_of(audit(run), "fills_have_trades")
    assert data["orders"][0][5:13] == [
        "1300",
        None,
        "1900",
        "1000",
        "1300",
        "1900",
        "end logged by the engine",
        "expired",
    ]


def test_nanoseconds_and_prices_beyond_a_float_stay_exact() -> None:
    data, report = data_of(report_page(broken())), broken()
    steps = [*data["trades"]["ns"], *data["fills"]["ns"], *data["tops"]["ns"]]
    assert all(isinstance(step, str) or abs(step) < 2**53 for step in steps)
    whole = times(data, "trades", [0, len(data["trades"]["ns"])])
    assert set(whole) <= set(report.run.trades.ns.tolist())
    assert min(whole) > START_NS
    assert len(whole) > 100


def test_the_position_is_that_of_the_fills_in_time() -> None:
    run = quoted()
    data, _ = window_of(audit(early(run)), "fills_have_trades")
    steps = zip(
        data["fills"]["before"],
        data["fills"]["position"],
        data["fills"]["side"],
        data["fills"]["size_lots"],
        strict=True,
    )
    assert all(after - before == side * size for before, after, side, size in steps)
    assert data["cap"] == RULES.position_cap_lots


def test_a_crossed_order_is_shown_at_the_trade_that_crossed_it() -> None:
    report = audit(withheld(quoted()))
    law = report["crossed_orders_fill"]
    for number, finding in enumerate(law.findings):
        _, window = window_of(report, law.law, number)
        assert f"at {window[0]} ns" in finding.message


def test_a_crowded_window_shows_what_is_nearest_and_counts_the_rest() -> None:
    run = table("1000 submit O9 BUY 100 2\n3000 trade - - 100 2\n2999 fill O9 BUY 100 2")
    ns = np.arange(1, 5001, dtype=np.int64)
    ones = np.ones_like(ns)
    many = replace(run.trades, ns=ns, price_ticks=ones * 200, size_lots=ones, aggressor=ones, seq=ns - 1, row=ns)
    data, window = window_of(audit(replace(run, trades=many)), "fills_have_trades")
    shown = times(data, "trades", window[3])
    assert len(shown) == DRAWN
    assert shown[0] < 2999 < shown[-1]
    assert window[9] == sum(int(window[1]) <= t <= int(window[2]) for t in ns) - DRAWN


def test_a_window_has_so_many_orders_and_its_own_first() -> None:
    data, window = window_of(broken(), "latency_is_respected", 5)
    assert window[8] == window[7][0]
    assert len(window[7]) <= LANES
    sent = [int(data["orders"][k][8]) for k in window[7][1:]]
    assert sent == sorted(sent)


def test_what_has_no_time_has_no_timeline() -> None:
    run = quoted()
    lost = Rejected("fills", "fills", len(run.fills) + 1, "price", "x", "a number")
    report = audit(replace(run, rejected=(lost,), reported={"fills": Decimal(1)}))
    data = listing(report, ROOMS[0])
    assert {f[6] for f in data["findings"]} == {None}
    assert len(data["findings"]) == 2


def test_a_backward_tape_and_unknown_times_have_windows() -> None:
    backward = table("2000 trade - - 100 2\n1000 trade - - 100 2\n500 submit O9 BUY 100 2\n1500 fill O9 BUY 100 2")
    data = listing(audit(backward), ROOMS[0])
    assert any(f[6] is not None for f in data["findings"])
    run = table("900 submit O9 BUY 100 2\n1000 trade - - 101 2\n1500 fill O9 BUY 100 2")
    absent = replace(run, orders=replace(run.orders, submit_ns=np.array([ABSENT])))
    data, _ = window_of(audit(absent), "fills_have_trades")
    assert data["orders"][0][4:11] == [None] * 6 + ["1500"]


def test_instants_at_the_ends_of_time_do_not_wrap() -> None:
    last = 2**63 - 1
    run = table(
        f"{last - 5} submit O9 BUY 100 2\n{last} trade - - 101 2\n{last} fill O9 BUY 100 2",
        latency_ns=10**9,
        ttl_ns=2**62,
    )
    data, window = window_of(audit(run), "fills_have_trades")
    assert int(window[2]) == last
    assert data["orders"][0][9:11] == [str(last), None], "it never arrives"


# size


def test_ten_thousand_findings_fit_with_their_timelines() -> None:
    page = report_page(crowded())
    findings = data_of(page)["findings"]
    assert len(page.encode()) < 3 * MEGABYTE
    assert len(findings) >= 10_000
    assert all(f[6] is not None for f in findings)


def test_every_law_gets_its_turn_when_the_room_is_short() -> None:
    data = listing(broken(), Room(1500, 150, 40))
    assert len(data["findings"]) == 40
    assert len({f[0] for f in data["findings"]}) == 5
    assert any(f[6] is None for f in data["findings"])
    assert len({f[0] for f in data["findings"] if f[6] is not None}) >= 4


def test_a_page_of_noise_stays_below_six_megabytes() -> None:
    rng = np.random.default_rng(3)
    noise = [rng.bytes(1500).hex() for _ in range(4000)]
    findings = tuple(Finding("time_is_ordered", "fills", "fills", None, text, text) for text in noise)
    report = replace(broken(), judgements=(Judgement("time_is_ordered", Verdict.FAIL, 4000, 4000, findings=findings),))
    assert len(packed(report, {}, 400_000)) < 1_200_000 < LARGEST_BYTES
    page = report_page(report)
    assert len(page.encode()) < 6 * MEGABYTE
    assert len(data_of(page)["findings"]) == 4000


def test_windows_stop_where_the_room_does() -> None:
    report = broken()
    windows = Windows(report.run, 100)
    placed = [windows.place(f) for j in report.judgements for f in j.findings]
    values = windows.to_dict()
    carried = sum(len(values[name]["ns"]) for name in ("trades", "tops", "fills", "samples")) + len(values["orders"])
    assert carried <= 100
    assert None in placed


# strangers


def test_hostile_strings_stay_text() -> None:
    report = hostile()
    page = report_page(report, diagnose(report.run, report=report))
    assert len(page.encode()) < 6 * MEGABYTE
    assert len(re.findall(r"<script\b", re.sub(r'<script id="bokeh">.*?</script>', "", page, flags=re.DOTALL))) == 2
    outside = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.DOTALL)
    assert not re.findall(r"<(?:img|b>&|iframe)", outside)
    assert not re.findall(r"<[^>]*\son\w+\s*=", re.sub(r'"[^"]*"', '""', outside))
    for mark in "\u202e\u202c\u200f\x1b\x00\u2028":
        assert mark not in page
    assert "x" * 2000 not in page
    assert "<script>window.evil=1</script>" in text_of(page)


def test_hostile_strings_stay_text_in_a_notebook() -> None:
    fragment = report_html(hostile())
    assert "<script" not in fragment
    assert "<img" not in fragment
    assert len(fragment) < MEGABYTE


def test_long_strings_are_cut_in_the_middle_and_formulas_broken() -> None:
    assert short("a" * 10 + "b" * 10_000 + "c" * 10, 60) == f"{'a' * 10}{'b' * 30}... (10,020 characters) ...{'c' * 10}"
    assert short(None) == "none"
    assert safe("<\u202e>") == "&lt;\\u202e&gt;"
    assert label("$$x$$") == "$\u200b$x$\u200b$"
    assert label("\\(x\\)").startswith("\\\u200b(")
    assert len(label("x" * MEGABYTE)) < 30


# a diagnosis


def test_a_diagnosis_stands_on_the_page_with_its_tables_and_plots() -> None:
    run = quoted()
    found = diagnose(run, horizons_s=(1, 5))
    page = report_page(found.report, found)
    said = " ".join(text_of(page).split())
    assert found.conclusion.reason in said
    assert all(line in said for line in found.conclusion.evidence)
    plots = data_of(page)["plots"]
    assert {"markouts", "parts", "pnl", "bracket", "justification"} <= plots.keys()
    for name in plots.keys() - {"timeline"}:
        assert f'data-plot="{name}"' in page
    combined = _sources(plots["markouts"])["combined"]
    assert combined["mean"] == [m.combined.mean for m in found.markouts if m.combined]
    assert all(a <= b <= c for a, b, c in zip(combined["low"], combined["mean"], combined["high"], strict=True))


def test_the_waterfall_ends_at_the_result() -> None:
    found = diagnose(quoted(), bracket=False)
    assert found.pnl is not None
    source = _sources(data_of(report_page(found.report, found))["plots"]["pnl"])["bars"]
    total = float(quoted().instrument.notional(found.pnl.total))
    assert {source["low"][-1], source["high"][-1]} == {0.0, total}
    *parts, _ = zip(source["low"], source["high"], strict=True)
    for before, after in pairwise(parts):
        assert set(before) & set(after), "each part begins where the one before ended"
    assert total in parts[-1]


def test_a_bracket_that_cannot_be_says_why() -> None:
    run = replace(quoted(), provenance={**quoted().provenance, "submit_ns": "absent"})
    found = diagnose(run)
    assert found.bracket is not None
    assert found.bracket.reason
    assert f"None: {found.bracket.reason}." in text_of(report_page(found.report, found))


def test_sweeps_are_drawn_and_tabled_whatever_they_are_called() -> None:
    swept = sweep(HOSTILE[0], ["$$a$$", HOSTILE[1]], lambda _: quoted(), horizons_s=(5,))
    page = report_page(audit(quoted()), sweeps=[swept])
    assert {"sweep-1", "sweep-1-result"} <= data_of(page)["plots"].keys()
    assert f"Sweep of {HOSTILE[0]}" in text_of(page)


def test_who_lost_the_money_comes_first_unless_a_law_is_broken() -> None:
    for run, first, second in ((quoted(), "diagnosis", "findings"), (early(quoted()), "findings", "diagnosis")):
        found = diagnose(run, bracket=False)
        page = report_page(found.report, found)
        assert page.index(f'<section id="{first}"') < page.index(f'<section id="{second}"')


def test_a_diagnosis_without_tape_has_a_page() -> None:
    run = table("1000 submit O9 BUY 100 2\n1250 fill O9 BUY 100 2", has_tape=False)
    found = diagnose(run)
    assert found.conclusion.reason in text_of(report_page(found.report, found))


def test_undeclared_rules_are_no_obstacle() -> None:
    rules = Rules(
        undeclared=frozenset(
            {"latency_ns", "ttl_ns", "position_cap_lots", "initial_position_lots", "cancel_latency_ns"}
        )
    )
    data = listing(audit(replace(early(quoted(), 10**10), rules=rules)), ROOMS[0])
    assert data["cap"] is None
    assert data["initial_known"] is False
    assert data["windows"]


def test_the_verdicts_stand_on_top_and_the_sections_in_the_order_of_their_links() -> None:
    """Where no law is broken, who lost the money comes first, then the sweeps."""
    found = diagnose(quoted(), horizons_s=(1, 5))
    page = report_page(found.report, found, sweeps=[sweep("offset, bps", [0], lambda _: quoted(), horizons_s=(5,))])
    head = text_of(page.partition("<main")[0])
    assert f"{found.verdict} who lost the money: {found.conclusion.cause}" in " ".join(head.split())
    sections = re.findall(r'<section id="(\w+)"', page)
    assert sections == ["laws", "diagnosis", "sweeps", "findings", "fills", "facts"]
    assert re.findall(r'<li><a href="#(\w+)"', page) == sections
    found = diagnose(broken().run, report=broken())
    sections = re.findall(r'<section id="(\w+)"', report_page(broken(), found))
    assert sections == ["laws", "findings", "diagnosis", "fills", "facts"]


def test_every_sanity_check_is_on_the_page() -> None:
    found = diagnose(quoted(), horizons_s=(1, 5))
    assert found.sanity is not None
    said = " ".join(text_of(report_page(found.report, found).partition("All of it as text")[0]).split())
    for name, figures in sanity_lines(found, found.sanity):
        assert f"{name} {figures}" in said
