"""Runs and sweeps compare in the MLflow UI, as seen by a real browser."""

import re

import pytest

from nnexp.commands.ui import places

from . import looks
from .stores import HALVES

pytestmark = pytest.mark.slow

BASE = re.compile(r"http://127\.0\.0\.1:\d+")


@pytest.fixture
def base(served):
    """Where the UI is served."""
    return BASE.match(served["all runs"])[0]


def halves_of(look):
    """The whole sweep, and its copies that lack something of a look."""
    needs = set().union(*looks.NEEDS[look].values())
    return ["whole", *(name for name, lacks in HALVES.items() if needs & lacks)]


@pytest.mark.parametrize(("look", "name"), [(look, name) for look in looks.NEEDS for name in halves_of(look)])
def test_a_page_shows_what_was_logged_and_nothing_that_was_not(page, experiments, base, screenshots, look, name):
    experiment = experiments[name]
    expected = looks.there(look, experiment.lacks)
    seen = getattr(looks, look)(page, experiment, base, expected)
    page.screenshot(path=screenshots / f"{look}-{name}.png")
    assert seen == expected


def test_each_thing_is_missing_from_one_of_the_halves():
    for look, things in looks.NEEDS.items():
        seen = [looks.there(look, HALVES[name]) for name in halves_of(look)[1:]]
        assert set(things) not in seen
        assert not set.intersection(*seen), look


def test_without_the_saved_view_the_table_shows_neither_params_nor_metrics(page, experiments, base):
    address = experiments["whole"].runs_page(base).split("&viewStateShareKey")[0]
    expected = {"children under their parent"}
    assert looks.table(page, experiments["whole"], base, expected, address) == expected


def test_the_sweep_and_the_ui_name_the_address_of_its_view(swept, served, experiments, base):
    whole = experiments["whole"]
    address = whole.runs_page(base, sweep=whole.sweep)
    assert "viewStateShareKey=nnexp-" in address
    assert dict(places(whole.store, base)) == {"the last sweep (model.l2)": address, **served}
    told = swept.out.split("compare: nnexp ui, then ")[1].splitlines()[0]
    assert BASE.sub("", told) == BASE.sub("", address)
