"""What was made with the bundled feature network was made with the one that is bundled now, and can be made anew."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from PIL import Image

from apps import _dependents
from apps._dependents import CARD, DEPENDENTS, PAIRS, ROOT, Dependent, main, network, with_measurements
from creative.checkpoint import save_checkpoint
from creative.images import save_image
from creative.provenance import describe_run

HERE = (ROOT / "weights" / "features.safetensors").is_file()


@pytest.mark.parametrize("dependent", DEPENDENTS, ids=lambda one: one.name)
def test_everything_was_made_with_the_bundled_network(dependent: Dependent) -> None:
    if not HERE:
        pytest.skip("the bundled network has not been trained yet")
    assert dependent.made_with()
    assert not dependent.stale(), f"make it anew: make dependents ONLY={dependent.name}"


def test_names_are_told_apart() -> None:
    names = [one.name for one in DEPENDENTS]
    assert len(set(names)) == len(names)
    assert len(PAIRS) == 6


def test_what_is_out_of_date_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from creative.progress import Step

    made = {"old": "0" * 64, "new": network()}

    def dependent(name: str) -> Dependent:
        def rebuild(data: Path) -> object:
            assert data == tmp_path
            yield Step(0, 1, message=f"{name} is made")
            made[name] = network()

        return Dependent(name, lambda: {Path(name): made[name]}, rebuild)  # type: ignore[arg-type]

    monkeypatch.setattr(_dependents, "DEPENDENTS", (dependent("old"), dependent("new")))
    assert main([]) == 0
    assert capsys.readouterr().out == "old: made with another network: old.\nnew: up to date.\n"
    assert main([str(tmp_path)]) == 0
    assert capsys.readouterr().out == "old: making it anew.\n  old is made\nnew: up to date.\n"
    assert made["old"] == network()
    assert main([str(tmp_path), "new"]) == 0  # by name, out of date or not
    assert "new is made" in capsys.readouterr().out
    assert main([str(tmp_path), "newer"]) == 2
    assert "there is old, new" in capsys.readouterr().out
    assert main([str(tmp_path / "nowhere")]) == 2
    assert "There is no folder" in capsys.readouterr().out


def test_a_picture_made_with_another_network_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "picture.jpg"
    dependent = Dependent("picture", _dependents._pictures(str(path)), lambda data: iter(()))  # type: ignore[arg-type, return-value]
    assert dependent.stale() == [path]
    for sha256, stale in ((network(), []), ("0" * 64, [path])):
        picture = Image.new("RGB", (8, 8))
        picture.info["provenance"] = describe_run("picture", {}, weights={"bundled": sha256})
        save_image(picture, path)
        assert dependent.stale() == stale


def test_the_card_takes_a_report_and_keeps_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = f"# features\n\nOurs.\n\nsha256 `{'0' * 64}`\n\n## Recipe\n\nR.\n\n"
    card += "## Measurements\n\nold\n\n## Weaknesses\n\nW.\n"
    report = f"features.safetensors, sha256 `{'1' * 64}`\n\nA table.\n"
    found = with_measurements(card, report, "1" * 64)
    assert "old" not in found
    assert found.startswith(f"# features\n\nOurs.\n\nsha256 `{'1' * 64}`\n\n## Recipe\n\nR.\n\n## Measurements\n")
    assert found.endswith("A table.\n\n## Weaknesses\n\nW.\n")
    assert with_measurements(found, report, "1" * 64) == found
    monkeypatch.setattr(_dependents, "CARD", tmp_path / "features.md")
    for text, sha256 in ((found, "1" * 64), (card, "unknown"), (found.replace("1" * 64, "2" * 64, 1), "unknown")):
        (tmp_path / "features.md").write_text(text)
        assert list(_dependents._card().values()) == [sha256]


def test_the_card_links_to_what_is_there() -> None:
    import re

    for link in re.findall(r"\]\(([^)]+)\)", CARD.read_text(encoding="utf-8")):
        assert (CARD.parent / link).is_file(), link


@pytest.mark.skipif(not shutil.which("git"), reason="git is not installed")
def test_a_painter_is_fitted_anew_from_what_was_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fitted from a file that had been fitted before, its strokes became a coarser weave."""
    monkeypatch.setattr(_dependents, "ROOT", tmp_path)
    path, to = tmp_path / "painter.safetensors", tmp_path / "as-trained.safetensors"
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run([*git, "init", "-q"], check=True)
    versions = []
    for strokes, sees in ((0.0, 0.0), (1.0, 1.0), (1.0, 2.0), (1.0, 3.0)):  # another painter, this one, fitted twice
        tensors = {"down.weight": torch.full((2,), strokes), "predictor.weight": torch.full((2,), sees)}
        versions.append(save_checkpoint(path, tensors, {"config": {}}).read_bytes())
        subprocess.run([*git, "add", path.name], check=True)
        subprocess.run([*git, "commit", "-qm", "made"], check=True)
    assert _dependents._as_trained(path, to).read_bytes() == versions[1]
    alone = tmp_path / "no-history.safetensors"
    alone.write_bytes(versions[3])
    assert _dependents._as_trained(alone, to) == alone
