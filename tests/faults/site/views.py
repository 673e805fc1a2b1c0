"""Creates, changes and deletes pictures and slides, each with its lines in the ledger."""

import hashlib
import time

from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.db import DEFAULT_DB_ALIAS, transaction
from django.forms import inlineformset_factory
from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404

from django_async_forms.arrival import GONE
from django_async_forms.drafts import DraftFile, DraftGoneError
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
        digests = digests_of(form)
        try:
            with transaction.atomic():
                picture = self.object = form.save()
                note(self.request, picture.pk, "titled", name=picture.title)
                for name in FIELDS:
                    if name in digests:
                        note_posted(self.request, picture, name, digests[name])
                    elif form.cleaned_data[name] is False:
                        note(self.request, picture.pk, "cleared", name)
        except DraftGoneError:
            form.add_error(None, ValidationError(GONE, code="draft_gone"))
            return self.form_invalid(form)
        return JsonResponse({"picture": picture.pk})

    def form_invalid(self, form):
        return again([form])

    def render_to_response(self, context, **kwargs):
        return HttpResponse(context["form"].as_p())


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
    if request.method == "GET":
        return HttpResponse(SlideFormSet(form_kwargs={"request": request}).empty_form.as_p())
    album = Album(title=request.headers.get("X-Token", "")) if pk is None else None
    with transaction.atomic():
        if album is None:
            album = get_object_or_404(Album.objects.using(DEFAULT_DB_ALIAS), pk=pk)
        else:
            album.save()
        formset = SlideFormSet(
            request.POST,
            request.FILES,
            instance=album,
            # Not from a replica, which may lack the slides that the page shows.
            queryset=Slide.objects.using(DEFAULT_DB_ALIAS),
            form_kwargs={"request": request},
        )
        if not formset.is_valid():
            return again(formset)
        digests = [digests_of(form) for form in formset]
        try:
            formset.save()
        except DraftGoneError:
            transaction.set_rollback(True)
            return HttpResponse(GONE, status=409)
        for form, found in zip(formset, digests, strict=True):
            for name in found:
                note_posted(request, form.instance, name, found[name])
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


def again(forms):
    """Show forms again, with their errors. A draft that is gone has a status of its own."""
    errors = [
        error for form in forms for found in form.errors.as_data().values() for error in found
    ]
    is_gone = any(error.code == "draft_gone" for error in errors)
    text = "".join(f"{form.errors.as_text()}\n{form.as_p()}" for form in forms)
    return HttpResponse(text, status=409 if is_gone else 400)


def digests_of(form):
    """Return the SHA-256 of each file that a form has got, by the name of its field."""
    values = form.cleaned_data.items()
    return {name: digest(value) for name, value in values if isinstance(value, UploadedFile)}


def note_posted(request, instance, field, digest):
    """Note an upload, and what its column held."""
    # At REPEATABLE READ, an upload that a worker has attached meanwhile is still visible.
    uploads = Upload.objects.using(DEFAULT_DB_ALIAS).for_instance(instance, field)
    upload = uploads.latest("created_at")
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
    """Return the SHA-256 of an upload, and leave it as it was. A checked draft is not opened."""
    if isinstance(file, DraftFile) and file.draft.sha256:
        return file.draft.sha256
    found = hashlib.sha256()
    for chunk in file.chunks():
        found.update(chunk)
    file.seek(0)
    return found.hexdigest()
