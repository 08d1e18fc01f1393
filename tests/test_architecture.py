"""Who may import whom, and what the library never does: read from the source, so nothing has to be loaded."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted(path for folder in ("creative", "apps") for path in (ROOT / folder).rglob("*.py"))

# From the bottom up; a module may import what stands on its own floor's left or on a floor below.
FLOORS = [
    ["settings", "progress"],
    ["options"],
    [
        "files",
        "device",
        "images",
        "video",
        "motion",
        "checkpoint",
        "download",
        "weights",
        "trained",
        "pretrained",
        "provenance",
        "reel",
        "losses",
        "metrics",
        "caption_metrics",
        "blocks",
        "optimizers",
    ],
    ["models", "data", "style_presets"],
    ["engines"],
]
TORCH_FREE = {"settings", "progress", "options"}
COMPOSITE_ENGINES = {"video_style", "compare", "look_inside"}
HEAVY = {"diffusers", "gradio", "av", "cv2", "tensorboard", "transformers"}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path, *, top_level_only: bool = False) -> Iterator[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body.clear()
    nodes = tree.body if top_level_only else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part(module: str) -> str | None:
    pieces = module.split(".")
    return pieces[1] if pieces[0] == "creative" and len(pieces) > 1 else None


def floor(name: str) -> int:
    for level, names in enumerate(FLOORS):
        if name in names:
            return level
    raise AssertionError(f"creative.{name} has no floor in the house: add it to DESIGN.md and to FLOORS.")


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_point_downward(path: Path) -> None:
    own = module_name(path)
    mine = part(own)
    for imported in imports(path):
        root = imported.split(".")[0]
        if own.startswith("creative"):
            assert root != "apps", f"{own} imports {imported}: the library knows no apps"
        if root == "gradio":
            assert own == "apps._form_gradio", f"{own} imports gradio"
        if root in {"argparse", "tyro", "optparse", "getopt"}:
            assert own.startswith("apps._cli"), f"{own} parses arguments"
        theirs = part(imported)
        if mine is None or theirs is None or own == "creative" or mine == theirs != "engines":
            continue
        if mine == theirs == "engines":
            if imported.count(".") >= 2 and imported.split(".")[2] not in {*own.split(".")[2:3], "training"}:
                assert own.split(".")[2] in COMPOSITE_ENGINES, f"{own} imports another engine, {imported}"
            continue
        same_floor = floor(mine) == floor(theirs) and mine not in {"models", "data", "style_presets"}
        below = FLOORS[floor(mine)].index(theirs) < FLOORS[floor(mine)].index(mine) if same_floor else None
        assert floor(theirs) < floor(mine) or below, f"{own} imports {imported}, which stands above it"


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_apps_do_not_import_one_another(path: Path) -> None:
    own = module_name(path)
    shared = {"apps", "apps.studio", "apps.demo", "apps.__main__"}
    if not own.startswith("apps") or own in shared or own.startswith("apps._"):
        return
    for imported in imports(path):
        if imported.startswith("apps."):
            assert imported.split(".")[1].startswith("_") or imported.split(".")[1] == own.split(".")[1], (
                f"{own} imports {imported}"
            )


@pytest.mark.parametrize("path", [p for p in FILES if module_name(p).startswith("creative")], ids=module_name)
def test_library_never_prints_or_unpickles(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            assert name != "print", f"{path}: the library does not print"
            assert not name.startswith(("pickle.", "marshal.", "shelve.")), f"{path}: no pickle"
            if name == "torch.load":
                assert "weights_only=True" in ast.unparse(node), f"{path}: torch.load without weights_only=True"


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_heavy_packages_load_where_used(path: Path) -> None:
    own = module_name(path)
    top = {name.split(".")[0] for name in imports(path, top_level_only=True)}
    allowed = {"gradio"} if own == "apps._form_gradio" else set()
    assert not (top & HEAVY) - allowed, f"{own} imports {top & HEAVY} before anybody needs it"
    if (part(own) in TORCH_FREE) or own.startswith("apps"):
        assert not top & {"torch", "torchvision"}, f"{own} imports torch, so --help would pay for it"


def test_importing_creative_loads_no_torch() -> None:
    code = "import sys, creative, creative.settings, creative.progress; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_public_names_are_all_there() -> None:
    import creative

    assert creative.__all__ == sorted(creative.__all__)
    for name in creative.__all__:
        assert getattr(creative, name) is not None
    assert set(creative._HOMES) == set(creative.__all__) - {"__version__"}


def test_every_module_says_what_it_is() -> None:
    for path in FILES:
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), f"{path} has no docstring"
