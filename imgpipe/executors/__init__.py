"""Executors: carriers of tasks to workers. Any `concurrent.futures.Executor` will do.

A member of this open set is one file and one line in `imgpipe.registry`, or an entry point of
another package in the group ``imgpipe.executors``. It is a class, or a function, that is called
with the number of workers and returns a `concurrent.futures.Executor`. An attribute ``traits``, a
`imgpipe.executors.base.Traits`, says whether its workers share memory and files with this
process. Two more attributes are optional: ``give_back(executor)`` ends an executor after a run, or
keeps it; ``is_kept()`` says whether there may be one for the next run.
"""
