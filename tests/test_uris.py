"""Passwords are found in a URI as those read it who open it, and in texts by what they look like."""

import pytest
from sqlalchemy import make_url

from nnexp.uris import UnclearError, take_apart, without_password, written

DATABASES = {
    "postgresql+psycopg2://postgres:s3/cret@/runs?host=/none": "postgresql+psycopg2://postgres@/runs?host=/none",
    "postgresql://alice:s3?cr:et#@host:1/runs": "postgresql://alice@host:1/runs",
    "postgresql+psycopg2:///runs?host=/none&password=s3cret": "postgresql+psycopg2:///runs?host=/none&password=***",
    "postgresql://host/runs?passfile=/f&sslpassword=s3cret&pass%77ord=cret":
        "postgresql://host/runs?passfile=/f&sslpassword=***&pass%77ord=***",
    "mssql+pyodbc:///?odbc_connect=DRIVER%3Dx%3BPWD%3Ds3cret": "mssql+pyodbc:///?odbc_connect=***",
    "mysql://alice%40corp:s3cret@host/runs": "mysql://alice%40corp@host/runs",
    "sqlite+pysqlcipher://:s3cret@/runs.db": "sqlite+pysqlcipher://@/runs.db",
}  # fmt: skip
SERVERS = {
    "http://alice:alice has a s3cret@host:1": ("http://host:1", "alice", "alice has a s3cret"),
    "https://alice:s%40[cret@ret@host/x": ("https://host/x", "alice", "s@[cret@ret"),
    "http://host?access_token=s3cret&x=1&api_key=cret": ("http://host?access_token=***&x=1&api_key=***", None, None),
}
IN_TEXTS = [uri for uri in DATABASES if "%77" not in uri] + ["http://s3cret@host", "http://alice:s3cret/x@host"]
AS_THEY_ARE = [
    "http://host:1/x", "http://[::1]:1", "sqlite:////home/a:b@c/f?token=x/runs.db", "postgresql://alice@host/runs",
    "databricks", "databricks://scope:prefix", "file:///a:b@c", "postgresql://host/runs?user=alice@corp",
]  # fmt: skip


@pytest.mark.parametrize("uri", DATABASES)
def test_a_database_is_known_without_its_password_and_is_the_same_otherwise(uri):
    parts, whole = take_apart(uri), make_url(uri)
    assert (parts.bare, parts.whole) == (DATABASES[uri], uri)
    bare = make_url(parts.bare)
    assert bare.password is None
    assert (bare.host, bare.port, bare.database) == (whole.host, whole.port, whole.database)
    assert take_apart(parts.bare).bare == parts.bare


@pytest.mark.parametrize("uri", SERVERS)
def test_a_server_is_known_without_user_and_password(uri):
    parts = take_apart(uri)
    assert (parts.bare, parts.user, parts.password) == SERVERS[uri]


@pytest.mark.parametrize("uri", AS_THEY_ARE)
def test_a_uri_without_a_password_stays(uri):
    assert take_apart(uri).bare == written(uri) == uri


@pytest.mark.parametrize(
    "uri",
    [
        "http://alice:s3cret/x@host", "http://alice:s3cret?x@host", "http://s3cret@host", "http://:s3cret@host",
        "postgresql://alice:x@s3cret@host/runs", "postgresql://alice:x@host?s3cret@y/runs", "alice:s3cret@host",
        "postgresql://ali/ce:s3cret@host/runs",
    ],
)  # fmt: skip
def test_what_may_be_a_password_is_refused_and_not_shown(uri):
    with pytest.raises(UnclearError) as refused:
        take_apart(uri)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("uri", [*SERVERS, *IN_TEXTS])
def test_no_text_holds_a_password(uri):
    assert "cret" not in without_password(f"the store {uri} cannot be used")
    assert "cret" not in without_password(f"'tracking.uri={uri}', 'seed=1'")
    assert "cret" not in written(uri)


@pytest.mark.parametrize(
    "text",
    ["http://host:1 refuses bob@corp", "https://host/@scope/x.js", "http://host: gone, tell bob@corp", "a=b&c"],
)
def test_a_text_without_a_password_stays(text):
    assert without_password(text) == text
