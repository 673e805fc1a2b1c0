"""Admin classes of the packages, with the mixin before them."""

from django.contrib import admin
from django.db import models
from import_export.admin import ImportExportModelAdmin
from parler.admin import TranslatableAdmin
from unfold.admin import ModelAdmin

from django_async_forms.admin import AsyncImageAdminMixin
from django_async_forms.widgets import AsyncImageInput

from .models import Photo, TranslatedPhoto


@admin.register(Photo)
class PhotoAdmin(AsyncImageAdminMixin, ModelAdmin, ImportExportModelAdmin):
    list_display = ["title", "async_uploads"]
    formfield_overrides = {models.ImageField: {"widget": AsyncImageInput}}


@admin.register(TranslatedPhoto)
class TranslatedPhotoAdmin(AsyncImageAdminMixin, TranslatableAdmin):
    pass
