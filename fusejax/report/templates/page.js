"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const by = (id) => document.getElementById(id);
const clamp = (x, low, high) => Math.min(high, Math.max(low, x));

// Theme: that of the system until the button is used.
const dark = () => matchMedia("(prefers-color-scheme: dark)").matches;
function setTheme(name) {
  document.documentElement.dataset.theme = name;
  by("theme").textContent = name === "dark" ? "Light mode" : "Dark mode";
}
by("theme").textContent = dark() ? "Light mode" : "Dark mode";
by("theme").addEventListener("click", () => {
  const now = document.documentElement.dataset.theme || (dark() ? "dark" : "light");
  setTheme(now === "dark" ? "light" : "dark");
});

// Tables sort by a column; the first choice puts the best on top.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const first = head.dataset.better === "high" ? "descending" : "ascending";
    const other = first === "ascending" ? "descending" : "ascending";
    const order = head.getAttribute("aria-sort") === first ? other : first;
    heads.forEach((h) => h.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", order);
    const key = (row) => {
      const cell = row.cells[column];
      return cell.dataset.value === undefined ? cell.textContent : cell.dataset.value === "" ? NaN : Number(cell.dataset.value);
    };
    const sign = order === "ascending" ? 1 : -1;
    const rows = [...table.tBodies[0].rows].sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      if (typeof x === "string") return sign * x.localeCompare(y);
      if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
      return sign * (x - y);
    });
    table.tBodies[0].append(...rows);
  }));
}

let convention = Object.keys(data.scores)[0];
by("convention")?.addEventListener("change", (event) => {
  convention = event.target.value;
  for (const part of document.querySelectorAll("[data-convention]")) part.hidden = part.dataset.convention !== convention;
  showScores();
});

// The viewer.
const state = { index: 0, left: "infrared", right: "", split: 50, scale: 1, x: 0, y: 0 };
const pixels = new Map();  // uri -> promise of ImageData
const names = data.images.map((image) => image.name);
const current = () => data.images[state.index];

function load(uri) {
  if (!pixels.has(uri)) {
    pixels.set(uri, new Promise((resolve, reject) => {
      const image = new Image();
      image.onload = () => {
        const canvas = document.createElement("canvas");
        canvas.width = image.naturalWidth;
        canvas.height = image.naturalHeight;
        const context = canvas.getContext("2d", { willReadFrequently: true });
        context.drawImage(image, 0, 0);
        resolve(context.getImageData(0, 0, canvas.width, canvas.height));
      };
      image.onerror = () => reject(new Error("an image of the page cannot be decoded"));
      image.src = uri;
    }));
    if (pixels.size > 40) pixels.delete(pixels.keys().next().value);
  }
  return pixels.get(uri);
}

const luma = (d, i) => 0.299 * d[i] + 0.587 * d[i + 1] + 0.114 * d[i + 2];
const viridis = [[68, 1, 84], [59, 82, 139], [33, 145, 140], [94, 201, 98], [253, 231, 37]];
function colored(t) {
  const at = clamp(t, 0, 1) * 4, n = Math.min(3, Math.floor(at)), f = at - n;
  return viridis[n].map((v, c) => v + f * (viridis[n + 1][c] - v));
}

// What can be computed from the fused image and its sources, on luma in levels of 255.
const computed = {
  "error-ir": ["distance from infrared", "0", "64 levels or more", (f, i, v) => Math.abs(f - i) / 64],
  "error-vi": ["distance from visible", "0", "64 levels or more", (f, i, v) => Math.abs(f - v) / 64],
  "nearer": ["nearer source", "visible", "infrared", (f, i, v) => {
    const a = Math.abs(f - v), b = Math.abs(f - i);
    return Math.abs(i - v) < 4 ? 0.5 : a / Math.max(a + b, 1e-6);
  }],
};

function choices(image) {
  const fused = image.layers.filter((layer) => layer.id.startsWith("fused:"));
  const views = fused.flatMap((layer) => Object.entries(computed).map(([kind, view]) => (
    { id: `${kind}:${layer.title}`, title: `${layer.title}: ${view[0]}`, kind, of: layer.id })));
  return [...image.layers, ...views];
}

