"""Which records this user has written himself."""

import os
import stat
from multiprocessing import get_context

import pytest

from nnexp.runs import seals


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state/nnexp/key"


def test_a_text_is_sealed_by_a_key_that_only_its_user_can_read(state):
    assert not seals.is_sealed("a: 1\n", "0" * 64)
    assert not state.exists()  # who only reads makes none
    made = seals.seal("a: 1\n")
    assert stat.S_IMODE(os.stat(state).st_mode) == 0o600 or os.name == "nt"
    assert seals.is_sealed("a: 1\n", made)
    assert not seals.is_sealed("a: 2\n", made)
    assert not seals.is_sealed("a: 1\n", None)
    assert [path.name for path in state.parent.iterdir()] == ["key"]


def test_another_users_seal_is_none(state, tmp_path, monkeypatch):
    made = seals.seal("a: 1\n")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another"))
    assert not seals.is_sealed("a: 1\n", made)
    assert seals.seal("a: 1\n") != made


def test_without_a_place_for_a_key_there_is_no_seal(state, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert seals.seal("a: 1\n") is None


def test_a_key_that_is_cut_short_or_is_no_file_seals_nothing(state, tmp_path, monkeypatch):
    state.parent.mkdir(parents=True)
    state.write_bytes(b"")
    assert (seals.seal("a: 1\n"), seals.is_sealed("a: 1\n", "0" * 64)) == (None, False)
    state.unlink()
    state.mkdir()
    assert seals.seal("a: 1\n") is None


def test_a_user_without_a_home_seals_nothing(monkeypatch):
    def nowhere():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setattr(seals.Path, "home", nowhere)
    assert seals.seal("a: 1\n") is None


@pytest.mark.parametrize("has_links", [True, False])
def test_a_key_is_made_whole_in_a_folder_of_its_user_and_never_anew(state, monkeypatch, has_links):
    def link(*paths):
        raise OSError("this disk has no links")

    if not has_links:
        monkeypatch.setattr(os, "link", link)
    made = seals.seal("a: 1\n")
    assert stat.S_IMODE(os.stat(state.parent).st_mode) == 0o700 or os.name == "nt"
    assert seals.is_sealed("a: 1\n", made)
    if has_links:
        key = state.read_bytes()
        seals._make(state)  # as a process does that has not seen that another was faster
        assert state.read_bytes() == key
    assert [path.name for path in state.parent.iterdir()] == ["key"]


def test_processes_that_begin_at_once_have_one_key(state):
    with get_context("spawn").Pool(3) as pool:
        assert len(set(pool.map(seals.seal, ["a: 1\n"] * 12))) == 1
