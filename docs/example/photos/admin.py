"""The admin of the example: one line, and its forms answer at once too."""

from django.contrib import admin

from django_async_forms.forms import AsyncImageModelForm

from .models import Photo


@admin.register(Photo)
class PhotoAdmin(admin.ModelAdmin):
    form = AsyncImageModelForm
    list_display = ["title", "image", "width", "height", "detail"]
