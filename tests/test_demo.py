"""The demo: offline, on what comes with the suite, one row for each app."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from PIL import Image

from apps import _samples, demo
from apps._cli import main
from apps._verbs import verbs
from creative.images import open_image
from creative.provenance import read_provenance
from creative.weights import list_presets


def test_the_landscape_is_the_same_each_time_and_worth_painting() -> None:
    picture = _samples.draw_landscape()
    assert picture.size == (640, 480)
    assert picture.tobytes() == _samples.draw_landscape().tobytes()
    assert all(high - low > 150 for low, high in picture.getextrema())
    assert len(picture.resize((64, 48)).getcolors(10_000) or ()) > 1000


def test_samples_need_no_scikit_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for title in (*_samples.sample_titles(), "Lake"):
        assert min(open_image(_samples.sample_photo(title, tmp_path / f"{title}.png")).size) >= 300
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert _samples.sample_titles() == ["Lake"]
    mine = tmp_path / "mine.png"
    Image.new("RGB", (5, 5)).save(mine)
    assert open_image(_samples.sample_photo("Lake", mine)).size == (5, 5)  # what is there is not written over


def test_every_row_names_a_verb() -> None:
    for job in demo.JOBS:
        assert job.action.verb in verbs()
        assert job.title
        assert all("creative " in line or "out/" in line for line in job.next)


def test_without_presets_it_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("creative.weights.list_presets", list)
    monkeypatch.chdir(tmp_path)
    assert main(["demo"]) == 2
    assert "There are no style presets" in capsys.readouterr().err


@pytest.mark.skipif(not list_presets(), reason="no style presets yet")
def test_it_paints(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quick = {
        "style": {"size": 64, "iterations": (1,)},
        "dream": {"size": 64, "octaves": 1, "steps": 1},
        "translate": {"size": 64},
        "caption": {},
        "write": {"length": 30},
        "execute": {},
        "diffuse": {"num": 1, "steps": 2},
        "compare": {"size": 64},
    }
    jobs = [dataclasses.replace(job, settings=job.settings.changed(**quick[job.verb])) for job in demo.JOBS]
    monkeypatch.setattr(demo, "JOBS", jobs)
    monkeypatch.chdir(tmp_path)
    assert main(["demo"]) == 0
    said = capsys.readouterr()
    results = [Path(line) for line in said.out.splitlines() if line.startswith("out")]
    assert "ROMEO:" in said.out
    assert "585987447" in said.out
    assert len(results) == len(demo.JOBS)
    assert all(read_provenance(result) is not None for result in results)
    result = results[0]
    assert f"creative replay {result}" in said.err
    assert "creative style" in said.err.splitlines()[0]
    assert main(["demo", "--json", "-o", "elsewhere"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert Path(report["results"][0]["output"]).parent == Path("elsewhere")
    assert main(["replay", str(result)]) == 0
