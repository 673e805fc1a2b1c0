"""A task that does nothing, to see what Celery itself takes for one."""

from celery import shared_task


@shared_task(name="benchmarks.nothing", acks_late=True, ignore_result=True)
def nothing(upload_id, using):
    """Have the arguments of the package's task, and be done."""
