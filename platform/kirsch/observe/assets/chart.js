"use strict";
// Charts of the last hour as SVG, drawn by hand: lines, areas, marks, and a moment that is read by pointer or by keys.
// Nothing here writes markup: elements and attributes only, so text from a stack stays text.
const Chart = (() => {
  const SVG = "http://www.w3.org/2000/svg";
  const HEIGHT = 148, LEFT = 46, RIGHT = 6, TOP = 14, BOTTOM = 20;
  const COLUMN_S = 5, LEAST_S = 300, MOST_S = 3600;
  // where a value stands in a column, as the server sends it
  const FIELDS = { requests: 1, "4xx": 2, "5xx": 3, p50: 4, p95: 5, p99: 6 };
  const STEPS_S = [60, 120, 300, 600, 900, 1200];

  const element = (name, attributes, text) => {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const clock = (at, seconds) =>
    new Date(at * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: seconds ? "2-digit" : undefined, hour12: false });
  const number = (value) =>
    value === 0 ? "0" : value >= 100 ? Math.round(value).toLocaleString("en") : value >= 10 ? value.toFixed(0) : value >= 1 ? value.toFixed(1) : value.toFixed(2);
  const time = (ms) => (ms === null ? "–" : ms >= 1000 ? `${(ms / 1000).toFixed(1)} s` : ms >= 10 ? `${ms.toFixed(0)} ms` : `${ms.toFixed(1)} ms`);
  const tick = (value, isTime) => {
    if (!isTime) return value >= 10000 ? `${(value / 1000).toLocaleString("en")}k` : Number(value.toPrecision(3)).toLocaleString("en");
    return value >= 1000 ? `${Number((value / 1000).toPrecision(3))} s` : `${Number(value.toPrecision(3))} ms`;
  };
  // the least of 1, 2, 2.5, 5 × 10^n so that few steps of it reach the top
  const stepFor = (top, steps) => {
    const raw = top / steps, power = 10 ** Math.floor(Math.log10(raw));
    return [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((step) => step >= raw - power / 1e6);
  };

  class Chart {
    constructor(figure, lines, { isTime = false, isFilled = false, empty }) {
      Object.assign(this, { lines, isTime, isFilled, empty, seen: [], span: COLUMN_S });
      this.plot = figure.querySelector(".plot");
      this.reading = figure.querySelector(".reading");
      this.columns = [];
      this.marks = [];
      this.moment = null; // the time that is read; null: the newest
      this.onMoment = () => {};
      this.plot.addEventListener("pointermove", (event) => this.onMoment(this.timeAt(event.offsetX)));
      this.plot.addEventListener("pointerleave", () => this.onMoment(null));
      this.plot.addEventListener("focus", () => this.onMoment(this.seen.at(-1)?.[0] ?? null));
      this.plot.addEventListener("blur", () => this.onMoment(null));
      this.plot.addEventListener("keydown", (event) => this.onKey(event));
      new ResizeObserver(() => this.draw()).observe(this.plot);
    }

    show(columns, marks, now) {
      Object.assign(this, { columns, marks, now });
      this.draw();
    }

    read(moment) {
      this.moment = moment;
      this.drawMoment();
    }

    onKey(event) {
      const at = this.indexAt(this.moment ?? Infinity), last = this.seen.length - 1;
      const steps = { ArrowLeft: at - 1, ArrowDown: at - 1, ArrowRight: at + 1, ArrowUp: at + 1, PageDown: at - 12, PageUp: at + 12, Home: 0, End: last };
      if (event.key === "Escape") this.onMoment(null);
      else if (event.key in steps && last >= 0) this.onMoment(this.seen[Math.max(0, Math.min(last, steps[event.key]))][0]);
      else return;
      event.preventDefault();
    }

    get from() {
      const first = this.columns.length ? this.columns[0][0] : this.now;
      return this.now - Math.min(MOST_S, Math.max(LEAST_S, this.now - first));
    }
    x(at) { return LEFT + ((at - this.from) / (this.now - this.from)) * (this.width - LEFT - RIGHT); }
    y(value) { return HEIGHT - BOTTOM - (value / this.top) * (HEIGHT - TOP - BOTTOM); }
    timeAt(x) { return this.from + ((x - LEFT) / (this.width - LEFT - RIGHT)) * (this.now - this.from); }
    indexAt(moment) {
      let found = this.seen.length - 1;
      while (found > 0 && this.seen[found][0] > moment) found -= 1;
      return found;
    }

    draw() {
      this.width = this.plot.clientWidth;
      if (!this.width || this.now === undefined) return;
      const seen = (this.seen = this.merge(this.columns.filter((column) => column[0] >= this.from - COLUMN_S)));
      const values = seen.flatMap((column) => this.lines.map((line) => column[FIELDS[line]] ?? 0));
      const step = stepFor(Math.max(this.isTime ? 4 : 1, ...values), 3);
      this.top = step * Math.max(1, Math.ceil(Math.max(this.isTime ? 4 : 1, ...values) / step - 1e-9));
      const svg = element("svg", { width: this.width, height: HEIGHT, viewBox: `0 0 ${this.width} ${HEIGHT}`, "aria-hidden": "true" });
      this.drawGrid(svg, step);
      const marks = element("g", { class: "marks" });
      for (const [at, kind, text] of this.marks) {
        if (at < this.from) continue;
        const x = this.x(at).toFixed(1), group = element("g", { class: `mark ${kind}` });
        group.append(element("title", {}, `${clock(at, true)} ${text}`), element("path", { d: `M${x} ${TOP - 4}V${HEIGHT - BOTTOM}` }));
        group.append(element("path", { class: "flag", d: kind === "failure" ? `M${x - 4} ${TOP - 12}l8 8m0 -8l-8 8` : `M${x - 4} ${TOP - 11}h8l-4 7z` }));
        marks.append(group);
      }
      svg.append(marks);
      for (const line of this.lines) this.drawLine(svg, line, seen);
      if (!values.some(Boolean)) {
        const middle = { x: (LEFT + this.width - RIGHT) / 2, y: (TOP + HEIGHT - BOTTOM) / 2 - 6, "text-anchor": "middle", class: "nothing" };
        svg.append(element("text", middle, this.empty));
      }
      this.cursor = element("g", { class: "cursor" });
      svg.append(this.cursor);
      this.plot.replaceChildren(svg);
      this.drawMoment();
    }

    // As many points as the eye can tell apart: means of some columns, whose bounds do not move as time goes on.
    merge(columns) {
      const size = Math.ceil((this.now - this.from) / COLUMN_S / ((this.width - LEFT - RIGHT) / 3)), groups = new Map();
      this.span = size * COLUMN_S;
      for (const column of columns) {
        const at = Math.floor(column[0] / this.span) * this.span;
        groups.set(at, [...(groups.get(at) ?? []), column]);
      }
      return [...groups].map(([at, group]) => {
        const merged = [at];
        for (let field = 1; field < group[0].length; field += 1) {
          const values = group.map((column) => column[field]).filter((value) => value !== null);
          merged[field] = values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null;
        }
        return merged;
      });
    }

    drawGrid(svg, step) {
      const grid = element("g", { class: "grid" });
      for (let value = 0; value <= this.top * 1.001; value += step) {
        const y = Math.round(this.y(value)) + 0.5;
        grid.append(element("path", { class: value ? "" : "base", d: `M${LEFT} ${y}H${this.width - RIGHT}` }));
        grid.append(element("text", { x: LEFT - 8, y: y + 3.5, "text-anchor": "end" }, tick(value, this.isTime)));
      }
      const room = (this.width - LEFT - RIGHT) / 62, every = STEPS_S.find((one) => (this.now - this.from) / one <= room) ?? 1800;
      for (let at = Math.ceil(this.from / every) * every; at <= this.now; at += every) {
        const x = this.x(at);
        if (x > LEFT + 14 && x < this.width - RIGHT - 14)
          grid.append(element("text", { x: x.toFixed(1), y: HEIGHT - 5, "text-anchor": "middle" }, clock(at, false)));
      }
      svg.append(grid);
    }

    drawLine(svg, line, seen) {
      const field = FIELDS[line];
      let path = "", area = "", before = null, begin = 0;
      const close = () => { if (before !== null) area += `L${before[0].toFixed(1)} ${HEIGHT - BOTTOM}H${begin.toFixed(1)}Z`; };
      for (const column of seen) {
        const value = column[field];
        if (value === null) continue;
        const at = Math.max(LEFT, this.x(Math.min(this.now, column[0] + this.span / 2))), y = this.y(value);
        // nobody was there in between: no line that says otherwise
        const isGap = before === null || column[0] - before[1] > (this.isTime ? 6 : 3) * this.span;
        const point = `${at.toFixed(1)} ${y.toFixed(1)}`;
        if (isGap) { close(); begin = at; }
        path += `${isGap ? "M" : "L"}${point}`;
        area += isGap ? `M${begin.toFixed(1)} ${HEIGHT - BOTTOM}L${point}` : `L${point}`;
        before = [at, column[0]];
      }
      close();
      if (!path) return;
      if (this.isFilled) svg.append(element("path", { class: `area area-${line}`, d: area }));
      svg.append(element("path", { class: `line line-${line}`, d: path }));
    }

    drawMoment() {
      const index = this.indexAt(this.moment ?? Infinity), column = this.seen[index];
      if (!column || !this.cursor) return;
      const said = this.lines.map((line) => {
        const value = column[FIELDS[line]], name = this.lines.length > 1 ? `${line} ` : "";
        return this.isTime ? `${name}${time(value)}` : `${name}${number(value)}/s`;
      });
      const near = this.marks.filter(([at]) => this.moment !== null && Math.abs(at - column[0] - this.span / 2) <= 2 * this.span).map((mark) => mark[2]);
      const text = `${clock(column[0], true)}  ${said.join(" · ")}${near.length ? `  — ${near.slice(-2).join("; ")}` : ""}`;
      this.reading.textContent = text;
      this.plot.setAttribute("aria-valuemax", String(this.seen.length - 1));
      this.plot.setAttribute("aria-valuenow", String(index));
      this.plot.setAttribute("aria-valuetext", text);
      this.cursor.replaceChildren();
      if (this.moment === null) return;
      const x = Math.max(LEFT, this.x(Math.min(this.now, column[0] + this.span / 2))).toFixed(1);
      this.cursor.append(element("path", { d: `M${x} ${TOP - 4}V${HEIGHT - BOTTOM}` }));
      for (const line of this.lines)
        if (column[FIELDS[line]] !== null) this.cursor.append(element("circle", { class: `line-${line}`, cx: x, cy: this.y(column[FIELDS[line]]).toFixed(1), r: 3 }));
    }
  }
  return Chart;
})();