async function layerPixels(image, id) {
  const choice = choices(image).find((c) => c.id === id) || image.layers[0];
  if (!choice.kind) return load(choice.uri);
  const uri = (wanted) => image.layers.find((layer) => layer.id === wanted).uri;
  const [f, i, v] = await Promise.all([choice.of, "infrared", "visible"].map((wanted) => load(uri(wanted))));
  const found = new ImageData(f.width, f.height), compute = computed[choice.kind][3];
  for (let n = 0; n < f.data.length; n += 4) {
    const color = colored(compute(luma(f.data, n), luma(i.data, n), luma(v.data, n)));
    found.data.set([color[0], color[1], color[2], 255], n);
  }
  return found;
}

async function draw(canvas, id) {
  const image = current(), found = await layerPixels(image, id);
  if (image !== current()) return;
  canvas.width = found.width;
  canvas.height = found.height;
  canvas.getContext("2d").putImageData(found, 0, 0);
  if (canvas === by("below")) {
    by("stage").style.aspectRatio = `${found.width} / ${found.height}`;
    by("stage").style.maxWidth = `calc(70vh * ${found.width / found.height})`;
  }
}

function place() {
  const stage = by("stage"), w = stage.clientWidth, h = stage.clientHeight;
  state.scale = clamp(state.scale, 1, 16);
  state.x = clamp(state.x, w * (1 - state.scale), 0);
  state.y = clamp(state.y, h * (1 - state.scale), 0);
  const at = (state.split / 100 * w - state.x) / state.scale / w * 100;
  for (const id of ["above", "below"]) by(id).style.transform = `translate(${state.x}px, ${state.y}px) scale(${state.scale})`;
  by("above").style.clipPath = `inset(0 ${clamp(100 - at, 0, 100)}% 0 0)`;
  by("divider").style.left = `${state.split}%`;
  by("slide").value = state.split;
  stage.classList.toggle("zoomed", state.scale > 1);
  stage.classList.toggle("sharp", state.scale > 2);
}

function zoom(factor, x, y) {
  const stage = by("stage"), before = state.scale;
  x ??= stage.clientWidth / 2;
  y ??= stage.clientHeight / 2;
  state.scale = clamp(before * factor, 1, 16);
  state.x = x - (x - state.x) * state.scale / before;
  state.y = y - (y - state.y) * state.scale / before;
  place();
}

function fill(select, options, chosen) {
  select.replaceChildren(...options.map((o) => new Option(o.title, o.id, false, o.id === chosen)));
}

function showScores() {
  const image = current(), n = data.names.indexOf(image.name), methods = data.scores[convention];
  const table = by("scores"), metrics = Object.keys(Object.values(methods)[0]);
  table.replaceChildren();
  table.createCaption().className = "sr";
  table.caption.textContent = `Scores of ${image.name}`;
  const head = table.createTHead().insertRow();
  for (const text of [image.name, ...metrics]) {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = text;
    head.append(cell);
  }
  const body = table.createTBody();
  for (const [method, values] of Object.entries(methods)) {
    const row = body.insertRow(), name = document.createElement("th");
    name.scope = "row";
    name.textContent = method;
    row.append(name);
    for (const metric of metrics) {
      const value = values[metric][n];
      row.insertCell().textContent = value === null ? "–" : Math.abs(value) < 1e4 ? value.toPrecision(4) : String(Math.round(value));
    }
  }
}

function show() {
  const image = current(), known = choices(image), scale = by("scale");
  if (!known.some((c) => c.id === state.right)) state.right = image.layers[2].id;
  fill(by("left"), known, state.left);
  fill(by("right"), known, state.right);
  by("name").value = image.name;
  by("tag-left").textContent = known.find((c) => c.id === state.left).title;
  by("tag-right").textContent = known.find((c) => c.id === state.right).title;
  by("stage").setAttribute("aria-label", `${image.name}: ${by("tag-left").textContent} on the left, ${by("tag-right").textContent} on the right`);
  const view = [state.left, state.right].map((id) => computed[known.find((c) => c.id === id).kind]).find(Boolean);
  scale.hidden = !view;
  if (view) [by("scale-low").textContent, by("scale-high").textContent] = [view[1], view[2]];
  for (const button of by("strip").children) {
    const chosen = button.dataset.name === image.name;
    button.setAttribute("aria-current", String(chosen));
    if (chosen) by("strip").scrollLeft = button.offsetLeft - by("strip").offsetLeft - by("strip").clientWidth / 2 + button.clientWidth / 2;
  }
  showScores();
  return Promise.all([draw(by("above"), state.left), draw(by("below"), state.right)]).then(place);
}

