"use strict";
// The signals table: sorting, filtering, and the account of a stock. Without this script the table stands by rank.
(() => {
  const table = document.getElementById("signals-table");
  const body = table.tBodies[0];
  const headers = [...table.tHead.rows[0].cells];
  const byName = new Intl.Collator("en", { numeric: true }).compare;

  // In the order shown; `index` is the row's place by rank.
  const rows = [...body.rows].map((element, index) => ({
    element,
    index,
    rank: Number(element.cells[1].textContent),
    name: element.cells[0].textContent,
    folded: element.cells[0].textContent.toLowerCase(),
    quintile: element.cells[4].textContent,
  }));
  const counted = (number) => number.toLocaleString("en");
  const shown = () => rows.filter((row) => !row.element.hidden);
  // The cells show rounded figures; sorting and drawing use the exact ones.
  const valueOf = (cell, column) =>
    column === 0 ? cell.textContent : Number(cell.dataset.value ?? cell.textContent);

  const sortBy = (column) => {
    const header = headers[column];
    const first = header.dataset.order ?? "descending";
    const other = first === "ascending" ? "descending" : "ascending";
    const order = header.getAttribute("aria-sort") === first ? other : first;
    const sign = order === "ascending" ? 1 : -1;
    const compare = column === 0 ? byName : (a, b) => a - b;
    for (const row of rows) row.value = valueOf(row.element.cells[column], column);
    rows.sort((a, b) => sign * compare(a.value, b.value) || a.rank - b.rank);
    headers.forEach((each) => each.removeAttribute("aria-sort"));
    header.setAttribute("aria-sort", order);
    body.replaceChildren(...rows.map((row) => row.element));
    makeReachable(shown()[0]);
  };
  headers.forEach((header, column) =>
    header.querySelector("button").addEventListener("click", () => sortBy(column)));

  const name = document.getElementById("filter-name");
  const quintile = document.getElementById("filter-quintile");
  const count = document.getElementById("shown");
  const filter = () => {
    const wanted = name.value.trim().toLowerCase();
    for (const row of rows)
      row.element.hidden = !row.folded.includes(wanted) || (quintile.value && row.quintile !== quintile.value);
    count.textContent = `${counted(shown().length)} of ${counted(rows.length)}`;
    makeReachable(shown()[0]);
  };
  name.addEventListener("input", filter);
  quintile.addEventListener("change", filter);
  name.form.addEventListener("submit", (event) => event.preventDefault());

  // One security at a time is reached with the tab key, the others from there with the arrow keys.
  let reachable;
  const makeReachable = (row) => {
    if (!row?.button) return;
    if (reachable) reachable.button.tabIndex = -1;
    reachable = row;
    row.button.tabIndex = 0;
  };

  // Browsers restore what was typed before a reload.
  if (name.value || quintile.value) filter();

  const dialog = document.getElementById("stock");
  if (!dialog) return;

  const source = document.getElementById("stock-details");
  const parts = {};
  for (const each of dialog.querySelectorAll("[data-part]")) parts[each.dataset.part] = each;
  const make = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
  const draw = (tag, attributes, ...children) =>
    fill(document.createElementNS(svgNamespace, tag), attributes, children);
  const svgNamespace = document.querySelector("svg").namespaceURI;
  const fill = (element, attributes, children) => {
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  };

  const written = (percent, digits = 2, signed = true) => {
    const size = Math.abs(percent).toFixed(digits);
    return (Number(size) === 0 ? "" : percent < 0 ? "−" : signed ? "+" : "") + size;
  };
  const shade = (value, furthest) => `s${furthest ? Math.round((value / furthest) * 4) : 0}`;

  // The same geometry as that of deepfactor/reports/waterfall.py.
  const [WIDTH, LEFT, PLOT, ROW, BAR, TOP, POINT, NARROWEST, VISIBLE] = [380, 88, 184, 20, 12, 6, 6, 2, 5e-5];
  const rounded = (length) => Math.round(length * 100) / 100;

  const scaleAround = (least, most) => {
    const margin = most - least > 1e-9 ? 0.02 * (most - least) : Math.max(Math.abs(most), 0.001);
    const [low, high] = [least - margin, most + margin];
    const at = (value) => rounded(LEFT + ((value - low) / (high - low)) * PLOT);
    const wanted = (high - low) / 4;
    const power = 10 ** Math.floor(Math.log10(wanted));
    const step = [1, 2, 5, 10].map((each) => each * power).find((each) => each >= wanted * (1 - 1e-9));
    const digits = Math.max(0, -Math.floor(Math.log10(step * 100) + 1e-9));
    const ticks = [];
    for (let each = Math.ceil(low / step - 1e-9); each <= Math.floor(high / step + 1e-9); each++)
      ticks.push([at(each * step), written(each * step * 100, digits)]);
    return { at, ticks, zero: low <= 0 && high >= 0 ? at(0) : null };
  };

  const stepsOf = (cells) => {
    const columns = [10, 5, 6, 7, 8, 9, 12];
    const steps = columns.map((column) => ({
      label: headers[column].textContent.replace(/^Bias$|^Leak$/, (word) => word.toLowerCase()),
      value: valueOf(cells[column], column),
      text: cells[column].textContent,
    }));
    const [level, prediction] = [valueOf(cells[11], 11), valueOf(cells[2], 2)];
    const seen = steps.filter((step) => step.label !== "leak" || Math.abs(step.value) >= VISIBLE);
    const gap = prediction - level - seen.reduce((sum, step) => sum + step.value, 0);
    if (Math.abs(gap) >= VISIBLE) seen.push({ label: "unaccounted", value: gap, text: written(gap * 100) });
    let sum = level;
    for (const step of seen)
      Object.assign(step, { from: sum, to: (sum += step.value), kind: step.value > 0 ? "up" : "down" });
    const spread = valueOf(cells[3], 3);
    const ended = cells[2].textContent + (spread ? ` ± ${cells[3].textContent}` : "");
    return [
      { label: "level", from: level, to: level, kind: "start", text: cells[11].textContent },
      ...seen,
      { label: "prediction", from: level, to: prediction, kind: "total", text: ended, spread },
    ];
  };

  const outline = (kind, start, end, top) => {
    if (kind === "start" || kind === "none") return `M${end} ${top}V${top + BAR}`;
    const point = kind === "total" ? 0 : Math.min(POINT, Math.abs(end - start));
    const shoulder = rounded(end > start ? end - point : end + point);
    return `M${start} ${top}H${shoulder}L${end} ${top + BAR / 2}L${shoulder} ${top + BAR}H${start}Z`;
  };

  const waterfall = (cells) => {
    const steps = stepsOf(cells);
    const reached = steps.flatMap(({ to, spread = 0 }) => [to - spread, to + spread]);
    const { at, ticks, zero } = scaleAround(Math.min(...reached), Math.max(...reached));
    const height = TOP + ROW * steps.length;
    const words = `In percent of return: ${steps.map((step) => `${step.label} ${step.text}`).join(", ")}.`;
    const viewBox = `0 0 ${WIDTH} ${height + 18}`;
    const svg = draw("svg", { class: "waterfall", viewBox, role: "img", "aria-label": words });
    ticks.forEach(([x, label], place) => {
      const unit = place === ticks.length - 1 ? " %" : "";
      svg.append(
        draw("line", { class: "grid", x1: x, x2: x, y1: 2, y2: height }),
        draw("text", { class: "tick", x, y: height + 14, "text-anchor": "middle" }, label + unit));
    });
    if (zero !== null) svg.append(draw("line", { class: "axis", x1: zero, x2: zero, y1: 2, y2: height }));
    steps.forEach(({ label, text, kind, from, to, spread }, place) => {
      const [start, end, top] = [at(from), at(to), TOP + ROW * place];
      const drawn = ["up", "down"].includes(kind) && Math.abs(end - start) < NARROWEST ? "none" : kind;
      const named = ["start", "total"].includes(kind) ? "factor" : "step";
      const valued = kind === "total" ? "value factor" : "value";
      svg.append(
        draw("text", { class: named, x: LEFT - 6, y: top + 10.5, "text-anchor": "end" }, label),
        draw("path", { class: `fall ${drawn}`, d: outline(drawn, start, end, top) }),
        draw("text", { class: valued, x: LEFT + PLOT + 8, y: top + 10.5 }, text));
      if (kind !== "total") svg.append(draw("path", { class: "link", d: `M${end} ${top + BAR}v${ROW - BAR}` }));
      if (!spread) return;
      const [low, high, middle] = [at(to - spread), at(to + spread), top + BAR / 2];
      const d = `M${low} ${middle}H${high}M${low} ${middle - 3}v6M${high} ${middle - 3}v6`;
      svg.append(draw("path", { class: "whisker", d }));
    });
    return svg;
  };

  const inputRows = (row) => {
    const { descriptors, lags, contributions, unknown, largest, above, dispersions, others } = details;
    const furthest = Math.abs(contributions[row.index][largest[row.index][0]]);
    const line = (label, ...cells) => make("tr", {}, make("th", { scope: "row", class: "text" }, ...label), ...cells);
    // Lines break between words, and neither before … nor at the hyphen of t-59.
    const unbroken = (formula) => formula.replaceAll(" … ", "\u00a0…\u00a0").replaceAll("-", "\u2011");
    const inputs = largest[row.index].map((input, place) => {
      const [descriptor, formula] = descriptors[input % descriptors.length];
      const label = `${descriptor}@${lags[Math.floor(input / descriptors.length)]}`;
      const [value, part] = [contributions[row.index][input], above[row.index][place]];
      const track = draw("svg", { class: "track", viewBox: "0 0 100 10", "aria-hidden": "true" },
        draw("path", { d: "M0 5H100" }), draw("circle", { cx: 4 + part * 0.92, cy: 5, r: 4 }));
      const rank = unknown[row.index].includes(input) ? ["not known"] : [`${part} %`, track];
      return line([label, make("span", { class: "formula" }, unbroken(formula))], make("td", {}, ...rank),
        make("td", { class: shade(value, furthest) }, written(value / 100)),
        make("td", {}, written(dispersions[row.index][place] / 100, 2, false)));
    });
    const sum = (label, text) => line([label], make("td", {}), make("td", {}, text), make("td", {}));
    const cells = row.element.cells;
    const rest = contributions[row.index].length - inputs.length;
    const ends = ["bias", "level", "leak"].map((label, place) => sum(label, cells[10 + place].textContent));
    const total = line(["prediction"], make("td", {}), make("td", {}, make("b", {}, cells[2].textContent)),
      make("td", {}, cells[3].textContent));
    return [...inputs, sum(`${rest} other inputs`, written(others[row.index] / 100)), ...ends, total];
  };

  const gridRows = (row) => {
    const { descriptors, lags, contributions, unknown } = details;
    const values = contributions[row.index];
    const furthest = Math.max(...values.map(Math.abs));
    const cell = (input) => unknown[row.index].includes(input) ? make("td", {}, "–")
      : make("td", { class: shade(values[input], furthest) }, written(values[input] / 100));
    return descriptors.map(([descriptor], place) => make("tr", {},
      make("th", { scope: "row", class: "text" }, descriptor),
      ...lags.map((_, lag) => cell(lag * descriptors.length + place))));
  };

  // A shell takes a quoted word as it is.
  const quoted = (word) =>
    /^\w[\w.-]*$/.test(word) ? `--security ${word}` : `--security='${word.replaceAll("'", "'\\''")}'`;

  let details, current, opener;
  const open = (row) => {
    details ??= JSON.parse(source.textContent);
    current = row;
    const cells = row.element.cells;
    const order = shown();
    const place = order.indexOf(row);
    parts.name.textContent = row.name;
    parts.prediction.textContent = cells[2].textContent;
    parts.dispersion.textContent = cells[3].textContent;
    parts.rank.textContent = counted(row.rank);
    parts.quintile.textContent = row.quintile;
    parts.security.textContent = quoted(row.name);
    parts.place.textContent =
      place < 0 ? "not among those shown" : `${counted(place + 1)} of ${counted(order.length)} shown`;
    for (const button of dialog.querySelectorAll("[data-step]"))
      button.setAttribute("aria-disabled", String(!order[place + Number(button.dataset.step)]));
    parts.waterfall.replaceChildren(waterfall(cells));
    parts.inputs.replaceChildren(...inputRows(row));
    parts.lags.replaceChildren(make("tr", {}, make("th", { scope: "col", class: "text" }, "Descriptor"),
      ...details.lags.map((lag) => make("th", { scope: "col" }, `@${lag}`))));
    parts.grid.replaceChildren(...gridRows(row));
    if (!dialog.open) {
      opener = document.activeElement;
      dialog.showModal();
    }
    dialog.scrollTop = 0;
    history.replaceState(null, "", `#stock=${encodeURIComponent(row.name)}`);
  };
  const step = (way) => {
    const order = shown();
    const next = order[order.indexOf(current) + way];
    if (next) open(next);
  };

  dialog.addEventListener("close", () => {
    if (location.hash.startsWith("#stock=")) history.replaceState(null, "", location.pathname + location.search);
    makeReachable(current);
    // Back to where the stock was opened, unless another one was gone to.
    (opener?.closest("th") && opener.textContent === current.name ? opener : current.button).focus();
  });
  dialog.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (event.target === dialog || button?.hasAttribute("data-close")) dialog.close();
    else if (button) step(Number(button.dataset.step));
  });
  document.addEventListener("keydown", (event) => {
    if (!dialog.open || event.altKey || event.ctrlKey || event.metaKey) return;
    const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (way) step(way);
  });

  const openable = (cell, row) => {
    const button = make("button", { type: "button", class: "security", "aria-haspopup": "dialog" }, ...cell.childNodes);
    button.addEventListener("click", () => { makeReachable(row); open(row); });
    cell.append(button);
    return button;
  };
  for (const row of rows) {
    row.button = openable(row.element.cells[0], row);
    row.button.tabIndex = -1;
  }
  for (const { cells: [rank, security] } of document.querySelectorAll(".extreme tbody tr"))
    openable(security, rows.find((row) => row.rank === Number(rank.textContent) && row.name === security.textContent));
  for (const each of document.querySelectorAll(".scripted")) each.hidden = false;
  makeReachable(shown()[0]);
  body.addEventListener("keydown", (event) => {
    const order = shown();
    const place = order.indexOf(reachable);
    const way = { ArrowUp: place - 1, ArrowDown: place + 1, Home: 0, End: order.length - 1 }[event.key];
    if (way === undefined || !order[way]) return;
    event.preventDefault();
    makeReachable(order[way]);
    order[way].button.focus();
  });

  const follow = () => {
    const wanted = location.hash.match(/^#stock=(.+)$/)?.[1];
    if (!wanted) return dialog.close();
    let security = wanted;
    try { security = decodeURIComponent(wanted); } catch { /* not encoded: it is the name itself */ }
    const row = rows.find((each) => each.name === security);
    if (row) return open(row);
    // Nothing has that name: the table says so.
    name.value = security;
    filter();
    name.scrollIntoView();
  };
  window.addEventListener("hashchange", follow);
  if (location.hash.startsWith("#stock=")) follow();
})();
