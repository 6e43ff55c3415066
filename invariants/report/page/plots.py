"""The plots, in Bokeh (https://bokeh.org, BSD): drawn in the browser by the library that the page carries.

A plot leaves here as plain JSON with ids of its own, so that the same run gives the same bytes. The
page's script fills the timeline with a window's events, and paints what depends on light or dark.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bokeh.embed import json_item
from bokeh.layouts import column
from bokeh.models import (
    BasicTickFormatter,
    BoxZoomTool,
    ColumnDataSource,
    FixedTicker,
    HoverTool,
    NumeralTickFormatter,
    PanTool,
    Range1d,
    ResetTool,
    WheelZoomTool,
)
from bokeh.models.annotations import Legend, LegendItem, Span
from bokeh.plotting import figure

from invariants.report.page.text import label

BUY, SELL, NEUTRAL, FILL, BOOK, BAD, GOOD = (
    "#2f7fd6", "#c9641a", "#7d8590", "#c2409f", "#1f8a7d", "#cf3f49", "#2a8a4a"
)  # fmt: skip
"""Each has a contrast of at least 3 with white and with the page's black."""

_TEXT = "12px"
_ID = re.compile(r"p\d+")


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and what it lies between, in the unit of the axis; ``said`` in words."""

    mean: float
    low: float | None
    high: float | None
    said: str


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar from ``low`` to ``high``; ``said`` in words."""

    name: str
    low: float
    high: float
    colour: str
    said: str


def item(plot: Any) -> dict[str, Any]:
    """``plot`` as JSON, its ids counted from 1."""
    raw = json_item(plot)
    names: dict[str, str] = {}
    renamed: dict[str, Any] = _renamed({"doc": raw["doc"], "root_id": raw["root_id"]}, names)
    return renamed


def _renamed(value: Any, names: dict[str, str]) -> Any:
    """Ids stand as values of ``id`` and ``root_id``, in this order of appearance; nothing else is touched."""
    if isinstance(value, dict):
        return {
            key: names.setdefault(inner, f"f{len(names) + 1}") if _is_id(key, inner) else _renamed(inner, names)
            for key, inner in value.items()
        }
    return [_renamed(inner, names) for inner in value] if isinstance(value, list) else value


def _is_id(key: str, value: Any) -> bool:
    return key in ("id", "root_id") and isinstance(value, str) and _ID.fullmatch(value) is not None


def bars(title: str, axis: str, rows: Sequence[Bar], *, height: int = 260) -> dict[str, Any]:
    """Vertical bars, each with its name below."""
    plot = _figure(title, axis, [row.name for row in rows], height)
    source = ColumnDataSource(
        {
            "x": list(range(len(rows))),
            "low": [row.low for row in rows],
            "high": [row.high for row in rows],
            "colour": [row.colour for row in rows],
            "name": [label(row.name) for row in rows],
            "said": [row.said for row in rows],
        },
        name="bars",
    )
    drawn = plot.vbar(
        x="x", bottom="low", top="high", width=0.7, source=source, fill_color="colour", line_color="colour",
        fill_alpha=0.85,
    )  # fmt: skip
    plot.add_layout(Span(location=0, dimension="width", line_color=NEUTRAL, line_width=1))
    if max((max(abs(row.low), abs(row.high)) for row in rows), default=0) >= 10_000:
        plot.yaxis.formatter = NumeralTickFormatter(format="0,0")
    plot.add_tools(HoverTool(renderers=[drawn], tooltips=[("", "@name"), ("", "@said")], attachment="vertical"))
    return item(plot)


def intervals(
    title: str, axis: str, names: Sequence[str], series: Mapping[str, tuple[str, Sequence[Interval | None]]]
) -> dict[str, Any]:
    """A line of means with whiskers for each of ``series``: name -> (colour, an interval for each of ``names``)."""
    plot = _figure(title, axis, names, 300)
    plot.add_layout(Span(location=0, dimension="width", line_color=NEUTRAL, line_width=1))
    items = []
    for number, (name, (colour, means)) in enumerate(series.items()):
        shift = (number - (len(series) - 1) / 2) * 0.16
        known = [(k, mean) for k, mean in enumerate(means) if mean is not None]
        source = ColumnDataSource(
            {
                "x": [k + shift for k, _ in known],
                "mean": [m.mean for _, m in known],
                "low": [m.mean if m.low is None else m.low for _, m in known],
                "high": [m.mean if m.high is None else m.high for _, m in known],
                "at": [label(names[k]) for k, _ in known],
                "series": [name for _ in known],
                "said": [m.said for _, m in known],
            },
            name=name,
        )
        plot.segment("x", "low", "x", "high", source=source, line_color=colour, line_width=2)
        line = plot.line("x", "mean", source=source, line_color=colour, line_width=2, line_alpha=0.6)
        drawn = plot.scatter("x", "mean", source=source, size=9, fill_color=colour, line_color=colour)
        plot.add_tools(
            HoverTool(renderers=[drawn], tooltips=[("", "@series, @at"), ("", "@said")], attachment="vertical")
        )
        items.append(LegendItem(label=name, renderers=[line, drawn]))
    _legend(plot, items)
    return item(plot)


