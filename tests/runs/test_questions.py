"""Questions in run directories."""

import threading
import time

from nnexp.runs import questions
from nnexp.runs.directory import RunDirectory
from nnexp.runs.questions import Question


def test_each_question_gets_a_whole_answer_however_many_answer_and_whether_it_is_asked_yet(tmp_path):
    directory, is_over = RunDirectory(tmp_path), threading.Event()

    def answer(problem):
        while not is_over.is_set():
            questions.answer(directory, Question.PUBLISH, problem=problem)

    problems = "the store did not answer", "it is away"
    threads = [threading.Thread(target=answer, args=(problem,)) for problem in problems]
    for thread in threads:
        thread.start()
    try:
        for _ in range(2000):
            questions.ask(directory, Question.PUBLISH)
            while questions.is_asked(directory, Question.PUBLISH):
                time.sleep(0)
            assert questions.said(directory, Question.PUBLISH).get("problem") in problems
            questions.forget(directory)
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


def test_what_nobody_asks_has_no_answer(tmp_path):
    questions.answer(RunDirectory(tmp_path), Question.CLAIM, problem="away")
    assert not questions.is_open(RunDirectory(tmp_path), Question.CLAIM)
    assert questions.said(RunDirectory(tmp_path), Question.CLAIM) == {}
