// Shared by all figures: reading controls, showing numbers, drawing panels as SVG.
const SVG = "http://www.w3.org/2000/svg";

const control = (name) => root.querySelector(`[data-control="${name}"]`);

const read = (name) => {
  const input = control(name);
  if (input.tagName === "SELECT") return input.value;
  const value = Number(input.value);
  if (input.dataset.scale === "log") return Number((10 ** value).toPrecision(2));
  return input.dataset.scale === "log2" ? 2 ** value : value;
};

const digits = (value) => {
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "-";
  if (value !== 0 && (Math.abs(value) < 0.001 || Math.abs(value) >= 1e5)) {
    return value.toExponential(2).replace(/\.?0*e/, "e").replace("e+", "e");
  }
  return String(Number(value.toPrecision(3)));
};

const show = (name, value, text) => {
  const place = root.querySelector(`[data-number="${name}"]`);
  place.dataset.value = String(value);
  place.textContent = text === undefined ? digits(value) : text;
};

const element = (tag, attributes, text) => {
  const made = document.createElementNS(SVG, tag);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
};

// One panel: axes with ticks, and a function that draws a line into it.
const panel = (name, { title, xLabel, x, y, logX, logY }) => {
  const svg = root.querySelector(`[data-panel="${name}"]`);
  svg.replaceChildren();
  const [left, top, width, height] = [46, 24, 284, 196];
  const scale = (v, [low, high], log) => (
    log ? Math.log(v / low) / Math.log(high / low) : (v - low) / (high - low)
  );
  const atX = (v) => left + width * scale(v, x, logX);
  const atY = (v) => top + height * (1 - scale(v, y, logY));
  const frame = { x: left, y: top, width, height };
  const clip = `${root.id}-${name}`;
  const cut = element("clipPath", { id: clip });
  cut.append(element("rect", frame));
  svg.append(cut);
  svg.append(element("text", { x: left, y: 15, class: "title" }, title));
  const label = { x: left + width / 2, y: top + height + 34, "text-anchor": "middle" };
  svg.append(element("text", label, xLabel));
  for (const v of ticks(x, logX)) {
    svg.append(element("line", { x1: atX(v), x2: atX(v), y1: top, y2: top + height, class: "grid" }));
    const at = { x: atX(v), y: top + height + 16, "text-anchor": "middle" };
    svg.append(element("text", at, digits(v)));
  }
  for (const v of ticks(y, logY)) {
    svg.append(element("line", { x1: left, x2: left + width, y1: atY(v), y2: atY(v), class: "grid" }));
    svg.append(element("text", { x: left - 5, y: atY(v) + 4, "text-anchor": "end" }, digits(v)));
  }
  svg.append(element("rect", { ...frame, class: "frame" }));
  const line = (points, kind) => {
    const seen = points.filter(([a, b]) => Number.isFinite(a) && Number.isFinite(b)
      && (!logX || a > 0) && (!logY || b > 0));
    const far = (v) => Math.max(-5e3, Math.min(5e3, v)).toFixed(2);
    const d = seen.map(([a, b]) => `${far(atX(a))},${far(atY(b))}`).join(" ");
    svg.append(element("polyline", {
      points: d, class: `line ${kind}`, "clip-path": `url(#${clip})`,
    }));
  };
  const describe = (text) => svg.setAttribute("aria-label", text);
  return { svg, atX, atY, line, describe, clip };
};

const ticks = ([low, high], log) => {
  const found = [];
  if (log) {
    const [first, last] = [Math.ceil(Math.log10(low) - 1e-9), Math.floor(Math.log10(high) + 1e-9)];
    const every = Math.max(1, Math.ceil((last - first) / 5));
    for (let k = first; k <= last; k += every) found.push(10 ** k);
  } else {
    const raw = (high - low) / 4;
    const unit = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((m) => m * unit).find((s) => s >= raw);
    for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9; k += 1) {
      found.push(Number((k * step).toPrecision(12)));
    }
  }
  return found;
};

const start = (draw) => {
  const update = () => {
    for (const input of root.querySelectorAll("input[data-control]")) {
      const text = digits(read(input.dataset.control));
      root.querySelector(`[data-shows="${input.dataset.control}"]`).textContent = text;
      input.setAttribute("aria-valuetext", text);
    }
    draw();
  };
  for (const input of root.querySelectorAll("[data-control]")) {
    input.addEventListener("input", update);
  }
  update();
};
