"""Recipes: values of a training that come together. What somebody gives wins over the recipe, whatever it is."""

from __future__ import annotations

from typing import Any

import pytest

from apps._app import Action, App
from apps._cli_words import parse
from apps._verbs import verbs
from creative.options.cyclegan import TrainCycleGANSettings
from creative.options.execute import TrainExecuteSettings
from creative.options.training import RecipeSettings


def recipes() -> list[Any]:
    known, left = [], [RecipeSettings]
    while left:
        left += (below := left.pop().__subclasses__())
        known += below
    return known


@pytest.mark.parametrize("settings", recipes(), ids=lambda settings: settings.__name__)
def test_a_recipe_fills_in_what_is_not_said(settings: Any) -> None:
    assert settings.RECIPES
    for name, values in settings.RECIPES.items():
        assert set(values) <= set(settings.model_fields)
        made = settings(recipe=name)
        assert {key: getattr(made, key) for key in values} == values
        assert settings(**made.model_dump(mode="json")) == made  # as a record is replayed
        assert made.changed(seed=3).changed(seed=0) == made


def test_what_is_given_wins_though_it_is_the_default_elsewhere() -> None:
    usual = TrainCycleGANSettings()
    given = TrainCycleGANSettings(recipe="paper", crop=usual.crop, residual=usual.residual)
    assert (given.crop, given.residual, given.width) == (usual.crop, usual.residual, 64)
    assert TrainExecuteSettings(recipe="paper", num_layers=1).num_layers == 1


def test_without_a_recipe_the_defaults_hold() -> None:
    assert TrainExecuteSettings(recipe="small") == TrainExecuteSettings()
    with pytest.raises(ValueError, match="recipe must be"):
        TrainCycleGANSettings(**{"recipe": ["paper"]})  # type: ignore[arg-type]


def test_flags_win_over_a_recipe_and_what_was_not_typed_does_not() -> None:
    verb = verbs()["train cyclegan"]
    _, settings, _ = parse(verb, ["a", "b", "--recipe", "paper", "--crop", "128", "--residual"])
    assert (settings.crop, settings.residual, settings.width, settings.batch_size) == (128, True, 64, 1)
    _, settings, _ = parse(verb, ["a", "b", "--recipe", "paper"])
    assert (settings.crop, settings.residual) == (256, False)
    _, settings, _ = parse(verb, ["a", "b", "--recipe=paper", "--no-alarms"])
    assert (settings.residual, settings.alarms) == (False, False)


def test_on_a_page_a_recipe_replaces_what_was_left_as_it_was(tmp_path: Any) -> None:
    gr = pytest.importorskip("gradio")
    from apps._form_action import ActionForm
    from apps.learning_to_execute import APP

    action: Action = next(one for one in APP.actions if one.verb == "train execute")
    app = App(APP.name, APP.title, APP.summary, (action,))
    with gr.Blocks():
        form = ActionForm(app.actions[0], tmp_path, "")
    chosen = form.filled({"recipe": "paper", "hidden_size": 64})
    values = [chosen.get(component, component.value) for widget in form.widgets for component in widget.components]
    _, settings = form._read(values)
    assert (settings.recipe, settings.hidden_size, settings.num_layers, settings.steps) == ("paper", 64, 2, 2_000_000)
