"""Weights are found where they are, downloads survive what networks do, and every failure is one sentence."""

from __future__ import annotations

import errno
import hashlib
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from creative import download, weights
from creative.progress import Step, run
from creative.weights import Entry, WeightsError, fetch, find

DATA = bytes(range(256)) * 8_000  # 2 MB
SHA256 = hashlib.sha256(DATA).hexdigest()


def refusal(call: Callable[[], Any]) -> str:
    with pytest.raises(WeightsError) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text
    return text


class Server(ThreadingHTTPServer):
    """Serves DATA, as badly as it is told to."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.data = DATA
        self.ranges = True  # whether it can begin in the middle
        self.most = len(DATA) * 2  # bytes until the connection breaks
        self.says_length = True
        self.answers: list[int] = []  # statuses of the next requests, before the good ones
        self.asked: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/tiny.pth"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server, wanted = self.server, self.headers.get("Range")
        server.asked.append(wanted)
        if server.answers:
            self.send_error(server.answers.pop(0))
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and server.ranges else 0
        if start >= len(server.data):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(server.data) - 1}/{len(server.data)}")
        if server.says_length:
            self.send_header("Content-Length", str(len(server.data) - start))
        self.end_headers()
        self.wfile.write(server.data[start : start + server.most])

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CREATIVE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(download, "_PAUSE", 0.0)
    return tmp_path / "cache"


@pytest.fixture
def tiny(server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Entry:
    known = Entry("tiny", "tiny.pth", "Tiny", "MIT", "a test", url=server.url, sha256=SHA256[:8], size=len(DATA))
    monkeypatch.setitem(weights.REGISTRY, "tiny", known)
    return known


def register(monkeypatch: pytest.MonkeyPatch, known: Entry, **changes: Any) -> None:
    monkeypatch.setitem(weights.REGISTRY, known.name, replace(known, **changes))


# Downloading


def test_a_download_counts_up_and_lands_in_the_cache(tiny: Entry, cache: Path) -> None:
    steps: list[Step] = []
    path = run(fetch("tiny"), steps.append)
    assert path == cache / "tiny.pth" == find("tiny")
    assert path.read_bytes() == DATA
    assert steps[0].done == 0
    assert steps[0].message is not None
    assert "2.0 MB" in steps[0].message
    assert tiny.url is not None
    assert tiny.url in steps[0].message
    assert [step.done for step in steps] == sorted(step.done for step in steps)
    assert steps[-1].done == steps[-1].total == len(DATA) // 1000
    assert [file.name for file in cache.iterdir()] == ["tiny.pth"]


def test_nothing_is_asked_before_the_first_step_and_nothing_twice(tiny: Entry, server: Server) -> None:
    engine = fetch("tiny")
    next(engine)
    engine.close()
    assert server.asked == []
    run(fetch("tiny"))
    run(fetch("tiny"))
    assert server.asked == [None]


def test_a_connection_that_breaks_is_taken_up_where_it_broke(tiny: Entry, server: Server) -> None:
    server.most = 700_000
    assert run(fetch("tiny")).read_bytes() == DATA
    assert server.asked == [None, "bytes=700000-", "bytes=1400000-"]


def test_a_stopped_download_goes_on_next_time(tiny: Entry, server: Server, cache: Path) -> None:
    engine = fetch("tiny")
    while next(engine).done < 1000:
        pass
    engine.close()
    assert not (cache / "tiny.pth").exists()
    got = (cache / "tiny.pth.part").stat().st_size
    assert got >= 1_000_000
    assert "not on this machine" in refusal(lambda: find("tiny"))
    assert run(fetch("tiny")).read_bytes() == DATA
    assert server.asked[-1] == f"bytes={got}-"
    assert not (cache / "tiny.pth.part").exists()


def test_a_server_that_cannot_go_on_sends_everything_again(tiny: Entry, server: Server, cache: Path) -> None:
    cache.mkdir()
    (cache / "tiny.pth.part").write_bytes(DATA[:5000])
    server.ranges = False
    assert run(fetch("tiny")).read_bytes() == DATA
    assert len(server.asked) == 1


def test_a_server_that_does_not_say_the_length(tiny: Entry, server: Server) -> None:
    server.says_length = False
    assert run(fetch("tiny")).read_bytes() == DATA


@pytest.mark.parametrize("rest", [b"stale" * 1000, DATA + b"more", b"x" * len(DATA)])
def test_a_spoilt_beginning_is_thrown_away(rest: bytes, tiny: Entry, server: Server, cache: Path) -> None:
    cache.mkdir()
    (cache / "tiny.pth.part").write_bytes(rest)
    assert run(fetch("tiny")).read_bytes() == DATA


def test_a_complete_part_is_not_downloaded_again(tiny: Entry, server: Server, cache: Path) -> None:
    cache.mkdir()
    (cache / "tiny.pth.part").write_bytes(DATA)
    assert run(fetch("tiny")).read_bytes() == DATA
    assert server.asked == [f"bytes={len(DATA)}-"]


def test_a_spoilt_file_in_the_cache_is_replaced(tiny: Entry, cache: Path) -> None:
    cache.mkdir()
    (cache / "tiny.pth").write_bytes(b"spoilt")
    assert run(fetch("tiny")).read_bytes() == DATA


def test_passing_troubles_of_a_server_are_waited_out(tiny: Entry, server: Server) -> None:
    server.answers = [503, 429, 500]
    assert run(fetch("tiny")).read_bytes() == DATA
    assert len(server.asked) == 4


def test_a_wrong_checksum_is_told_and_nothing_kept(tiny: Entry, server: Server, cache: Path) -> None:
    server.data = DATA[:-1] + b"?"
    text = refusal(lambda: run(fetch("tiny")))
    assert "tiny.pth could not be downloaded" in text
    assert "checksum" in text
    assert not (cache / "tiny.pth").exists()
    assert (cache / "tiny.pth.part").stat().st_size == 0


def test_a_wrong_checksum_after_a_spoilt_beginning(tiny: Entry, server: Server, cache: Path) -> None:
    cache.mkdir()
    (cache / "tiny.pth.part").write_bytes(b"stale")
    server.data = DATA[:-1] + b"?"
    assert "checksum" in refusal(lambda: run(fetch("tiny")))
    assert server.asked == ["bytes=5-", None]


def test_a_connection_may_break_often_if_it_gets_on(tiny: Entry, server: Server) -> None:
    server.most = 100_000
    assert run(fetch("tiny")).read_bytes() == DATA
    assert len(server.asked) == 21


@pytest.mark.parametrize(("status", "requests"), [(404, 1), (403, 1), (503, 4)])
def test_a_server_that_refuses(status: int, requests: int, tiny: Entry, server: Server) -> None:
    server.answers = [status] * 10
    text = refusal(lambda: run(fetch("tiny")))
    assert f"the server answers {status}" in text
    assert server.url in text
    assert "creative weights get tiny" in text
    assert len(server.asked) == requests


def test_a_server_that_always_breaks_off(tiny: Entry, server: Server) -> None:
    server.most = 0
    assert "the connection was cut" in refusal(lambda: run(fetch("tiny")))
    assert len(server.asked) == 4


@pytest.mark.parametrize("says_length", [True, False])
def test_more_than_expected_is_refused(says_length: bool, tiny: Entry, server: Server, monkeypatch: Any) -> None:
    register(monkeypatch, tiny, size=1000)
    server.says_length = says_length
    assert "0.0 MB" in refusal(lambda: run(fetch("tiny")))
    assert (weights.cache_folder() / "tiny.pth.part").stat().st_size < (1 if says_length else len(DATA))


def test_a_disk_too_small_is_told_before_the_download(tiny: Entry, monkeypatch: Any, cache: Path) -> None:
    class Usage:
        free = 1_000_000

    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage)
    assert "the disk has 1.0 MB left and 2.0 MB are missing" in refusal(lambda: run(fetch("tiny")))
    assert (cache / "tiny.pth.part").stat().st_size == 0


def test_a_disk_that_fills_up_is_told(tiny: Entry, monkeypatch: Any, cache: Path) -> None:
    def full(*_: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert "the disk is full" in refusal(lambda: run(fetch("tiny")))
    assert not (cache / "tiny.pth").exists()


def test_a_cache_that_cannot_be_made_is_told(tiny: Entry, cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    assert "Could not write" in refusal(lambda: run(fetch("tiny")))


def test_no_connection_is_a_sentence(tiny: Entry, monkeypatch: Any) -> None:
    import socket

    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    text = refusal(lambda: run(fetch("tiny")))
    assert "there is no connection to the network" in text
    assert "put the file into" in text


def test_a_server_that_is_not_there_or_silent(tiny: Entry, monkeypatch: Any) -> None:
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/tiny.pth"
        register(monkeypatch, tiny, url=url)
        assert "connection refused" in refusal(lambda: run(fetch("tiny")))
        listener.listen()  # takes connections and says nothing
        monkeypatch.setattr(download, "_TIMEOUT", 0.05)
        assert "the server does not answer" in refusal(lambda: run(fetch("tiny")))


def test_two_downloads_of_one_file_do_not_spoil_it(tiny: Entry) -> None:
    first, second = fetch("tiny"), fetch("tiny")
    next(first), next(second)
    next(first)
    assert "already being downloaded" in refusal(lambda: next(second))
    assert run(first).read_bytes() == DATA


def test_what_cannot_be_downloaded_fails_at_the_call() -> None:
    assert "come with the suite" in refusal(lambda: fetch("features"))
    assert "Did you mean 'vgg19'" in refusal(lambda: fetch("vgg-19"))


# Finding


def test_a_given_file_comes_first(tiny: Entry, tmp_path: Path) -> None:
    given = tmp_path / "mine.pth"
    assert "no weights file" in refusal(lambda: find("tiny", given))
    given.touch()
    assert find("tiny", given) == given
    assert find("tiny", str(given)) == given


def test_then_bundled_then_the_cache_then_that_of_torchvision(
    tiny: Entry, tmp_path: Path, cache: Path, monkeypatch: Any
) -> None:
    bundled, hub = tmp_path / "bundled", tmp_path / "torch" / "hub" / "checkpoints"
    monkeypatch.setattr(weights, "bundled_folder", lambda: bundled)
    for folder in (hub, cache, bundled):
        folder.mkdir(parents=True)
        (folder / "tiny.pth").touch()
        assert find("tiny") == folder / "tiny.pth"


def test_missing_weights_name_the_file_the_url_and_the_command(cache: Path, monkeypatch: Any, tmp_path: Path) -> None:
    text = refusal(lambda: find("vgg19"))
    for words in (
        "vgg19-dcbb9e9d.pth",
        "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
        "creative weights get vgg19",
    ):
        assert words in text
    assert "575 MB" in text
    monkeypatch.setattr(weights, "bundled_folder", lambda: tmp_path / "nothing")
    assert "install it again" in refusal(lambda: find("features"))
    assert re.search("There are features, .*vgg16, ", refusal(lambda: find("zzz")))


def test_the_catalog_is_complete() -> None:
    known = weights.catalog()
    assert known[0].name == "features"
    assert len({entry.file for entry in known}) == len(known) == len(weights.REGISTRY)
    for entry in known:
        assert entry.title
        assert entry.licence
        assert entry.source
        if entry.url is not None:
            assert entry.url.startswith("https://")
            assert entry.url.endswith(entry.file)
            assert entry.size
            assert entry.sha256 is not None
            assert re.fullmatch("[0-9a-f]{8,64}", entry.sha256)


def test_the_catalog_names_the_files_that_torchvision_does() -> None:
    models = pytest.importorskip("torchvision.models")
    for entry in weights.catalog():
        if entry.url is not None:
            urls = [member.url for member in models.get_model_weights(entry.name)]
            assert entry.url in urls


def test_the_bundled_folder_is_that_of_the_checkout_or_of_the_package(tmp_path: Path, monkeypatch: Any) -> None:
    assert weights.bundled_folder() == Path(__file__).resolve().parent.parent / "weights"
    (tmp_path / "creative" / "_weights").mkdir(parents=True)
    monkeypatch.setattr(weights, "__file__", str(tmp_path / "creative" / "weights.py"))
    assert weights.bundled_folder() == tmp_path / "creative" / "_weights"


def test_the_cache_is_where_one_says_or_where_the_system_does(cache: Path, monkeypatch: Any) -> None:
    assert weights.cache_folder() == cache
    monkeypatch.delenv("CREATIVE_CACHE")
    assert weights.cache_folder().name == "creative"
    assert weights.own_presets_folder().parts[-2:] == ("creative", "presets")


def test_a_changed_file_has_another_checksum(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one")
    assert weights.file_sha256(path) == hashlib.sha256(b"one").hexdigest()
    path.write_bytes(b"three")
    assert weights.file_sha256(path) == hashlib.sha256(b"three").hexdigest()


# Presets


def test_presets_are_listed_and_found(cache: Path, tmp_path: Path, monkeypatch: Any) -> None:
    bundled = tmp_path / "weights"
    monkeypatch.setattr(weights, "bundled_folder", lambda: bundled)
    assert weights.list_presets() == []
    assert refusal(lambda: weights.find_preset("waves")) == "There is no preset called 'waves'."
    (bundled / "presets").mkdir(parents=True)
    for name in ("starry-night", "great-wave"):
        (bundled / "presets" / f"{name}.safetensors").touch()
    weights.own_presets_folder().mkdir(parents=True)
    (weights.own_presets_folder() / "mine.safetensors").touch()
    (weights.own_presets_folder() / "great-wave.safetensors").touch()
    assert weights.list_presets() == ["great-wave", "mine", "starry-night"]
    assert weights.find_preset("starry-night") == bundled / "presets" / "starry-night.safetensors"
    assert weights.find_preset("great-wave").parent == weights.own_presets_folder()
    assert "Did you mean 'starry-night'" in refusal(lambda: weights.find_preset("Stary Night"))
    for name in ("", "../presets/starry-night", "nul\0", "."):
        assert "no preset" in refusal(lambda name=name: weights.find_preset(name))  # type: ignore[misc]


def test_nothing_is_downloaded_by_looking(tiny: Entry, server: Server) -> None:
    weights.catalog()
    weights.locate("tiny")
    refusal(lambda: find("tiny"))
    assert server.asked == []
