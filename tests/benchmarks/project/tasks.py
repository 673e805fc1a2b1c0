"""A task that does nothing, to measure Celery's own time."""

from celery import shared_task


@shared_task(name="benchmarks.nothing", acks_late=True, ignore_result=True)
def nothing(upload_id, using):
    """Take the arguments of the package's task, and do nothing."""
