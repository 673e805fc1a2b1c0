"""The admin of the example: one mixin, and its forms answer at once and show what is on its way."""

from django.contrib import admin

from django_async_forms.admin import AsyncImageAdminMixin

from .models import Photo


@admin.register(Photo)
class PhotoAdmin(AsyncImageAdminMixin, admin.ModelAdmin):
    list_display = ["title", "image", "width", "height", "detail", "async_uploads"]
