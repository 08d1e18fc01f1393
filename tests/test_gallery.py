"""What was made before, as the files tell it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from PIL import Image
from toy_app import APP

from apps._app import perform
from apps._gallery import Past, card, facts, past_results
from creative.progress import run
from creative.provenance import describe_run, write_sidecar

TELL = APP.actions[2]


def test_texts_are_among_the_results_and_their_cards_show_their_beginning(tmp_path: Path) -> None:
    told = run(perform(TELL, TELL.inputs(prompt="Жили <были>\t\x1b "), TELL.settings(letters=60), out=tmp_path))
    run(perform(TELL, TELL.inputs(prompt="b"), TELL.settings(), out=tmp_path / "page.html"))
    (tmp_path / "notes.txt").write_text("somebody's own")
    past = {one.path.name: one for one in past_results(tmp_path)}
    assert {name: one.kind for name, one in past.items()} == {"tell.txt": "text", "page.html": "page"}
    assert past["page.html"].caption == "b"
    assert past["tell.txt"].text() == told.result.text
    drawn = ET.parse(card(past["tell.txt"], tmp_path / "site"))
    assert "Жили <были>" in "".join(drawn.getroot().itertext())
    assert "page.html" in Path(card(past["page.html"], tmp_path / "site")).read_text()
    assert "<dt>prompt</dt><dd>b</dd>" in facts(past["page.html"].provenance, {})


@pytest.mark.parametrize("suffix", [".gif", ".mp4"])
def test_videos_are_among_the_results(tmp_path: Path, suffix: str) -> None:
    pytest.importorskip("av")
    from creative.video import save_video

    film = tmp_path / f"film{suffix}"
    save_video([Image.new("RGB", (64, 32), colour) for colour in ("red", "blue")], film, 5)
    write_sidecar(film, describe_run("dream-zoom", {"seed": 0}))
    (past,) = past_results(tmp_path)
    assert past.kind == "video"
    with Image.open(card(past, tmp_path / "site")) as small:
        assert small.size == (64, 32)
        red, _, blue = small.getpixel((30, 16))  # type: ignore[misc]
        assert red > 200 > 100 > blue


def test_a_broken_video_is_known_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(b"no")
    write_sidecar(tmp_path / "film.mp4", describe_run("dream-zoom", {"seed": 0}))
    (past,) = past_results(tmp_path)
    assert "film.mp4" in Path(card(past, tmp_path / "site")).read_text()


@pytest.mark.parametrize(
    ("inputs", "caption"),
    [
        ({"model": "photo2monet.safetensors", "photo": "lake.jpg", "style": "wave.safetensors"}, "lake · wave"),
        ({"model": "photo2monet.safetensors", "photo": "lake.jpg"}, "lake · photo2monet"),
        ({"content_map": "map-0123abcd.png", "painter": "udnie.pth", "photo": "cat.png", "style": "a.png"}, "cat · a"),
    ],
)  # fmt: skip
def test_a_result_is_called_after_its_pictures_before_its_networks(inputs: dict[str, str], caption: str) -> None:
    given = {field: {"file": file, "sha256": "0"} for field, file in inputs.items()}
    assert Past(Path("lake.png"), describe_run("compare", {}, inputs=given)).caption == caption
