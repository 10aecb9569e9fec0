import csv
import io
import json

import numpy as np
import pytest
from sklearn.metrics import classification_report, confusion_matrix, f1_score, precision_recall_fscore_support

from nnexp.evaluation import evaluate

CLASSES = ("1", "2", "3", "0")


@pytest.fixture
def answers():
    rng = np.random.default_rng(0)
    y_true = rng.integers(0, 4, 60)
    y_pred = np.where(rng.random(60) < 0.7, y_true, rng.integers(0, 4, 60))
    return y_true, y_pred


def test_figures_are_those_of_scikit_learn(answers):
    report = evaluate(*answers, CLASSES)
    precision, recall, f1, support = precision_recall_fscore_support(*answers)
    assert report.accuracy == np.mean(answers[0] == answers[1])
    assert report.f1_macro == pytest.approx(f1_score(*answers, average="macro"), rel=1e-15)
    np.testing.assert_array_equal(report.confusion, confusion_matrix(*answers))
    for column, expected in {"precision": precision, "recall": recall, "f1-score": f1, "support": support}.items():
        np.testing.assert_allclose([row[column] for row in report.rows()], expected, rtol=1e-15)
    for kind in ("macro", "weighted"):
        expected = precision_recall_fscore_support(*answers, average=kind)[:3]
        found = [report.averages[kind][column] for column in ("precision", "recall", "f1-score")]
        np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_confusion_is_true_class_by_predicted_class():
    np.testing.assert_array_equal(
        evaluate(np.array([0, 0, 1]), np.array([1, 1, 1]), ("a", "b")).confusion, [[0, 2], [0, 1]]
    )


def test_rows_name_the_class_first_and_f1_second(answers):
    rows = evaluate(*answers, CLASSES).rows()
    assert list(rows[0]) == ["class", "f1-score", "precision", "recall", "support"]
    assert [row["class"] for row in rows] == list(CLASSES)


def test_csv_reads_back_as_the_rows(answers):
    report = evaluate(*answers, CLASSES)
    read = list(csv.DictReader(io.StringIO(report.csv())))
    assert [row["class"] for row in read] == list(CLASSES)
    assert [float(row["f1-score"]) for row in read] == [row["f1-score"] for row in report.rows()]


def test_the_dictionary_survives_json(answers):
    report = evaluate(*answers, CLASSES)
    read = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert read == report.as_dict()
    assert list(read["classes"]) == list(CLASSES)
    assert read["confusion"] == {"classes": list(CLASSES), "counts": report.confusion.tolist()}
    assert isinstance(read["classes"]["1"]["support"], int)


def test_the_text_names_classes_accuracy_and_averages(answers):
    text = evaluate(*answers, CLASSES).text
    lines = [line.split() for line in text.splitlines() if line]
    assert [line[0] for line in lines[1:]] == [*CLASSES, "accuracy", "macro", "weighted"]


def test_a_class_that_occurs_nowhere_does_not_spoil_the_averages():
    report = evaluate(np.array([0, 1, 3]), np.array([0, 1, 3]), CLASSES)
    assert (report.accuracy, report.f1_macro) == (1.0, 1.0)
    assert [row["class"] for row in report.rows()] == ["1", "2", "0"]
    assert report.confusion.shape == (4, 4)
    assert list(report.as_dict()["classes"]) == ["1", "2", "0"]


def test_a_class_never_predicted_counts_as_zero_and_warns_of_nothing():
    report = evaluate(np.array([0, 0, 1, 2]), np.array([0, 0, 0, 2]), CLASSES)
    assert report.rows()[1] == {"class": "2", "f1-score": 0.0, "precision": 0.0, "recall": 0.0, "support": 1}
    assert report.f1_macro == pytest.approx((0.8 + 0 + 1) / 3)


def test_classes_of_the_names_of_averages_do_not_collide():
    report = evaluate(np.array([0, 1]), np.array([0, 0]), ("accuracy", "macro avg"))
    assert [row["class"] for row in report.rows()] == ["accuracy", "macro avg"]
    assert report.f1_macro == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("y_true", "y_pred", "message"),
    [
        ([], [], "n >= 1"),
        ([0, 1], [0], r"got \(2,\) and \(1,\)"),
        ([0, 4], [0, 1], "expected class indices 0 to 3, got 0 to 4"),
        ([0, 1], [-1, 1], "got -1 to 1"),
    ],
)
def test_what_cannot_be_compared_is_refused(y_true, y_pred, message):
    with pytest.raises(ValueError, match=message):
        evaluate(np.array(y_true, int), np.array(y_pred, int), CLASSES)


def test_inputs_are_left_as_they_are(answers):
    before = [array.copy() for array in answers]
    evaluate(*answers, CLASSES)
    for array, old in zip(answers, before, strict=True):
        np.testing.assert_array_equal(array, old)


@pytest.mark.parametrize("seed", range(20))
def test_text_and_figures_are_scikit_learns(seed):
    rng = np.random.default_rng(seed)
    n_classes, n_samples = rng.integers(2, 12), rng.integers(20, 60)
    y_true = rng.integers(0, n_classes, n_samples)
    y_pred = np.where(rng.random(n_samples) < 0.6, y_true, rng.integers(0, n_classes, n_samples))
    names = [f"the class of {i}" for i in range(n_classes)]
    report, labels = evaluate(y_true, y_pred, names), np.unique([y_true, y_pred])
    shown = [names[label] for label in labels]
    assert report.text == classification_report(
        y_true, y_pred, labels=labels, target_names=shown, digits=4, zero_division=0
    )
    precision, recall, f1, support = precision_recall_fscore_support(y_true, y_pred, labels=labels, zero_division=0)
    rows = [(row["precision"], row["recall"], row["f1-score"], row["support"]) for row in report.rows()]
    assert rows == list(zip(precision, recall, f1, support, strict=True))
