"""The model registry of a store: the model of a run, under a name and an alias by which others load it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from nnexp.errors import UsageError
from nnexp.tracking.models import MODEL_NAME
from nnexp.tracking.store import Store
from nnexp.tracking.stored_run import StoredRun

ALIAS = "champion"
VERSIONS = "mlflow.modelVersions"  # by which MLflow's UI links a model to its versions
LONGEST = 250


@dataclass(frozen=True)
class Registered:
    """A version of a registered model.

    `about` is what its run is, in words; `is_new` is false where the run's model was registered before.
    """

    name: str
    version: str
    alias: str
    run_id: str
    about: str
    is_new: bool

    @property
    def uri(self) -> str:
        """The address by which MLflow loads it."""
        return f"models:/{self.name}@{self.alias}"

    def to_json(self) -> dict[str, str]:
        """What a program that reads the command's answer needs of it."""
        return {key: getattr(self, key) for key in ("name", "version", "alias", "run_id", "uri")}

    def __str__(self) -> str:
        done = "Registered" if self.is_new else "Registered before"
        return f"{done} as version {self.version} of {self.name}, now {self.uri}: run {self.run_id}, {self.about}"


def check_names(name: str, alias: str) -> None:
    """Refuse what MLflow would refuse.

    Raises
    ------
    UsageError
        In one line that names the option.
    """
    if not name.strip() or re.search("[/:]", name) or len(name) > LONGEST:
        raise UsageError(f"--register: a model's name is up to {LONGEST} letters without / and :, got {name!r}")
    if not re.fullmatch(r"[\w-]+", alias) or len(alias) > LONGEST:
        raise UsageError(f"--alias: an alias is made of letters, digits, _ and -, got {alias!r}")
    if re.fullmatch(r"latest|v\d+", alias, re.IGNORECASE):
        raise UsageError(f"--alias: latest, v1, v2, ... are MLflow's own, got {alias!r}")


def model_of(store: Store, run: StoredRun) -> str:
    """The id of a run's model.

    Raises
    ------
    UsageError
        If it has none, or not all of it is in the store.
    """
    from mlflow.entities import LoggedModelStatus

    found = store.client.search_logged_models(
        [run.experiment_id], filter_string=f"source_run_id = '{run.run_id}' AND name = '{MODEL_NAME}'"
    )
    whole = [model.model_id for model in found if model.status == LoggedModelStatus.READY]
    if not whole:
        raise UsageError(
            f"--register: the best run {run.run_id} ({run.name}) has no model in {store.shown_uri}; the "
            "network's task makes one, and it is there once all of the run is published (`nnexp sync`)"
        )
    return min(whole)


def register(store: Store, run: StoredRun, model_id: str, name: str, alias: str, about: str) -> Registered:
    """Register the model of a run, unless it is a version already, and let the alias mean that version."""
    client = store.client
    from mlflow.exceptions import MlflowException

    versions = [each for each in client.search_model_versions(f"run_id = '{run.run_id}'") if each.name == name]
    if not versions:
        try:
            client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        model = client.get_logged_model(model_id)
        place = model.artifact_location  # MLflow would look for a models:/ address in the store of the environment
        made = client.create_model_version(name, place, run_id=run.run_id, model_id=model_id, description=about)
        known = json.loads(model.tags.get(VERSIONS, "[]"))
        known.append({"name": name, "version": made.version})
        client.set_logged_model_tags(model_id, {VERSIONS: json.dumps(known)})
    version = str(made.version if not versions else max(versions, key=lambda each: int(each.version)).version)
    client.set_registered_model_alias(name, alias, version)
    return Registered(name, version, alias, run.run_id, about, not versions)
