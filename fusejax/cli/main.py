"""The `fusejax` command. Each command's work is done beside its subject; here only words become calls.

Imports wait until a command is known, so that `fusejax --help` answers at once.
"""

import os
import sys
import traceback
from pathlib import Path

import tyro

COMMANDS = {
    "fuse": "fuse a pair of pictures or two folders of them",
    "train": "train a configuration, or go on with a run: fusejax train CONFIG --workdir DIR --data.root DIR",
    "evaluate": "score fused pictures against their sources",
    "info": "parameters, FLOPs and the resolved settings of a configuration: fusejax info CONFIG",
    "plan": "memory, FLOPs and collectives of a step on devices that are not here: fusejax plan CONFIG --devices 256",
    "align": "choose and correct foreign pairs by Top-k channel alignment: --target DIR --auxiliary DIR --out DIR",
    "ablate": "train and score variants: fusejax ablate CONFIG --data-root DIR --out DIR",
    "report": "draw and sum up what a run has logged, also while it goes on: fusejax report WORKDIR",
    "import-torch": "read the CrossFuse author's checkpoint: fusejax import-torch FILE.pth --out FILE.safetensors",
}


def main(arguments: list[str] | None = None) -> None:
    """Runs one command. A mistake of the user ends with a message and status 2; FUSEJAX_TRACEBACK=1 shows where."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if not arguments or arguments[0] in ("-h", "--help"):
        print("usage: fusejax COMMAND [options]; fusejax COMMAND --help\n")
        print("\n".join(f"  {name:14}{text}" for name, text in COMMANDS.items()))
        return
    command, *rest = arguments
    if command not in COMMANDS:
        sys.exit(f"fusejax: unknown command {command!r}; one of {', '.join(COMMANDS)}.")
    _persist_compilations()
    run = {
        "fuse": _fuse,
        "train": _train,
        "evaluate": _evaluate,
        "info": _info,
        "plan": _plan,
        "align": _align,
        "ablate": _ablate,
        "report": _report,
        "import-torch": _import_torch,
    }[command]
    try:
        run(rest)
    except (ValueError, FileExistsError, PermissionError) as error:
        if os.environ.get("FUSEJAX_TRACEBACK"):
            traceback.print_exc()
        print(f"fusejax {command}: {error}", file=sys.stderr)
        sys.exit(2)


def _persist_compilations() -> None:
    """Compiled functions are kept between runs, in JAX_COMPILATION_CACHE_DIR or the user's cache folder."""
    import jax

    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        jax.config.update("jax_compilation_cache_dir", str(cache / "fusejax" / "jax"))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


def _train(arguments: list[str]) -> None:
    from fusejax.cli.train import train_command

    train_command(arguments)


def _info(arguments: list[str]) -> None:
    from fusejax.cli.info import info_command

    info_command(arguments)


def _plan(arguments: list[str]) -> None:
    from fusejax.cli.plan import plan_command

    plan_command(arguments)


def _fuse(arguments: list[str]) -> None:
    from fusejax.cli.fuse import FuseOptions, fuse_command

    fuse_command(tyro.cli(FuseOptions, args=arguments, prog="fusejax fuse"))


def _evaluate(arguments: list[str]) -> None:
    from fusejax.cli.evaluate import EvaluateOptions, evaluate_command

    evaluate_command(tyro.cli(EvaluateOptions, args=arguments, prog="fusejax evaluate"))


def _align(arguments: list[str]) -> None:
    from fusejax.cli.align import AlignOptions, align_command

    align_command(tyro.cli(AlignOptions, args=arguments, prog="fusejax align"))


def _ablate(arguments: list[str]) -> None:
    from fusejax.cli.ablate import AblateOptions, ablate_command

    ablate_command(tyro.cli(AblateOptions, args=arguments, prog="fusejax ablate"))


def _report(arguments: list[str]) -> None:
    from fusejax.cli.report import ReportOptions, report_command

    report_command(tyro.cli(ReportOptions, args=arguments, prog="fusejax report"))


def _import_torch(arguments: list[str]) -> None:
    from fusejax.cli.import_torch import import_torch_command

    import_torch_command(arguments)
