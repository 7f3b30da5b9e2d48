// The page's logic, from sources to result. Pixels are handled in images.js, the canvas in view.js,
// the network in worker.js.

import { blend, colorPlanes, infraredFirst, lumaPlane, readImage, resample, toCanvas } from "./images.js";
import { View } from "./view.js";

const at = (id) => document.getElementById(id);
// A small module with one SIMD instruction, which onnxruntime needs.
const SIMD = [0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 123, 3, 2, 1, 0, 10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11];

const sources = { ir: null, vi: null };
let worker, planes, fused, strengthDue;
let job = 0; // results of earlier sources are ignored
let broken = null; // why the network is not available
const view = new View(at("stage"), at("view"), (scale, isFitted) => {
  at("zoom-value").value = `${Math.round(100 * scale)} %`;
  at("zoom-fit").setAttribute("aria-pressed", String(isFitted));
});

function say(text) {
  at("status").textContent = text;
}

function warn(text, { offer, act } = {}) {
  at("message").hidden = !text;
  at("message").querySelector("p").textContent = text ?? "";
  at("resample").hidden = !offer;
  at("resample").textContent = offer ?? "";
  at("resample").onclick = act ?? null;
}

function startWorker() {
  worker = new Worker("worker.js", { type: "module" });
  worker.onmessage = ({ data }) => handlers[data.state](data);
  worker.onerror = (event) => handlers.broken({ text: `The network has stopped: ${event.message ?? "unknown reason"}.` });
}

const handlers = {
  loading({ what, loaded, total }) {
    const size = (bytes) => (bytes / 1e6).toFixed(1);
    say(`Loading the ${what}: ${size(loaded)}${total >= loaded ? ` of ${size(total)}` : ""} MB`);
  },
  ready() {
    if (!planes) say("Ready.");
    else say("Fusing …");
  },
  fused(data) {
    if (data.job !== job) return;
    fused = data.fused;
    drawFused();
    const { width, height } = sources.vi.data;
    const by = data.backend === "webgpu" ? "WebGPU" : "WebAssembly";
    say(`${width} × ${height} fused in ${Math.round(data.milliseconds)} ms (${by})`);
    at("download").disabled = false;
  },
  failed({ text }) {
    say("");
    warn(text);
    worker.terminate();
    startWorker(); // the only way to release the memory of the old worker
  },
  broken({ text }) {
    broken = text;
    say("");
    warn(text);
  },
};

/** Fuses the sources if there are two of one size; else says what is wrong. */
function update() {
  fused = planes = null;
  job += 1;
  at("download").disabled = true;
  for (const kind of ["ir", "vi"]) showSource(kind);
  const { ir, vi } = sources;
  if (!ir || !vi) return say(`Now add the ${ir ? "visible" : "infrared"} image.`);
  const [a, b] = [ir, vi].map(({ data }) => `${data.width} × ${data.height}`);
  if (a !== b) {
    say("");
    const text = `The infrared image is ${a}, the visible one ${b}. Fusion needs two registered images of one size.`;
    return warn(text, { offer: `Resample infrared to ${b}`, act: () => useResampled(vi.data.width, vi.data.height) });
  }
  if (broken) return warn(broken);
  warn(null);
  say("Fusing …");
  planes = { ir: lumaPlane(ir.data), vi: colorPlanes(vi.data) };
  view.show({ infrared: toCanvas(ir.data), visible: toCanvas(vi.data) }, shown());
  worker.postMessage({ ...planes, job, width: vi.data.width, height: vi.data.height });
}

function useResampled(width, height) {
  sources.ir = resample(sources.ir, width, height);
  update();
}

function showSource(kind) {
  const box = at(`${kind}-source`);
  const image = sources[kind];
  box.querySelector(".file").textContent = image?.name ?? "none";
  const canvas = box.querySelector("canvas");
  const [width, height] = image ? [image.data.width, image.data.height] : [1, 1];
  const scale = Math.min(1, 480 / Math.max(width, height));
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  if (image) canvas.getContext("2d").drawImage(toCanvas(image.data), 0, 0, canvas.width, canvas.height);
}

