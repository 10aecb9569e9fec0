"""Jobs of a sweep on Ray: what is sent to a node, what comes back, and what becomes of it when either side ends.

Hydra's launcher for Ray says where Ray is (`hydra.launcher.ray.init`) and what a job needs (`...ray.remote`). A
job gets its config as it was composed on the machine of the command. Variables of the environment that change what a
process computes go to the nodes by Ray's `runtime_env`, with which Ray starts workers. Credentials do not, for Ray
writes a `runtime_env` to its log files: they are an argument of the job, and a worker puts them into its environment.
A file that the config names and whose content decides, as a table of data, is kept in Ray's object store, from where a
node that does not have it takes it once.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf, open_dict

from nnexp import copies, kernels
from nnexp.credentials import credentials
from nnexp.errors import one_line
from nnexp.execute import Outcome
from nnexp.paths import absolute, sqlite_path
from nnexp.readers import ConfigError
from nnexp.runs.directory import write_atomically
from nnexp.runs.identity import sha256
from nnexp.terminal import say

# What the arithmetic of a process depends on, and what MLflow's client reads: as on the machine that runs the sweep.
VARIABLES = (
    *kernels.VARIABLES,
    "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING",
    "MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL",
    "MLFLOW_SYSTEM_METRICS_SAMPLES_BEFORE_LOGGING",
    "MLFLOW_TRACKING_INSECURE_TLS",
    "MLFLOW_HTTP_REQUEST_TIMEOUT",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES",
)
# A worker that ends kills its child processes, and with them the companion that publishes its last run.
SPARE_CHILDREN = {"RAY_kill_child_processes_on_worker_exit": "false"}
OBJECT_STORE = 78_643_200  # bytes, the least that Ray takes: jobs are small
SENT = "files"  # in the output directory of a node: what was sent to it
TOKEN = "~/.ray/auth_token"
CONNECT_SECONDS = 10.0  # in which Ray has to be there
CANCEL_SECONDS = 30.0  # that jobs have to close their runs when the sweep is interrupted


def is_ray(target: str) -> bool:
    """Whether a launcher's class is Hydra's for Ray."""
    return target.endswith("ray_launcher.RayLauncher")


def connect(settings: Any) -> None:
    """Connect to a Ray that runs, if a sweep names one.

    Raises
    ------
    ConfigError
        If nobody listens there, which Ray tells after minutes, or this user is not let in.
    """
    address = str(OmegaConf.select(settings, "ray.init.address"))
    host, _, port = address.rpartition(":")
    if not (host and port.isdecimal() and "/" not in address):
        return  # auto, local, or in another of Ray's forms
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        reason = str(getattr(error, "strerror", None) or error).lower()
        raise ConfigError(
            f"`hydra.launcher.ray.init.address` must be where `ray start --head` listens, got {address}: {reason}"
        ) from error
    if _has_token():
        os.environ.setdefault("RAY_AUTH_MODE", "token")  # to an address Ray sends none by itself
    try:
        _start(settings.ray.init)
    except ConnectionError as error:
        if not _is_refused(error):
            raise ConfigError(f"Ray at {address} cannot be used: {one_line(error)}") from error
        raise ConfigError(
            f"Ray at {address} refuses this user's token: copy {TOKEN} from the machine where Ray was started with it, "
            "or name its copy in RAY_AUTH_TOKEN_PATH"
        ) from error


def _has_token() -> bool:
    """Whether there is a token for Ray, in one of the places where it looks for it."""
    named = os.environ.get("RAY_AUTH_TOKEN_PATH")
    return "RAY_AUTH_TOKEN" in os.environ or Path(named or TOKEN).expanduser().is_file()


def _is_refused(error: BaseException) -> bool:
    """Whether it is a token that Ray does not take, which it tells within the text of an error."""
    return any("InvalidAuthToken" in str(each) for each in (error, error.__cause__, error.__context__))


def launch(
    launcher: Any, jobs: Sequence[Sequence[str]], first: int, plan: Path, named_by_content: Sequence[str] = ()
) -> list[JobReturn]:
    """Have Ray do jobs, each given by its overrides; what became of each, FAILED where its process is gone.

    Parameters
    ----------
    launcher
        Hydra's, set up.
    first
        Number of the first job.
    plan
        The plan of the sweep, by which a node finds out whether it shares the disk.
    named_by_content
        Keys that name files.
    """
    _start(launcher.ray_cfg.init)
    import ray

    loader, settings = launcher.hydra_context.config_loader, _settings(launcher.ray_cfg.remote)
    common = ray.put((launcher.hydra_context, launcher.task_function, Singleton.get_state()))
    sign = (str(plan), sha256(plan.read_bytes()))
    do, files, waiting = ray.remote(**settings)(_do), _Files(named_by_content), {}
    for number, overrides in enumerate(jobs, first):
        config = loader.load_sweep_config(launcher.config, list(overrides))
        with open_dict(config):
            config.hydra.job.id, config.hydra.job.num = f"job_id_for_{number}", number
        name = str(config.tracking.run_name)
        waiting[do.options(name=name).remote(credentials(), sign, common, config, files.of(config))] = name
    returned: dict[Any, JobReturn] = {}
    try:  # what Ray tells on standard output is no result
        with redirect_stdout(sys.stderr):
            _wait(waiting, returned)
    except BaseException:
        _cancel([each for each in waiting if each not in returned])
        raise
    return [returned[each] for each in waiting]


@dataclass(frozen=True)
class Sent:
    """A file that is sent to nodes.

    Attributes
    ----------
    path
        Where it is on the machine that runs the sweep.
    content
        Where Ray has its content, in a list, since Ray fetches what is itself an argument.
    """

    path: str
    digest: str
    content: list[Any]


class _Files:
    """What is sent to nodes of the files that jobs name."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = keys
        self._sent: dict[Path, Sent] = {}

    def of(self, config: Any) -> dict[str, Sent]:
        """The files that a config names, by their keys."""
        import ray

        found: dict[str, Sent] = {}
        for key in self._keys:
            value = OmegaConf.select(config, key)
            path = Path(absolute(value)) if isinstance(value, str) else None
            if path is None or not path.is_file():
                continue
            if path not in self._sent:
                content = path.read_bytes()
                self._sent[path] = Sent(str(path), sha256(content), [ray.put(content)])
            found[key] = self._sent[path]
        return found


