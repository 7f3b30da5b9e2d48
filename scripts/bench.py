"""Speed and endurance on this machine: python scripts/bench.py KIND ...; --help lists kinds."""

from benchmarks.commands import run

KINDS = {
    "step": "benchmarks.step",
    "device": "benchmarks.device",
    "first-step": "benchmarks.first_step",
    "fuse": "benchmarks.fuse",
    "cameras": "benchmarks.cameras",
    "profile": "benchmarks.profile_step",
    "methods": "benchmarks.methods",
    "serve": "benchmarks.serve_load",
    "live": "benchmarks.live_files",
    "ray": "benchmarks.ray_kill",
}

if __name__ == "__main__":
    run(KINDS, usual="step")
