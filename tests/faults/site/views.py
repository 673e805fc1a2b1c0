"""Creates, changes and deletes pictures and slides, each with its lines in the ledger."""

import hashlib
import time

from django.db import transaction
from django.forms import inlineformset_factory
from django.http import HttpResponse, HttpResponseBadRequest, JsonResponse
from django.shortcuts import get_object_or_404

from django_async_forms.forms import AsyncImageModelForm
from django_async_forms.models import Upload
from django_async_forms.views import AsyncImageCreateView, AsyncImageUpdateView

from .models import Album, Fact, Picture, Slide

FIELDS = ("image", "cover")
SLIDE_FIELDS = ("photo", "back")
SlideFormSet = inlineformset_factory(
    Album, Slide, form=AsyncImageModelForm, fields=["caption", *SLIDE_FIELDS], extra=0
)


class Noting:
    """Saves the form and notes the saved state, in one transaction."""

    model = Picture
    fields = ["title", *FIELDS]

    def form_valid(self, form):
        digests = {name: digest(form.files[name]) for name in FIELDS if name in form.files}
        with transaction.atomic():
            picture = self.object = form.save()
            note(self.request, picture.pk, "titled", name=picture.title)
            for name in FIELDS:
                if name in digests:
                    note_posted(self.request, picture, name, digests[name])
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


def slides(request, pk=None):
    """
    Save a formset of slides, and then each row again, as the dashboard of django-oscar does.

    The first save has committed by then. The second writes instances loaded in between.
    """
    album = Album(title=request.headers.get("X-Token", "")) if pk is None else None
    with transaction.atomic():
        if album is None:
            album = get_object_or_404(Album, pk=pk)
        else:
            album.save()
        formset = SlideFormSet(request.POST, request.FILES, instance=album)
        if not formset.is_valid():
            return HttpResponseBadRequest(str(formset.errors))
        digests = {name: digest(file) for name, file in request.FILES.items()}
        formset.save()
        for form in formset:
            for name in SLIDE_FIELDS:
                if form.add_prefix(name) in digests:
                    found = digests[form.add_prefix(name)]
                    note_posted(request, form.instance, name, found)
    loaded = list(album.slides.order_by("pk"))
    time.sleep(0.2)  # Long enough for a worker that got its message at the commit.
    for number, slide in enumerate(loaded):
        with transaction.atomic():
            slide.position = number
            slide.save()
            for name in SLIDE_FIELDS:
                note(request, slide.pk, "resaved", name, name=getattr(slide, name).name)
    posted = [form.instance.pk for form in formset]
    return JsonResponse({"album": album.pk, "slides": posted})


def note_posted(request, instance, field, digest):
    """Note an upload, and what its column held."""
    # At REPEATABLE READ, an upload that a worker has attached meanwhile is still visible.
    upload = Upload.objects.for_instance(instance, field).latest("created_at")
    note(request, instance.pk, "posted", field, digest, upload.pk, upload.held)


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
