"""Building blocks of an ONNX graph: convolutions, padding and arithmetic on [b, c, h, w].

The graph is built node by node from the parameters, because JAX converters need fixed sizes.
Everything here works for any height and width.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import onnx
from jaxtyping import Float
from onnx import TensorProto, helper, numpy_helper

OPSET = 20  # the first opset with Gelu
_IR_VERSION = 10

Kernel = Float[np.ndarray, "kh kw c o"]
Bias = Float[np.ndarray, " o"]
Padding = Literal["constant", "reflect", "edge"]


class OnnxGraph:
    """A graph under construction. Its methods add nodes and return the names of their outputs.

    Args:
        half: store weights as float16; the arithmetic stays float32.
    """

    def __init__(self, *, half: bool = False):
        self.half = half
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self._shared: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Adds a node with one output."""
        return self.add_many(operator, 1, *inputs, **attributes)[0]

    def add_many(self, operator: str, count: int, *inputs: str, **attributes: Any) -> list[str]:
        """Adds a node with `count` outputs."""
        name = f"{operator.lower()}_{len(self.nodes)}"
        outputs = [f"{name}.{n}" for n in range(count)] if count > 1 else [name]
        self.nodes.append(helper.make_node(operator, list(inputs), outputs, name=name, **attributes))
        return outputs

    def constant(self, values: Any, dtype: Any = np.float32) -> str:
        """Adds a constant; equal constants are stored once."""
        array = np.asarray(values, dtype)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._shared:
            name = self._shared[key] = f"constant_{len(self.initializers)}"
            self.initializers.append(numpy_helper.from_array(array, name))
        return self._shared[key]

    def ints(self, *values: int) -> str:
        """Adds a constant int64 vector."""
        return self.constant(values, np.int64)

    def weight(self, values: np.ndarray) -> str:
        """Adds a parameter; float32 in the graph, whatever its stored type."""
        if not self.half:
            return self.constant(values)
        return self.add("Cast", self.constant(values, np.float16), to=TensorProto.FLOAT)

    def convolve(
        self,
        x: str,
        kernel: Kernel,
        bias: Bias | None = None,
        *,
        padding: Padding | None = None,
        stride: int = 1,
        groups: int = 1,
        tiny: bool = False,
    ) -> str:
        """Cross-correlation that keeps the size (divided by `stride`).

        Args:
            x: [b, c, h, w].
            kernel: in JAX's layout (spatial axes first), with odd sides.
            bias: value to add to each output channel.
            padding: how the image is padded; None for kernels of one pixel.
            stride: distance between outputs in pixels.
            groups: number of channel groups that are convolved separately.
            tiny: whether a side of `x` can be one pixel, which `reflect` then repeats.
        """
        reach_h, reach_w = kernel.shape[0] // 2, kernel.shape[1] // 2
        pads = [0, 0, 0, 0]
        if padding == "constant":
            pads = [reach_h, reach_w, reach_h, reach_w]
        elif padding:
            x = self.pad(x, reach_h, reach_w, padding, tiny=tiny)
        inputs = [x, self.weight(np.transpose(kernel, (3, 2, 0, 1)))]
        if bias is not None:
            inputs.append(self.weight(bias))
        shape = list(kernel.shape[:2])
        return self.add("Conv", *inputs, kernel_shape=shape, pads=pads, strides=[stride] * 2, group=groups)

    def pad(self, x: str, rows: int, columns: int, mode: Padding, *, tiny: bool = False) -> str:
        """Pads height and width at both ends; `tiny` as in `convolve`, for one row and column."""
        if not (tiny and mode == "reflect"):
            return self.add("Pad", x, self.ints(0, 0, rows, columns, 0, 0, rows, columns), mode=mode)
        # ONNX cannot reflect an axis of one pixel: such an axis is skipped here and repeated
        # afterwards.
        size = self.add("Shape", x, start=2)
        reflected = self.add("Min", self.ints(rows, columns), self.add("Sub", size, self.ints(1)))
        repeated = self.add("Sub", self.ints(rows, columns), reflected)
        for amount, kind in ((reflected, "reflect"), (repeated, "edge")):
            ends = self.add("Concat", self.ints(0, 0), amount, self.ints(0, 0), amount, axis=0)
            x = self.add("Pad", x, ends, mode=kind)
        return x

    def extend_to_multiple(self, x: str, multiple: int) -> str:
        """Pads height and width at the bottom and right by reflection, repeatedly if necessary.

        A side of one pixel is repeated.
        """
        for axis in (2, 3):
            side = self.add("Squeeze", self.add("Shape", x, start=axis, end=axis + 1), self.ints(0))
            factor, zero, one = (self.constant(n, np.int64) for n in (multiple, 0, 1))
            groups = self.add("Div", self.add("Add", side, self.constant(multiple - 1, np.int64)), factor)
            positions = self.add("Range", zero, self.add("Mul", groups, factor), one)
            last = self.add("Sub", side, one)
            period = self.add("Max", self.add("Add", last, last), one)
            distance = self.add("Abs", self.add("Sub", self.add("Mod", positions, period), last))
            x = self.add("Gather", x, self.add("Sub", last, distance), axis=axis)
        return x

    def crop_like(self, x: str, reference: str) -> str:
        """Crops `x` at the top left to the height and width of `reference`."""
        return self.add("Slice", x, self.ints(0, 0), self.add("Shape", reference, start=2), self.ints(2, 3))

    def upsample(self, x: str, factor: int) -> str:
        """Upsamples linearly between the centers of the original pixels; the border is repeated."""
        scales = self.constant([1, 1, factor, factor])
        return self.add("Resize", x, "", scales, mode="linear", coordinate_transformation_mode="half_pixel")

    def residual(self, x: str, *branches: str) -> str:
        """Adds all branches to x."""
        for y in branches:
            x = self.add("Add", x, y)
        return x

    def model(
        self,
        inputs: Mapping[str, Sequence[int | str]],
        output: tuple[str, Sequence[int | str]],
        *,
        defaults: Mapping[str, float] | None = None,
    ) -> onnx.ModelProto:
        """Builds the model and checks it.

        Args:
            inputs: shape of each input by name; a string denotes a free size.
            output: name and shape of the result, the output of the last node.
            defaults: numbers by name, inputs that the caller of the model may leave out.
        """
        name, shape = output
        defaults = defaults or {}
        for key, value in defaults.items():
            self.initializers.append(numpy_helper.from_array(np.array(value, np.float32), key))
        self.nodes[-1].output[0] = name
        values = [helper.make_tensor_value_info(k, TensorProto.FLOAT, v) for k, v in inputs.items()]
        values += [helper.make_tensor_value_info(k, TensorProto.FLOAT, ()) for k in defaults]
        result = helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        graph = helper.make_graph(self.nodes, "fusejax", values, [result], self.initializers)
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="fusejax")
        onnx.checker.check_model(model, full_check=True)
        return model
