"use strict";
// Sorting and filtering of the signals table. Without this script the page shows the same figures, by rank.
(() => {
  const table = document.getElementById("signals-table");
  const body = table.tBodies[0];
  const headers = [...table.tHead.rows[0].cells];
  const byName = new Intl.Collator("en", { numeric: true }).compare;

  const rows = [...body.rows].map((element) => ({
    element,
    rank: Number(element.cells[1].textContent),
    name: element.cells[0].textContent.toLowerCase(),
    quintile: element.cells[4].textContent,
  }));
  // The cells show rounded figures; sorting uses the exact ones.
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
  };
  headers.forEach((header, column) =>
    header.querySelector("button").addEventListener("click", () => sortBy(column)));

  const name = document.getElementById("filter-name");
  const quintile = document.getElementById("filter-quintile");
  const shown = document.getElementById("shown");
  const filter = () => {
    const wanted = name.value.trim().toLowerCase();
    let count = 0;
    for (const row of rows) {
      const keep = row.name.includes(wanted) && (!quintile.value || row.quintile === quintile.value);
      row.element.hidden = !keep;
      count += keep;
    }
    shown.textContent = `${count.toLocaleString("en")} of ${rows.length.toLocaleString("en")}`;
  };
  name.addEventListener("input", filter);
  quintile.addEventListener("change", filter);
  name.form.addEventListener("submit", (event) => event.preventDefault());
  // Browsers restore what was typed before a reload.
  if (name.value || quintile.value) filter();
})();
