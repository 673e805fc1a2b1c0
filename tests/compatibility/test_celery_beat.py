"""django-celery-beat: runs ``beat/cases.py`` in a separate project."""

from . import libraries, separate

libraries.need("django-celery-beat")


def test_the_cases_of_celery_beat():
    separate.run("beat")
