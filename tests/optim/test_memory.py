import tracemalloc

import numpy as np
import pytest

from nnexp.optim import METHODS, check_memory, memory_bytes, methods, minimize

from .problems import ROSENBROCK

GIB = 2**30


def test_only_bfgs_has_memory_that_grows_with_the_square():
    assert [method for method in METHODS if memory_bytes(method, 10) is not None] == ["BFGS"]
    assert memory_bytes("BFGS", 10_285) == pytest.approx(846e6, rel=1e-3)


def test_bfgs_takes_what_it_says():
    theta0 = np.tile([-1.2, 1.0], 300)
    tracemalloc.start()
    try:
        minimize(ROSENBROCK.fun, theta0, method="BFGS", maxiter=5, maxfun=50)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    said = memory_bytes("BFGS", theta0.size)
    assert said <= peak < said + 60 * theta0.nbytes


def test_what_cannot_fit_is_refused_with_figures():
    with pytest.raises(ValueError, match=r"`optimizer.method` BFGS holds .*1,000,000 x 1,000,000: 8000.0 GB, but \d"):
        check_memory("BFGS", 1_000_000)


def test_a_network_that_cannot_fit_is_refused_with_figures():
    with pytest.raises(ValueError, match=r"`model.hidden_size` makes .* 1,000,000,000,000 parameters, .* 160000.0 GB"):
        check_memory("L-BFGS-B", 10**12)
    with pytest.raises(ValueError, match=r"about 1000000.0 GB to train by CG, but \d"):
        check_memory("CG", 10, besides=10**15)


def test_what_fits_is_accepted():
    check_memory("BFGS", 10)
    check_memory("L-BFGS-B", 10**5, besides=10**6)


@pytest.fixture
def system(tmp_path, monkeypatch):
    """Stand-ins for /proc and /sys/fs/cgroup, with 8 GiB available."""
    proc, cgroup = tmp_path / "proc", tmp_path / "cgroup"
    (proc / "self").mkdir(parents=True)
    (proc / "meminfo").write_text(f"MemTotal: 99 kB\nMemAvailable:   {8 * GIB // 1024} kB\n")
    monkeypatch.setattr(methods, "PROC", proc)
    monkeypatch.setattr(methods, "CGROUP", cgroup)
    return proc, cgroup


def test_memory_available_is_the_machines(system):
    assert methods.available_bytes() == 8 * GIB


@pytest.mark.parametrize(
    ("line", "folder", "names"),
    [
        ("0::/a/b", "a", ("memory.max", "memory.current", "inactive_file")),
        ("0::/../outside", "", ("memory.max", "memory.current", "inactive_file")),
        ("4:cpu,memory:/a", "memory/a", ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")),
    ],
)
def test_a_containers_limit_counts(system, line, folder, names):
    proc, cgroup = system
    (proc / "self/cgroup").write_text(f"9:name=systemd:/\n{line}\n")
    group = cgroup / folder
    group.mkdir(parents=True)
    (group / names[0]).write_text(f"{3 * GIB}\n")
    (group / names[1]).write_text(f"{2 * GIB}\n")
    (group / "memory.stat").write_text(f"anon 7\n{names[2]} {GIB // 2}\n")
    assert methods.available_bytes() == 3 * GIB // 2
    (group / names[0]).write_text("max\n")
    assert methods.available_bytes() == 8 * GIB


def test_a_system_that_does_not_say_is_not_refused(system, monkeypatch):
    monkeypatch.setattr(methods, "PROC", methods.PROC / "nowhere")
    monkeypatch.setattr(methods.os, "sysconf", lambda name: (_ for _ in ()).throw(ValueError(name)))
    assert methods.available_bytes() is None
    check_memory("BFGS", 10**9)
