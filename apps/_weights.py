"""``creative weights``: what there is, and getting more."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from apps._terminal import Screen


def list_weights(options: Any) -> int:
    """Print the weights and the presets that there are."""
    from creative.weights import catalog, locate

    rows: list[dict[str, Any]] = []
    for known in catalog():
        there = locate(known.name)
        size = there.stat().st_size if there else known.size
        rows.append(
            {
                "name": known.name, "title": known.title, "licence": known.licence, "source": known.source,
                "url": known.url, "size": size, "path": str(there) if there else None,
            }
        )  # fmt: skip
    presets = list(_presets())
    if options.json_report:
        print(json.dumps({"weights": rows, "presets": presets}, ensure_ascii=False))
        return 0
    table = [("Weights", "", "Size", "Licence", "Where")]
    for row in rows:
        megabytes = f"{row['size'] / 1e6:.1f} MB" if row["size"] else ""
        missing = f"creative weights get {row['name']}" if row["url"] else "missing"
        table.append(
            (row["name"], row["title"], megabytes, row["licence"], _home(row["path"]) if row["path"] else missing)
        )
    _print_table(table)
    print()
    _print_table(
        [
            ("Style preset", "Title", "Painter", "Year"),
            *((p["name"], p["title"], p["painter"], str(p["year"] or "")) for p in presets),
        ]
    )
    if not presets:
        print("none; `creative preset PICTURE --name NAME` makes one")
    return 0


def _presets() -> Iterator[dict[str, Any]]:
    from creative.checkpoint import read_metadata
    from creative.weights import find_preset, list_presets

    for name in list_presets():
        try:
            card = read_metadata(find_preset(name)).get("preset", {})
        except (ValueError, OSError) as error:
            card = {"title": f"cannot be read ({error})"}
        told = {key: card.get(key) or "" for key in ("title", "painter", "year")}
        yield {"name": name, **told, "path": str(find_preset(name))}


def _home(path: str) -> str:
    home = str(Path.home())
    return f"~{path[len(home) :]}" if path.startswith(home + "/") else path


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def get_weights(names: Sequence[str], options: Any) -> int:
    """Download weights by name."""
    from creative.progress import run
    from creative.weights import entry, fetch

    for name in names:
        entry(name)
    screen = Screen.of(options)
    paths = []
    for name in names:
        engine = fetch(name)
        try:
            paths.append(run(engine, functools.partial(screen.step, title=name)))
        except Exception as error:
            error.__dict__["while_running"] = True
            raise
        except KeyboardInterrupt:
            screen.close()
            print("Stopped; the same command goes on where this one ended.", file=sys.stderr)
            return 130
        finally:
            screen.close()
        if not options.json_report:
            print(paths[-1], flush=True)
    if options.json_report:
        print(json.dumps({"outputs": list(map(str, paths))}))
    return 0