def _wait(waiting: Mapping[Any, str], returned: dict[Any, JobReturn]) -> None:
    """Collect what jobs return until all have."""
    import ray

    while left := [each for each in waiting if each not in returned]:
        done, _ = ray.wait(left, timeout=1.0)
        returned |= {each: _result(each, waiting[each]) for each in done}


def _start(init: Any) -> None:
    """Connect this process to a Ray that runs, or start one; Ctrl-C and SIGTERM stay ours."""
    for name in ("RAY_DEDUP_LOGS", "RAY_COLOR_PREFIX"):  # it would show one of "finished: ..." and count the others
        os.environ.setdefault(name, "0")
    import ray

    if ray.is_initialized():
        return
    given = {"log_to_driver": True, "logging_level": "WARNING", "include_dashboard": False, **_plain(init)}
    if given.get("address") is None and "RAY_ADDRESS" not in os.environ:
        given["address"] = "local"  # else Ray looks for one that was there, for a quarter of an hour if it is gone
    before = signal.getsignal(signal.SIGTERM)
    try:
        try:
            ray.init(**{"object_store_memory": OBJECT_STORE, **given})
        except ValueError as error:  # a cluster that exists has its own
            if "object_store_memory" in init or "object_store_memory" not in str(error):
                raise
            ray.init(**given)
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)


def _plain(settings: Any) -> dict[str, Any]:
    plain: Any = OmegaConf.to_container(settings, resolve=True)
    return plain


