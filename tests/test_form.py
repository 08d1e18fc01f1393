"""The page is made of the declarations: every kind of field has its widget, and what widgets hold becomes settings."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any, Literal

import pytest
from PIL import Image

from apps._app import Action, App
from apps._jobs import MACHINE, RUNNING, Turns, line, working
from apps._pace import Pace, span
from creative.progress import Step
from creative.settings import (
    Description,
    Field,
    Folder,
    Inputs,
    MaskFile,
    PictureFile,
    Settings,
    StyleName,
    TextFile,
    WeightsFile,
    describe,
)

gr = pytest.importorskip("gradio")


class EveryInputs(Inputs):
    photo: tuple[PictureFile, ...] = Field(title="Photo", description="One", min_length=1)
    others: tuple[PictureFile, ...] = Field((), title="Others", description="Several")
    mask: MaskFile | None = Field(None, title="Mask", description="Where")
    style: StyleName | None = Field(None, title="Style", description="Which")
    styles: tuple[StyleName, ...] = Field((), title="Styles", description="Which else")
    book: TextFile | None = Field(None, title="Book", description="To read")
    weights: WeightsFile | None = Field(None, title="Weights", description="A file")
    data: Folder | None = Field(None, title="Data", description="A folder")
    regions: PictureFile | None = Field(None, title="Regions", description="To paint", widget="brush", over="photo")


class EverySettings(Settings):
    few: Literal["one", "two"] = Field("one", title="Few", description="Of two")
    many_choices: Literal["a", "b", "c", "d", "e"] = Field("a", title="Many", description="Of five")
    maybe: Literal["left", "right"] | None = Field(None, title="Maybe", description="Or neither")
    size: int = Field(512, ge=64, le=8192, title="Size", description="A wide range")
    strength: float = Field(0.5, ge=0, le=1, step=0.05, title="Strength", description="A narrow range")
    forced: int = Field(5, ge=0, le=10**6, widget="slider", title="Forced", description="A slider all the same")
    typed: float = Field(1.0, ge=0, le=1, widget="number", title="Typed", description="Typed in")
    open_end: int = Field(3, ge=0, title="Open", description="No upper bound")
    seconds: float | None = Field(None, gt=0, le=60, title="Seconds", description="Or none")
    flag: bool = Field(True, title="Flag", description="Yes or no")
    prompt: str = Field("hello", widget="prompt", title="Prompt", description="Words")
    name: str = Field("", title="Name", description="A word")
    word: str = Field("blue", suggestions=("blue", "red"), title="Word", description="One of these or another")
    any_word: str | None = Field(None, suggestions=("blue",), title="Any word", description="Or none")
    counts: tuple[int, ...] = Field((1, 2), title="Counts", description="Several numbers")
    layers: tuple[str, ...] = Field((), title="Layers", description="Several words", advanced=True)


FIELDS = {field.name: field for record in (EveryInputs, EverySettings) for field in describe(record)}
WIDGETS = {
    "photo": ["Image", "File"], "others": ["File"], "mask": ["Image"], "style": ["Radio", "Image"],
    "styles": ["Dropdown", "File"], "book": ["File"], "weights": ["File"], "data": ["Textbox"],
    "regions": ["Image", "Textbox"], "few": ["Radio"],
    "many_choices": ["Dropdown"], "maybe": ["Radio"], "size": ["Number"], "strength": ["Slider"], "forced": ["Slider"],
    "typed": ["Number"], "open_end": ["Number"], "seconds": ["Textbox"], "flag": ["Checkbox"], "prompt": ["Textbox"],
    "name": ["Textbox"], "word": ["Dropdown"],
    "any_word": ["Dropdown"], "counts": ["Textbox"], "layers": ["Textbox"], "seed": ["Number"],
}  # fmt: skip


def widget(field: Description) -> Any:
    from apps._form import build_widget

    with gr.Blocks():
        return build_widget(field, batch=field.name == "photo")


def start_nothing(inputs: Any, settings: Any, device: str) -> Generator[Step, None, Image.Image]:
    yield Step(0, 1)
    return Image.new("RGB", (8, 8))


def app_of(settings: type[Settings], *verbs: str, inputs: type[Inputs] = EveryInputs) -> App:
    actions = [Action(verb, verb.title(), "Does it.", inputs, settings, start_nothing, batch="photo") for verb in verbs]
    return App("every", "Every", "Of every kind.", tuple(actions))


@pytest.mark.parametrize("name", FIELDS)
def test_every_kind_of_field_has_its_widget(name: str) -> None:
    assert [type(component).__name__ for component in widget(FIELDS[name]).components] == WIDGETS[name]


@pytest.mark.parametrize("name", [field.name for field in describe(EverySettings)])
def test_widgets_start_at_the_default_and_give_it_back(name: str) -> None:
    built = widget(FIELDS[name])
    (component,) = built.components
    (written,) = built.write(FIELDS[name].default)
    for held in (component.value, written):
        read = built.read(held)
        assert EverySettings(**({} if read is None else {name: read})) == EverySettings()


def test_labels_help_and_bounds_come_from_the_declaration() -> None:
    slider = widget(FIELDS["strength"]).components[0]
    assert (slider.label, slider.info) == ("Strength", "A narrow range")
    assert (slider.minimum, slider.maximum, slider.step) == (0, 1, 0.05)


@pytest.mark.parametrize(
    ("name", "held", "value"),
    [
        ("counts", "3, 4,5", (3, 4, 5)),
        ("seconds", "2.5", 2.5),
        ("seconds", "", None),
        ("maybe", "", None),
        ("maybe", "left", "left"),
        ("word", "green", "green"),
        ("any_word", "", None),
        ("any_word", "green", "green"),
        ("layers", " relu1 , relu2=0.5 ", ("relu1", "relu2=0.5")),
        ("layers", "a{3=1, 7=-0.5}, b:3@5,7,c ,d{1", ("a{3=1, 7=-0.5}", "b:3@5,7", "c", "d{1")),
    ],
)
def test_what_is_typed_becomes_a_value(name: str, held: Any, value: Any) -> None:
    assert widget(FIELDS[name]).read(held) == value


def test_numbers_out_of_bounds_get_the_settings_own_sentence() -> None:
    from creative.settings import SettingsError

    built = widget(FIELDS["size"])
    held = built.components[0].preprocess(3)  # gradio's own check would not say which number is meant
    with pytest.raises(SettingsError, match="size must be at least 64"):
        EverySettings(size=built.read(held))
    with pytest.raises(SettingsError, match="counts must be a whole number"):
        EverySettings(counts=widget(FIELDS["counts"]).read("1, x"))


def endpoints(page: Any) -> list[str]:
    return [fn.api_name for fn in page.fns.values() if fn.api_visibility == "public"]


def test_api_names_are_the_verbs_and_parameters_the_fields() -> None:
    from apps._form import build_page

    page = build_page(app_of(EverySettings, "dream", "sleep"))
    assert endpoints(page) == ["dream", "sleep"]
    endpoint = page.get_api_info()["named_endpoints"]["/dream"]
    parameters = {part["parameter_name"]: part for part in endpoint["parameters"]}
    assert set(parameters) == {
        *FIELDS, "photo_more", "style_picture", "styles_picture", "regions_painted"
    }  # fmt: skip
    assert [name for name, part in parameters.items() if not part["parameter_has_default"]] == ["photo"]
    told = [part["label"] for part in endpoint["returns"]]
    assert told == ["Status", "Picture", "Before and after", "Text", "Download", "How it was made", "Results"]


def test_an_example_gives_files_to_where_they_are_seen(tmp_path: Path) -> None:
    Image.new("RGB", (20, 10), "white").save(tmp_path / "white.png")
    Image.new("RGB", (20, 10), "grey").save(tmp_path / "grey.png")
    assert widget(FIELDS["style"]).show(tmp_path / "grey.png") == (None, str(tmp_path / "grey.png"))
    assert widget(FIELDS["regions"]).show(tmp_path / "grey.png") == (str(tmp_path / "grey.png"), "")
    given, painted = widget(FIELDS["regions"]).show(tmp_path / "white.png")
    assert given is None
    assert painted.endswith("#20x10"), "it is not on the canvas"
    assert widget(FIELDS["photo"]).show(tmp_path / "grey.png") == (str(tmp_path / "grey.png"),)


def test_a_new_field_appears_by_itself() -> None:
    from apps._form import build_page

    class More(EverySettings):
        glitter: float = Field(0.2, ge=0, le=1, title="Glitter", description="How much of it")

    labels = [getattr(block, "label", None) for block in build_page(app_of(More, "dream")).blocks.values()]
    assert "Glitter" in labels


def test_the_studio_has_every_app_and_no_name_twice() -> None:
    from apps.studio import build_studio, every_app

    apps = every_app()
    site = build_studio(apps)
    verbs = [action.verb for app in apps for action in app.actions if action.page]
    assert sorted(endpoints(site)) == sorted(verbs)
    assert {page[0] for page in site.pages} == {"", *(app.name.replace("_", "-") for app in apps)}


def test_gradio_reports_nothing_and_fetches_no_fonts() -> None:
    import os

    from apps import _form, studio

    assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"
    page = _form.build_page(app_of(EverySettings, "dream"))
    assert page.analytics_enabled is False
    studio.site(page)
    assert "http" not in page.theme_css.replace("http://www.w3.org/2000/svg", "")
    assert not [sheet for sheet in page.stylesheets if sheet]
    assert "http" not in studio.FOLDER.joinpath("_page.css").read_text()


def visitor(page: Any, login: tuple[str, str] | None = None) -> Any:
    from fastapi.testclient import TestClient

    from apps.studio import site

    return TestClient(site(page, login))


def test_health_is_open_and_the_rest_is_behind_the_login(tmp_path: Path) -> None:
    from apps._form import build_page

    page = build_page(app_of(EverySettings, "dream"), tmp_path)
    with visitor(page, ("ann", "secret")) as client:
        assert client.get("/health").json()["status"] == "ok"
        assert client.get("/config").status_code == 401
        assert client.post("/login", data={"username": "ann", "password": "wrong"}).status_code == 400
        assert client.post("/login", data={"username": "ann", "password": "secret"}).status_code == 200
        assert client.get("/config").status_code == 200


def test_the_site_serves_no_file_of_the_machine(tmp_path: Path) -> None:
    from apps._form import build_page

    private = tmp_path / "private.png"
    Image.new("RGB", (4, 4)).save(private)
    with visitor(build_page(app_of(EverySettings, "dream"), tmp_path)) as client:
        for path in (private, Path("/etc/passwd"), Path(__file__)):
            assert client.get(f"/gradio_api/file={path}").status_code in {403, 404}


def test_a_user_needs_a_password_and_a_port_can_be_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    from apps._form import build_page
    from apps.studio import StudioError, serve
    from creative.options.studio import StudioSettings

    page = build_page(app_of(EverySettings, "dream"))
    monkeypatch.delenv("CREATIVE_STUDIO_PASSWORD", raising=False)
    with pytest.raises(StudioError, match="CREATIVE_STUDIO_PASSWORD"):
        serve(page, StudioSettings(user="ann"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            StudioError, match=rf"Port {port} of 127.0.0.1 cannot be listened on \(address already in use\);"
        ):
            serve(page, StudioSettings(port=port))


# Jobs ----------------------------------------------------------------------------------------------------------------


def test_turns_come_in_order_and_a_place_can_be_left() -> None:
    turns = Turns()
    with turns.place() as first:
        with turns.place() as second, turns.place() as third:
            assert (first.before, second.before, third.before) == (0, 1, 2)
        with turns.place() as fourth:
            assert fourth.before == 1
    assert len(turns) == 0


def watched(action: Action, out: Path, folder: Path, photo: Path, owner: object = "me") -> Generator[Any, None, None]:
    from apps._watch import watch

    return watch(action, lambda: (EveryInputs(photo=(photo,)), EverySettings()), out, owner, folder)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    Image.new("RGB", (20, 10), "teal").save(path)
    return path


class Slow:
    """An engine that counts its steps and notes that it was closed."""

    def __init__(self, steps: int = 1000) -> None:
        self.steps, self.closed, self.done = steps, False, 0

    def start(self, inputs: Any, settings: Any, device: str) -> Generator[Step, None, Image.Image]:
        try:
            yield Step(0, self.steps)
            while self.done < self.steps:
                self.done += 1
                time.sleep(0.002)
                yield Step(self.done, self.steps, {"loss": 1.0}, lambda: Image.new("RGB", (20, 10), "red"))
            return Image.new("RGB", (20, 10), "green")
        finally:
            self.closed = True

    def action(self) -> Action:
        return Action("slow", "Slow", "Takes its time.", EveryInputs, EverySettings, self.start, batch="photo")


def test_a_page_that_goes_away_closes_the_engine_and_frees_the_machine(tmp_path: Path, photo: Path) -> None:
    slow = Slow()
    views = watched(slow.action(), tmp_path / "out", tmp_path, photo)
    assert "Getting ready" in next(views)["status"]
    for _ in range(3):
        next(views)
    assert len(MACHINE) == 1
    views.close()
    assert slow.closed
    assert len(MACHINE) == 0
    assert not RUNNING.stop("me")


def test_stop_ends_the_job_within_a_step_and_keeps_the_preview(tmp_path: Path, photo: Path) -> None:
    slow = Slow()
    views = watched(slow.action(), tmp_path / "out", tmp_path, photo)
    while not any("preview" in view for view in [next(views)]):
        pass
    done = slow.done
    assert RUNNING.stop("me")
    *_, last = views
    assert slow.done <= done + 1
    assert "last preview is kept" in last["status"]
    assert Image.open(last["download"]).getpixel((3, 3)) == (255, 0, 0)
    assert len(MACHINE) == 0


def test_several_photos_are_jobs_one_after_another(tmp_path: Path, photo: Path) -> None:
    from apps._watch import watch
    from creative.images import ImageError

    other, broken = tmp_path / "other.png", tmp_path / "broken.png"
    Image.new("RGB", (20, 10)).save(other)
    broken.write_bytes(b"no")

    def start(inputs: Any, settings: Any, device: str) -> Generator[Step, None, Image.Image]:
        for done in range(4):
            yield Step(done, 4, preview=lambda: Image.new("RGB", (20, 10), "red"))
            time.sleep(0.002)
        if inputs.photo[0] == broken:
            raise ImageError("broken.png is <no> picture.")
        return Image.new("RGB", (20, 10), "green")

    action = Action("paint", "Paint", "Paints.", EveryInputs, EverySettings, start, batch="photo")
    given = EveryInputs(photo=(photo, broken, other))
    views = list(watch(action, lambda: (given, EverySettings()), tmp_path / "out", "me", tmp_path))
    assert any("2 of 3" in view.get("status", "") for view in views)
    last = views[-1]
    assert [Path(path).name for path in last["several"]] == ["paint.png", "paint-2.png"]
    assert "2 results" in last["status"]
    assert "broken.png is &lt;no&gt; picture." in last["status"]
    assert len(MACHINE) == 0
    views_stopped = watch(action, lambda: (given, EverySettings(seed=1)), tmp_path / "out", "me", tmp_path)
    while "several" not in (view := next(views_stopped)):
        RUNNING.stop("me") if "preview" in view else None
    assert [Path(path).name for path in view["several"]] == ["paint-stopped.png"]
    assert "Stopped" in view["status"]


def test_two_jobs_take_turns_from_any_thread(tmp_path: Path, photo: Path) -> None:
    quick, slow = Slow(5), Slow(100_000)
    first = watched(slow.action(), tmp_path / "out", tmp_path, photo, "first")
    next(first), next(first)
    seen: list[str] = []
    waits = threading.Event()

    def watch_second() -> None:
        for view in watched(quick.action(), tmp_path / "out", tmp_path, photo, "second"):
            seen.append(view["status"])
            if "Another job is running" in view["status"]:
                waits.set()

    second = threading.Thread(target=watch_second)
    second.start()
    assert waits.wait(60)
    assert quick.done == 0
    first.close()
    second.join(60)
    assert "Done" in seen[-1]


def test_what_is_wrong_is_told_in_one_sentence_and_frees_the_machine(tmp_path: Path, photo: Path) -> None:
    from apps._watch import JobError, watch

    def wrong() -> Any:
        return EveryInputs(photo=(photo,)), EverySettings(size=3)

    def broken(inputs: Any, settings: Any, device: str) -> Generator[Step, None, Any]:
        yield Step(0, 1)
        raise RuntimeError("<b>out of luck</b>")

    views = watch(Slow().action(), wrong, tmp_path / "out", "me", tmp_path)
    next(views)
    assert "at least 64" in next(views)["status"]
    with pytest.raises(JobError, match="at least 64"):
        next(views)
    failing = Action("fail", "Fail", "Fails.", EveryInputs, EverySettings, broken, batch="photo")
    views = watched(failing, tmp_path / "out", tmp_path, photo)
    said = [next(views)["status"] for _ in range(3)]
    assert "&lt;b&gt;" in said[-1], "an engine's words must not become HTML"
    with pytest.raises(JobError, match="RuntimeError"):
        next(views)
    assert len(MACHINE) == 0


def test_the_status_line_knows_how_long_it_takes() -> None:
    pace = Pace()
    working(Step(0, 10), pace)
    pace._last = (0, time.monotonic() - 20)
    assert "about 3 min 00 s left" in working(Step(1, 10, {"style": 0.25}), pace)
    assert span(75) == "1 min 15 s"
    assert span(3700) == "1 h 01 min"
    assert "&lt;i&gt;" in line("failed", ["<i>"])


def test_past_results_are_found_newest_first_and_strangers_left_out(tmp_path: Path) -> None:
    import os

    from apps._gallery import facts, past_results, served, thumbnail
    from creative.images import save_image
    from creative.provenance import describe_run

    for number, verb in enumerate(["dream", "style", "dream"]):
        image = Image.new("RGB", (300, 200), (number, 0, 0))
        source = {"file": "<hills>.jpg", "sha256": "0" * 64}
        image.info["provenance"] = describe_run(verb, {"seed": number, "size": 64}, inputs={"photo": source})
        path = save_image(image, tmp_path / f"{number}.png")
        os.utime(path, (1000 + number, 1000 + number))
    Image.new("RGB", (4, 4)).save(tmp_path / "stranger.png")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG no")
    assert [past.path.name for past in past_results(tmp_path)] == ["2.png", "1.png", "0.png"]
    dreams = past_results(tmp_path, {"dream"}, limit=1)
    assert [past.path.name for past in dreams] == ["2.png"]
    assert "&lt;hills&gt;" in facts(dreams[0].provenance, {"size": 64})
    assert "size" not in facts(dreams[0].provenance, {"size": 64})
    assert Path(served(dreams[0].path, tmp_path / "site")).read_bytes() == dreams[0].path.read_bytes()
    with Image.open(thumbnail(dreams[0].path, tmp_path / "site", side=100)) as small:
        assert small.size == (100, 67)


def test_what_is_told_of_a_result_is_what_was_not_usual() -> None:
    from apps._gallery import facts
    from creative.provenance import describe_run

    made = describe_run("dream", EverySettings(size=77, counts=(3, 4)))
    made = type(made).model_validate(made.model_dump(mode="json"))
    told = facts(made, {name: field.default for name, field in FIELDS.items()})
    assert told.count("<dt>") == 3
    assert "<dt>counts</dt><dd>3, 4</dd>" in told
    assert "<dt>size</dt><dd>77</dd>" in told
    assert "<dt>seed</dt><dd>0</dd>" in told
