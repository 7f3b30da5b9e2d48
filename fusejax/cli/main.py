"""The `fusejax` command. Each command's work is done beside its subject; here only words become calls.

Imports wait until a command is known, so that `fusejax --help` answers at once.
"""

import dataclasses
import os
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any

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


def _parse_config(command: str, arguments: list[str], *kinds: type) -> Any:
    """CONFIG, then options of the command and overrides of any setting (--data.root DIR).

    Returns: an object with the options of each of `kinds` under its name in lower case, and `config`.
    """
    from fusejax.config import TrainConfig, load_config

    prog = f"fusejax {command} CONFIG"
    if not arguments or arguments[0].startswith("-"):
        from fusejax.config import shipped_configs

        shipped = ", ".join(shipped_configs())
        print(f"usage: {prog} [options]; CONFIG is a file with get_config(), or one of: {shipped}")
        sys.exit(0 if arguments and arguments[0] in ("-h", "--help") else 2)
    whole = dataclasses.make_dataclass(
        "Arguments",
        [
            *((kind.__name__.lower(), Annotated[kind, tyro.conf.arg(name="")]) for kind in kinds),
            ("config", Annotated[TrainConfig, tyro.conf.arg(name="")]),
        ],
    )
    default = whole(*(kind() for kind in kinds), load_config(arguments[0]))
    # A network is chosen by the configuration; its settings are flags like all others.
    return tyro.cli(whole, default=default, args=arguments[1:], prog=prog, config=(tyro.conf.AvoidSubcommands,))


@dataclasses.dataclass(frozen=True)
class Training:
    """Where and how a run goes on.

    Attributes:
      workdir: folder of the run, local or remote (gs://); the same line again goes on with what it holds.
      override: go on although settings differ from the checkpoint's.
      allow_older: go on from an older checkpoint where the newest is damaged.
      profile_steps: FIRST:END, steps of which a profiler trace is written to WORKDIR/profile, END left out.
    """

    workdir: str = tyro.MISSING
    override: bool = False
    allow_older: bool = False
    profile_steps: str = ""


def _train(arguments: list[str]) -> None:
    from fusejax.training.processes import Processes, join_processes

    options = _parse_config("train", arguments, Training, Processes)
    profile_steps = _steps(options.training.profile_steps)
    join_processes(options.processes)
    from fusejax.training.checkpoint import CheckpointFailed
    from fusejax.training.loop import NonFiniteLoss, fit

    try:
        fit(
            options.config,
            options.training.workdir,
            override=options.training.override,
            allow_older=options.training.allow_older,
            profile_steps=profile_steps,
        )
    except (NonFiniteLoss, CheckpointFailed) as error:
        print(f"fusejax train: {error}", file=sys.stderr)
        sys.exit(3)


def _steps(text: str) -> range:
    """FIRST:END, END itself left out, as in Python; nothing for an empty text."""
    first, colon, end = text.partition(":")
    if text and not (colon and first.isdigit() and end.isdigit() and 0 < int(first) < int(end)):
        raise ValueError(f"--profile-steps is {text!r}; give FIRST:END, such as 100:110 for the steps 100 to 109.")
    return range(int(first), int(end)) if text else range(0)


def _info(arguments: list[str]) -> None:
    from fusejax.planning.info import describe

    print(describe(_parse_config("info", arguments).config))


def _plan(arguments: list[str]) -> None:
    from fusejax.planning.plan import Plan, plan_command

    options = _parse_config("plan", arguments, Plan)
    plan_command(options.plan, arguments[0], options.config)


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
    from fusejax.weights.torch_import import ImportOptions, import_command

    import_command(tyro.cli(ImportOptions, args=arguments, prog="fusejax import-torch"))
