"""The admin of the example: one mixin, and its forms answer at once and show what is on its way."""

from django.contrib import admin

from django_async_forms.admin import AsyncImageAdminMixin

from .models import Album, Photo, Picture


@admin.register(Photo)
class PhotoAdmin(AsyncImageAdminMixin, admin.ModelAdmin):
    list_display = ["title", "image", "width", "height", "detail", "async_uploads"]


class PictureInline(AsyncImageAdminMixin, admin.StackedInline):
    model = Picture
    extra = 0
    several_images = True
    order_field = "position"


@admin.register(Album)
class AlbumAdmin(AsyncImageAdminMixin, admin.ModelAdmin):
    inlines = [PictureInline]
