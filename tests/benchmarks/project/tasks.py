"""A task that does nothing, to measure Celery's own time, and those that are written by hand."""

from celery import shared_task

from . import by_hand  # noqa: F401


@shared_task(name="benchmarks.nothing", acks_late=True, ignore_result=True)
def nothing(upload_id, using):
    """Take the arguments of the package's task, and do nothing."""
