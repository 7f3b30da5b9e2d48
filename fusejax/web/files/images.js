// Reading images from files, and converting pixels to the network's inputs.

const MOST_PIXELS = 40e6;
const LUMA = [0.299, 0.587, 0.114]; // BT.601, as in the library

/** Pixels of a file or blob: { name, data: ImageData }. Throws an Error with words for the reader. */
export async function readImage(blob, name) {
  let bitmap;
  try {
    // Values as stored, without color management.
    bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  } catch {
    throw new Error(`${name} cannot be read by this browser. Use PNG, JPEG, WebP or BMP.`);
  }
  const { width, height } = bitmap;
  if (width * height > MOST_PIXELS) {
    bitmap.close();
    throw new Error(
      `${name} is ${width} × ${height}, more than the ${MOST_PIXELS / 1e6} million pixels that this page takes. ` +
        "Scale it down, or use the command fusejax fuse, which works in tiles.",
    );
  }
  const context = makeContext(width, height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return { name, data: context.getImageData(0, 0, width, height) };
}

/** The image resampled to another size. */
export function resample(image, width, height) {
  const context = makeContext(width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(toCanvas(image.data), 0, 0, width, height);
  return { name: image.name, data: context.getImageData(0, 0, width, height) };
}

/** A canvas that holds the pixels. */
export function toCanvas(data) {
  const context = makeContext(data.width, data.height);
  context.putImageData(data, 0, 0);
  return context.canvas;
}

function makeContext(width, height) {
  const canvas = new OffscreenCanvas(width, height);
  return canvas.getContext("2d", { willReadFrequently: true });
}

/** The luma of every pixel, in [0, 1]. */
export function lumaPlane(data) {
  const pixels = data.data;
  const plane = new Float32Array(pixels.length / 4);
  for (let n = 0; n < plane.length; n++) {
    const at = 4 * n;
    plane[n] = (LUMA[0] * pixels[at] + LUMA[1] * pixels[at + 1] + LUMA[2] * pixels[at + 2]) / 255;
  }
  return plane;
}

/** Red, green and blue one after the other, in [0, 1]. */
export function colorPlanes(data) {
  const pixels = data.data;
  const count = pixels.length / 4;
  const planes = new Float32Array(3 * count);
  for (let channel = 0; channel < 3; channel++) {
    for (let n = 0; n < count; n++) planes[channel * count + n] = pixels[4 * n + channel] / 255;
  }
  return planes;
}

/** visible + strength * (fused - visible), from planes in [0, 1] to pixels. */
export function blend(fused, visible, strength, width, height) {
  const data = new ImageData(width, height);
  const count = width * height;
  for (let n = 0; n < count; n++) {
    for (let channel = 0; channel < 3; channel++) {
      const at = channel * count + n;
      // The array rounds and clamps.
      data.data[4 * n + channel] = 255 * (visible[at] + strength * (fused[at] - visible[at]));
    }
    data.data[4 * n + 3] = 255;
  }
  return data;
}

/** Which of two images is the infrared one: by name, else the one without color, else the first. */
export function infraredFirst(images) {
  const named = images.map((image) => /(^|[^a-z])(ir|infrared|thermal|lwir|tir)([^a-z]|$)/i.test(image.name));
  if (named[0] !== named[1]) return named[0] ? images : images.toReversed();
  const colored = images.map((image) => hasColor(image.data));
  return colored[0] && !colored[1] ? images.toReversed() : images;
}

function hasColor(data) {
  const pixels = data.data;
  for (let at = 0; at < pixels.length; at += 4 * 31) {
    if (Math.abs(pixels[at] - pixels[at + 1]) > 12 || Math.abs(pixels[at] - pixels[at + 2]) > 12) return true;
  }
  return false;
}
