"""Python files outside the package that add networks, loss terms or metrics."""

import functools
import importlib.util
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from fusejax.config import run_user_code

VARIABLE = "FUSEJAX_PLUGIN"
"""Environment variable with the files, separated as in PATH; child processes read it, too."""


def split_plugins(words: list[str]) -> tuple[list[str], list[str]]:
    """Takes every `--plugin FILE` out of a command line.

    Args:
        words: the command line.

    Returns:
        The other words, and the files.

    Raises:
        ValueError: if a file is missing behind the option, or if there are no other words.
    """
    others, files, ahead = [], [], iter(words)
    for word in ahead:
        option, equals, value = word.partition("=")
        if option != "--plugin":
            others.append(word)
            continue
        if not (file := value if equals else next(ahead, "")):
            raise ValueError("--plugin needs the path of a Python file.")
        files.append(file)
    if not others:
        raise ValueError("--plugin is for commands; give one, such as `fusejax --plugin FILE fuse ...`.")
    return others, files


def load_plugins(files: Iterable[str] = ()) -> None:
    """Runs Python files that register something, and those that `FUSEJAX_PLUGIN` names, once each.

    A plugin adds lines to `fusejax.losses.TERMS`, `fusejax.models.NETWORKS`,
    `fusejax.metrics.METRICS` or the conventions. Its code runs with the rights of the user, unlike
    that of weights, which is never run.

    Args:
        files: paths; child processes of this one load them as well.

    Raises:
        ValueError: if there is no such file, or its code fails; names file and line.
    """
    inherited = [file for file in os.environ.get(VARIABLE, "").split(os.pathsep) if file]
    chosen = [str(Path(file).resolve()) for file in (*inherited, *files)]
    for file in dict.fromkeys(chosen):
        path = Path(file)
        name = f"fusejax_plugin_{path.stem}"
        if getattr(sys.modules.get(name), "__file__", None) == file:
            continue
        if path.suffix != ".py" or not path.is_file():
            raise ValueError(f"--plugin {file}: no such Python file (.py).")
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        run_user_code(functools.partial(spec.loader.exec_module, module), file)
    if chosen:
        os.environ[VARIABLE] = os.pathsep.join(dict.fromkeys(chosen))
