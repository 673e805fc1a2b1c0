"""Forms that answer immediately while a Celery worker saves their images."""

__version__ = "0.1.0"
