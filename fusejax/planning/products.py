"""Matrix products and transposes of a program, before XLA fuses them.

Convolutions and matrix products are what the matrix units of an accelerator compute; their data
types decide its speed, and the bytes that they read and write are a lower bound of the program's
memory traffic, which is reached if everything between two products is fused into them.
"""

import dataclasses
import math
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import jax
from jax.extend.mlir import ir

PRODUCTS = ("convolution", "dot_general")


@dataclasses.dataclass(frozen=True)
class Operation:
    """An operation of a lowered program.

    Attributes:
        kind: `convolution`, `dot_general` or `transpose`.
        dtypes: data types of the operands.
        shapes: shapes of the operands, then of the result.
        bytes: bytes of the operands and the result.
        times: how often it runs per call of the program; the body of a loop counts once.
        place: where it comes from, such as `jit(step)/fusion1/attention/dot_general`.
    """

    kind: str
    dtypes: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]
    bytes: int
    times: int
    place: str


def operations(lowered: jax.stages.Lowered, *, kinds: tuple[str, ...] = PRODUCTS) -> list[Operation]:
    """The operations of some kinds in a lowered program.

    Args:
        lowered: what `jit(f).lower(...)` returns, for any platform.
        kinds: names of StableHLO operations.

    Returns:
        One entry per operation in the text.
    """
    module: Any = lowered.compiler_ir("stablehlo")
    functions = {op.attributes["sym_name"].value: op for op in module.body.operations if "sym_name" in op.attributes}
    calls: dict[str, list[str]] = defaultdict(list)  # of a function: by which functions
    for name, function in functions.items():
        for op in _nested(function.operation):
            if op.name == "func.call":
                calls[ir.FlatSymbolRefAttr(op.attributes["callee"]).value].append(name)

    def times(name: str) -> int:
        return 1 if name == "main" else sum(times(caller) for caller in calls[name])

    return [
        _operation(op, times(name))
        for name, function in functions.items()
        for op in _nested(function.operation)
        if op.name.removeprefix("stablehlo.") in kinds
    ]


def least_traffic(lowered: jax.stages.Lowered) -> int:
    """Bytes that the products of a program read and write; the body of a loop counts once."""
    return sum(x.bytes * x.times for x in operations(lowered))


def _nested(op: ir.Operation) -> Iterator[ir.Operation]:
    for region in op.regions:
        for block in region.blocks:
            for inner in block.operations:
                yield inner.operation
                yield from _nested(inner.operation)


def _operation(op: ir.Operation, times: int) -> Operation:
    kinds = [ir.RankedTensorType(x.type) for x in (*op.operands, *op.results)]
    return Operation(
        kind=op.name.removeprefix("stablehlo."),
        dtypes=tuple(str(x.element_type) for x in kinds[: len(op.operands)]),
        shapes=tuple(tuple(x.shape) for x in kinds),
        bytes=sum(-(-_bits(x.element_type) * math.prod(x.shape) // 8) for x in kinds),
        times=times,
        place=str(op.location).split('"')[1],
    )


def _bits(kind: ir.Type) -> int:
    return 1 if str(kind) == "i1" else int(str(kind).lstrip("bfui"))
