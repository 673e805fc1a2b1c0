"""A project with two languages, of which django-modeltranslation keeps each image."""
