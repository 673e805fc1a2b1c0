"""The admin of the test project."""

from django.contrib import admin

from django_async_forms.forms import AsyncImageModelForm

from .models import Album, Page, Photo


class PageInline(admin.TabularInline):
    model = Page
    form = AsyncImageModelForm
    extra = 1


@admin.register(Album)
class AlbumAdmin(admin.ModelAdmin):
    form = AsyncImageModelForm
    inlines = [PageInline]


@admin.register(Photo)
class PhotoAdmin(admin.ModelAdmin):
    form = AsyncImageModelForm
