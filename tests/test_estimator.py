"""The classifier for scikit-learn: its whole contract, its tools, and the numbers of the command."""

import pickle
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, cross_val_score, learning_curve
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

import nnexp
from nnexp import NeuralNetworkClassifier, datasets
from nnexp.compose import compose, read_config, to_yaml
from nnexp.execute import Request, execute
from nnexp.runs.directory import RunDirectory

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
TANH = ["model.activation=tanh", "training.dtype=float32"]
SMALL = {"hidden_size": 8, "maxiter": 20, "maxfun": 20}  # those of experiment=smoke


def check_name(check):
    return check.func.__name__ if hasattr(check, "func") else check.__name__


OTHER = {"hidden_size": 4, "method": "L-BFGS-B", "maxiter": 20, "scale": "standard", "random_state": 1}
CHECKS = [
    each
    for settings in ({}, OTHER)
    for each in estimator_checks_generator(
        NeuralNetworkClassifier(**settings), legacy=True, expected_failed_checks={}, mark=None
    )
]


@pytest.mark.parametrize(("estimator", "check"), CHECKS, ids=lambda each: check_name(each) if callable(each) else "")
def test_the_whole_contract_of_scikit_learn_holds(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def digits():
    return load_digits(return_X_y=True)


@pytest.fixture
def make_run(tmp_path, cache):
    """Train in this process, as the command does, without a store."""

    def run(*overrides):
        cache.mkdir(exist_ok=True)
        overrides = [*overrides, f"data.cache={cache}", "tracking=none"]
        cfg = compose(overrides)
        outcome = execute(Request(read_config(cfg), to_yaml(cfg), overrides, tmp_path / "run"))
        return RunDirectory(tmp_path / "run"), outcome.result

    return run


@pytest.mark.parametrize(
    ("overrides", "settings"),
    [
        (["experiment=smoke", "seed=3"], SMALL),
        (
            ["experiment=smoke", "optimizer=adam", "data.scale=standard", "model.hidden_size=[6,5]", *TANH, "seed=1"],
            {**SMALL, "method": "Adam", "scale": "standard", "hidden_size": (6, 5)}
            | {"activation": "tanh", "dtype": "float32"},
        ),
    ],
)
def test_it_has_the_numbers_of_the_command_to_the_last_bit(make_run, overrides, settings):
    directory, result = make_run(*overrides)
    seed = directory.record.seed
    settings = {**settings, "options": {k[18:]: v for k, v in directory.record.params.items() if "options." in k}}
    split = datasets.load("digits").split(0.2, 0.0, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        classifier = NeuralNetworkClassifier(**settings, random_state=seed).fit(split.train.X, split.train.y)
    with np.load(directory.path / "weights.npz") as stored:
        assert np.array_equal(classifier.theta_, stored["theta"])
        np.testing.assert_array_equal(classifier.weights_[1], stored["weights_1"])
    assert (classifier.loss_, classifier.cost_) == (result.values["loss"], result.values["cost"])
    assert (classifier.n_iter_, classifier.n_fev_) == (result.values["n_iter"], result.values["n_fev"])
    assert classifier.score(split.test.X, split.test.y) == result.values["accuracy/test"]
    assert [row["loss/train"] for row in directory.history()] == list(classifier.loss_curve_)


def test_the_largest_probability_is_that_of_the_predicted_class_whatever_the_outputs(digits):
    X, y = digits
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        classifier = NeuralNetworkClassifier(l2=0.0, scale="standard", maxfun=60).fit(X, y)
    far = np.concatenate([X, 1e3 * X, -1e3 * X])
    classifier.theta_ = (
        300 * classifier.theta_
    )  # outputs of which several are 1 or all are 0, as far as floats can tell
    p, z = classifier.predict_proba(far), classifier.decision_function(far)
    assert ((z > 40).sum(axis=1) > 1).any()
    assert (z < -800).all(axis=1).any()
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-12)
    assert np.array_equal(classifier.classes_[p.argmax(axis=1)], classifier.predict(far))
    assert np.array_equal(z.argmax(axis=1), p.argmax(axis=1))


def test_two_classes_have_one_decision_and_two_outputs():
    X, y = load_breast_cancer(return_X_y=True)
    names = np.array(["malignant", "benign"])[y]
    classifier = NeuralNetworkClassifier(5, scale="standard", maxfun=60).fit(X, names)
    decision = classifier.decision_function(X)
    assert decision.shape == (len(X),)
    assert classifier.layer_sizes_ == (30, 5, 2)
    assert list(classifier.classes_) == ["benign", "malignant"]
    assert np.array_equal(classifier.predict(X) == "malignant", decision > 0)
    assert classifier.score(X, names) > 0.97


def test_it_works_in_the_tools_of_scikit_learn(digits):
    X, y = digits[0][:300], digits[1][:300]
    small = NeuralNetworkClassifier(**SMALL | {"method": "L-BFGS-B"})
    pipeline = make_pipeline(StandardScaler(), small)
    search = GridSearchCV(pipeline, {"neuralnetworkclassifier__l2": np.array([0.1, 10.0])}, cv=2).fit(X, y)
    assert search.best_params_ == {"neuralnetworkclassifier__l2": 0.1}
    widths = GridSearchCV(small, {"hidden_size": [np.int64(3), (4, 2), np.array([5])]}, cv=2, error_score="raise")
    assert len(widths.fit(X, y).cv_results_["params"]) == 3
    assert cross_val_score(pipeline, X, y, cv=2).shape == (2,)
    calibrated = CalibratedClassifierCV(pipeline, cv=2).fit(X, y)
    np.testing.assert_allclose(calibrated.predict_proba(X).sum(axis=1), 1)
    sizes, train, test = learning_curve(pipeline, X, y, cv=2, train_sizes=[0.5, 1.0])
    assert train.shape == test.shape == (len(sizes), 2)
    pipeline.set_output(transform="pandas").fit(pd.DataFrame(X).add_prefix("pixel"), y)
    assert pipeline[-1].feature_names_in_[0] == "pixel0"


SEARCH = """
import warnings
import numpy as np
from nnexp import NeuralNetworkClassifier
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

if __name__ == "__main__":
    warnings.simplefilter("ignore")
    X, y = load_digits(n_class=4, return_X_y=True)
    grid = {"l2": [0.1, 1.0], "random_state": [0, 1]}
    searches = [
        GridSearchCV(NeuralNetworkClassifier(8, maxfun=20), grid, cv=2, n_jobs=n).fit(X, y) for n in (1, 2)
    ]
    serial, parallel = (search.cv_results_["mean_test_score"] for search in searches)
    print(np.array_equal(serial, parallel))
    print(np.array_equal(*(search.best_estimator_.theta_ for search in searches)))
"""


@pytest.mark.slow
def test_a_search_in_two_processes_finds_what_it_finds_in_one(tmp_path):
    (tmp_path / "search.py").write_text(SEARCH)
    done = subprocess.run([sys.executable, "search.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.split() == ["True", "True"], done.stderr


def test_a_copy_is_the_same(digits):
    X, y = digits
    classifier = NeuralNetworkClassifier(**SMALL, options={"eta": 0.3}, random_state=np.random.RandomState(5)).fit(X, y)
    again = clone(classifier)
    assert again.options == {"eta": 0.3}
    assert not hasattr(again, "theta_")
    kept = pickle.loads(pickle.dumps(classifier))
    assert np.array_equal(kept.predict_proba(X), classifier.predict_proba(X))
    assert nnexp.NeuralNetworkClassifier is NeuralNetworkClassifier


def test_the_seed_decides_the_numbers(digits):
    X, y = digits

    def theta(state):
        return NeuralNetworkClassifier(**SMALL, random_state=state).fit(X, y).theta_

    assert np.array_equal(theta(1), theta(1))
    assert not np.array_equal(theta(0), theta(1))
    assert not np.array_equal(theta(None), theta(None))
    assert np.array_equal(theta(np.random.RandomState(2)), theta(np.random.RandomState(2)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden_size": 0}, "`hidden_size` must be >= 1"),
        ({"l2": -1.0}, "`l2` must be"),
        ({"maxiter": 1.5}, "`maxiter` must be an integer"),
        ({"dtype": "float16"}, "`dtype` must be one of float64, float32"),
        ({"scale": "robust"}, "`scale` must be one of none, minmax, standard"),
        ({"activation": "swish"}, "swish"),
        ({"method": "newton"}, "newton"),
        ({"options": {"learning_rat": 1}}, "learning_rat"),
        ({"random_state": -1}, "non-negative"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(settings, message):
    with pytest.raises(ValueError, match=message):
        NeuralNetworkClassifier(**settings).fit(*load_iris(return_X_y=True))


def softplus(z):
    return np.log(1 + np.exp(-np.abs(z))) + np.where(np.real(z) > 0, z, 0)


def softplus_slope(z):
    return 0.5 * (1 + np.tanh(0.5 * z))


def test_it_takes_an_activation_of_your_own():
    X, y = load_iris(return_X_y=True)
    classifier = NeuralNetworkClassifier(4, activation=(softplus, softplus_slope), scale="standard").fit(X, y)
    assert pickle.loads(pickle.dumps(classifier)).score(X, y) > 0.9
    for settings in ({"activation": softplus}, {"activation": (softplus, softplus)}, {"activation": "no.such"}):
        with pytest.raises(ValueError, match=r"derivative|no\.such"):
            NeuralNetworkClassifier(**settings).fit(X, y)
    with pytest.raises(ValueError, match="no second derivative, which `method` trust-ncg needs"):
        NeuralNetworkClassifier(activation=(softplus, softplus_slope), method="trust-ncg").fit(X, y)


def downhill(fun, x0, args=(), jac=None, callback=None, step=0.1, **_):
    x = np.array(x0)
    while True:
        x -= step * jac(x)
        try:
            callback(x)
        except BaseException:
            pass


def test_it_takes_a_method_of_your_own(callback):
    X, y = load_iris(return_X_y=True)
    classifier = NeuralNetworkClassifier(4, method=downhill, options={"step": 0.2}, scale="standard", maxiter=30)
    assert (classifier.fit(X, y).status_, classifier.n_iter_) == ("maxiter", 30)
    by_name = clone(classifier).set_params(method=f"{__name__}.downhill").fit(X, y)
    assert np.array_equal(by_name.theta_, classifier.theta_)
    stopped = clone(classifier).set_callbacks(Recorder(stop_after=3)).fit(X, y)
    assert (stopped.status_, stopped.n_iter_) == ("stopped", 3)
    with pytest.raises(ValueError, match="must be a name or a function of a module"):
        classifier.set_params(method=lambda fun, x0: None).fit(X, y)


def test_one_class_is_refused():
    with pytest.raises(ValueError, match="`y` must hold at least 2 classes, got 1 class: 7"):
        NeuralNetworkClassifier().fit(np.eye(3), [7, 7, 7])


@pytest.mark.filterwarnings("error::sklearn.exceptions.ConvergenceWarning")
def test_a_budget_that_ends_the_training_is_told():
    X, y = load_iris(return_X_y=True)
    with pytest.warns(ConvergenceWarning, match="maxfun = 5.* Increase maxfun, or scale the data"):
        NeuralNetworkClassifier(maxfun=5).fit(X, y)
    converged = NeuralNetworkClassifier(4, method="L-BFGS-B", scale="standard", maxiter=2000, maxfun=2000).fit(X, y)
    assert converged.status_ == "converged"


class Recorder:
    """A callback of scikit-learn that keeps what it is told, and may stop the training."""

    def __init__(self, stop_after=None):
        self.told, self.stop_after = [], stop_after

    def setup(self, estimator, context):
        self.told.append(("setup", context.max_subtasks))

    def on_fit_task_begin(self, estimator, context):
        self.told.append(("begin", context.task_name, context.task_id))

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, fitted_estimator=None):
        score = None if fitted_estimator is None else fitted_estimator.score(X, y)
        self.told.append(("end", context.task_name, context.task_id, score))
        return context.task_id + 1 == self.stop_after

    def teardown(self, estimator, context):
        self.told.append(("teardown",))


@pytest.fixture
def callback():
    return pytest.importorskip("sklearn.callback", reason="callbacks came with scikit-learn 1.9")


def iterations(recorder):
    return [score for what, *rest in recorder.told if what == "end" for name, _, score in [rest] if name == "iteration"]


def test_callbacks_are_called_in_each_iteration_with_a_classifier_as_if_it_had_ended_there(digits, callback):
    recorder = Recorder()
    classifier = NeuralNetworkClassifier(**SMALL | {"maxfun": 200}, method="L-BFGS-B", scale="minmax")
    classifier.set_callbacks(recorder).fit(*digits)
    assert classifier.n_iter_ == 20
    assert iterations(recorder) == list(classifier.history_["accuracy/train"][1:])
    assert recorder.told[:3] == [("setup", 20), ("begin", "fit", 0), ("begin", "iteration", 0)]
    assert recorder.told[-2:] == [("end", "fit", 0, classifier.score(*digits)), ("teardown",)]


@pytest.mark.parametrize("method", ["TNC", "L-BFGS-B", "Adam", "trust-ncg"])
def test_a_callback_can_stop_the_training(digits, callback, method):
    recorder = Recorder(stop_after=3)
    classifier = NeuralNetworkClassifier(8, method=method, scale="minmax")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it was meant to stop
        classifier.set_callbacks(recorder).fit(*digits)
    assert (classifier.status_, classifier.n_iter_, len(classifier.loss_curve_)) == ("stopped", 3, 4)
    assert len(iterations(recorder)) == 3
    assert "stopped by a callback, after 3 iterations" in classifier.message_
    assert classifier.loss_ == classifier.loss_curve_.min()


def test_ctrl_c_ends_the_fit_and_so_a_search(digits, callback):
    recorder = Recorder(stop_after=2)
    recorder.on_fit_task_end = lambda estimator, context: (_ for _ in ()).throw(KeyboardInterrupt)
    interrupted = NeuralNetworkClassifier(**SMALL).set_callbacks(recorder)
    with pytest.raises(KeyboardInterrupt):
        interrupted.fit(*digits)
    assert recorder.told[-1] == ("teardown",)
    assert not hasattr(interrupted, "theta_")


def test_a_failed_training_ends_its_callbacks(digits, callback):
    recorder = Recorder()
    diverging = NeuralNetworkClassifier(method="GD", options={"learning_rate": 1e300})
    with pytest.raises(ArithmeticError):
        diverging.set_callbacks(recorder).fit(*digits)
    assert recorder.told[-1] == ("teardown",)
    assert not hasattr(diverging, "theta_")


def test_a_monitor_in_a_search_has_the_scores_of_each_iteration(digits, callback):
    monitor = callback.ScoringMonitor(scoring="accuracy")
    classifier = NeuralNetworkClassifier(**SMALL, method="L-BFGS-B").set_callbacks(monitor)
    pipeline = make_pipeline(StandardScaler(), classifier).fit(digits[0][:200], digits[1][:200])
    table = monitor.get_logs().data_as_pandas
    scores = table.loc[table.task_name == "iteration", "accuracy"].dropna()
    assert list(scores) == list(pipeline[-1].history_["accuracy/train"][1:])


def test_the_progress_bar_of_scikit_learn_shows_it(digits, callback, capsys):
    pytest.importorskip("rich")
    pipeline = make_pipeline(StandardScaler(), NeuralNetworkClassifier(**SMALL))
    pipeline.set_callbacks(callback.ProgressBar(max_propagation_depth=None)).fit(*digits)
    assert "NeuralNetworkClassifier" in capsys.readouterr().out


def test_two_classes_are_ordered_alike_by_probability_and_decision():
    X, y = load_breast_cancer(return_X_y=True)
    fitted = NeuralNetworkClassifier(**SMALL, scale="standard").fit(X, y)
    decision, probability = fitted.decision_function(X), fitted.predict_proba(X)[:, 1]
    np.testing.assert_allclose(1 / (1 + np.exp(-decision)), probability, rtol=1e-12, atol=1e-15)
    np.testing.assert_array_equal(decision > 0, fitted.predict(X) == 1)
    assert (np.diff(probability[np.argsort(decision)]) >= -1e-15).all()
