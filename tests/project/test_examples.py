"""The examples in the docstrings of public names run and print what they show."""

import doctest
import importlib
import inspect

import pytest

import fusejax
from fusejax import versions


def public_names():
    """Every public name with its object, and its own module's names for the example."""
    rooms = [name for name in fusejax.__all__ if inspect.ismodule(getattr(fusejax, name))]
    for room in rooms:
        module = importlib.import_module(f"fusejax.{room}")
        for name in module.__all__:
            yield f"{room}.{name}", inspect.unwrap(getattr(module, name))
    yield "versions.installed_versions", versions.installed_versions
    yield "versions.changed_versions", versions.changed_versions


def examples():
    finder = doctest.DocTestFinder(recurse=False)
    for name, public in public_names():
        if ">>>" in (getattr(public, "__doc__", None) or ""):
            module = inspect.getmodule(public)
            for test in finder.find(public, name, module=module, globs=vars(module).copy()):
                yield pytest.param(test, id=name)


EXAMPLES = list(examples())


def test_at_least_sixty_public_names_have_an_example():
    assert len(EXAMPLES) >= 60


@pytest.mark.slow
@pytest.mark.parametrize("example", EXAMPLES)
def test_the_example_prints_what_it_shows(example):
    said = []
    failed, tried = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example, out=said.append)
    assert tried and not failed, "".join(said)
