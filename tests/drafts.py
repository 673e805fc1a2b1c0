"""Sends drafts as a page does: by the tus protocol, with the grant that a form has rendered."""

import base64
import re
from copy import copy

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpResponse
from django.test import Client
from django.urls import include, path, reverse
from django.views import View

from django_async_forms.drafts import claimable, make_grant
from django_async_forms.grants import read_draft_token
from django_async_forms.models import Draft
from django_async_forms.views import AsyncImageCreateView, AsyncImageUpdateView
from tests.project.models import Photo


class HiddenPhotoView(AsyncImageCreateView):
    """Shows nobody the image before a worker has saved it."""

    model = Photo
    fields = ["title", "image"]
    success_url = "/"
    template_name = "project/form_with_drafts.html"

    def get_form_class(self):
        return type("HiddenForm", (super().get_form_class(),), {"hide_staged": ["image"]})


class GrantView(View):
    """A page of a project's own, for files of any kind."""

    def get(self, request, purpose):
        return HttpResponse(make_grant(request, purpose, form_field=forms.FileField))


class ClaimView(View):
    """Claims a draft without a form, and tells what is in it."""

    def post(self, request):
        try:
            with claimable(request, request.POST["token"]) as file:
                return HttpResponse(file.read())
        except ValidationError as error:
            return HttpResponse("\n".join(error.messages), status=400)


PHOTO = {
    "model": Photo,
    "fields": ["title", "image"],
    "success_url": "/",
    "template_name": "project/form_with_drafts.html",
}

urlpatterns = [
    path("", include("tests.project.urls")),
    path("images/", include("django_async_forms.urls")),
    path("hidden/", HiddenPhotoView.as_view(), name="hidden"),
    path("photo/add/", AsyncImageCreateView.as_view(**PHOTO), name="add"),
    path("photo/<int:pk>/", AsyncImageUpdateView.as_view(**PHOTO), name="change"),
    path("grant/<str:purpose>/", GrantView.as_view(), name="grant"),
    path("claim/", ClaimView.as_view(), name="claim"),
]


class Page:
    """The page of a form, in one person's browser."""

    def __init__(self, client=None, address="/photo/add/"):
        self.client = client or Client()
        html = self.client.get(address).content.decode()
        found = re.search(r'data-grant="([^"]*)"', html)
        self.grant = found[1] if found else html
        self.endpoint = reverse("django_async_forms:drafts")

    def call(self, method, address, data=b"", content_type="", **headers):
        """Send one request of the protocol."""
        given = {
            "Tus-Resumable": "1.0.0",
            # Django's client leaves both out if there is no body; browsers do not.
            "Content-Length": len(data),
            "Content-Type": content_type or None,
        }
        given.update((name.replace("_", "-").title(), value) for name, value in headers.items())
        texts = {name: str(value) for name, value in given.items() if value is not None}
        return self.client.generic(method, address, data, content_type, headers=texts)

    def create(self, size, data=b"", *, grant=None, name="dune.jpg", metadata=None, **headers):
        """Make a draft of ``size`` bytes, the first of which are ``data``."""
        given = {"grant": grant or self.grant, "filename": name, "filetype": "image/jpeg"}
        return self.call(
            "POST",
            self.endpoint,
            data,
            "application/offset+octet-stream" if data else "",
            upload_length=size,
            upload_metadata=written({**given, **(metadata or {})}),
            **headers,
        )

    def begin(self, size, data=b"", **options):
        """Make a draft, and return its address."""
        response = self.create(size, data, **options)
        assert response.status_code == 201, response.content
        return response["Location"]

    def send(
        self, address, data, offset=0, content_type="application/offset+octet-stream", **headers
    ):
        """Send bytes of a draft."""
        return self.call("PATCH", address, data, content_type, upload_offset=offset, **headers)

    def send_all(self, data, **options):
        """Send a draft, and return its address."""
        address = self.begin(len(data), **options)
        response = self.send(address, data)
        assert response.status_code == 204, response.content
        return address

    def head(self, address):
        return self.call("HEAD", address)

    def claim(self, address):
        """Claim the draft in a view of the project's own."""
        return self.client.post("/claim/", {"token": token_in(address)})

    def remove(self, address):
        return self.call("DELETE", address)

    def again(self, **options):
        """Return the page in a client that is made with the settings of now, with its cookies."""
        client = Client(**options)
        client.cookies = self.client.cookies
        page = copy(self)
        page.client = client
        return page

    def look(self, address):
        """Load the draft as an image."""
        return self.client.get(address)

    def submit(self, address, page="/photo/add/"):
        """Submit the form of a page with a draft."""
        return self.client.post(page, {"title": "Dune", "image-draft": token_in(address)})


def written(metadata):
    """Return metadata as the protocol writes it."""
    pairs = (f"{key} {base64.b64encode(as_bytes(text)).decode()}" for key, text in metadata.items())
    return ",".join(pairs)


def as_bytes(text):
    return text if isinstance(text, bytes) else text.encode()


def token_in(address):
    """Return the token that the address of a draft ends with."""
    return address.rstrip("/").rpartition("/")[2]


def draft_at(address):
    """Return the row of a draft, or None."""
    key, using = read_draft_token(token_in(address))
    return Draft.objects.using(using).filter(pk=key).first()


def staged_bytes(address):
    """Return what is staged of a draft."""
    with draft_at(address).open_staged() as file:
        return file.read()
