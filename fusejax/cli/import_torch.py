"""`fusejax import-torch`: converts the CrossFuse author's checkpoint to weights of this library."""

import dataclasses
from pathlib import Path
from typing import Annotated

import jax
import tyro

from fusejax.cli.parsing import parse
from fusejax.io.outputs import check_files, check_out, refuse_existing
from fusejax.weights.files import save_weights
from fusejax.weights.torch_import import crossfuse_from_torch, load_torch_checkpoint


@dataclasses.dataclass(frozen=True)
class ImportOptions:
    """Converts the CrossFuse author's checkpoint (or CDDFuse's) to weights for `fusejax fuse`.

    Attributes:
        file: the .pth file; only tensors are read from it.
        out: the .safetensors file to write; its folder is created if it does not exist.
        overwrite: replace an existing file.
    """

    file: Annotated[Path, tyro.conf.Positional]
    out: Path
    overwrite: bool = False


def run(arguments: list[str]) -> None:
    """Reads the checkpoint, checks it and writes the weights.

    Raises:
        ValueError: if the file cannot be used; nothing is written then.
        OSError: if the output exists and `overwrite` is not set, or if it cannot be written.
    """
    options = parse(ImportOptions, "import-torch", arguments)
    if options.out.suffix != ".safetensors":
        raise ValueError(f"--out {options.out} is not a .safetensors file.")
    check_out(options.out.parent)
    refuse_existing(check_files([options.out], sources=[options.file]), overwrite=options.overwrite)
    checkpoint = load_torch_checkpoint(options.file)
    try:
        params, config = crossfuse_from_torch(checkpoint)
    except ValueError as error:
        raise ValueError(f"{options.file}: {error}") from error
    save_weights(options.out, params, config, {"imported_from": options.file.name})
    count = sum(x.size for x in jax.tree.leaves(params))
    print(f"{count:,} parameters of {config} in {options.out}")
