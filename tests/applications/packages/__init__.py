"""Unfold, django-import-export and django-parler: the table of docs/howto/fields.rst."""
