// The network, in a worker so that the page stays responsive. Messages in: { job, ir, vi, width, height };
// out: { state: "loading" | "ready" | "fused" | "failed" | "broken", ... }.

const RUNTIMES = {
  webgpu: ["ort.webgpu.bundle.min.mjs", "ort-wasm-simd-threaded.asyncify.wasm.gz"],
  wasm: ["ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm.gz"],
};

const SIDE = 64; // of the first image, which is not shown

const ready = start();
ready.then(
  ({ backend }) => postMessage({ state: "ready", backend }),
  (error) => postMessage({ state: "broken", text: `The network could not be loaded: ${error.message ?? error}` }),
);

self.onmessage = async ({ data: { job, ir, vi, width, height } }) => {
  const { ort, session, backend } = await ready;
  try {
    const begin = performance.now();
    const planes = await run(ort, session, ir, vi, width, height);
    const milliseconds = performance.now() - begin;
    postMessage({ state: "fused", job, fused: planes, backend, milliseconds }, [planes.buffer]);
  } catch (error) {
    const text = `${width} × ${height} pixels are too many for the memory of this browser, or its runtime failed`;
    postMessage({ state: "failed", text: `${text} (${error.message ?? error}). Scale the images down.` });
  }
};

async function start() {
  const model = await load("model.onnx", "network");
  const adapter = await self.navigator.gpu?.requestAdapter();
  if (adapter && !adapter.info?.isFallbackAdapter) { // fallback adapters run on the CPU, more slowly than WebAssembly
    try {
      return await open("webgpu", model);
    } catch (error) {
      console.warn("WebGPU cannot be used; using WebAssembly instead.", error);
    }
  }
  return open("wasm", model);
}

async function open(backend, model) {
  const [script, binary] = RUNTIMES[backend];
  const ort = await import(`./runtime/${script}`);
  ort.env.wasm.wasmBinary = await load(`runtime/${binary}`, "runtime");
  const session = await ort.InferenceSession.create(model, { executionProviders: [backend] });
  // Compiles in advance what the first pair would wait for, and tests whether this device can run the network.
  await run(ort, session, new Float32Array(SIDE * SIDE), new Float32Array(3 * SIDE * SIDE), SIDE, SIDE);
  return { ort, backend, session };
}

/** The fused image, red, green and blue one after the other, in [0, 1] as the sources are. */
async function run(ort, session, ir, vi, width, height) {
  const { fused } = await session.run({
    ir: new ort.Tensor("float32", ir, [1, 1, height, width]),
    vi: new ort.Tensor("float32", vi, [1, 3, height, width]),
  });
  const planes = new Float32Array(await fused.getData());
  fused.dispose();
  return planes;
}

/** The bytes of a file of this folder, unpacked if it is a gzip file that the server has not unpacked. */
async function load(path, what) {
  const response = await fetch(path);
  if (!response.ok) throw new Error(`${path} is missing (status ${response.status})`);
  const total = Number(response.headers.get("Content-Length"));
  const chunks = [];
  let loaded = 0;
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
    loaded += value.length;
    postMessage({ state: "loading", what, loaded, total });
  }
  const blob = new Blob(chunks);
  const [first, second] = new Uint8Array(await blob.slice(0, 2).arrayBuffer());
  if (first !== 0x1f || second !== 0x8b) return blob.arrayBuffer();
  return new Response(blob.stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}
