"use strict";
(() => {
  // Everything that a run says goes into the page as text (textContent) or as data of a plot, never as HTML.
  const PER_PAGE = 25;
  const UNITS = [["s", 1e9], ["ms", 1e6], ["µs", 1e3], ["ns", 1]];
  const BUY = "#2f7fd6", SELL = "#c9641a";
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const $ = (id) => document.getElementById(id);
  const views = [];
  const state = { law: "", text: "", page: 0, chosen: -1 };
  let data, shown = [], haystack = null, stage = null;

  async function unpack() {
    const text = atob($("data").textContent.trim()), bytes = new Uint8Array(text.length);
    for (let k = 0; k < bytes.length; k++) bytes[k] = text.charCodeAt(k);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  }

  function element(tag, text, attributes = {}) {
    const made = document.createElement(tag);
    if (text !== null) made.textContent = text;
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  }

  // exact figures: integers as BigInt, prices and sizes as decimals

  function decimal(count, [coefficient, exponent]) {
    let value = BigInt(count) * BigInt(coefficient);
    if (exponent >= 0) return String(value * 10n ** BigInt(exponent));
    const sign = value < 0n ? "-" : "";
    const digits = String(value < 0n ? -value : value).padStart(1 - exponent, "0");
    return `${sign}${digits.slice(0, exponent)}.${digits.slice(exponent)}`;
  }
  const price = (ticks) => decimal(ticks, data.tick);
  const size = (lots) => decimal(lots, data.lot);
  const times = (steps) => { let ns = 0n; return steps.map((step) => (ns += BigInt(step))); };
  const grouped = (count) => count.toLocaleString("en");

  function instant(ns) {
    const ms = ns / 1000000n, rest = ns % 1000000n;
    const date = new Date(Number(ms));
    if (ns < 0n || Number.isNaN(date.getTime())) return "";
    return `${date.toISOString().slice(0, -1).replace("T", " ")}${String(rest).padStart(6, "0")} UTC`;
  }

  function distance(ns) {
    const sign = ns < 0n ? "-" : "+", far = ns < 0n ? -ns : ns;
    if (far === 0n) return "0";
    const [unit, per] = UNITS.find(([, n]) => far >= BigInt(n));
    return `${sign}${decimal(far, ["1", -Math.log10(per)]).replace(/\.?0+$/, (z) => (z.includes(".") ? "" : z))} ${unit}`;
  }

  // plots

  async function embed(name, target) {
    const found = await Bokeh.embed.embed_item({ ...data.plots[name], target_id: target.id }, target.id);
    const view = [...found][0] ?? [...found.roots][0];
    views.push(view);
    paint(view);
    target.dataset.drawn = "yes";
    return view;
  }

  function paint(view) {
    const css = getComputedStyle(document.documentElement);
    const colour = (name) => css.getPropertyValue(`--${name}`).trim();
    const [ink, soft, paper, line, grid] = ["ink", "soft", "paper", "line", "grid"].map(colour);
    const axis = { axis_label_text_color: ink, major_label_text_color: ink, axis_line_color: soft, major_tick_line_color: soft,
      minor_tick_line_color: null };
    const looks = {
      Figure: { outline_line_color: line },
      LinearAxis: axis, Grid: { grid_line_color: grid }, Title: { text_color: ink, text_font_size: innerWidth < 480 ? "12px" : "13px" }, Text: { text_color: ink },
      Legend: { label_text_color: ink, inactive_fill_color: paper },
    };
    for (const model of view.model.references()) {
      if (looks[model.type]) model.setv(looks[model.type]);
      if (model.type === "LinearAxis" && innerWidth < 480) turnLabels(model);
      if (model.type === "Legend") model.ncols = innerWidth < 480 && namesOf(model).join("").length > 26 ? 2 : "auto";
    }
  }

  const namesOf = (legend) => legend.items.flatMap((entry) => entry.get_labels_list_from_label_prop());

  // names side by side on a phone would run into each other
  function turnLabels(axis) {
    const names = axis.major_label_overrides, listed = [...(names instanceof Map ? names.values() : Object.values(names))];
    if (listed.length * Math.max(...listed.map((name) => name.length)) > 36) axis.major_label_orientation = 0.7;
  }

  function drawWhenSeen() {
    const watcher = new IntersectionObserver((entries) => {
      for (const { isIntersecting, target } of entries) {
        if (!isIntersecting) continue;
        watcher.unobserve(target);
        embed(target.dataset.plot, target);
      }
    }, { rootMargin: "300px" });
    document.querySelectorAll("[data-plot]").forEach((target) => watcher.observe(target));
  }

  // a tooltip stands in the page's body, and may reach over its edge
  function keepInside() {
    for (const tip of document.querySelectorAll(".bk-Tooltip")) {
      tip.style.marginLeft = "0";
      const { left, right } = tip.getBoundingClientRect();
      tip.style.marginLeft = `${right > innerWidth - 4 ? innerWidth - 4 - right : left < 4 ? 4 - left : 0}px`;
    }
  }

  // the list of findings

  function search() {
    const words = state.text.toLowerCase().split(/\s+/).filter(Boolean);
    if (words.length && !haystack) {
      haystack = data.findings.map(([law, file, table, row, message, story]) =>
        `${data.laws[law]} ${data.files[file]} ${table} row ${row} ${message} ${story}`.toLowerCase());
    }
    shown = [];
    data.findings.forEach((finding, k) => {
      if (state.law && data.laws[finding[0]] !== state.law) return;
      if (words.every((word) => haystack[k].includes(word))) shown.push(k);
    });
    state.page = 0;
    list();
  }

  function place([, file, table, row]) {
    return row === null ? table : `${data.files[file]} row ${row}`;
  }

  function list() {
    const first = state.page * PER_PAGE, pages = Math.max(1, Math.ceil(shown.length / PER_PAGE));
    const rows = shown.slice(first, first + PER_PAGE).map((k) => {
      const finding = data.findings[k], row = element("li", null), button = element("button", null, { type: "button" });
      if (k === state.chosen) button.setAttribute("aria-current", "true");
      button.dataset.finding = k;
      button.append(element("span", data.laws[finding[0]], { class: "law" }), element("span", finding[4].slice(0, 400), { class: "message" }));
      row.append(button);
      return row;
    });
    $("list").replaceChildren(...rows);
    $("count").textContent = shown.length
      ? `${grouped(first + 1)} to ${grouped(first + rows.length)} of ${grouped(shown.length)}` : "nothing matches";
    $("pages").textContent = `page ${grouped(state.page + 1)} of ${grouped(pages)}`;
    $("back").disabled = state.page === 0;
    $("next").disabled = state.page + 1 >= pages;
  }

  async function choose(k, move) {
    state.chosen = k;
    const finding = data.findings[k], title = $("finding-title");
    title.textContent = `${data.laws[finding[0]]}: ${place(finding)}`;
    $("finding-message").textContent = finding[4];
    $("finding-story").textContent = finding[5];
    $("finding-link").setAttribute("href", `#finding-${k + 1}`);
    for (const button of $("list").querySelectorAll("button")) {
      if (Number(button.dataset.finding) === k) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
    if (move) { title.focus({ preventScroll: true }); title.scrollIntoView({ block: "nearest" }); }
    const window_ = finding[6] === null ? null : data.windows[finding[6]];
    $("timeline-part").hidden = window_ === null;
    $("no-timeline").hidden = window_ !== null;
    if (window_) await show(window_);
    document.documentElement.dataset.chosen = k;
  }

  // the timeline of one finding

  async function show(window_) {
    if (!stage) stage = embed("timeline", $("timeline")).then(leaveFingers);
    const root = (await stage).model;
    const scene = scenery(window_);
    const named = new Map([...root.references()].filter((model) => model.name).map((model) => [model.name, model]));
    for (const [name, rows] of Object.entries(scene.sources)) {
      for (const model of root.references()) if (model.type === "ColumnDataSource" && model.name === name) model.data = columns(model, rows);
    }
    for (const model of root.references()) {
      if (model.type === "LegendItem") model.visible = model.renderers.some((drawn) => drawn.data_source.get_length() > 0);
    }
    range(named.get("time"), scene.lo, scene.hi);
    for (const name of ["prices", "orders", "position"]) range(named.get(`${name}-range`), ...scene.ranges[name]);
    named.get("time-axis").axis_label = scene.axis;
    root.tags = [scene];
    $("window-said").textContent = scene.said;
    $("events-title").textContent = `All ${grouped(scene.events.length)} events of the timeline, as a table`;
    $("events").replaceChildren(...scene.events.map((cells) => {
      const row = element("tr", null);
      row.append(...cells.map((cell, k) => element("td", cell, k < 2 || k === 4 || k === 5 ? { class: "n" } : {})));
      return row;
    }));
    $("timeline").dataset.finding = state.chosen;
  }

  // where there is only a finger, it scrolls the page: the buttons zoom
  function leaveFingers(view) {
    if (matchMedia("(hover: none)").matches) {
      for (const model of view.model.references()) if (["PanTool", "WheelZoomTool"].includes(model.type)) model.active = false;
      // Bokeh 3.10 does not tell the toolbar, by which the plot knows what a finger may do
      for (const model of view.model.references()) if (model.type === "Toolbar") model.active_changed.emit();
    }
    return view;
  }

  function columns(model, rows) {
    return Object.fromEntries(Object.keys(model.data instanceof Map ? Object.fromEntries(model.data) : model.data)
      .map((key) => [key, rows.map((row) => row[key] ?? "")]));
  }

  function range(model, start, end) {
    model.setv({ start, end, reset_start: start, reset_end: end });
  }

  function around(values, least) {
    const known = values.filter(Number.isFinite);
    const low = Math.min(...known), high = Math.max(...known);
    if (!known.length) return [0, 1];
    const pad = Math.max((high - low) * 0.1, least, Math.abs(high) * 1e-9);
    return [low - pad, high + pad];
  }

  function scenery([ns_, lo_, hi_, trades, tops, fills, samples, orders, own, hiddenTrades, hiddenTops, opens]) {
    const anchor = BigInt(ns_), lo = BigInt(lo_), hi = BigInt(hi_);
    const [unit, per] = UNITS.find(([, n]) => hi - lo >= 2n * BigInt(n)) ?? UNITS.at(-1);
    const rel = (ns) => Number(ns - anchor) / per;
    const clip = (ns) => rel(ns < lo ? lo : ns > hi ? hi : ns);
    const events = [];
    const tell = (ns, event, side, price_, size_, note) => events.push([ns, event, side, price_, size_, note]);
    const sources = {
      instants: [{ x: 0 }], hidden: [], book: [], trades: [], limits: [], fills: [], lives: [], cancels: [], names: [],
      "lane-fills": [], position: [], samples: [],
      caps: data.cap === null ? [] : [1n, -1n].map((sign) => ({ y: Number(size(sign * BigInt(data.cap))) })),
    };

    const largest = Math.max(...data.trades.size_lots.slice(...trades).map(Number), 1);
    for (let k = trades[0]; k < trades[1]; k++) {
      const t = data.trades, ns = data.trades.at[k], taker = { 1: "buy", "-1": "sell" }[t.aggressor[k]];
      const row = { x: rel(ns), y: Number(price(t.price[k])), marker: taker ? (taker === "buy" ? "triangle" : "inverted_triangle") : "circle",
        dot: 6 + 10 * Math.sqrt(Math.max(Number(t.size_lots[k]), 0) / largest), what: `trade, ${taker ? `${taker} aggressor` : "aggressor unknown"}`,
        when: String(ns), price: price(t.price[k]), size: size(t.size_lots[k]), more: `row ${t.row[k]} of the tape` };
      sources.trades.push(row);
      tell(ns, "trade", taker ?? "", row.price, row.size, row.more);
    }
    for (let k = tops[0]; k < tops[1]; k++) {
      const t = data.tops, ns = data.tops.at[k], bid = price(t.bid[k]), ask = price(t.ask[k]);
      const row = { x: clip(ns), bid: Number(bid), ask: Number(ask), what: "top of book", when: String(ns), price: `${bid} / ${ask}`,
        size: `${size(t.bid_lots[k])} / ${size(t.ask_lots[k])}`, more: `row ${t.row[k]} of the quotes` };
      sources.book.push(row);
      tell(ns, "top of book", "", row.price, row.size, row.more);
    }
    if (sources.book.length) sources.book.push({ ...sources.book.at(-1), x: rel(hi) });
    const lane = new Map(orders.map((order, k) => [order, orders.length - 1 - k]));
    for (const [index, y] of lane) lives(data.orders[index], y, index === own, { sources, tell, rel, clip, lo, hi });
    for (let k = fills[0]; k < fills[1]; k++) {
      const f = data.fills, ns = data.fills.at[k], last = ns + BigInt(f.lasts[k]);
      const row = { x: rel(ns), x1: rel(last), y: Number(price(f.price[k])), own: f.order[k] === own && own >= 0 ? 15 : 10,
        what: `fill of order ${f.id[k]}, ${f.side[k] > 0 ? "BUY" : "SELL"}`, when: last === ns ? String(ns) : `${ns} to ${last}`,
        price: price(f.price[k]), size: size(f.size_lots[k]),
        more: `row ${f.row[k]} of the fills, position after it ${size(f.position[k])}${f.fee[k] === null ? "" : `, fee ${f.fee[k]}`}` };
      sources.fills.push(row);
      if (lane.has(f.order[k])) sources["lane-fills"].push({ ...row, y: lane.get(f.order[k]) });
      sources.position.push({ ...row, y: Number(size(f.position[k])), what: `position ${size(f.position[k])} after the fill of order ${f.id[k]}` });
      tell(ns, `fill of ${f.id[k]}`, f.side[k] > 0 ? "buy" : "sell", row.price, row.size, row.more);
    }
    const note = data.initial_known ? "" : "the initial position is not declared: taken as zero";
    const standing = { what: `position ${size(opens)} when the window opens`, when: String(lo), price: "", size: "", more: note };
    sources.position.unshift({ x: rel(lo), y: Number(size(opens)), ...standing });
    sources.position.push({ ...sources.position.at(-1), x: rel(hi) });
    for (let k = samples[0]; k < samples[1]; k++) {
      const ns = data.samples.at[k], lots = size(data.samples.position_lots[k]);
      sources.samples.push({ x: rel(ns), y: Number(lots), what: `position ${lots} as the engine sees it`, when: String(ns), price: "", size: "",
        more: `row ${data.samples.row[k]} of the positions` });
      tell(ns, "position by the engine", "", "", lots, "");
    }

    let from = lo, to = hi;
    for (const [gone, rows, at] of [[hiddenTrades, trades, data.trades.at], [hiddenTops, tops, data.tops.at]]) {
      if (!gone) continue;
      if (at[rows[0]] > from) from = at[rows[0]];
      if (at[rows[1] - 1] < to) to = at[rows[1] - 1];
    }
    if (from > lo) sources.hidden.push({ x0: rel(lo), x1: rel(from) });
    if (to < hi) sources.hidden.push({ x0: rel(to), x1: rel(hi) });
    events.sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : 0));
    const tick = Number(price(1)), lot = Number(size(1));
    const prices = [...sources.trades.map((r) => r.y), ...sources.book.flatMap((r) => [r.bid, r.ask]), ...sources.limits.map((r) => r.y),
      ...sources.fills.map((r) => r.y)];
    const positions = [...sources.position, ...sources.samples, ...sources.caps].map((r) => r.y);
    const left = hiddenTrades + hiddenTops;
    return {
      sources, lo: rel(lo), hi: rel(hi), axis: `${unit} from ${anchor} ns`,
      ranges: { prices: around(prices, tick), orders: [-0.6, Math.max(orders.length, 1)], position: around([0, ...positions], lot) },
      events: events.map(([ns, ...cells]) => [String(ns), distance(ns - anchor), ...cells]),
      said: `From ${lo} to ${hi} ns; the dashed line is ${anchor} ns${instant(anchor) && ` (${instant(anchor)})`}. `
        + `Trades ${grouped(trades[1] - trades[0])}, tops of book ${grouped(tops[1] - tops[0])}, orders ${grouped(orders.length)}, `
        + `fills ${grouped(fills[1] - fills[0])}.`
        + (left ? ` Hatched: ${grouped(left)} trades and tops of book further from the line, not drawn.` : ""),
    };
  }

  function lives([id, side, ticks, lots, submit, live, cancel, end, sent, start, stop, why, word, row_], y, own, { sources, tell, rel, clip, lo, hi }) {
    const big = (text) => (text === null ? null : BigInt(text));
    const x0 = clip(big(start) ?? lo), x1 = clip(big(stop) ?? hi), colour = side === "BUY" ? BUY : SELL;
    const known = [["submitted at", submit], ["live by the log from", live], ["cancel asked at", cancel], ["end by the log at", end]]
      .filter(([, ns]) => ns !== null).map(([what, ns]) => `${what} ${ns} ns`);
    const told = { what: `order ${id}, ${side}`, when: `live from ${start ?? "?"} to ${stop ?? "the end"} (${why}${word ? `: ${word}` : ""})`,
      price: price(ticks), size: size(lots), more: [...known, `row ${row_} of the orders`].join("; ") };
    const life = { x0, x1, sent: clip(big(sent) ?? lo), y, colour, alpha: own ? 0.85 : 0.4, own: own ? 3 : 1, ...told };
    sources.lives.push(life);
    sources.limits.push({ ...life, y: Number(price(ticks)), width: own ? 6 : 3 });
    const x = Math.min(life.sent, x0), late = x > clip(lo) + 0.75 * (clip(hi) - clip(lo));
    sources.names.push({ x, y: y + 0.25, align: late ? "right" : "left", text: `${own ? "\u25b8 " : ""}${id} ${side}` });
    if (cancel !== null && big(cancel) >= lo && big(cancel) <= hi) {
      sources.cancels.push({ ...told, x: rel(big(cancel)), y, what: `cancel of order ${id} asked`, when: cancel });
      tell(big(cancel), `cancel of ${id} asked`, side.toLowerCase(), "", "", "");
    }
    const inside = (ns) => ns !== null && big(ns) >= lo && big(ns) <= hi;
    if (inside(sent)) tell(big(sent), `order ${id} submitted`, side.toLowerCase(), told.price, told.size, told.more);
    if (inside(start)) tell(big(start), `order ${id} live from here`, side.toLowerCase(), told.price, "", "");
    if (inside(stop)) tell(big(stop), `order ${id}: ${why}`, side.toLowerCase(), told.price, "", word);
  }

  async function zoom(name) {
    if (!stage) return;
    const time = [...(await stage).model.references()].find((model) => model.name === "time");
    const width = time.end - time.start, middle = (time.end + time.start) / 2;
    const moves = {
      "in": () => [middle - width / 4, middle + width / 4], "out": () => [middle - width, middle + width],
      left: () => [time.start - width / 4, time.end - width / 4], right: () => [time.start + width / 4, time.end + width / 4],
      line: () => [-width / 2, width / 2], all: () => [time.reset_start, time.reset_end],
    };
    const [start, end] = moves[name]();
    time.setv({ start, end });
    $("zoom-said").textContent = `from ${start.toPrecision(6)} to ${end.toPrecision(6)}`;
  }

  const KEYS = { "+": "in", "=": "in", "-": "out", ArrowLeft: "left", ArrowRight: "right", "0": "all", Home: "all", ".": "line" };

  function listen() {
    $("filter").addEventListener("input", (event) => { state.text = event.target.value; search(); });
    $("law").addEventListener("change", (event) => { state.law = event.target.value; search(); });
    $("back").addEventListener("click", () => { state.page -= 1; list(); });
    $("next").addEventListener("click", () => { state.page += 1; list(); });
    $("list").addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button) choose(Number(button.dataset.finding), true);
    });
    $("list").addEventListener("keydown", (event) => {
      const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
      const next = step && event.target.closest("li")?.[step];
      if (next) { event.preventDefault(); next.querySelector("button").focus(); }
    });
    $("zoom").addEventListener("click", (event) => event.target.dataset.zoom && zoom(event.target.dataset.zoom));
    $("timeline-part").addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !KEYS[event.key] || event.target.closest("#events-part")) return;
      event.preventDefault();
      zoom(KEYS[event.key]);
    });
    document.querySelectorAll("[data-law]").forEach((link) => link.addEventListener("click", () => {
      $("law").value = state.law = link.dataset.law;
      search();
      if (shown.length) choose(shown[0], false);
    }));
    addEventListener("hashchange", fromHash);
  }

  function fromHash() {
    const [, number] = /^#finding-(\d+)$/.exec(location.hash) ?? [];
    if (!number || !data.findings[number - 1]) return false;
    Object.assign(state, { law: "", text: "" });
    $("filter").value = $("law").value = "";
    search();
    state.page = Math.floor((number - 1) / PER_PAGE);
    list();
    choose(number - 1, true);
    return true;
  }

  function browse() {
    const counts = new Map();
    for (const [law] of data.findings) counts.set(law, (counts.get(law) ?? 0) + 1);
    for (const [law, count] of counts) $("law").append(element("option", `${data.laws[law]} (${grouped(count)})`, { value: data.laws[law] }));
    listen();
    search();
    if (!fromHash()) choose(0, false);
  }

  async function start() {
    data = await unpack();
    for (const name of ["trades", "tops", "fills", "samples"]) data[name].at = times(data[name].ns);
    drawWhenSeen();
    for (const event of ["pointermove", "pointerup"]) addEventListener(event, () => setTimeout(keepInside, 30));
    if (data.findings.length) browse();
    dark.addEventListener("change", () => views.forEach(paint));
    document.documentElement.dataset.ready = "yes";
    performance.mark("ready");
  }

  start().catch((error) => {
    $("alarm").hidden = false;
    $("alarm").textContent = `This page could not be shown whole (${error}). It needs a browser of 2023 or later.`;
    throw error;
  });
})();
