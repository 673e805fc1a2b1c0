"""A project with two languages. django-modeltranslation keeps an image for each."""
