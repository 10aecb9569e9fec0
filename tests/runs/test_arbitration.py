"""Never two finished runs of a key, never a job that nobody does: whatever the order, the deaths and the stalls.

To be stopped and go on is an order like any other; a clock that is minutes off shows in a wrong judgement of who is
alive, and such judgements are made at will here.
"""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nnexp.runs import arbitration
from nnexp.runs.arbitration import Action, ClaimState, Rival, decide, decide_end
from nnexp.runs.tags import CLAIM
from nnexp.tracking.store import Store
from nnexp.tracking.store_arbiter import StoreBoard

from .interleaving import Maker, MemoryStore, ViolationError, World, explore


@pytest.mark.parametrize(("deaths", "lies"), [(1, 0), (0, 1)])
@pytest.mark.slow
def test_all_orders_of_two(deaths, lies):
    executions, states = explore(["a", "b"], deaths=deaths, lies=lies)
    assert executions > 500
    assert states > 1500


@pytest.mark.slow
@given(st.lists(st.integers(0, 5), max_size=80), st.integers(0, 3), st.integers(0, 3))
@settings(max_examples=300, deadline=None, database=None, derandomize=True)
def test_three_at_random(choices, deaths, lies):
    world = World(MemoryStore(), ["a", "b", "c"], choices, deaths=deaths, lies=lies)
    world.run()
    world.start_again()


def test_a_sample_in_a_real_database(tmp_path, empty_store):
    uri, rng = empty_store(tmp_path / "mlflow.db"), random.Random(0)
    for number in range(6):
        choices = [rng.randrange(6) for _ in range(60)]
        world = World(Store(uri, f"e{number}"), ["a", "b"], choices, deaths=number % 2, lies=number % 3)
        world.run()
        world.start_again()


@given(st.lists(st.integers(0, 5), max_size=60), st.integers(0, 2))
@settings(max_examples=300, deadline=None, database=None, derandomize=True)
def test_all_who_make_the_one_run_of_an_id_get_the_same(choices, deaths):
    world = World(MemoryStore(), ["a", "b", "c"], choices, deaths=deaths, actor=Maker)
    world.run()
    made = {process.outcome for process in world.processes if not process.is_dead}
    assert len(made) <= 1
    assert made <= {run.run_id for run in world.store.search() if run.tags[CLAIM] == ClaimState.HELD}


def without(state):
    """The rule without the guard against runs in one state."""
    return lambda me, rivals, *rule: decide_end(me, [rival for rival in rivals if rival.state is not state], *rule)


BROKEN = {
    "a finished run is overlooked": ("decide_end", without(ClaimState.FINISHED)),
    "one that is ending too is overlooked": ("decide_end", without(ClaimState.ENDING)),
    "one that was given up is not fenced off": (
        "decide_end",
        lambda me, rivals, *rule: decide_end(
            me, [r for r in rivals if r.is_alive or r.state is ClaimState.FINISHED], *rule
        ),
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_each_guard_is_needed(name, monkeypatch):
    monkeypatch.setattr(arbitration, *BROKEN[name])
    with pytest.raises(ViolationError, match="finished twice"):
        explore(["a", "b"], deaths=0, lies=1)


def test_a_run_must_say_that_it_is_ending_before_it_looks(monkeypatch):
    monkeypatch.setattr(StoreBoard, "mark", lambda self, state: None)
    with pytest.raises(ViolationError, match="finished twice"):
        explore(["a", "b"], deaths=0, lies=1)


def test_decisions():
    def rival(run_id, state, is_alive=True):
        return Rival(run_id, ClaimState(state), is_alive)

    assert decide(None, []).action is Action.BID
    assert decide("b", []).action is Action.TAKE
    assert decide("b", [rival("a", "bid")]).action is Action.LEAVE
    assert decide("b", [rival("c", "bid")]).action is Action.WAIT
    assert decide("b", [rival("c", "held"), rival("d", "finished")]).rival.run_id == "d"
    assert decide_end("b", []).action is Action.FINISH
    assert decide_end("b", [rival("a", "held")]).action is Action.FINISH
    assert decide_end("b", [rival("a", "ending")]).action is Action.RETREAT
    assert decide_end("b", [rival("c", "ending")]).action is Action.WAIT
    assert decide_end("b", [rival("c", "ending", False)]).action is Action.FENCE
    assert decide_end("b", [rival("c", "ending", False), rival("d", "finished", False)]).action is Action.SUPERSEDE
