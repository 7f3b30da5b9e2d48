"""Checks of settings and options. Imports nothing slow, because every configuration needs it."""

import difflib
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, ParamSpec, TypeVar, get_args, get_origin, get_type_hints

P = ParamSpec("P")
T = TypeVar("T")


def check_choices(config: Any) -> None:
    """Checks the fields of a dataclass that are annotated `Literal[...]`.

    Args:
        config: an instance of a dataclass.

    Raises:
        ValueError: if the value of such a field is not allowed; names the closest allowed value.
    """
    _check(_literals(type(config)), vars(config))


def renamed_fields(**names: str) -> Callable[[type[T]], type[T]]:
    """Decorator of a dataclass whose fields had other names, which are still accepted.

    Args:
        **names: new name of each old one.

    Returns:
        The decorator. The class also keeps `names` as `RENAMED`, for readers of saved settings.
    """

    def decorate(cls: type[T]) -> type[T]:
        init = cls.__init__

        @functools.wraps(init)
        def accept(self: Any, *args: Any, **kwargs: Any) -> None:
            init(self, *args, **{names.get(name, name): value for name, value in kwargs.items()})

        cls.__init__ = accept
        cls.RENAMED = names  # pyright: ignore[reportAttributeAccessIssue] - see the docstring
        return cls

    return decorate


def check_at_least(config: Any, least: float, *names: str) -> None:
    """Checks that fields of a dataclass are numbers at or above a limit.

    Args:
        config: an instance of a dataclass.
        least: the smallest number allowed.
        *names: names of the fields.

    Raises:
        ValueError: if one of them is smaller, or NaN.
    """
    for name in names:
        if not getattr(config, name) >= least:
            raise ValueError(f"{name} is {getattr(config, name)}; it must be at least {least}.")


def checked_options(function: Callable[P, T]) -> Callable[P, T]:
    """Decorator that checks keyword-only arguments annotated `Literal[...]` at every call.

    Works under `jax.jit`, where it runs only during tracing.

    Args:
        function: any function with such arguments.

    Returns:
        The function, which raises ValueError if the value of an option is not allowed.
    """
    choices = {name: known for name, known in _literals(function).items() if name in option_names(function)}

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> T:
        _check(choices, kwargs, owner=function.__name__)
        return function(*args, **kwargs)

    return checked


def check_options(function: Callable, options: Mapping[str, Any], *, owner: str) -> None:
    """Checks names and values of options before the function is called.

    Args:
        function: function for which the options are meant; its keyword-only parameters are its
            options.
        options: values by name.
        owner: name of the function in error messages.

    Raises:
        ValueError: for an option that the function does not have, or a value that is not allowed.
    """
    known = option_names(function)
    for option in options:
        if option not in known:
            listed = ", ".join(known) or "none"
            raise ValueError(f"{owner} has no option {option!r}; it has {listed}{did_you_mean(option, known) or '.'}")
    _check(_literals(function), options, owner=owner)


def option_names(function: Callable) -> list[str]:
    """Names of the keyword-only parameters of a function."""
    parameters = inspect.signature(function).parameters.values()
    return [p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY]


def did_you_mean(name: Any, known: Iterable[str]) -> str:
    """The end of an error message with the closest known name; empty if none is close."""
    near = difflib.get_close_matches(str(name), [str(k) for k in known], n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


@functools.cache
def _literals(annotated: Any) -> dict[str, tuple]:
    """Allowed values of everything annotated `Literal[...]`, by name."""
    hints = get_type_hints(annotated)
    return {name: get_args(hint) for name, hint in hints.items() if get_origin(hint) is Literal}


def _check(choices: Mapping[str, tuple], values: Mapping[str, Any], *, owner: str = "") -> None:
    for name, known in choices.items():
        if name in values and values[name] not in known:
            raise ValueError(
                f"{owner and owner + ': '}{name} is {values[name]!r}; expected one of {', '.join(map(repr, known))}"
                + (did_you_mean(values[name], known) or ".")
            )
