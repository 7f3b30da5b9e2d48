"""Feeds damaged and hostile files and command lines to the library, and lists what goes wrong.

    python scripts/fuzz.py --images 5000 --videos 1000 --weights 1000 --texts 1000 --commands 500

Every case is drawn from the seed and its number alone, so that `--only images:1234` repeats one.
A case is at fault if it ends in another error than those that the library promises for bad input,
crashes its process, takes longer than `--limit` seconds, or if a damaged image is read without a
warning although an independent decoder (tifffile and Pillow) refuses it and its pixels differ from
those of the intact file. Cases run in processes of their own, one after the other. The exit status
is 1 if there is a fault.
"""

import dataclasses
import multiprocessing
import sys
import tempfile
import time
from collections import Counter
from multiprocessing.connection import Connection
from pathlib import Path

import tyro

sys.path.insert(0, str(Path(__file__).parent))

from fuzzing import KINDS


@dataclasses.dataclass(frozen=True)
class Options:
    """How much to try.

    Attributes:
        images: number of damaged images.
        videos: number of damaged videos; needs the extra `video`.
        weights: number of damaged weight files and exported files.
        texts: number of damaged annotations, plans, logs, tables and configurations.
        commands: number of command lines.
        seed: where the cases are drawn from.
        limit: seconds after which a case counts as hanging; commands, which may have to compile,
            have six times as long.
        only: KIND:NUMBER repeats one case.
        keep: folder for the files of faulty cases.
    """

    images: int = 500
    videos: int = 0
    weights: int = 100
    texts: int = 500
    commands: int = 20
    seed: int = 0
    limit: float = 10.0
    only: str | None = None
    keep: Path | None = None


def work(kind: str, seed: int, numbers: list[int], folder: Path, pipe: Connection) -> None:
    """Runs cases of one kind and sends the result of each: "fine", "refused" or a fault."""
    cases = KINDS[kind](folder, seed)
    pipe.send(("ready", ""))
    for number in numbers:
        pipe.send((number, cases.run(number)))
    pipe.send(("done", ""))


def run_kind(kind: str, numbers: list[int], options: Options, folder: Path) -> dict[int, str]:
    """Results by number; starts a new process after a crash or a hang."""
    limit, results, left = options.limit * (6 if kind == "commands" else 1), {}, list(numbers)
    context = multiprocessing.get_context("spawn")
    while left:
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=work, args=(kind, options.seed, left, folder, there), daemon=True)
        process.start()
        there.close()
        patience, fault = 600.0, ""  # for the imports and the intact files
        while not fault:
            try:
                if not here.poll(patience):
                    fault = f"takes more than {patience:g} s"
                    break
                number, result = here.recv()
            except EOFError:
                process.join()
                fault = f"crashed with status {process.exitcode}"
                break
            patience = limit
            if number == "done":
                return results
            if number != "ready":
                results[number] = result
                left.remove(number)
        process.kill()
        process.join()
        if patience != limit:
            raise RuntimeError(f"The cases of {kind} cannot be prepared: the process {fault}.")
        results[left.pop(0)] = fault
    return results


def main(options: Options) -> int:
    """Runs all kinds and prints the faults and a line for each kind; returns the exit status."""
    wanted = {kind: list(range(getattr(options, kind))) for kind in KINDS}
    if options.only:
        kind, _, number = options.only.partition(":")
        wanted = {kind: [int(number)]}
    faulty = 0
    with tempfile.TemporaryDirectory() as made:
        for kind, numbers in wanted.items():
            if not numbers:
                continue
            folder, start = (options.keep or Path(made)) / kind, time.perf_counter()
            folder.mkdir(parents=True, exist_ok=True)
            results = run_kind(kind, numbers, options, folder.resolve())
            counts = Counter(r if r in ("fine", "refused") else "faults" for r in results.values())
            for number, result in sorted(results.items()):
                if result not in ("fine", "refused"):
                    print(f"{kind}:{number} {result}", flush=True)
            faulty += counts["faults"]
            seconds = time.perf_counter() - start
            text = f"{counts['fine']} accepted, {counts['refused']} refused by name, {counts['faults']} at fault"
            print(f"{kind}: {len(results)} cases in {seconds:.0f} s: {text}", flush=True)
    return 1 if faulty else 0


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options, description=__doc__)))
