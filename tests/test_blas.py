"""The threads of BLAS, which a process has once for all its own threads."""

import threading

from threadpoolctl import threadpool_info

from nnexp.blas import blas_threads


def numbers():
    return {lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"}


def test_whoever_leaves_first_takes_no_thread_from_the_others():
    entered, left = threading.Event(), threading.Event()

    def first():
        with blas_threads(1):
            entered.set()
            other_entered.wait()
        left.set()

    other_entered = threading.Event()
    with blas_threads(2):
        before = numbers()
        thread = threading.Thread(target=first)
        thread.start()
        entered.wait()
        with blas_threads(1):
            other_entered.set()
            left.wait()
            assert numbers() == {1}
        thread.join()
        assert numbers() == before


def test_inside_another_number_counts_until_the_end():
    with blas_threads(1):
        with blas_threads(2):
            assert 2 in numbers()
        assert numbers() == {1}
