"use strict";
(() => {
  const rows = JSON.parse(document.getElementById("rows").textContent);
  const PAGE = 100;
  const columns = [
    ["status", 0], ["source", 1], ["output", 2], ["reason or warnings", 3],
    ["MP", 4, (v) => (v / 1e6).toFixed(1)], ["before", 5, size], ["after", 6, size],
    ["seconds", 7, (v) => v.toFixed(2)],
  ];
  const $ = (id) => document.getElementById(id);
  const number = new Intl.NumberFormat("en");
  let found = rows, page = 0, by = -1, down = false;

  function size(bytes) {
    for (const [unit, factor] of [["GB", 1e9], ["MB", 1e6], ["kB", 1e3]])
      if (bytes >= factor) return (bytes / factor).toFixed(1) + " " + unit;
    return bytes + " B";
  }

  function element(name, text) {
    const made = document.createElement(name);
    made.textContent = text; // names of files are never markup
    return made;
  }

  function choose() {
    const status = $("status").value, text = $("search").value.toLowerCase();
    found = rows.filter((row) => (!status || row[0] === status) && (!text ||
      row[1].toLowerCase().includes(text) || row[2].toLowerCase().includes(text) ||
      row[3].toLowerCase().includes(text)));
    if (by >= 0) {
      const at = columns[by][1], sign = down ? -1 : 1;
      found = found.slice().sort((a, b) => (a[at] < b[at] ? -sign : a[at] > b[at] ? sign : 0));
    }
    page = 0;
    show();
  }

  function show() {
    const last = Math.max(0, Math.ceil(found.length / PAGE) - 1);
    page = Math.min(Math.max(page, 0), last);
    const body = document.createElement("tbody");
    for (const row of found.slice(page * PAGE, (page + 1) * PAGE)) {
      const line = document.createElement("tr");
      line.className = row[0];
      for (const [, at, shown] of columns) {
        const cell = element("td", !shown ? row[at] : row[0] === "done" ? shown(row[at]) : "");
        if (shown) cell.className = "number";
        line.append(cell);
      }
      body.append(line);
    }
    document.querySelector("#all tbody").replaceWith(body);
    $("found").textContent = number.format(found.length) +
      (found.length === rows.length ? "" : " of " + number.format(rows.length)) +
      (found.length === 1 && rows.length === 1 ? " output" : " outputs");
    $("where").textContent = "page " + number.format(page + 1) + " of " + number.format(last + 1);
    $("first").disabled = $("back").disabled = page === 0;
    $("last").disabled = $("forward").disabled = page === last;
    document.querySelectorAll("#all th").forEach((head, index) => {
      const order = index !== by ? "none" : down ? "descending" : "ascending";
      head.setAttribute("aria-sort", order);
    });
  }

  columns.forEach(([name, , shown], index) => {
    const head = document.createElement("th"), button = element("button", name);
    if (shown) head.className = "number";
    button.type = "button";
    button.addEventListener("click", () => {
      [by, down] = [index, by === index ? !down : Boolean(shown)];
      choose();
    });
    head.append(button);
    document.querySelector("#all thead tr").append(head);
  });
  const turn = (id, to) => $(id).addEventListener("click", () => { page = to(); show(); });
  turn("first", () => 0);
  turn("back", () => page - 1);
  turn("forward", () => page + 1);
  turn("last", () => Infinity);
  $("status").addEventListener("change", choose);
  $("search").addEventListener("input", choose);
  $("all").hidden = false;
  choose();
})();