def _figure(title: str, axis: str, names: Sequence[str], height: int) -> Any:
    """A figure over names on the x axis; no tool that could hold a finger or a wheel."""
    plot = figure(
        title=title, height=height, sizing_mode="stretch_width", toolbar_location=None, tools="",
        x_range=Range1d(start=-0.6, end=max(len(names) - 0.4, 0.4)), min_width=1, output_backend="canvas",
    )  # fmt: skip
    plot.xaxis.ticker = FixedTicker(ticks=list(range(len(names))), minor_ticks=[])
    plot.xaxis.major_label_overrides = {k: label(name) for k, name in enumerate(names)}
    plot.xaxis.major_label_orientation = 0 if sum(map(len, names)) < 60 else 0.5
    plot.xgrid.visible = False
    plot.yaxis.axis_label = axis
    _plain_axes(plot)
    return plot


def _plain_axes(plot: Any) -> None:
    plot.axis.axis_label_text_font_style = "normal"
    plot.axis.axis_label_text_font_size = _TEXT
    plot.axis.major_label_text_font_size = _TEXT
    plot.yaxis.formatter = BasicTickFormatter(use_scientific=False)
    plot.title.text_font_size = "13px"
    plot.border_line_color = plot.border_fill_color = plot.background_fill_color = None
    plot.toolbar.logo = None


def _legend(plot: Any, items: Iterable[LegendItem]) -> None:
    """Above the plot: it hides nothing."""
    legend = Legend(
        items=list(items), orientation="horizontal", label_text_font_size=_TEXT,  margin=2, spacing=10,
        border_line_alpha=0, background_fill_alpha=0, click_policy="hide", ncols="auto",
    )  # fmt: skip
    plot.add_layout(legend, "above")


# the timeline: three panels on one time axis, empty until the page's script fills them

_TIPS = [("", "@what"), ("ns", "@when"), ("price", "@price"), ("size", "@size"), ("", "@more")]
_TOLD = ("what", "when", "price", "size", "more")


def timeline() -> dict[str, Any]:
    """Prices, orders and position over one axis of time."""
    x_range = Range1d(start=0, end=1, name="time")
    panels = (_prices(x_range), _orders(x_range), _position(x_range))
    for panel in panels[:-1]:
        panel.xaxis.visible = False
    panels[-1].xaxis.axis_label = "time"
    panels[-1].xaxis.name = "time-axis"
    return item(column(*panels, sizing_mode="stretch_width", name="timeline"))


def _source(name: str, *columns: str) -> ColumnDataSource:
    return ColumnDataSource({key: [] for key in (*columns, *_TOLD)}, name=name)


def _panel(name: str, axis: str, x_range: Range1d, height: int) -> Any:
    """One panel; a wheel zooms only with the control key, so that the page can be scrolled over it."""
    drag, wheel = PanTool(dimensions="width"), WheelZoomTool(dimensions="width", modifiers="ctrl")
    tools = [drag, BoxZoomTool(dimensions="width"), wheel, ResetTool()]
    plot = figure(
        name=name, height=height, sizing_mode="stretch_width", min_width=1, x_range=x_range,
        y_range=Range1d(start=0, end=1, name=f"{name}-range"), tools=tools, active_drag=drag, active_scroll=wheel,
        toolbar_location="above" if name == "prices" else None, min_border_left=76, output_backend="canvas",
    )  # fmt: skip
    plot.yaxis.axis_label = axis
    _plain_axes(plot)
    plot.xaxis.formatter = BasicTickFormatter(use_scientific=False)
    instants = _source("instants", "x")
    plot.vspan(x="x", source=instants, line_color=BAD, line_dash="dashed", line_width=1.5, line_alpha=0.8)
    plot.vstrip(
        x0="x0", x1="x1", source=_source("hidden", "x0", "x1"), fill_color=NEUTRAL, fill_alpha=0.15, line_alpha=0,
        hatch_pattern="right_diagonal_line", hatch_color=NEUTRAL, hatch_alpha=0.25,
    )  # fmt: skip
    return plot


