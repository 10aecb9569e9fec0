"""What is read of a file that anybody may have written: itself, in its folder, of a size that it can have."""

import fcntl
import os

import numpy as np
import pytest

from nnexp.runs.files import RecordError, content_in, content_of, is_inside, opened, read_arrays, read_yaml


def test_no_more_is_read_than_a_file_can_have(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"x" * 10)
    assert content_of(path, 10) == b"x" * 10
    with pytest.raises(ValueError, match="expected at most 9 bytes"):
        content_of(path, 9)
    os.truncate(path, 2**42)  # of which nothing is on the disk, and which no memory holds
    with pytest.raises(ValueError, match="expected at most 9 bytes"):
        content_of(path, 9)


def test_what_is_no_file_is_not_waited_for(tmp_path):
    (tmp_path / "file").touch()
    with opened(tmp_path / "file") as file:
        assert fcntl.fcntl(file, fcntl.F_GETFL) & os.O_NONBLOCK  # without which a pipe is waited for before it is seen
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", tmp_path):
        with pytest.raises(OSError, match="expected a file, got a link, a device or a folder"):
            opened(place)


def test_a_name_is_a_text_that_leads_nowhere_else(tmp_path):
    assert not any(map(is_inside, (None, 3, ["a"])))
    (tmp_path / "a").mkdir()
    (tmp_path / "b").touch()
    for name in ("a/../b", str(tmp_path / "b"), f"../{tmp_path.name}/b"):
        with pytest.raises(ValueError, match="is no name of a file of a run"):
            content_in(tmp_path, name)
    assert content_in(tmp_path, "b") == b""


def test_one_array_is_no_archive(tmp_path):
    with (tmp_path / "w.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(RecordError, match=r"expected the arrays of an \.npz file, got one array"):
        read_arrays(tmp_path / "w.npz")


def test_a_config_is_read_as_omegaconf_wrote_it():
    config = b"a: 2024-01-01\nb: 1e3\nc: 1.5\nd: 1_0\ne: 1:30.5\n"
    assert read_yaml(config) == {"a": "2024-01-01", "b": 1000.0, "c": 1.5, "d": 10, "e": "1:30.5"}
