"""The workloads, each with its checker. One file each; the interface is Workload in base.py."""
from . import (bank, dirty, foreign_key, index, list_append, long_fork, monotonic, register, sets, unique, write_skew)

ALL = (list_append.ListAppend, register.Register, bank.Bank, sets.Sets, monotonic.Monotonic, write_skew.WriteSkew,
       long_fork.LongFork, unique.Unique, foreign_key.ForeignKey, index.Index, dirty.Dirty)
BY_NAME = {w.name: w for w in ALL}