function choose(index) {
  state.index = (index + names.length) % names.length;
  return show();
}

function readHash() {
  if (!location.hash.startsWith("#image=")) return;
  const index = names.indexOf(decodeURIComponent(location.hash.slice(7)));
  if (index < 0) return;
  choose(index);
  by("images").scrollIntoView();
}

by("name").replaceChildren(...names.map((name) => new Option(name)));
by("strip").replaceChildren(...data.images.map((image, index) => {
  const button = document.createElement("button"), thumb = document.createElement("img");
  button.type = "button";
  button.dataset.name = image.name;
  button.setAttribute("aria-label", image.name);
  thumb.alt = "";
  thumb.loading = "lazy";
  thumb.src = image.layers[2].uri;
  button.append(thumb);
  button.addEventListener("click", () => choose(index));
  return button;
}));
by("name").addEventListener("change", (event) => choose(names.indexOf(event.target.value)));
by("previous").addEventListener("click", () => choose(state.index - 1));
by("next").addEventListener("click", () => choose(state.index + 1));
for (const side of ["left", "right"]) by(side).addEventListener("change", (event) => { state[side] = event.target.value; show(); });
by("slide").addEventListener("input", (event) => { state.split = Number(event.target.value); place(); });
by("in").addEventListener("click", () => zoom(2));
by("out").addEventListener("click", () => zoom(0.5));
by("fit").addEventListener("click", () => { state.scale = 1; place(); });
for (const link of document.querySelectorAll("a[data-method]")) {
  link.addEventListener("click", () => { state.right = `fused:${link.dataset.method}`; if (link.hash === location.hash) readHash(); });
}
addEventListener("hashchange", readHash);
addEventListener("resize", place);

const stage = by("stage"), fingers = new Map();
let moving = null;
const inside = (event) => { const box = stage.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
function split(event) {
  state.split = clamp(inside(event)[0] / stage.clientWidth * 100, 0, 100);
  place();
}
stage.addEventListener("pointerdown", (event) => {
  stage.setPointerCapture(event.pointerId);
  const at = inside(event), near = Math.abs(at[0] - state.split / 100 * stage.clientWidth) < 24;
  fingers.set(event.pointerId, at);
  moving = state.scale > 1 && !near ? "image" : "divider";
  if (moving === "divider") split(event);
});
stage.addEventListener("pointermove", (event) => {
  const before = fingers.get(event.pointerId);
  if (!before) return;
  const now = inside(event);
  if (fingers.size === 2) {
    const other = [...fingers].find(([id]) => id !== event.pointerId)[1];
    const length = (a) => Math.hypot(a[0] - other[0], a[1] - other[1]);
    zoom(length(now) / Math.max(length(before), 1), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
  } else if (moving === "image") {
    state.x += now[0] - before[0];
    state.y += now[1] - before[1];
    place();
  } else split(event);
  fingers.set(event.pointerId, now);
});
for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, (event) => fingers.delete(event.pointerId));
stage.addEventListener("dblclick", (event) => {
  if (state.scale > 1) { state.scale = 1; place(); } else zoom(4, ...inside(event));
});
stage.addEventListener("wheel", (event) => {
  if (!event.ctrlKey) return;
  event.preventDefault();
  zoom(Math.exp(-event.deltaY / 200), ...inside(event));
}, { passive: false });
stage.addEventListener("keydown", (event) => {
  const step = 40, moves = { ArrowLeft: [step, 0], ArrowRight: [-step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] }[event.key];
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (moves && state.scale > 1) { state.x += moves[0]; state.y += moves[1]; place(); }
  else if (moves && moves[0]) { state.split = clamp(state.split - moves[0] / 20, 0, 100); place(); }
  else if (event.key === "+" || event.key === "=") zoom(2);
  else if (event.key === "-") zoom(0.5);
  else if (event.key === "0") { state.scale = 1; place(); }
  else if (event.key === "n") choose(state.index + 1);
  else if (event.key === "p") choose(state.index - 1);
  else return;
  event.preventDefault();
});
show().then(() => { document.body.dataset.ready = "true"; readHash(); });
