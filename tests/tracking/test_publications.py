"""What counts as an advance of publishing, for which others wait."""

import pytest

from nnexp.tracking.publications import Publications
from nnexp.tracking.store import RefusedError, Store


@pytest.mark.parametrize("error", [ValueError("a metric that no store takes"), RefusedError("no", 403)])
def test_a_run_that_the_store_answers_but_never_takes_is_no_advance(tmp_path, empty_store, error):
    store = Store(empty_store(tmp_path / "mlflow.db"), "nnexp")
    publications = Publications(store, lambda problem: None)

    def fails():
        store.on_answer()
        raise error

    publications.attempt(store.on_answer)
    advanced_at = store.advanced_at
    assert advanced_at > 0
    with pytest.raises(type(error)):
        publications.attempt(fails)
    assert store.advanced_at == advanced_at
    publications.attempt(store.on_answer)
    assert store.advanced_at > advanced_at