const shown = () => Number(at("shown").value);

function drawFused() {
  const { width, height } = sources.vi.data;
  const strength = Number(at("strength").value) / 100;
  view.layers.fused = toCanvas(blend(fused, planes.vi, strength, width, height));
  drawShown();
}

function drawShown() {
  view.draw(shown());
  for (const button of document.querySelectorAll("[data-shown]")) {
    button.setAttribute("aria-pressed", String(Number(button.dataset.shown) === shown()));
  }
  const nearest = ["Infrared", "Fused", "Visible"][Math.round(shown() / 50)];
  at("view").setAttribute("aria-label", `${nearest} image`);
}

/** files: one for `kind`, or two, told apart by their names and colors. */
async function take(files, kind) {
  const images = [...files].slice(0, 2);
  if (!images.length) return;
  try {
    const read = await Promise.all(images.map((file) => readImage(file, file.name)));
    if (read.length === 2) [sources.ir, sources.vi] = infraredFirst(read);
    else sources[kind ?? (sources.ir ? "vi" : "ir")] = read[0];
    update();
  } catch (error) {
    warn(error.message);
  }
}

async function useDemo() {
  const read = async (name) => readImage(await (await fetch(name)).blob(), name);
  [sources.ir, sources.vi] = await Promise.all([read("made_up_ir.png"), read("made_up_vi.png")]);
  update();
}

async function download() {
  const blob = await view.layers.fused.convertToBlob({ type: "image/png" });
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = `${sources.vi.name.replace(/\.[^.]*$/, "")}_fused.png`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function wire() {
  for (const kind of ["ir", "vi"]) {
    const box = at(`${kind}-source`);
    const input = box.querySelector("input");
    input.addEventListener("change", () => take(input.files, kind).then(() => (input.value = "")));
    box.addEventListener("dragover", () => box.classList.add("over"));
    for (const end of ["dragleave", "drop"]) box.addEventListener(end, () => box.classList.remove("over"));
  }
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    take(event.dataTransfer.files, event.target.closest?.(".source")?.id.slice(0, 2));
  });
  at("demo").onclick = () => useDemo().catch((error) => warn(`The synthetic pair cannot be loaded: ${error.message}`));
  at("swap").onclick = () => {
    [sources.ir, sources.vi] = [sources.vi, sources.ir];
    update();
  };
  at("shown").oninput = drawShown;
  for (const button of document.querySelectorAll("[data-shown]")) {
    button.onclick = () => {
      at("shown").value = button.dataset.shown;
      drawShown();
    };
  }
  at("strength").oninput = () => {
    at("strength-value").value = `${at("strength").value} %`;
    cancelAnimationFrame(strengthDue);
    if (fused) strengthDue = requestAnimationFrame(drawFused);
  };
  at("zoom-in").onclick = () => view.step(1);
  at("zoom-out").onclick = () => view.step(-1);
  at("zoom-fit").onclick = () => view.setZoom(null);
  at("zoom-pixels").onclick = () => view.setZoom(1);
  at("download").onclick = download;
}

async function start() {
  if (typeof WebAssembly !== "object" || !WebAssembly.validate(new Uint8Array(SIMD)) || !self.DecompressionStream) {
    return warn("This browser lacks WebAssembly with SIMD. Use a current Chrome, Edge, Firefox, or Safari 16.4 or later.");
  }
  warn(null);
  wire();
  startWorker();
  const model = await (await fetch("model.json")).json();
  at("about").textContent =
    `Network ${model.name}, ${model.parameters.toLocaleString("en")} parameters, ` +
    `written by fusejax ${model.version}.`;
  await useDemo();
}

start().catch((error) => warn(`The page cannot start: ${error.message}`));
