"""Clients that go on until they are told to stop.

    with Repeating(first_step, second_step):
        ...     # a thread for each calls it again and again
"""
import threading


class Repeating:
    def __init__(self, *steps):
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self.go_on, args=(step,)) for step in steps]

    def go_on(self, step):
        while not self.ended.is_set():
            step()

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        for thread in self.threads:
            thread.join()
