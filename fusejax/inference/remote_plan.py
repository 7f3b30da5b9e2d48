"""Which pairs of remote folders are fused together, decided by names alone.

Nothing is read before it is needed, and every machine cuts the pairs of a call alike.
"""

import dataclasses
import fnmatch
import itertools
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from fusejax.inference.jobs import Shard, lossless_suffix
from fusejax.inference.options import FolderOptions
from fusejax.io.image_headers import SUFFIXES
from fusejax.io.matching import holds_pairs, match_files, with_patterns
from fusejax.io.pairing import PairError
from fusejax.io.remote import RemoteFolder, remote_address

# The network is compiled for the exact size where 16 pairs share it, see `fuse_folder`. Chunks of
# at least as many, with all their pairs, decide that as the whole folder does.
_CHUNK = 16
_SHOWN = 8


@dataclasses.dataclass(frozen=True)
class Places:
    """Folders of a call as the user gave them, any of them remote; `vi` is None for one folder."""

    ir: str
    vi: str | None
    out: str

    @classmethod
    def of(cls, ir: str | Path, vi: str | Path | None, out: str | Path) -> "Places":
        """The folders of a call."""
        return cls(str(ir), str(vi) if vi is not None else None, str(out))


@dataclasses.dataclass(frozen=True)
class RemotePair:
    """Names relative to the folders of `Places`."""

    ir: str
    vi: str
    target: str


Chunk = tuple[RemotePair, ...]


@dataclasses.dataclass(frozen=True)
class RemoteWork:
    """What a call has to do.

    Attributes:
        chunks: pairs that are fused together, without chunks that are complete.
        existing: addresses of fused images that exist and are kept.
        skipped: one line per skipped file.
    """

    chunks: list[Chunk]
    existing: list[str]
    skipped: list[str]


def plan_remote(places: Places, options: FolderOptions, *, shard: Shard | None = None) -> RemoteWork:
    """Lists the folders, pairs their files by name, and cuts the pairs into chunks.

    Args:
        places: the folders.
        options: see `fuse_folder`.
        shard: part of the chunks to do.

    Raises:
        PairError: if names do not pair, or `out` is a source.
        FileExistsError: if fused images exist and the options say nothing about them.
        OSError: if a store does not answer.
    """
    if places.out in (places.ir, places.vi):
        raise PairError(f"--out {places.out} is one of the sources, which are never overwritten; choose another --out.")
    by_folder, skipped = _pairs(places, options)
    if skipped and not options.skip_bad:
        more = f"\n  ... and {len(skipped) - _SHOWN} more" if len(skipped) > _SHOWN else ""
        lines = "\n  ".join(skipped[:_SHOWN])
        raise PairError(f"{len(skipped)} files have no partner:\n  {lines}{more}\nSkip them with --skip-bad.")

    def target(vi: str) -> str:
        suffix = f".{options.format}" if options.format else lossless_suffix(Path(vi), bits=options.bits)
        return str(PurePosixPath(vi).with_suffix(suffix))

    named = [[RemotePair(ir, vi, target(vi)) for ir, vi in names] for names in by_folder.values()]
    chunks = [chunk for found in named for chunk in _cut(found)]
    own = chunks if shard is None else chunks[shard[0] - 1 :: shard[1]]
    folder = RemoteFolder(places.out)
    there = set(folder.names())
    existing = [pair.target for chunk in own for pair in chunk if pair.target in there]
    if existing and not options.overwrite and not options.skip_existing:
        raise FileExistsError(
            f"{len(existing)} fused images already exist (first: {folder.url(existing[0])}); continue with "
            "--skip-existing, replace them with --overwrite, or choose another --out."
        )
    if options.skip_existing:
        kept = set(existing)
        own = [chunk for chunk in own if not all(pair.target in kept for pair in chunk)]
    return RemoteWork(own, [folder.url(name) for name in existing] if options.skip_existing else [], skipped)


def _pairs(places: Places, options: FolderOptions) -> tuple[dict[str, list[tuple[str, str]]], list[str]]:
    """Names of the pairs by subfolder, and a line per file without partner.

    The rules of names are those for local folders: they are applied to empty files of these names.
    """
    sides = [places.ir] if places.vi is None else [places.ir, places.vi]
    names = [[n for n in RemoteFolder(side).names(recursive=options.recursive) if _is_image(n)] for side in sides]
    for side, held in zip(sides, names, strict=True):
        if not held:
            below = "" if options.recursive else ", or search its subfolders with --recursive"
            place = remote_address(side) or side
            raise PairError(f"{place} has no images ({', '.join(SUFFIXES)}); check the address{below}.")
    found: dict[str, list[tuple[str, str]]] = {}
    problems: list[str] = []
    with tempfile.TemporaryDirectory(prefix="fusejax-") as temporary:
        roots = [Path(temporary, str(k)) for k in range(len(sides))]
        for root, side in zip(roots, names, strict=True):
            for name in side:
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).touch()
        given = dict(zip(map(str, roots), sides, strict=True))
        folders = [{str(PurePosixPath(name).parent) for name in side} for side in names]
        for folder in sorted(set.union(*folders)):
            if absent := [side for side, held in zip(sides, folders, strict=True) if folder not in held]:
                problems.append(f"{absent[0]} has no images in {folder}")
                continue
            try:
                pairs, lone = _match(roots[0] / folder, roots[1] / folder if places.vi else None, options)
            except PairError as error:
                raise PairError(_renamed(str(error), given)) from error
            problems += [_renamed(line, given) for line in lone]
            below = PurePosixPath(folder)
            found[folder] = [(str(below / ir.name), str(below / vi.name)) for ir, vi in pairs]
    return found, problems


def _match(ir: Path, vi: Path | None, options: FolderOptions) -> tuple[list[tuple[Path, Path]], list[str]]:
    """Pairs of files of one or two folders, and a line per file without partner."""
    one, two = with_patterns(ir, vi, ir_pattern=options.ir_pattern, vi_pattern=options.vi_pattern)
    if two is None and (options.ir_pattern or not holds_pairs(ir)):  # files of cameras that hold both images
        alone = [p for p in sorted(ir.iterdir()) if fnmatch.fnmatch(p.name, options.ir_pattern or "*")]
        return [(path, path) for path in alone], []
    matched, repeated = match_files(one, two or one)
    if matched.line:
        print(matched.line, file=sys.stderr, flush=True)
    return matched.pairs, [*repeated.values(), *(f"{p} has no partner" for p in (*matched.lone_ir, *matched.lone_vi))]


def _renamed(text: str, addresses: dict[str, str]) -> str:
    for root, address in addresses.items():
        text = text.replace(root, address)
    return text


def _is_image(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")


def _cut(pairs: Sequence[RemotePair]) -> list[Chunk]:
    """Chunks of 16 to 31 pairs; one smaller one if there are fewer pairs."""
    count = max(1, len(pairs) // _CHUNK)
    ends = [len(pairs) * k // count for k in range(count + 1)]
    return [tuple(pairs[a:b]) for a, b in itertools.pairwise(ends)]
