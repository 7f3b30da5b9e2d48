"""Fusion networks of other programs as ONNX files.

Such a file says neither which input is infrared nor which range it expects, so both are named, on
the command line as FILE.onnx:KEY=VALUE,... with the keys of `ForeignOnnx`:

    fusejax fuse --weights net.onnx:ir=infrared,vi=visible,range=0..255,multiple=8 ...
"""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from fusejax.inference.backend import Backend, Planes
from fusejax.inference.standalone import extend
from fusejax.ops.color import LUMA_WEIGHTS

_SUFFIX = ".onnx"
_KEYS = ("ir", "vi", "output", "range", "output_range", "multiple")
_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}
_AXES = "[batch, channel, height, width]"


class ForeignOnnx(Backend):
    """A network of another program, from two images [b, c, h, w] to one.

    An input with three channels gets the luma three times; of an output with three channels, the
    luma counts (BT.601). Whole images only. Pickling stores the path of the file.
    """

    def __init__(
        self,
        path: Path,
        *,
        ir: str,
        vi: str,
        output: str | None = None,
        range: tuple[float, float] = (0.0, 1.0),
        output_range: tuple[float, float] | None = None,
        multiple: int = 1,
    ):
        """Opens the file and checks that it can be used as described.

        Args:
            path: .onnx file with two inputs of 1 or 3 channels.
            ir: name of the infrared input.
            vi: name of the visible input.
            output: name of the fused image; by default the only output.
            range: values of black and white in both inputs.
            output_range: likewise in the output; by default `range`.
            multiple: number by which height and width must be divisible; images are padded at the
                bottom and right by reflection, and the result is cropped.

        Raises:
            ValueError: if the file cannot be opened, or has other inputs or outputs.
        """
        low, high = range
        if not low < high or multiple < 1:
            raise ValueError(
                f"{path}: range is {low:g}..{high:g} and multiple {multiple}; expected LOW < HIGH, 1 or more."
            )
        self.path = path
        self._options = {
            "ir": ir,
            "vi": vi,
            "output": output,
            "range": range,
            "output_range": output_range,
            "multiple": multiple,
        }
        self._session = _open(path)
        self._inputs = {"ir": self._input(ir), "vi": self._input(vi)}
        if unknown := {x.name for x in self._session.get_inputs()} - {ir, vi}:
            raise ValueError(f"{path} has further inputs that fusejax cannot fill: {', '.join(sorted(unknown))}.")
        names = [x.name for x in self._session.get_outputs()]
        if output is None and len(names) > 1:
            raise ValueError(f"{path} has the outputs {', '.join(names)}; choose one: output=NAME.")
        if output is not None and output not in names:
            raise ValueError(f"{path} has no output {output!r}; it has: {', '.join(names)}.")
        self._output = output or names[0]

    def __reduce__(self):
        return functools.partial(type(self), **self._options), (self.path,)

    @property
    def name(self) -> str:
        """The stem of the file."""
        return self.path.stem

    @property
    def provenance(self) -> Mapping[str, Any]:
        """Path of the file, and how its inputs and output are read."""
        return {"path": str(self.path), **self._options}

    def check_size(self, size: tuple[int, int]) -> None:
        """Refuses sizes other than a fixed one of the file.

        Args:
            size: height and width in pixels.

        Raises:
            ValueError: for another size; names both.
        """
        multiple = self._options["multiple"]
        padded = [-(-side // multiple) * multiple for side in size]
        for given in self._inputs.values():
            if wrong := [
                n for n, side in zip(given.shape[2:], padded, strict=True) if isinstance(n, int) and n != side
            ]:
                raise ValueError(
                    f"{self.path}: the input {given.name} has a fixed side of {wrong[0]} pixels; the images are "
                    f"{padded[1]}x{padded[0]}. Export the network with free height and width."
                )

    def fuse_luma(self, ir: Planes, vi_y: Planes) -> Planes:
        """See `Backend`.

        Args:
            ir: see `Backend`.
            vi_y: see `Backend`.

        Returns:
            See `Backend`.

        Raises:
            ValueError: for a size that the file does not support, or if it returns something other
                than one finite image of that size.
        """
        self.check_size((ir.shape[1], ir.shape[2]))
        planes = [np.asarray(x, np.float32) for x in (ir, vi_y)]
        if any(given.shape[0] == 1 for given in self._inputs.values()):
            return np.concatenate([self._run(*(x[n : n + 1] for x in planes)) for n in range(len(planes[0]))])
        return self._run(*planes)

    def _run(self, ir: np.ndarray, vi_y: np.ndarray) -> Float[np.ndarray, "b h w 1"]:
        low, high = self._options["range"]
        feed = {}
        for given, plane in zip(self._inputs.values(), (ir, vi_y), strict=True):
            x = extend(plane, self._options["multiple"], 1).transpose(0, 3, 1, 2) * (high - low) + low
            channels = given.shape[1] if isinstance(given.shape[1], int) else 1
            feed[given.name] = np.repeat(x, channels, axis=1).astype(_TYPES[given.type])
        fused = np.asarray(self._session.run([self._output], feed)[0])
        expected = next(iter(feed.values())).shape
        if (
            fused.ndim != 4
            or fused.shape[1] not in (1, 3)
            or (fused.shape[0], *fused.shape[2:]) != (expected[0], *expected[2:])
        ):
            raise ValueError(
                f"{self.path} returns the shape {fused.shape} for inputs {expected}; expected an image of that size."
            )
        if not np.isfinite(fused).all():
            raise ValueError(
                f"{self.path} returns values that are not finite; is range={low:g}..{high:g} what it expects?"
            )
        low, high = self._options["output_range"] or (low, high)
        image = (fused.astype(np.float32).transpose(0, 2, 3, 1) - low) / (high - low)
        luma = image if image.shape[-1] == 1 else (image @ LUMA_WEIGHTS)[..., None]
        return np.clip(luma, 0, 1)[:, : ir.shape[1], : ir.shape[2]]

    def _input(self, name: str) -> Any:
        by_name = {x.name: x for x in self._session.get_inputs()}
        if name not in by_name:
            raise ValueError(f"{self.path} has no input {name!r}; it has: {_described(by_name.values())}.")
        found = by_name[name]
        channels = found.shape[1] if len(found.shape) == 4 else None
        if len(found.shape) != 4 or (isinstance(channels, int) and channels not in (1, 3)) or found.type not in _TYPES:
            raise ValueError(
                f"{self.path}: the input {_described([found])} is not supported; "
                f"expected floats {_AXES} with 1 or 3 channels."
            )
        return found


def split_options(text: str) -> tuple[Path, dict[str, Any] | None]:
    """Parses FILE.onnx:KEY=VALUE,...

    Args:
        text: see `fusejax.load`.

    Returns:
        The path, and the options of `ForeignOnnx`; None if there are none.

    Raises:
        ValueError: for unknown or missing keys and for values of another form.
    """
    file, colon, options = text.partition(f"{_SUFFIX}:")
    if not colon:
        return Path(text), None
    form = f"{file}{_SUFFIX}:ir=NAME,vi=NAME[,output=NAME][,range=LOW..HIGH][,output_range=LOW..HIGH][,multiple=N]"
    given: dict[str, Any] = {}
    for part in options.split(","):
        key, equals, value = part.partition("=")
        if key not in _KEYS or not equals or not value or key in given:
            raise ValueError(f"{part!r} in {text!r} cannot be used; expected {form}.")
        given[key] = _value(key, value, form)
    if missing := [key for key in ("ir", "vi") if key not in given]:
        raise ValueError(f"{text!r} does not name the input {' and '.join(missing)}; expected {form}.")
    return Path(file + _SUFFIX), given


def _value(key: str, value: str, form: str) -> Any:
    try:
        if key == "multiple":
            return int(value)
        if key.endswith("range"):
            low, high = map(float, value.split(".."))
            return low, high
    except ValueError as error:
        raise ValueError(f"{key} is {value!r}; expected {form}.") from error
    return value


def advice(path: Path) -> str | None:
    """How to use an ONNX file that this library did not write; None if that is not the case."""
    if path.suffix != _SUFFIX or not path.is_file():
        return None
    try:
        session = _open(path)
    except ValueError:
        return None
    if "fusejax" in session.get_modelmeta().custom_metadata_map:
        return None
    return (
        f"{path} was not written by fusejax export. To run another program's network, name its inputs: "
        f"{path}:ir=NAME,vi=NAME,range=0..1. Its inputs are {_described(session.get_inputs())}."
    )


def _described(inputs: Any) -> str:
    return ", ".join(f"{x.name} {x.type}{list(x.shape)}" for x in inputs)


def _open(path: Path) -> Any:
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        raise ValueError(f"{path} needs the onnx extra: pip install 'fusejax[onnx]' ({error}).") from error
    if not path.is_file():
        raise ValueError(f"{path} does not exist.")
    try:
        return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises types of its own for damaged files and unknown operators
        raise ValueError(f"{path} cannot be opened by onnxruntime: {error}") from error
