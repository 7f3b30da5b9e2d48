"""Rooms of the package and the arrows between them, read from the imports."""

import ast
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt

PACKAGE = Path(__file__).parents[2] / "fusejax"


def room_of(module: str) -> str:
    """The folder, or the file at the top, of a module such as "fusejax.losses.angle"."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "fusejax"


def arrows() -> dict[str, set[str]]:
    """For each room, the rooms that its files import, also inside functions."""
    found: dict[str, set[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        inside = path.relative_to(PACKAGE)
        if inside.parts[0] in ("__init__.py", "configs"):
            continue
        room = inside.parts[0].removesuffix(".py")
        found.setdefault(room, set())
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names: list[str] = []
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("fusejax"):
                whole = node.module == "fusejax"
                names = [f"fusejax.{alias.name}" for alias in node.names] if whole else [node.module]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names if alias.name.startswith("fusejax.")]
            found[room] |= {room_of(name) for name in names} - {room}
    return {room: {other for other in others if other in found} for room, others in found.items()}


def floors(graph: dict[str, set[str]]) -> dict[str, int]:
    """Floor of each room: one above the highest room that it imports. Circles are cut at their last
    arrow.
    """
    levels: dict[str, int] = {}

    def level(room: str, above: tuple[str, ...]) -> int:
        if room not in levels:
            below = [level(other, (*above, room)) for other in sorted(graph[room]) if other not in above]
            levels[room] = 1 + max(below, default=-1)
        return levels[room]

    for room in sorted(graph):
        level(room, ())
    return levels


def direct(graph: dict[str, set[str]]) -> dict[str, set[str]]:
    """The arrows that no longer way replaces."""
    levels = floors(graph)

    def reachable(room: str) -> set[str]:
        down = {other for other in graph[room] if levels[other] < levels[room]}
        return down.union(*(reachable(other) for other in down)) if down else set()

    return {
        room: {other for other in others if not any(other in reachable(via) for via in others - {other})}
        for room, others in graph.items()
    }


def draw(path: Path) -> None:
    """Writes the drawing as SVG: floors from bottom to top, arrows to what a room imports."""
    graph = arrows()
    levels, shown = floors(graph), direct(graph)
    rows: dict[int, list[str]] = {}
    for room in sorted(graph, key=lambda room: (levels[room], room)):
        rows.setdefault(levels[room], []).append(room)
    places = {
        room: ((n + 0.5) / len(row) * 10, floor * 1.1) for floor, row in rows.items() for n, room in enumerate(row)
    }
    mpl.rcParams["svg.hashsalt"] = "fusejax"
    figure, axis = plt.subplots(figsize=(10, 0.85 * len(rows) + 1), layout="constrained")
    for room, others in shown.items():
        for other in sorted(others):
            up = levels[other] >= levels[room]
            style = {"color": "#c0392b" if up else "#8899aa", "lw": 1.6 if up else 0.9}
            arrow = {"arrowstyle": "-|>", "shrinkA": 11, "shrinkB": 11, **style}
            axis.annotate("", places[other], places[room], arrowprops=arrow)
    for room, (x, y) in places.items():
        box = {"boxstyle": "round,pad=0.35", "fc": "white", "ec": "#2c3e50", "lw": 1.0}
        axis.text(x, y, room, ha="center", va="center", fontsize=10, bbox=box)
    axis.set(xlim=(0, 10), ylim=(-0.6, 1.1 * (len(rows) - 1) + 0.6))
    axis.set_axis_off()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def table() -> str:
    """A Markdown table of all arrows."""
    graph = arrows()
    levels = floors(graph)
    ordered = sorted(graph, key=lambda room: (-levels[room], room))
    lines = [f"| {levels[room]} | `{room}` | {', '.join(f'`{o}`' for o in sorted(graph[room]))} |" for room in ordered]
    return "\n".join(["| floor | room | imports |", "|--:|---|---|", *lines])
