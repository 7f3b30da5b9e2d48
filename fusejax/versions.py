"""The installed versions of what a run or an exported file depends on."""

import importlib.metadata

STACK = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy")


def installed_versions(names: tuple[str, ...] = STACK) -> dict[str, str]:
    """Versions of installed packages.

    Args:
        names: names of the packages.

    Returns:
        Name -> version, such as {"jax": "0.10.2"}; packages that are not installed are left out.

    >>> "jax" in installed_versions()
    True
    """
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def changed_versions(saved: dict[str, str], installed: dict[str, str]) -> str:
    """Describes which versions differ.

    Args:
        saved: name -> version when something was written.
        installed: name -> version now.

    Returns:
        Text such as "grain 0.2.17, now 0.2.18"; empty if none of the saved ones differs.

    >>> changed_versions({"grain": "0.2.17", "jax": "0.10.2"}, {"grain": "0.2.18", "jax": "0.10.2"})
    'grain 0.2.17, now 0.2.18'
    """
    changed = [(name, old, installed.get(name, "none")) for name, old in saved.items()]
    return "; ".join(f"{name} {old}, now {new}" for name, old, new in changed if old != new)
