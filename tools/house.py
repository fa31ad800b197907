"""What the documents tell of the house, made from its code: `make docs`.

The README's table of files comes from the docstrings, the picture and the table of
rooms in CONTRIBUTING.md from the imports; each replaces what stands between two
comments of its name. `python tools/house.py` writes them, `tests/house` compares.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "napari_zarr_stream"
MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    """Where a module lies in the package."""
    return path.relative_to(PACKAGE).as_posix()


def room_of(path: Path) -> str:
    """The folder at the top, or the file there; the package itself is ''."""
    top = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return "" if top == "__init__" else top


@cache
def parsed(path: Path) -> ast.Module:
    """The code of a module."""
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imports_of(path: Path) -> list[tuple[str, str, bool]]:
    """(absolute module, name, whether it is not carried out at import) of each."""
    package = (PACKAGE.name, *path.relative_to(PACKAGE).parts[:-1])

    def visit(node: ast.AST, inside: bool) -> Iterator[tuple[str, str, bool]]:
        if isinstance(node, ast.Import):
            yield from ((alias.name, "", inside) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else ()
            module = ".".join([*base, *filter(None, [node.module])])
            yield from ((module, alias.name, inside) for alias in node.names)
        inside = inside or isinstance(node, ast.FunctionDef) or _is_for_types(node)
        for child in ast.iter_child_nodes(node):
            yield from visit(child, inside)

    return list(visit(parsed(path), False))


def _is_for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def own_imports_of(path: Path) -> Iterator[tuple[str, list[str], str]]:
    """(room, path below it, name) of every import from this package."""
    for module, name, _ in imports_of(path):
        first, *rest = module.split(".")
        if first == PACKAGE.name:
            rest = rest or [name]
            yield rest[0], rest[1:], name


def idea_of(path: Path) -> str:
    """The first sentence of a module's docstring."""
    docstring = ast.get_docstring(parsed(path)) or ""
    paragraph = " ".join(docstring.split("\n\n")[0].split())
    return re.split(r"(?<=\.)\s", paragraph)[0]


@cache
def arrows() -> dict[str, set[str]]:
    """Each room, top first, with the rooms it imports from."""
    found: dict[str, set[str]] = {room_of(path): set() for path in MODULES}
    for path in MODULES:
        imported = {room for room, _, _ in own_imports_of(path)}
        found[room_of(path)] |= (imported & found.keys()) - {room_of(path)}

    def height(room: str) -> int:
        return max((height(below) + 1 for below in found[room]), default=0)

    return {room: found[room] for room in sorted(found, key=lambda r: (-height(r), r))}


def label(room: str) -> str:
    """A room as its folder or file is called."""
    if not room:
        return "__init__.py"
    return f"{room}/" if (PACKAGE / room).is_dir() else f"{room}.py"


def picture() -> str:
    """The rooms as boxes, in mermaid; an arrow that follows from others is left out."""
    rooms = arrows()

    def reaches(room: str, goal: str) -> bool:
        return goal in rooms[room] or any(reaches(on, goal) for on in rooms[room])

    lines = ["```mermaid", "flowchart TD"]
    for room in rooms:
        what = idea_of(PACKAGE / room / "__init__.py") if label(room)[-1] == "/" else ""
        words = f"<b>{label(room)}</b><br/>{what}"
        lines.append(f'    {_node(room)}["{words}"]')
    for room, below in rooms.items():
        lines += [
            f"    {_node(room)} --> {_node(other)}"
            for other in sorted(below)
            if not any(reaches(between, other) for between in below)
        ]
    return "\n".join([*lines, "```"])


def _node(room: str) -> str:
    return room.strip("_") or "public"


def table_of_rooms() -> str:
    """Every arrow there is."""
    rows = ["| room | imports from |", "|---|---|"]
    for room, below in arrows().items():
        labels = ", ".join(f"`{label(other)}`" for other in sorted(below))
        rows.append(f"| `{label(room)}` | {labels or 'nothing of this package'} |")
    return "\n".join(rows)


def table_of_files() -> str:
    """Each module with its idea, under the idea of its room."""
    rows = ["| file | its one idea |", "|---|---|"]

    def add(name: str, idea: str, mark: str = "") -> None:
        idea = idea.replace("|", r"\|")
        rows.append(f"| {mark}`{name}`{mark} | {mark}{idea}{mark} |")

    folders = {path.parent for path in MODULES if path.parent != PACKAGE}
    for path in sorted(PACKAGE.glob("*.py")):
        add(path.name, idea_of(path))
    for folder in sorted(folders, key=_place):
        add(f"{name_of(folder)}/", idea_of(folder / "__init__.py"), "**")
        for path in sorted(folder.glob("*.py")):
            if path.name != "__init__.py":
                add(path.name, idea_of(path))
    return "\n".join(rows)


def _place(folder: Path) -> tuple[int, str]:
    """Rooms as they stand on each other, a room in a room after it."""
    return list(arrows()).index(room_of(folder)), name_of(folder)


MADE = {
    "README.md": {"files": table_of_files},
    "CONTRIBUTING.md": {"house": picture, "rooms": table_of_rooms},
}
"""The documents, and what is made anew in each between comments of that name."""


def made_again(document: str) -> str:
    """The text of a document, with what is made from the code as it is now."""
    text = (ROOT / document).read_text(encoding="utf-8")
    for name, make in MADE[document].items():
        begin, end = f"<!-- {name}: made by `make docs` -->", f"<!-- end of {name} -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise SystemExit(f"{document} needs one {begin} and one {end}")
        before, _, after = text.partition(begin)
        after = after.partition(end)[2]
        text = f"{before}{begin}\n\n{make()}\n\n{end}{after}"
    return text


if __name__ == "__main__":
    for document in MADE:
        (ROOT / document).write_text(made_again(document), encoding="utf-8")
