"""What a workload is."""
import threading


class Workload:
    """setup() makes the tables; workers call next() for an operation {f, value} and apply() to perform it, which puts
    what was seen into op["value"]; after the end final() reads all there is; check() looks at the history and that,
    and returns anomalies as (kind, text). check() is a function of recorded data only, so that hand-made histories
    test it."""

    name = None
    workers = 2

    def __init__(self):
        self.lock = threading.Lock()
        self.counter = 0

    def draw(self):
        """A number that nobody else gets."""
        with self.lock:
            self.counter += 1
            return self.counter - 1

    def setup(self, s):
        raise NotImplementedError

    def next(self, rng):
        raise NotImplementedError

    def apply(self, s, op):
        raise NotImplementedError

    def final(self, s):
        raise NotImplementedError

    @staticmethod
    def check(ops, final):
        raise NotImplementedError

    realtime = True  # False at levels below SERIALIZABLE, where order in real time is not promised
