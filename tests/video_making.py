"""Small videos in any codec, container and pixel format: a moving square before waves."""

import fractions
import io
import subprocess

import av
import numpy as np
from PIL import Image

HEIGHT, WIDTH, RATE = 64, 96, 10


def scenes(frames=12):
    """Visible RGB uint8 and infrared counts uint16 (8000 to 10800) with a moving object."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    waves = [110 + 60 * np.sin(x / 9), 100 + 50 * np.cos(y / 11), 120 + 40 * np.sin(y / 8)]
    for k in range(frames):
        vi = np.stack(waves, -1).astype(np.uint8)
        left = 6 * (k % 13)
        vi[20:40, left : left + 10] = (220, 60, 60)
        spot = np.exp(-((y - 32) ** 2 + (x - 8 - left) ** 2) / 60)
        yield vi, np.round(8600 + 600 * np.sin(x / 13 + y / 9) + 1600 * spot).astype(np.uint16)


def visible(frames=12):
    return [vi for vi, _ in scenes(frames)]


def counts(frames=12):
    return [ir for _, ir in scenes(frames)]


def gray(frames=12):
    return [np.round((ir - 8000.0) / 2800 * 255).clip(0, 255).astype(np.uint8) for ir in counts(frames)]


def encode(path, arrays, codec, pix_fmt, *, options=None, aspect=None, rate=RATE):
    """Writes arrays with any encoder; gray formats have full range."""
    full = pix_fmt.startswith(("gray", "ya"))
    with av.open(f"file:{path}", "w") as container:
        stream = container.add_stream(codec, rate=rate, options=options or {})
        stream.height, stream.width = arrays[0].shape[:2]
        stream.pix_fmt = pix_fmt
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        for k, pixels in enumerate(arrays):
            kind = "rgb24" if pixels.ndim == 3 else "gray16le" if pixels.dtype == np.uint16 else "gray"
            frame = av.VideoFrame.from_ndarray(pixels, format=kind)
            if kind != pix_fmt:
                frame = frame.reformat(format=pix_fmt, dst_color_range=2 if full else 1)
            frame.pts = k
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def cut(source, target, seconds):
    """Cuts the beginning without encoding, as `ffmpeg -ss SECONDS -i SOURCE -c copy TARGET`."""
    with av.open(str(source)) as before, av.open(str(target), "w") as after:
        stream = before.streams.video[0]
        copy = after.add_stream_from_template(stream)
        for packet in before.demux(stream):
            if packet.dts is not None:
                shift = int(seconds / stream.time_base)
                packet.pts -= shift
                packet.dts -= shift
                packet.stream = copy
                after.mux(packet)
    return target


def motion_jpeg(path, arrays, exif):
    """Motion JPEG whose pictures carry EXIF, as cameras write it."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=RATE)
        stream.height, stream.width = arrays[0].shape[:2]
        stream.pix_fmt = "yuvj420p"
        for k, pixels in enumerate(arrays):
            data = io.BytesIO()
            Image.fromarray(pixels).save(data, "JPEG", quality=95, exif=exif)
            packet = av.Packet(data.getvalue())
            packet.stream, packet.pts, packet.dts, packet.time_base = stream, k, k, fractions.Fraction(1, RATE)
            container.mux(packet)
    return path


def ffmpeg(*words):
    """Runs the ffmpeg program."""
    subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, words)], check=True, stdin=subprocess.DEVNULL)
