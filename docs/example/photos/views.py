"""The views of the example: with django_async_forms, and one without it to compare."""

from django.forms import modelform_factory
from django.views.generic import CreateView, DetailView, ListView, TemplateView

from django_async_forms.status import prefetch_uploads
from django_async_forms.views import AsyncImageCreateView, AsyncImageUpdateView

from .forms import PhotoForm
from .models import Photo

FIELDS = PhotoForm.Meta.fields


class PhotoCreateView(AsyncImageCreateView):
    model = Photo
    form_class = PhotoForm


class PhotoUpdateView(AsyncImageUpdateView):
    model = Photo
    form_class = PhotoForm


# To compare: Django's own view, which waits for the storage.


class PlainPhotoCreateView(CreateView):
    model = Photo
    fields = FIELDS


# The pages that show photos, whichever view saved them.


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
