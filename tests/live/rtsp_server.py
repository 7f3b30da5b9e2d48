"""A camera for tests: an RTSP server (RFC 2326) that sends H.264 in RTP (RFC 6184) over its own TCP
connection, which is what cameras do that are asked for TCP.

python rtsp_server.py PORT [gray]; it prints a line when it listens.
"""

import base64
import re
import socketserver
import struct
import sys
import time
from fractions import Fraction

import av
import numpy as np

HEIGHT, WIDTH, RATE = 64, 96, 15
_LARGEST = 1200  # bytes of a packet
_CLOCK = 90_000


def units(data):
    """The NAL units of an Annex B stream."""
    return [unit for unit in re.split(b"\0\0\0?\1", bytes(data)) if unit]


class Picture:
    """Encodes a moving square; every tenth frame can be decoded alone."""

    def __init__(self, gray):
        self.gray, self.count = gray, 0
        self.codec = av.CodecContext.create("libx264", "w")
        self.codec.height, self.codec.width, self.codec.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        self.codec.framerate, self.codec.time_base = RATE, Fraction(1, RATE)
        self.codec.options = {"tune": "zerolatency", "preset": "ultrafast", "g": "10"}

    def next(self):
        pixels = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
        left = 2 * (self.count % 40)
        pixels[20:40, left : left + 12] = 220 if self.gray else (220, 60, 60)
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame.pts, self.count = self.count, self.count + 1
        return [unit for packet in self.codec.encode(frame) for unit in units(packet)]


def payloads(unit):
    """The RTP payloads of a NAL unit: itself, or fragments (FU-A)."""
    if len(unit) <= _LARGEST:
        return [unit]
    indicator, kind, body = (unit[0] & 0xE0) | 28, unit[0] & 0x1F, unit[1:]
    pieces = [body[k : k + _LARGEST] for k in range(0, len(body), _LARGEST)]
    last = len(pieces) - 1
    return [bytes([indicator, kind | (k == 0) << 7 | (k == last) << 6]) + p for k, p in enumerate(pieces)]


class Camera(socketserver.StreamRequestHandler):
    """One client."""

    def handle(self):
        picture = Picture(self.server.gray)
        first = picture.next()
        while request := self._request():
            method, number = request
            more, body = {}, ""
            if method == "OPTIONS":
                more["Public"] = "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN"
            elif method == "DESCRIBE":
                sets = ",".join(base64.b64encode(u).decode() for u in first if u[0] & 0x1F in (7, 8))
                body = (
                    "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\n"
                    f"a=rtpmap:96 H264/{_CLOCK}\r\na=fmtp:96 packetization-mode=1;sprop-parameter-sets={sets}\r\n"
                    "a=control:track1\r\n"
                )
                more["Content-Type"] = "application/sdp"
            elif method == "SETUP":
                more |= {"Transport": "RTP/AVP/TCP;unicast;interleaved=0-1", "Session": "1"}
            else:
                more["Session"] = "1"
            head = "".join(f"{name}: {value}\r\n" for name, value in more.items())
            answer = f"RTSP/1.0 200 OK\r\nCSeq: {number}\r\n{head}Content-Length: {len(body)}\r\n\r\n{body}"
            self.wfile.write(answer.encode())
            if method == "PLAY":
                self._play(picture, first)
                return

    def _request(self):
        lines = []
        while line := self.rfile.readline().strip().decode():
            lines.append(line)
        number = next((line.split(":")[1].strip() for line in lines if line.lower().startswith("cseq")), "0")
        return (lines[0].split()[0], number) if lines else None

    def _play(self, picture, found):
        sequence, began, frame = 0, time.monotonic(), 0
        while True:
            packets = [payload for unit in found for payload in payloads(unit)]
            for k, payload in enumerate(packets):
                marker = (k == len(packets) - 1) << 7
                stamp = frame * _CLOCK // RATE
                packet = struct.pack(">BBHII", 0x80, 96 | marker, sequence & 0xFFFF, stamp, 7) + payload
                self.wfile.write(struct.pack(">cBH", b"$", 0, len(packet)) + packet)
                sequence += 1
            frame += 1
            time.sleep(max(0.0, began + frame / RATE - time.monotonic()))
            found = picture.next()


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address, daemon_threads = True, True

    def handle_error(self, request, address):
        pass  # the client is gone


if __name__ == "__main__":
    with Server(("127.0.0.1", int(sys.argv[1])), Camera) as server:
        server.gray = sys.argv[2:] == ["gray"]
        print("listening", flush=True)
        server.serve_forever()
