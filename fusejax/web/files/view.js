// The canvas: the blend of infrared, fused and visible that it shows, and the zoom.

const ZOOMS = [0.125, 0.25, 0.5, 1, 2, 4, 8, 16, 32];

export class View {
  constructor(stage, canvas, onZoom) {
    this.stage = stage;
    this.canvas = canvas;
    this.onZoom = onZoom;
    this.zoom = null; // null: fit to the stage
    this.layers = null;
    new ResizeObserver(() => this.layout()).observe(stage);
    stage.addEventListener("keydown", (event) => this.key(event));
    stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    stage.addEventListener("pointerdown", (event) => this.drag(event));
  }

  /** layers: { infrared, fused, visible }, canvases of one size; fused can be missing. */
  show(layers, position) {
    this.layers = layers;
    const { width, height } = layers.visible ?? layers.infrared;
    if (this.canvas.width !== width || this.canvas.height !== height) {
      this.canvas.width = width;
      this.canvas.height = height;
      this.layout();
    }
    this.draw(position);
  }

  /** position: 0 infrared, 50 fused, 100 visible; in between the neighbors are mixed. */
  draw(position) {
    if (!this.layers) return;
    const { infrared, visible } = this.layers;
    const middle = this.layers.fused ?? visible;
    const context = this.canvas.getContext("2d");
    const [below, above, share] =
      position <= 50 ? [infrared, middle, position / 50] : [middle, visible, (position - 50) / 50];
    context.globalAlpha = 1;
    context.drawImage(share < 1 ? (below ?? above) : above, 0, 0);
    if (share > 0 && share < 1 && above) {
      context.globalAlpha = share;
      context.drawImage(above, 0, 0);
    }
  }

  fitted() {
    const { clientWidth, clientHeight } = this.stage;
    return Math.min(clientWidth / this.canvas.width, clientHeight / this.canvas.height);
  }

  setZoom(zoom) {
    const { stage } = this;
    const middle = [
      (stage.scrollLeft + stage.clientWidth / 2) / stage.scrollWidth,
      (stage.scrollTop + stage.clientHeight / 2) / stage.scrollHeight,
    ];
    this.zoom = zoom;
    this.layout();
    stage.scrollLeft = middle[0] * stage.scrollWidth - stage.clientWidth / 2;
    stage.scrollTop = middle[1] * stage.scrollHeight - stage.clientHeight / 2;
  }

  /** One step larger (1) or smaller (-1). */
  step(direction) {
    const now = this.zoom ?? this.fitted();
    const further = ZOOMS.filter((zoom) => direction * (zoom - now) > 1e-3 * now);
    if (further.length) this.setZoom(direction > 0 ? further[0] : further.at(-1));
  }

  layout() {
    const scale = this.zoom ?? this.fitted();
    this.canvas.style.width = `${this.canvas.width * scale}px`;
    this.canvas.style.height = `${this.canvas.height * scale}px`;
    this.stage.classList.toggle("zoomed", this.zoom !== null && this.zoom > this.fitted());
    this.stage.classList.toggle("smooth", scale < 2);
    this.onZoom(scale, this.zoom === null);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const actions = {
      "+": () => this.step(1),
      "=": () => this.step(1),
      "-": () => this.step(-1),
      0: () => this.setZoom(null),
      1: () => this.setZoom(1),
    };
    if (actions[event.key]) {
      actions[event.key]();
      event.preventDefault();
    }
  }

  wheel(event) {
    if (!event.ctrlKey) return;
    event.preventDefault();
    this.step(event.deltaY < 0 ? 1 : -1);
  }

  drag(event) {
    if (event.pointerType !== "mouse" || event.button !== 0) return; // touch scrolls natively
    const { stage } = this;
    const start = { x: event.clientX + stage.scrollLeft, y: event.clientY + stage.scrollTop };
    const move = (moved) => {
      stage.scrollLeft = start.x - moved.clientX;
      stage.scrollTop = start.y - moved.clientY;
    };
    stage.setPointerCapture(event.pointerId);
    stage.addEventListener("pointermove", move);
    stage.addEventListener("lostpointercapture", () => stage.removeEventListener("pointermove", move), { once: true });
  }
}