def _hover(plot: Any, *drawn: Any) -> None:
    plot.add_tools(HoverTool(renderers=list(drawn), tooltips=_TIPS, point_policy="follow_mouse", attachment="vertical"))


def _prices(x_range: Range1d) -> Any:
    plot = _panel("prices", "price", x_range, 300)
    book = _source("book", "x", "bid", "ask")
    bid = plot.step("x", "bid", source=book, mode="after", line_color=BUY, line_width=1.5, line_alpha=0.75)
    ask = plot.step("x", "ask", source=book, mode="after", line_color=SELL, line_width=1.5, line_alpha=0.75)
    tops = [plot.scatter("x", side, source=book, size=6, alpha=0.0, hover_alpha=0.6, color=NEUTRAL)
            for side in ("bid", "ask")]  # fmt: skip
    limits = plot.segment("x0", "y", "x1", "y", source=_source("limits", "x0", "x1", "y", "colour", "width"),
                          line_color="colour", line_width="width", line_alpha=0.55)  # fmt: skip
    trades = plot.scatter("x", "y", source=_source("trades", "x", "y", "marker", "dot"), size="dot", marker="marker",
                          fill_color=NEUTRAL, line_color=NEUTRAL, fill_alpha=0.5)  # fmt: skip
    spans, fills = _fills(plot)
    _hover(plot, *tops, limits, trades, spans, fills)
    items = [
        ("best bid", [bid]),
        ("best ask", [ask]),
        ("trade", [trades]),
        ("limit while live", [limits]),
        ("fill", [fills]),
    ]
    _legend(plot, [LegendItem(label=name, renderers=drawn) for name, drawn in items])
    return plot


def _fills(plot: Any, name: str = "fills") -> tuple[Any, Any]:
    """Fills as diamonds; one of which only an interval is known has a line over all of it."""
    source = _source(name, "x", "x1", "y", "own")
    spans = plot.segment("x", "y", "x1", "y", source=source, line_color=FILL, line_width=4, line_alpha=0.5)
    drawn = plot.scatter("x", "y", source=source, marker="diamond", size="own", fill_color=FILL, line_color=FILL)
    return spans, drawn


def _orders(x_range: Range1d) -> Any:
    plot = _panel("orders", "orders", x_range, 250)
    plot.yaxis.visible = False
    plot.ygrid.visible = False
    lives = _source("lives", "x0", "x1", "sent", "y", "colour", "alpha", "own")
    sent = plot.hbar(y="y", left="sent", right="x0", height=0.16, source=lives, fill_color="colour",
                     line_color="colour", fill_alpha=0.35, line_alpha=0.35)  # fmt: skip
    live = plot.hbar(y="y", left="x0", right="x1", height=0.5, source=lives, fill_color="colour", line_color="colour",
                     fill_alpha="alpha", line_width="own")  # fmt: skip
    cancels = plot.scatter("x", "y", source=_source("cancels", "x", "y"), marker="x", size=10, line_color=BAD,
                           line_width=2)  # fmt: skip
    spans, fills = _fills(plot, "lane-fills")
    names = _source("names", "x", "y", "text", "align")
    plot.text("x", "y", text="text", source=names, text_align="align", text_font_size="10px", text_baseline="bottom",
              name="names", x_offset=3)  # fmt: skip
    _hover(plot, sent, live, cancels, spans, fills)
    items = [("in flight", [sent]), ("live", [live]), ("cancel asked", [cancels])]
    _legend(plot, [LegendItem(label=name, renderers=drawn) for name, drawn in items])
    return plot


def _position(x_range: Range1d) -> Any:
    plot = _panel("position", "position", x_range, 170)
    steps = _source("position", "x", "y")
    line = plot.step("x", "y", source=steps, mode="after", line_color=BOOK, line_width=2)
    dots = plot.scatter("x", "y", source=steps, size=6, fill_color=BOOK, line_color=BOOK)
    caps = plot.hspan(y="y", source=_source("caps", "y"), line_color=BAD, line_dash="dotted", line_width=2)
    samples = plot.scatter("x", "y", source=_source("samples", "x", "y"), marker="cross", size=10, line_color=FILL)
    _hover(plot, dots, samples)
    items = [("by the fills", [line]), ("by the engine", [samples]), ("cap", [caps])]
    _legend(plot, [LegendItem(label=name, renderers=drawn) for name, drawn in items])
    return plot
