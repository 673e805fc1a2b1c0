"""The pages that the browser looks at, under a policy that forbids all that need not be."""

from crispy_forms.helper import FormHelper
from crispy_forms.layout import Layout, Submit
from django import forms
from django.contrib import admin
from django.contrib.messages.views import SuccessMessageMixin
from django.http import HttpResponse
from django.template import engines
from django.urls import include, path
from django.views.generic import DetailView, ListView
from django.views.static import serve

from django_async_forms.admin import AsyncImageAdminMixin, UploadAdmin
from django_async_forms.forms import AsyncImageFormMixin
from django_async_forms.layout import AsyncImage
from django_async_forms.models import Upload
from django_async_forms.status import prefetch_uploads
from django_async_forms.views import AsyncImageCreateView, AsyncImageUpdateView
from django_async_forms.widgets import AsyncImageInput
from tests.browser.firefox import RUN
from tests.project.models import Document, OnlyImages, Photo, Shrunk

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'"
)


def content_security_policy(get_response):
    def middleware(request):
        response = get_response(request)
        if not request.path.startswith("/admin/"):
            response.headers.setdefault("Content-Security-Policy", POLICY)
        return response

    return middleware


class PhotoForm(AsyncImageFormMixin, forms.ModelForm):
    class Meta:
        model = Photo
        fields = ["title", "image"]

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.helper = FormHelper()
        self.helper.layout = Layout("title", AsyncImage("image"), Submit("submit", "Save"))


class PhotoCreateView(SuccessMessageMixin, AsyncImageCreateView):
    success_message = "Thank you."


class PhotoListView(ListView):
    template_name = "browser/list.html"

    def get_queryset(self):
        return prefetch_uploads(Photo.objects.order_by("pk"), "image")


class PlainForm(AsyncImageFormMixin, forms.ModelForm):
    image_widget = AsyncImageInput

    class Meta:
        model = OnlyImages
        fields = ["front", "back"]


#: The pages that tests write themselves, by name: the template, and the headers of the response.
written = {}


def written_page(request, name):
    source, headers = written[name]
    context = {
        "photos": Photo.objects.order_by("pk"),
        "documents": Document.objects.order_by("pk"),
        "shrunk": Shrunk.objects.order_by("pk"),
        "csp_nonce": "abc",
    }
    html = engines["django"].from_string("{% load async_forms %}" + source)
    return HttpResponse(html.render(context, request), headers=headers)


site = admin.AdminSite()
site.register(Upload, UploadAdmin)


@admin.register(Photo, site=site)
class PhotoAdmin(AsyncImageAdminMixin, admin.ModelAdmin):
    list_display = ["title", "async_uploads"]


FORM = {"model": Photo, "form_class": PhotoForm, "template_name": "browser/form.html"}
DETAIL = {"model": Photo, "template_name": "browser/detail.html"}
PLAIN = {"model": OnlyImages, "form_class": PlainForm, "success_url": "?done"}
PLAIN["template_name"] = "browser/plain_form.html"

urlpatterns = [
    path("node_modules/<path:path>", serve, {"document_root": RUN.parent / "node_modules"}),
    path("written/<slug:name>/", written_page),
    path("admin/", site.urls),
    path("uploads/", include("django_async_forms.urls")),
    path("others/", include(("django_async_forms.urls", "others"))),
    path("photos/", PhotoListView.as_view(), name="photos"),
    path("photos/add/", PhotoCreateView.as_view(**FORM), name="photo-add"),
    path("photos/<int:pk>/", DetailView.as_view(**DETAIL), name="photo"),
    path("photos/<int:pk>/change/", AsyncImageUpdateView.as_view(**FORM), name="photo-change"),
    path("plain/<int:pk>/", AsyncImageUpdateView.as_view(**PLAIN), name="plain"),
]
