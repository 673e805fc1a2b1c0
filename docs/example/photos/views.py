"""The views of the example: with django_async_forms, and one without it to compare."""

from django.db import transaction
from django.forms import modelform_factory
from django.shortcuts import get_object_or_404, redirect, render
from django.views.generic import CreateView, DetailView, ListView, TemplateView

from django_async_forms.status import prefetch_uploads
from django_async_forms.views import AsyncImageCreateView, AsyncImageUpdateView

from .forms import AlbumForm, PhotoForm, PictureFormSet
from .models import Album, Photo

FIELDS = PhotoForm.Meta.fields


class PhotoCreateView(AsyncImageCreateView):
    model = Photo
    form_class = PhotoForm


class PhotoUpdateView(AsyncImageUpdateView):
    model = Photo
    form_class = PhotoForm


def edit_album(request, pk=None):
    """Edit an album with all of its pictures, or add one."""
    album = Album() if pk is None else get_object_or_404(Album, pk=pk)
    form = AlbumForm(request.POST or None, instance=album)
    formset = PictureFormSet(
        request.POST or None,
        request.FILES or None,
        instance=album,
        form_kwargs={"request": request},
    )
    # Both, so that the page names the errors of both.
    if all([form.is_valid(), formset.is_valid()]):
        with transaction.atomic():
            form.save()
            formset.save()
        return redirect(album)
    return render(request, "photos/album_form.html", {"form": form, "formset": formset})


# To compare: Django's own view, which waits for the storage.


class PlainPhotoCreateView(CreateView):
    model = Photo
    fields = FIELDS


# The pages that show photos and albums, whichever view saved them.


class PhotoListView(ListView):
    model = Photo
    paginate_by = 12

    def get_context_data(self, **kwargs):
        context = super().get_context_data(**kwargs)
        # The uploads of all of them, so that the tag need not ask for each.
        prefetch_uploads(context["object_list"], "image")
        return context


class PhotoDetailView(DetailView):
    model = Photo


class AlbumListView(ListView):
    queryset = Album.objects.prefetch_related("pictures")

    def get_context_data(self, **kwargs):
        context = super().get_context_data(**kwargs)
        albums = context["object_list"]
        prefetch_uploads([picture for album in albums for picture in album.pictures.all()], "image")
        return context


class AlbumDetailView(DetailView):
    model = Album

    def get_context_data(self, **kwargs):
        pictures = prefetch_uploads(self.object.pictures.all(), "image")
        return super().get_context_data(pictures=pictures, **kwargs)


class CompareView(TemplateView):
    """Both forms next to each other, with how long the last one of each took."""

    template_name = "photos/compare.html"

    def get_context_data(self, **kwargs):
        form_class = modelform_factory(Photo, fields=FIELDS)
        answered = self.request.session.get("answered", {})
        return super().get_context_data(
            worker_form=form_class(auto_id="worker_%s"),
            plain_form=form_class(auto_id="plain_%s"),
            answered=answered,
            slowest=max(answered.values(), default=0),
            **kwargs,
        )
