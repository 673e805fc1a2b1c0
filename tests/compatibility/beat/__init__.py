"""A project whose beat keeps its schedule in the tables of django-celery-beat."""
