"""The collectives of a compiled program, parsed from XLA's text, the only source of them."""

import dataclasses
import math
import re
from collections import defaultdict

import numpy as np
from jax.sharding import AbstractMesh, Mesh

KINDS = (
    "all-gather",
    "all-reduce",
    "all-to-all",
    "collective-broadcast",
    "collective-permute",
    "ragged-all-to-all",
    "reduce-scatter",
)
SLICED = "all-reduce, sliced"


@dataclasses.dataclass(frozen=True)
class Collective:
    """One collective operation as run by a device.

    Attributes:
        kind: one of KINDS, or SLICED: an all-reduce of which every device uses only its own part.
            The TPU compiler may turn it into a reduce-scatter, which sends half as much.
        axis: mesh axes along which it runs, such as `data` or `data+fsdp`.
        group: number of devices in each participating group.
        arrays: bytes of each array: the sum for an all-reduce, the full result for an all-gather,
            the full operand for a reduce-scatter, and what one device passes on otherwise.
        times: how often it runs per step; more than once within loops.
    """

    kind: str
    axis: str
    group: int
    arrays: tuple[int, ...]
    times: int

    @property
    def bytes(self) -> int:
        """Bytes of all arrays, multiplied by how often the operation runs."""
        return sum(self.arrays) * self.times

    @property
    def sent(self) -> float:
        """Bytes that each device sends in a ring.

        2 (n-1)/n of the bytes of an all-reduce, SLICED or not; (n-1)/n of the bytes of the others.
        """
        share = (self.group - 1) / self.group
        if self.kind in ("collective-permute", "collective-broadcast"):
            share = 1
        return self.bytes * share * (2 if self.kind in ("all-reduce", SLICED) else 1)


@dataclasses.dataclass(frozen=True)
class _Instruction:
    name: str
    type: str
    opcode: str
    operands: list[str]
    rest: str  # from the opening parenthesis on
    computation: str


_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%([\w.-]+) = (.+?) ([\w-]+)\((.*)$")
_COMPUTATION = re.compile(r"^(ENTRY )?%([\w.-]+) \(.*\{$")
_CALLED = re.compile(r"(calls|body|condition|to_apply)=%([\w.-]+)")
_BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}")
_NAMED_GROUPS = re.compile(
    r"mesh\[([^\]]*)\](?:, device_ids=\(\[([\d,]+)\](?:T\(([\d,]+)\))?\))? \{('\w+'(?:,'\w+')*)\}"
)
_GROUPS = re.compile(r"replica_groups=(.*)")
_ARRAY = re.compile(r"\b([a-z]+\d*\w*)\[([\d,]*)\]")


def collectives(text: str, mesh: Mesh | AbstractMesh) -> list[Collective]:
    """The collectives of a compiled program.

    Args:
        text: text returned by `compiled.as_text()`.
        mesh: mesh for which the program was compiled.

    Returns:
        One entry per operation; a loop without a known count counts once.
    """
    program = _Program(text)
    return [c for x in program.instructions.values() for c in program.collectives_of(x, mesh)]


