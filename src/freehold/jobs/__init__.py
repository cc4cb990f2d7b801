"""Durable jobs: work that was promised is done, whatever happens to the process that does it.

``queue.Jobs`` is what services use, ``job.JobContext`` what a handler is given, ``worker.Worker``
what runs handlers; ``store`` holds every statement.
"""
