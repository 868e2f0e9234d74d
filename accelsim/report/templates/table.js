"use strict";
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const falls = head.getAttribute("aria-sort") === (head.classList.contains("number") ? "descending" : "ascending");
    const rises = head.classList.contains("number") ? falls : !falls;
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", rises ? "ascending" : "descending");
    const isNumber = head.classList.contains("number");
    const key = (row) => row.cells[column].dataset.key;
    const order = (a, b) => isNumber ? key(a) - key(b) : key(a).localeCompare(key(b));
    rows.sort((a, b) => rises ? order(a, b) : order(b, a));
    body.append(...rows);
  }));
  const controls = table.closest("section").querySelector(".controls");
  if (!controls) continue;
  const [text, kind, count] = ["input", "select", "output"].map((name) => controls.querySelector(name));
  const filter = () => {
    const wanted = text.value.toLowerCase();
    let shown = 0;
    for (const row of rows) {
      const isShown = `${row.title} ${row.textContent}`.toLowerCase().includes(wanted) && (!kind.value || row.dataset.kind === kind.value);
      row.hidden = !isShown;
      shown += isShown;
    }
    count.textContent = `${shown} of ${rows.length} ${table.dataset.noun ?? "layers"}`;
  };
  text.addEventListener("input", filter);
  kind.addEventListener("change", filter);
  filter();
}
