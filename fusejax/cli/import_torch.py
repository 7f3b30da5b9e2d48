"""`fusejax import-torch`: the CrossFuse author's checkpoint as weights of this library."""

import dataclasses
from pathlib import Path
from typing import Annotated

import jax
import tyro

from fusejax.weights.files import save_weights
from fusejax.weights.torch_import import crossfuse_from_torch, load_torch_checkpoint


@dataclasses.dataclass(frozen=True)
class ImportOptions:
    """Turns the CrossFuse author's checkpoint (or CDDFuse's) into weights for `fusejax fuse`.

    Attributes:
        file: the .pth file; nothing but tensors is read from it.
        out: the .safetensors file to write; its folder is made if it is missing.
        overwrite: replace an existing file.
    """

    file: Annotated[Path, tyro.conf.Positional]
    out: Path
    overwrite: bool = False


def run(arguments: list[str]) -> None:
    """Reads, checks and writes.

    Raises:
        ValueError: if the file cannot be used; nothing has been written.
        FileExistsError: if the output exists and is not to be replaced.
    """
    options = tyro.cli(ImportOptions, args=arguments, prog="fusejax import-torch")
    if options.out.suffix != ".safetensors":
        raise ValueError(f"--out {options.out} is not a .safetensors file.")
    if options.out.exists() and not options.overwrite:
        raise FileExistsError(f"{options.out} exists; use --overwrite, or another --out.")
    params, config = crossfuse_from_torch(load_torch_checkpoint(options.file))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    save_weights(options.out, params, config, {"imported_from": options.file.name})
    count = sum(x.size for x in jax.tree.leaves(params))
    print(f"{count:,} parameters of {config} in {options.out}")
