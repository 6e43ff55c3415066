"""The page in a real browser, headless Chromium, opened from disk: drawn, exact, silent, quick, and for everybody."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from pages import broken, crowded, data_of, early, quoted, renamed, withheld
from test_page import hostile

from invariants.auditing import audit
from invariants.diagnosis import diagnose, sweep
from invariants.report import report_page
from invariants.report.page.plots import BOOK, BUY, FILL, NEUTRAL

CHROMIUM = shutil.which("chromium") or ""
if not CHROMIUM:
    pytest.skip("no chromium on the path: apt-get install chromium", allow_module_level=True)
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

FLAGS = [
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
WIDE, PHONE = (1400, 900), (390, 844)
DEEP = "const deep = (n) => [n, ...[...(n.children ?? [])].flatMap(deep), ...(n.shadowRoot ? deep(n.shadowRoot) : [])];"

PRICES = "[...Bokeh.index.query((v) => v.model.name === 'prices')][0].model"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=CHROMIUM, args=FLAGS, headless=True)
        yield launched
        launched.close()


@dataclass
class Opened:
    """A page in the browser, with what it asked for and what it complained of."""

    page: Any
    path: Path
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def run(self, script: str, *more: Any) -> Any:
        """What a script in the page answers."""
        return self.page.evaluate(script, *more)

    def is_quiet(self) -> None:
        """No error, and no request but for the page itself."""
        assert not self.complaints
        assert {url.partition("#")[0] for url in self.requests} == {self.path.as_uri()}

    def choose(self, number: int) -> None:
        """The finding of this number, from 1, and its timeline."""
        self.run("n => { location.hash = `#finding-${n}`; }", number)
        self.page.wait_for_function("n => document.documentElement.dataset.chosen === String(n - 1)", arg=number)
        self.page.wait_for_timeout(150)

    def unfold_events(self) -> None:
        """The table of the events of the timeline."""
        if not self.run("document.getElementById('events-part').open"):
            self.page.click("#events-title")

    def draw(self) -> list[str]:
        """Scroll to every plot, wait until it is drawn, and name them."""
        for plot in self.page.query_selector_all("[data-plot]"):
            plot.scroll_into_view_if_needed()
            self.page.wait_for_function("e => e.dataset.drawn === 'yes'", arg=plot)
        self.page.wait_for_timeout(300)
        return [str(plot.get_attribute("id")) for plot in self.page.query_selector_all(".plot")]

    def point_at(self, panel: str, x: float, y: float) -> str:
        """Move the mouse to a place in the units of a panel; what the tooltips say."""
        self.run("document.getElementById('timeline').scrollIntoView({block: 'end'})")
        self.page.wait_for_timeout(100)
        sx, sy = self.run(
            """([panel, x, y]) => {
              const [view] = Bokeh.index.query((v) => v.model.name === panel);
              const box = view.canvas_view.el.getBoundingClientRect();
              return [box.x + view.frame.x_scale.compute(x), box.y + view.frame.y_scale.compute(y)];
            }""",
            [panel, x, y],
        )
        told = "[...document.querySelectorAll('.bk-Tooltip')].filter((t) => getComputedStyle(t).display !== 'none')"
        self.page.mouse.move(0, 0)
        self.page.wait_for_function(f"() => {told}.length === 0")
        self.page.mouse.move(sx, sy)
        with suppress(playwright.TimeoutError):  # nothing may be there
            self.page.wait_for_function(f"() => {told}.length > 0", timeout=2000)
        return str(self.run(f"{told}.map((t) => t.shadowRoot.textContent).join(' | ')"))

    def source(self, name: str) -> dict[str, list[Any]]:
        """The columns of a source of the timeline."""
        found: dict[str, list[Any]] = self.run(
            """(name) => {
              const [view] = Bokeh.index.query((v) => v.model.name === "prices");
              const all = [...view.root.model.references()];
              const { data } = all.find((m) => m.type === "ColumnDataSource" && m.name === name);
              const plain = data instanceof Map ? Object.fromEntries(data) : data;
              return Object.fromEntries(Object.entries(plain).map(([k, v]) => [k, [...v]]));
            }""",
            name,
        )
        return found


Open = Callable[..., Opened]


def opener(browser: Any, folder: Path, contexts: list[Any]) -> Open:
    """Opens a page from disk: ``opened(html, size=..., scheme=...)``."""

    def go(html: str, *, size: tuple[int, int] = WIDE, scheme: str = "light", **more: Any) -> Opened:
        path = folder / f"page-{len(contexts)}.html"
        path.write_text(html, encoding="utf-8")
        viewport = {"width": size[0], "height": size[1]}
        context = browser.new_context(viewport=viewport, color_scheme=scheme, offline=True, **more)
        contexts.append(context)
        shown = Opened(context.new_page(), path)
        shown.page.on("request", lambda request: shown.requests.append(request.url))
        shown.page.on("pageerror", lambda error: shown.complaints.append(str(error)))
        shown.page.on("dialog", lambda dialog: shown.complaints.append(dialog.message))
        shown.page.on(
            "console", lambda m: shown.complaints.append(m.text) if m.type in ("error", "warning", "assert") else None
        )
        shown.page.goto(path.as_uri())
        shown.page.wait_for_function("() => document.documentElement.dataset.ready === 'yes'")
        return shown

    return go


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Open]:
    """Opens a page that is the test's own."""
    contexts: list[Any] = []
    yield opener(browser, tmp_path, contexts)
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def shared(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    """Opens a page once for all tests that look at it, whatever finding another one had chosen."""
    contexts: list[Any] = []
    kept = cache(opener(browser, tmp_path_factory.mktemp("shared"), contexts))
    yield lambda html, *, size=WIDE, scheme="light": kept(html, size=size, scheme=scheme)
    for context in contexts:
        context.close()


@cache
def full_page() -> str:
    """Findings, a diagnosis and a sweep: every plot that there is."""
    found = diagnose(broken().run, report=broken(), horizons_s=(1, 5))
    swept = sweep("offset, bps", [0, 1], lambda _: quoted(), horizons_s=(5,))
    return report_page(found.report, found, sweeps=[swept])


@cache
def broken_page() -> str:
    return report_page(broken())


@cache
def crowded_page() -> str:
    return report_page(crowded())


def pixels(shown: Opened, plot: str) -> dict[str, int]:
    """How often each colour stands on the canvases of a plot."""
    counts: dict[str, int] = shown.run(
        f"""(id) => {{
          {DEEP}
          const counts = {{}};
          for (const canvas of deep(document.getElementById(id)).filter((n) => n.tagName === "CANVAS" && n.width)) {{
            const {{ data }} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
            for (let k = 0; k < data.length; k += 4) {{
              if (data[k + 3] < 128) continue;
              const name = "#" + [0, 1, 2].map((c) => data[k + c].toString(16).padStart(2, "0")).join("");
              counts[name] = (counts[name] ?? 0) + 1;
            }}
          }}
          return counts;
        }}""",
        plot,
    )
    return counts


# drawn


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_every_plot_is_drawn_and_nothing_is_asked_of_anybody(shared: Open, size: tuple[int, int], scheme: str) -> None:
    shown = shared(full_page(), size=size, scheme=scheme)
    names = shown.draw()
    expected = {"timeline", "plot-justification", "plot-markouts", "plot-parts", "plot-pnl", "plot-bracket"}
    assert {*expected, "plot-sweep-1", "plot-sweep-1-result"} == set(names)
    for name in names:
        drawn = pixels(shown, name)
        assert sum(drawn.values()) > 1000, name
        assert len(drawn) > 20, name
    shown.is_quiet()


def test_the_timeline_shows_fills_position_trades_and_orders(shared: Open) -> None:
    shown = shared(broken_page())
    shown.choose(60)
    drawn = pixels(shown, "timeline")
    for colour in (FILL, BOOK, BUY, NEUTRAL):
        assert drawn.get(colour, 0) > 5, colour
    assert len(shown.source("trades")["x"]) > 5
    assert len(shown.source("book")["x"]) > 2
    assert len(shown.source("lives")["x0"]) > 2
    shown.is_quiet()


def test_another_finding_is_another_picture(shared: Open) -> None:
    shown = shared(broken_page())
    shown.choose(60)
    before = shown.page.query_selector("#timeline").screenshot()
    shown.choose(90)
    assert shown.page.query_selector("#timeline").screenshot() != before
    assert shown.run("document.getElementById('timeline').dataset.finding") == "89"


# exact


def test_pointing_at_a_fill_a_trade_an_order_and_the_position_tells_its_state_to_the_nanosecond(opened: Open) -> None:
    run = quoted()
    report = audit(early(run))
    shown = opened(report_page(report))
    finding = report["fills_have_trades"].findings[3]
    number = [f for j in report.judgements for f in j.findings].index(finding) + 1
    shown.choose(number)
    k = int(finding.row or 0) - 1
    fills, orders = report.run.fills, report.run.orders
    ns = int(fills.ns[k])
    said = shown.point_at("prices", 0, float(fills.price_ticks[k]) / 100)
    assert f"fill of order {fills.order_id[k]}" in said
    assert str(ns) in said
    assert f"{int(fills.price_ticks[k]) / 100:.2f}" in said
    lives = shown.source("lives")
    own = lives["own"].index(3)
    said = shown.point_at(
        "orders", (lives["x0"][own] + lives["x1"][own]) / 2 if lives["x1"][own] else 0, lives["y"][own]
    )
    i = int(fills.order[k])
    assert f"order {orders.order_id[i]}" in said
    assert str(int(orders.submit_ns[i]) + run.rules.latency_ns) in said
    trades = shown.source("trades")
    said = shown.point_at("prices", trades["x"][0], trades["y"][0])
    assert trades["when"][0] in said
    assert int(trades["when"][0]) in run.trades.ns.tolist()
    places = shown.source("position")
    said = shown.point_at("position", places["x"][1], places["y"][1])
    assert "position " in said
    assert places["when"][1] in said
    shown.is_quiet()


def test_a_tooltip_stays_inside_a_phone(opened: Open) -> None:
    shown = opened(broken_page(), size=PHONE)
    shown.choose(60)
    lives = shown.source("lives")
    x, y = max(((x0 + x1) / 2, y) for x0, x1, y in zip(*(lives[n] for n in ("x0", "x1", "y")), strict=True) if x0 < x1)
    assert shown.point_at("orders", x, y)
    edges = shown.run(
        "[...document.querySelectorAll('.bk-Tooltip')].map((t) => t.getBoundingClientRect())"
        ".map((r) => [r.left, r.right])"
    )
    assert all(left >= 0 and right <= PHONE[0] for left, right in edges if right > left)


def test_the_events_stand_in_a_table_with_exact_times(shared: Open) -> None:
    shown = shared(broken_page())
    shown.choose(60)
    shown.unfold_events()
    rows = shown.run("[...document.querySelectorAll('#events tr')].map((r) => [...r.cells].map((c) => c.textContent))")
    times = [int(row[0]) for row in rows]
    assert times == sorted(times)
    known = {int(ns) for ns in broken().run.trades.ns}
    assert {int(row[0]) for row in rows if row[2] == "trade"} <= known
    assert any(row[2].startswith("fill of") and row[1] == "0" for row in rows)
    assert len(rows[0]) == 7


# quick


def test_ten_thousand_findings_open_in_two_seconds_below_six_megabytes(
    opened: Open, record_property: Any, request: pytest.FixtureRequest
) -> None:
    html = crowded_page()
    loads = []
    for _ in range(3):
        shown = opened(html)
        loads.append(
            shown.run(
                "[performance.getEntriesByType('navigation')[0].loadEventEnd, "
                "performance.getEntriesByName('ready')[0].startTime]"
            )
        )
    size = os.stat(shown.path).st_size  # noqa: PTH116 - the file's, as the disk has it
    record_property("page", (size, loads))
    request.node.user_properties.append(("loads", loads))
    assert size < 6_000_000
    assert min(load for load, _ in loads) < 2000
    assert min(ready for _, ready in loads) < 2000
    assert shown.page.inner_text("#count").startswith("1 to 25 of 14,")


def test_ten_thousand_findings_are_searched_and_paged_at_once(opened: Open) -> None:
    shown = opened(crowded_page())
    took = shown.run(
        """() => { const began = performance.now(); const box = document.getElementById("filter");
        box.value = "ROW 4076"; box.dispatchEvent(new Event("input")); return performance.now() - began; }"""
    )
    assert took < 1000
    assert "fills row 4076 " in shown.page.inner_text("#list")
    assert shown.run("document.querySelectorAll('#list li').length") < 25
    shown.page.fill("#filter", "no such words")
    assert shown.page.inner_text("#count") == "nothing matches"
    shown.page.fill("#filter", "")
    shown.page.click("#next")
    assert shown.page.inner_text("#count").startswith("26 to 50 of")
    assert shown.run("document.querySelectorAll('#list li').length") == 25


# for everybody


def focused(shown: Opened) -> str:
    return str(
        shown.run(
            "document.activeElement.id || document.activeElement.dataset.finding || document.activeElement.textContent"
        )
    )


def test_the_keyboard_reaches_filter_findings_and_timeline(opened: Open) -> None:
    shown = opened(broken_page())
    press = shown.page.keyboard.press
    seen: list[str] = []
    for _ in range(60):
        press("Tab")
        seen.append(focused(shown))
        outline = shown.run("parseFloat(getComputedStyle(document.activeElement).outlineWidth)")
        assert outline >= 2, f"the focus on {seen[-1]} cannot be seen"
        if seen[-1] == "filter":
            break
    assert seen[0] == "To the content"
    assert seen[-1] == "filter"
    shown.page.keyboard.type("latency")
    press("Tab")
    assert focused(shown) == "law"
    press("Tab")
    first = focused(shown)
    press("ArrowDown")
    assert focused(shown) != first
    chosen = focused(shown)
    press("Enter")
    shown.page.wait_for_function("n => document.documentElement.dataset.chosen === n", arg=chosen)
    assert focused(shown) == "finding-title"
    assert shown.page.inner_text("#finding-title").startswith("latency_is_respected: ")
    press("Tab")
    press("Tab")
    shown.page.wait_for_timeout(200)
    width = f"(({{ x_range }}) => x_range.end - x_range.start)({PRICES})"
    whole = shown.run(width)
    press("Enter")
    assert shown.run(width) == pytest.approx(whole / 2)
    press("-")
    assert shown.run(width) == pytest.approx(whole)
    press("ArrowRight")
    press("0")
    assert shown.run(width) == pytest.approx(whole)
    shown.is_quiet()


def test_a_law_leads_to_its_findings(shared: Open) -> None:
    shown = shared(broken_page())
    shown.page.click("[data-law=crossed_orders_fill]")
    assert shown.page.inner_text("#count") == "1 to 7 of 7"
    assert shown.page.inner_text("#finding-title").startswith("crossed_orders_fill: ")


def test_a_reader_of_the_screen_finds_landmarks_headings_names_and_captions(shared: Open) -> None:
    shown = shared(full_page())
    shown.draw()
    assert shown.run("document.documentElement.lang") == "en"
    assert (
        shown.run("['header', 'nav', 'main', 'footer', 'h1'].map((n) => document.querySelectorAll(n).length)")
        == [1] * 5
    )
    levels = [
        int(name[1]) for name in shown.run("[...document.querySelectorAll('h1, h2, h3, h4')].map((h) => h.tagName)")
    ]
    assert all(b - a <= 1 for a, b in pairwise(levels))
    assert shown.run("[...document.querySelectorAll('table')].filter((t) => !t.caption?.textContent).length") == 0
    assert shown.run("[...document.querySelectorAll('th')].filter((t) => !t.scope).length") == 0
    named = "button, input, select, a, summary, [role=img], [role=region], [role=group], nav"
    nameless = f"""[...document.querySelectorAll("{named}")]
      .filter((e) => !(e.getAttribute("aria-label") || e.labels?.length || e.textContent.trim()))
      .map((e) => e.outerHTML)"""
    assert shown.run(nameless) == []
    ids = shown.run("[...document.querySelectorAll('[id]')].map((e) => e.id)")
    assert len(ids) == len(set(ids))
    named = shown.run(
        "['aria-labelledby', 'aria-describedby'].flatMap((name) => "
        "[...document.querySelectorAll(`[${name}]`)].map((e) => e.getAttribute(name)))"
    )
    assert set(named) <= set(ids)


@pytest.mark.parametrize("size", [WIDE, (768, 1024), PHONE, (320, 568)], ids=lambda size: str(size[0]))
def test_the_page_is_never_wider_than_the_screen(shared: Open, size: tuple[int, int]) -> None:
    shown = shared(full_page(), size=size)
    shown.draw()
    shown.unfold_events()
    assert shown.run("document.documentElement.scrollWidth") <= size[0]


def brightness(shown: Opened) -> float:
    """The mean of the screen, from 0 to 255."""
    from PIL import Image, ImageStat

    with Image.open(io.BytesIO(shown.page.screenshot())) as picture:
        return float(ImageStat.Stat(picture.convert("L")).mean[0])


def contrast(shown: Opened, colour: str, paper: str) -> float:
    """The contrast of two of the page's colours (https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio)."""
    code = """(name) => { const e = document.createElement("i"); e.style.color = name; document.body.append(e);
      const found = getComputedStyle(e).color.match(/[\\d.]+/g).slice(0, 3).map(Number); e.remove(); return found; }"""

    def light(name: str) -> float:
        parts = [c / 255 for c in shown.run(code, name)]
        r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    low, high = sorted((light(colour), light(paper)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_light_and_dark_can_be_read(shared: Open, scheme: str) -> None:
    shown = shared(broken_page(), scheme=scheme)
    shown.choose(60)
    assert (brightness(shown) > 180) == (scheme == "light")
    for name in ("ink", "soft", "link", "pass", "fail", "unknown", "idle"):
        for paper in ("paper", "panel"):
            assert contrast(shown, f"var(--{name})", f"var(--{paper})") >= 4.5, (name, paper)
    for colour in (BUY, FILL, BOOK, NEUTRAL):
        assert contrast(shown, colour, "var(--paper)") >= 3, colour


def test_plots_follow_the_scheme_when_it_changes(opened: Open) -> None:
    shown = opened(broken_page())
    shown.choose(60)
    colour = f"{PRICES}.left[0].major_label_text_color"
    light = shown.run(colour)
    shown.page.emulate_media(color_scheme="dark")
    shown.page.wait_for_timeout(100)
    assert shown.run(colour) != light
    assert brightness(shown) < 80


def test_a_finger_scrolls_over_the_timeline(opened: Open) -> None:
    shown = opened(broken_page(), size=PHONE, has_touch=True, is_mobile=True)
    shown.choose(60)
    actions = shown.run(
        f"""(() => {{ {DEEP} return deep(document.getElementById("timeline"))
        .filter((n) => n.classList?.contains("bk-events"))
        .map((n) => getComputedStyle(n).touchAction); }})()"""
    )
    assert actions
    assert not {"none", "pan-x"} & set(actions)


# strangers


def test_hostile_strings_do_nothing_and_stay_text(opened: Open) -> None:
    report = hostile()
    html = report_page(report, diagnose(report.run, report=report))
    shown = opened(html)
    shown.draw()
    timed = [k for k, finding in enumerate(data_of(html)["findings"], 1) if finding[6] is not None]
    for number in (*timed[:2], *timed[-2:]):
        shown.choose(number)
        for name, panel in (("fills", "prices"), ("lives", "orders")):
            source = shown.source(name)
            shown.point_at(panel, source["x" if name == "fills" else "x0"][0], source["y"][0])
    assert shown.run("window.evil === undefined")
    assert "<script>window.evil=1</script>" in shown.page.inner_text("h1")
    assert shown.run("document.documentElement.scrollWidth") <= WIDE[0]
    assert shown.run("document.querySelectorAll('main img, main b > script').length") == 0
    shown.is_quiet()


def test_a_short_hostile_id_is_shown_as_it_is(opened: Open) -> None:
    shown = opened(report_page(audit(withheld(renamed(quoted(), "<b>x</b>", "S0", "$$\\alpha$$")))))
    shown.choose(1)
    names = shown.source("names")["text"]
    assert "<b>x</b> BUY" in names
    assert "$\u200b$\\alpha$\u200b$ BUY" in names
    lives = shown.source("lives")
    at = names.index("<b>x</b> BUY")
    assert "order <b>x</b>, BUY" in shown.point_at("orders", lives["x0"][at], lives["y"][at])
    shown.is_quiet()


def test_a_script_that_is_not_the_page_s_own_does_not_run(opened: Open) -> None:
    shown = opened(broken_page())
    shown.run(
        """() => {
          const own = document.createElement("script"), box = document.createElement("div");
          own.textContent = "window.evil = 1";
          box.innerHTML = "<img src=x onerror='window.evil = 2'>";
          document.body.append(own, box);
        }"""
    )
    shown.page.wait_for_timeout(200)
    assert shown.run("window.evil === undefined")
    assert any("Content Security Policy" in said for said in shown.complaints)