def _settings(remote: Any) -> dict[str, Any]:
    """How Ray runs a job. One that is lost is not started again by Ray: the sweep sees who has it, and does that."""
    given = _plain(remote)
    environment = given.get("runtime_env", {})
    variables = {name: os.environ[name] for name in VARIABLES if name in os.environ} | SPARE_CHILDREN
    variables |= environment.get("env_vars", {})
    return {"max_retries": 0, "num_cpus": 1, **given, "runtime_env": {**environment, "env_vars": variables}}


def _result(job: Any, name: str) -> JobReturn:
    """What a job returned; where it raised, or never began, a failure with the reason."""
    import ray
    from ray.exceptions import RayError, RayTaskError, RuntimeEnvSetupError

    try:
        return ray.get(job)
    except RayTaskError as error:
        cause: Any = error.cause
        reason = f"{type(cause).__name__}: {one_line(cause)}" if cause else one_line(error)
        return _failed(f"{reason} (on {error.ip})")
    except RuntimeEnvSetupError as error:
        return _failed(one_line(error))
    except RayError as error:
        say(f"lost: {name}: {_LOSSES.get(type(error).__name__, one_line(error))}")
        return JobReturn(status=JobStatus.FAILED, _return_value=error)


_LOSSES = {
    "NodeDiedError": "the machine that did it is gone",
    "WorkerCrashedError": "the process that did it is gone",
    "OutOfMemoryError": "the process that did it was ended, since its machine ran out of memory",
}


def _failed(reason: str) -> JobReturn:
    return JobReturn(status=JobStatus.COMPLETED, _return_value=Outcome("", reason=reason, published=False))


def _cancel(jobs: Sequence[Any]) -> None:
    """End jobs as Ctrl-C does, and wait until their runs are closed; those that have not begun do not begin."""
    import ray

    for job in jobs:
        ray.cancel(job, force=False)
    if jobs:
        ray.wait(list(jobs), num_returns=len(jobs), timeout=CANCEL_SECONDS)


# On the node.


def _do(
    environment: Mapping[str, str],
    sign: tuple[str, str],
    common: tuple[Any, Any, Any],
    config: Any,
    files: Mapping[str, Sent],
) -> JobReturn:
    """Do one job, in the folder of the command where there is one on this machine, else where Ray was started."""
    import ray
    from hydra_plugins.hydra_ray_launcher._launcher_util import _run_job

    os.environ.update(environment)
    folder = config.hydra.runtime.cwd
    if os.path.isdir(folder):
        os.chdir(folder)
    context, function, state = common
    tracking = config.tracking
    if tracking.backend == "mlflow" and sqlite_path(str(tracking.uri)) is not None and not _is_here(*sign):
        return _failed(
            f"{socket.gethostname()} does not share the disk with the store, a SQLite file; a sweep on several "
            "machines needs `tracking.uri` at a tracking server"
        )
    take_files(config, files, ray.get)
    return _run_job(context, config, function, state)


def take_files(config: Any, files: Mapping[str, Sent], get: Callable[[Any], bytes]) -> None:
    """Have the files that a config names, in the output directory where they are not at their places.

    What is recorded of them is where the user has them.

    Parameters
    ----------
    get
        Fetches a content.
    """
    for key, file in files.items():
        if _is_here(absolute(OmegaConf.select(config, key)), file.digest):
            continue
        place = Path(absolute(config.tracking.directory)) / SENT / file.digest / Path(file.path).name
        if not _is_here(place, file.digest):
            write_atomically(place, get(file.content[0]))
        copies.note(str(place), file.path)
        OmegaConf.update(config, key, str(place))


def _is_here(path: str | Path, digest: str) -> bool:
    """Whether a file is here what it is on the machine that runs the sweep."""
    try:
        return sha256(Path(path).read_bytes()) == digest
    except OSError:
        return False
