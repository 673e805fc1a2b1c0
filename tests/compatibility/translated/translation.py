"""The fields that django-modeltranslation translates."""

from modeltranslation.translator import TranslationOptions, register

from .models import Page, Photo


@register(Photo)
class PhotoOptions(TranslationOptions):
    fields = ["title", "image"]


@register(Page)
class PageOptions(TranslationOptions):
    fields = ["image"]
