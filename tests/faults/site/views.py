"""Creates, changes and deletes pictures, each with its lines in the ledger."""

import hashlib

from django.db import transaction
from django.http import HttpResponse, HttpResponseBadRequest, JsonResponse
from django.shortcuts import get_object_or_404

from django_async_forms.models import Upload
from django_async_forms.views import AsyncImageCreateView, AsyncImageUpdateView

from .models import Fact, Picture

FIELDS = ("image", "cover")


class Noting:
    """Saves the form and notes what was saved, in one transaction."""

    model = Picture
    fields = ["title", *FIELDS]

    def form_valid(self, form):
        digests = {name: digest(form.files[name]) for name in FIELDS if name in form.files}
        with transaction.atomic():
            picture = self.object = form.save()
            note(self.request, picture.pk, "titled", name=picture.title)
            for name in FIELDS:
                if name in digests:
                    upload = Upload.objects.for_instance(picture, name).get()
                    note(self.request, picture.pk, "posted", name, digests[name], upload.pk)
                elif form.cleaned_data[name] is False:
                    note(self.request, picture.pk, "cleared", name)
        return JsonResponse({"picture": picture.pk})

    def form_invalid(self, form):
        return HttpResponseBadRequest(form.errors.as_text())


class PictureCreateView(Noting, AsyncImageCreateView):
    pass


class PictureUpdateView(Noting, AsyncImageUpdateView):
    pass


def delete(request, pk):
    """Delete a picture, as the admin would."""
    with transaction.atomic():
        get_object_or_404(Picture, pk=pk).delete()
        note(request, pk, "deleted")
    return HttpResponse()


def note(request, picture, what, field="", digest="", upload=None, name=""):
    """Write a line into the ledger."""
    Fact.objects.create(
        what=what,
        picture=picture,
        field=field,
        digest=digest,
        upload=upload,
        name=name,
        token=request.headers.get("X-Token", ""),
    )


def digest(file):
    """Return the SHA-256 of an upload, and leave it as it was."""
    found = hashlib.sha256()
    for chunk in file.chunks():
        found.update(chunk)
    file.seek(0)
    return found.hexdigest()
