"""A user's project with type hints, which .ci/run checks with mypy's strict mode."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.core.files.uploadedfile import UploadedFile
from django.db import models
from django.dispatch import receiver
from django.http import HttpRequest, HttpResponse
from rest_framework import serializers

from django_async_forms.admin import AsyncImageAdminMixin
from django_async_forms.forms import AsyncImageFormMixin
from django_async_forms.models import Upload
from django_async_forms.rest_framework import AsyncImageSerializerMixin, ImageStateField
from django_async_forms.signals import image_failed, image_saved
from django_async_forms.status import prefetch_uploads
from django_async_forms.test import save_pending_uploads
from django_async_forms.uploads import asave_image, async_images, save_image
from django_async_forms.views import AsyncImageCreateView, AsyncImageUpdateView
from django_async_forms.widgets import AsyncImageInput


class Picture(models.Model):
    title = models.CharField(max_length=100)
    image = models.ImageField(upload_to="pictures")

    class Meta:
        app_label = "typed"


class PictureForm(AsyncImageFormMixin, forms.ModelForm[Picture]):
    async_fields = ["image"]
    image_widget = AsyncImageInput

    class Meta:
        model = Picture
        fields = ["title", "image"]


class PictureCreateView(AsyncImageCreateView):
    model = Picture
    form_class = PictureForm


class PictureUpdateView(AsyncImageUpdateView):
    model = Picture
    fields = ["title", "image"]


class PictureAdmin(AsyncImageAdminMixin, admin.ModelAdmin[Picture]):
    list_display = ["title", "async_uploads"]


class PictureSerializer(AsyncImageSerializerMixin, serializers.ModelSerializer[Picture]):
    async_fields = ["image"]
    async_when = "replacing"
    state = ImageStateField(source="image")

    class Meta:
        model = Picture
        fields = ["title", "image", "state"]


async def add(request: HttpRequest) -> HttpResponse:
    uploaded = request.FILES["image"]
    assert isinstance(uploaded, UploadedFile)
    with async_images(Picture, fields=["image"], when="replacing", request=request):
        picture = Picture(title="Dune", image=uploaded)
        await picture.asave()
    upload: Upload = await asave_image(uploaded, picture)
    return HttpResponse(str(upload.pk))


def change(request: HttpRequest, picture: Picture) -> HttpResponse:
    uploaded = request.FILES["image"]
    assert isinstance(uploaded, UploadedFile)  # Django's type hints allow None.
    upload: Upload = save_image(uploaded, picture, "image")
    count: int = Upload.objects.for_instance(picture).pending().count()
    prefetch_uploads([picture], "image")
    return HttpResponse(f"{upload.pk} {count}")


@receiver(image_saved)
@receiver(image_failed)
def note(sender: type[Picture], instance: Picture, field_name: str, **kwargs: Any) -> None:
    print(instance.title, field_name)


def finish() -> int:
    return save_pending_uploads()