class _Program:
    def __init__(self, text: str):
        self.instructions: dict[str, _Instruction] = {}
        self.parameters: dict[tuple[str, int], _Instruction] = {}
        self.users: dict[str, list[_Instruction]] = defaultdict(list)
        self.callers: dict[str, list[tuple[str, int]]] = defaultdict(list)  # of a computation: by which, how often
        computation, self.entry = "", ""
        for line in text.splitlines():
            if header := _COMPUTATION.match(line):
                computation = header[2]
                self.entry = computation if header[1] else self.entry
            elif found := _INSTRUCTION.match(re.sub(r"/\*index=\d+\*/", "", line)):
                self._add(found[1], found[2], found[3], found[4], computation)

    def _add(self, name: str, kind: str, opcode: str, rest: str, computation: str) -> None:
        operands = re.findall(r"%([\w.-]+)", rest[: rest.index(")")])
        x = self.instructions[name] = _Instruction(name, kind, opcode, operands, rest, computation)
        for operand in dict.fromkeys(operands):
            self.users[operand].append(x)
        if opcode == "parameter":
            self.parameters[computation, int(rest[: rest.index(")")])] = x
        trips = re.search(r'"known_trip_count":\{"n":"(\d+)"', rest)
        for role, called in _CALLED.findall(rest):
            self.callers[called].append((computation, int(trips[1]) if trips and role == "body" else 1))
        for branches in _BRANCHES.findall(rest):
            for called in re.findall(r"%([\w.-]+)", branches):
                self.callers[called].append((computation, 1))

    def times(self, computation: str) -> int:
        """How often a computation runs per step."""
        if computation == self.entry:
            return 1
        return sum(times * self.times(caller) for caller, times in self.callers[computation])

    def collectives_of(self, x: _Instruction, mesh: Mesh | AbstractMesh) -> list[Collective]:
        """The collectives of an instruction: none, one, or two.

        There are two if an all-reduce sums both arrays that are sliced afterwards and arrays that
        are not.
        """
        kind = x.opcode.removesuffix("-start")
        if kind not in KINDS:
            return []
        axis, group = _axis(x.rest, mesh)
        sizes = [_bytes(*array) for array in _ARRAY.findall(x.type)]
        times = self.times(x.computation)
        if kind == "all-reduce":
            sliced = [self._is_sliced(x, n, group) for n in range(len(sizes))]
            parts = {kind: [s for s, cut in zip(sizes, sliced, strict=True) if not cut]}
            parts[SLICED] = [s for s, cut in zip(sizes, sliced, strict=True) if cut]
            return [Collective(k, axis, group, tuple(v), times) for k, v in parts.items() if v]
        if x.opcode != kind:  # the start of a pair names operands, results and, some, two scalars
            arrays = [array for array in _ARRAY.findall(x.type) if array != ("u32", "")]
            sizes = [_bytes(*array) for array in arrays[len(arrays) // 2 :]]
        if kind == "reduce-scatter":
            sizes = [size * group for size in sizes]
        return [Collective(kind, axis, group, tuple(sizes), times)]

    def _is_sliced(self, x: _Instruction, index: int, group: int) -> bool:
        """Whether only dynamic slices of 1/group use result `index` of an all-reduce."""
        if not x.type.startswith("("):
            return self._only_sliced(x, group)
        elements = [u for u in self.users[x.name] if u.opcode == "get-tuple-element" and f"index={index}" in _words(u)]
        return len(elements) > 0 and all(self._only_sliced(u, group) for u in elements)

    def _only_sliced(self, x: _Instruction, group: int) -> bool:
        users = self.users[x.name]
        return len(users) > 0 and all(self._slices(user, x, group) for user in users)

    def _slices(self, user: _Instruction, x: _Instruction, group: int) -> bool:
        if user.opcode in ("bitcast", "convert", "copy", "reshape", "transpose"):
            return self._only_sliced(user, group)
        if user.opcode == "dynamic-slice":
            return user.operands[0] == x.name and _count(user.type) * group == _count(x.type)
        if user.opcode in ("fusion", "call"):
            called = _find(_CALLED, user.rest)[2]
            inside = [self.parameters[called, n] for n, name in enumerate(user.operands) if name == x.name]
            return all(self._only_sliced(parameter, group) for parameter in inside)
        return False


def _find(pattern: re.Pattern[str], text: str) -> re.Match[str]:
    if (found := pattern.search(text)) is None:
        raise ValueError(f"XLA's text of the program has an unknown format: {text[:80]}")
    return found


def _words(x: _Instruction) -> list[str]:
    return re.split(r"[,\s]+", x.rest)


def _count(kind: str) -> int:
    """Number of elements of an array type such as f32[3,3,8,4]{3,2,1,0}."""
    return math.prod(int(n) for n in _find(_ARRAY, kind)[2].split(",") if n)


def _bytes(dtype: str, shape: str) -> int:
    bits = 8 if dtype == "pred" else int(_find(re.compile(r"\d+"), dtype)[0])
    return -(-bits * math.prod(int(n) for n in shape.split(",") if n) // 8)


def _axis(rest: str, mesh: Mesh | AbstractMesh) -> tuple[str, int]:
    """Mesh axes along which the members of a group differ, and the size of a group.

    A device number in XLA's text is the index in the flattened mesh.
    """
    if pairs := re.search(r"source_target_pairs=\{(\{.*?\})\}", rest):
        groups, size = _numbers(pairs[1]), mesh.size
    else:
        groups = _groups(_find(_GROUPS, rest)[1], mesh.size)
        size = groups.shape[1]
    places = np.stack(np.unravel_index(groups, mesh.axis_sizes))  # axis of the mesh, group, member
    varies = (places != places[:, :, :1]).any(axis=(1, 2))
    return "+".join(name for name, v in zip(mesh.axis_names, varies, strict=True) if v), size


def _numbers(groups: str) -> np.ndarray:
    """Parses {0,1},{2,3} as [[0, 1], [2, 3]]."""
    return np.array([[int(n) for n in group.split(",")] for group in re.findall(r"\{([\d,]+)\}", groups)])


def _groups(text: str, devices: int) -> np.ndarray:
    """Parses any of XLA's three notations for groups to integers [groups, members].

    {{0,1},{2,3}} or {}; [2,2]<=[2,2]T(1,0); mesh['a'=2,'b'=2], device_ids=([2,2]T(1,0)) {'b'},
    where the ids are given only if they are not in order.
    """
    if text.startswith("{}"):
        return np.arange(devices)[None]
    if explicit := re.match(r"\{(\{.*?\})\}", text):
        return _numbers(explicit[1])
    if iota := re.match(r"\[(\d+),(\d+)\]<=\[([\d,]+)\](?:T\(([\d,]+)\))?", text):
        ids = np.arange(devices).reshape([int(n) for n in iota[3].split(",")])
        ids = ids.transpose([int(n) for n in iota[4].split(",")]) if iota[4] else ids
        return ids.reshape(int(iota[1]), int(iota[2]))
    if named := _NAMED_GROUPS.match(text):
        sizes = {name: int(size) for name, size in re.findall(r"('\w+')=(\d+)", named[1])}
        ids = np.arange(devices).reshape([int(n) for n in named[2].split(",")] if named[2] else [devices])
        ids = ids.transpose([int(n) for n in named[3].split(",")]) if named[3] else ids
        along = [list(sizes).index(name) for name in named[4].split(",")]
        ids = np.moveaxis(ids.reshape(list(sizes.values())), along, range(-len(along), 0))
        return ids.reshape(-1, math.prod(sizes[name] for name in named[4].split(",")))
    raise ValueError(f"XLA's text has device groups in an unknown format: {text[:80]}")
