"""The pages of forms: a test says what stands in the form, and how the server answers."""

import threading

from django import forms
from django.contrib import admin
from django.http import FileResponse, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template import engines
from django.urls import include, path
from django.views.decorators.csrf import csrf_exempt

from django_async_forms.admin import AsyncImageAdminMixin
from django_async_forms.forms import AsyncImageFormMixin
from django_async_forms.views import AsyncImageCreateView, AsyncImageUpdateView
from django_async_forms.widgets import AsyncImageInput
from tests import pictures
from tests.browser.site import PlainForm
from tests.project.models import Album, OnlyImages, Page, Photo
from tests.worker import DEADLINE

NONCE = "abc"
POLICY = (
    f"default-src 'none'; script-src 'nonce-{NONCE}' 'strict-dynamic'; style-src 'nonce-{NONCE}'; "
    "img-src 'self' blob:; connect-src 'self'; base-uri 'self'; frame-src 'self'; "
    "require-trusted-types-for 'script'"
)

PAGE = """{% load async_forms %}<!doctype html><html lang="en"><title>Form</title>
<meta name="color-scheme" content="light dark">
{{ head|safe }}
<form method="post" enctype="multipart/form-data" {{ attributes|safe }}>{{ form.as_div }}
{{ buttons|safe }}</form>{{ after|safe }}"""


class PhotoForm(AsyncImageFormMixin, forms.ModelForm):
    image_widget = AsyncImageInput

    class Meta:
        model = Photo
        fields = ["title", "image"]


#: What a test writes into the form's page: head, attributes, inside, buttons, after.
written = {}
#: What was posted: the fields, and the names of the files.
posts = []
#: Cleared by a test that wants the server to wait before it answers.
answering = threading.Event()


def media(form):
    return (
        str(form.media)
        .replace("<script ", f'<script nonce="{NONCE}" ')
        .replace("<link ", f'<link nonce="{NONCE}" ')
    )


def form_page(form, request):
    head = "" if "plain" in request.GET else media(form)
    context = {"form": form, "buttons": "<button>Save</button>", **written}
    context["head"] = head + written.get("head", "")
    html = engines["django"].from_string(PAGE).render(context, request)
    return HttpResponse(html, headers={"Content-Security-Policy": POLICY})


ANSWERS = {
    "page": lambda request: HttpResponse("<h1>Thanks</h1>"),
    "text": lambda request: HttpResponse("<h1>Thanks</h1>", content_type="text/plain"),
    "json": lambda request: JsonResponse({"title": "<h1>Thanks</h1>"}),
    "nothing": lambda request: HttpResponse(status=204),
    "file": lambda request: FileResponse(
        pictures.as_file(b"receipt"), as_attachment=True, filename="receipt.bin"
    ),
    "redirect": lambda request: HttpResponseRedirect("/done/"),
    "anchor": lambda request: HttpResponseRedirect("/done/#below"),
    "elsewhere": lambda request: HttpResponseRedirect(
        f"http://127.0.0.1:{request.get_port()}/done/"
    ),
    "too-large": lambda request: HttpResponse("<h1>413 from the proxy</h1>", status=413),
    "broken": lambda request: HttpResponse("<h1>500</h1>", status=500),
    "scripts": lambda request: HttpResponse(
        f"<h1>Thanks</h1><script nonce={NONCE}>const NONE = 1; document.title = 'classic';</script>"
        f"<script nonce={NONCE} type=module>document.title += ' module';</script>",
        headers={"Content-Security-Policy": POLICY},
    ),
}


@csrf_exempt
def send(request, kind):
    if request.method == "GET" and "title" not in request.GET:
        return form_page(PhotoForm(), request)
    data = request.POST if request.method == "POST" else request.GET
    posts.append({**data.dict(), **{name: file.name for name, file in request.FILES.items()}})
    answering.wait(DEADLINE)
    if kind == "errors":
        return form_page(PhotoForm(request.POST, request.FILES), request)
    return ANSWERS[kind](request)


def count(request):
    """Tell how many forms have arrived."""
    return JsonResponse(len(posts), safe=False)


def release(request):
    """Have the server answer."""
    answering.set()
    return HttpResponse()


def pair(request, pk):
    return form_page(PlainForm(instance=OnlyImages.objects.get(pk=pk)), request)


def done(request):
    return HttpResponse("<h1>Done</h1><svg height=3000></svg><p id=below>Below</p>")


def with_policy(view):
    """Serve the package's page as a project with a strict policy would."""

    def wrapped(request, **kwargs):
        request.csp_nonce = NONCE
        response = view(request, **kwargs)
        response["Content-Security-Policy"] = POLICY
        return response

    return wrapped


site = admin.AdminSite()


class PageInline(AsyncImageAdminMixin, admin.StackedInline):
    model = Page
    extra = 1


@admin.register(Album, site=site)
class AlbumAdmin(AsyncImageAdminMixin, admin.ModelAdmin):
    inlines = [PageInline]


OWN = {"model": Photo, "form_class": PhotoForm}

urlpatterns = [
    path("send/<slug:kind>/", send),
    path("count/", count),
    path("release/", release),
    path("pair/<int:pk>/", pair),
    path("done/", done),
    path("own/add/", with_policy(AsyncImageCreateView.as_view(**OWN, success_url="/done/"))),
    path("own/<int:pk>/", with_policy(AsyncImageUpdateView.as_view(**OWN, success_url="?"))),
    path("admin/", site.urls),
    path("", include("tests.browser.site")),
]
