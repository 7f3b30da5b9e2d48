"""Speed on this machine: python scripts/bench.py [step|device|first-step|fuse|profile] ..."""

from benchmarks.commands import run

KINDS = {
    "step": "benchmarks.step",
    "device": "benchmarks.device",
    "first-step": "benchmarks.first_step",
    "fuse": "benchmarks.fuse",
    "profile": "benchmarks.profile_step",
}

if __name__ == "__main__":
    run(KINDS, usual="step")
