"""The pages that show anything of the package, under the strictest policy that there is."""

import secrets

from django.contrib import admin
from django.urls import path
from django.views.generic import ListView, TemplateView

from django_async_forms.admin import AsyncImageAdminMixin, UploadAdmin
from django_async_forms.models import Upload
from django_async_forms.views import AsyncImageCreateView, AsyncImageUpdateView
from tests.browser import site
from tests.project.models import Album, Document, Measured, Page, Photo

STRICT = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; "
    "img-src 'self' blob:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
#: Where Django's admin or another library writes markup, so that much is only reported.
WITH_OTHERS = STRICT.replace("'nonce-{nonce}'", "'self'")


def strict_policy(get_response):
    def middleware(request):
        # As django-csp has it.
        request.csp_nonce = secrets.token_urlsafe(16)
        response = get_response(request)
        if request.path.startswith(("/admin/", "/swapped/")):
            response["Content-Security-Policy-Report-Only"] = WITH_OTHERS
        else:
            response["Content-Security-Policy"] = STRICT.format(nonce=request.csp_nonce)
        return response

    return middleware


class StatesView(ListView):
    queryset = Photo.objects.order_by("pk")
    template_name = "browser/states.html"


class FilesView(ListView):
    queryset = Document.objects.order_by("pk")
    template_name = "browser/files.html"


class SwappedView(TemplateView):
    """A page with a library, by its address, that swaps the next page into this one."""

    template_name = "browser/swapped.html"


class OwnPage:
    model = Measured
    fields = ["title", "image", "cover"]
    success_url = "?saved"


class OwnCreateView(OwnPage, AsyncImageCreateView):
    pass


class OwnUpdateView(OwnPage, AsyncImageUpdateView):
    pass


class PageInline(AsyncImageAdminMixin, admin.TabularInline):
    model = Page
    fields = ["image", "caption"]
    extra = 1


class AlbumAdmin(AsyncImageAdminMixin, admin.ModelAdmin):
    inlines = [PageInline]


admin_site = admin.AdminSite()
admin_site.register(Photo, site.PhotoAdmin)
admin_site.register(Album, AlbumAdmin)
admin_site.register(Upload, UploadAdmin)

urlpatterns = [
    path("admin/", admin_site.urls),
    path("states/", StatesView.as_view()),
    path("files/", FilesView.as_view()),
    path("swapped/<path:library>", SwappedView.as_view()),
    path("own/", OwnCreateView.as_view()),
    path("own/<int:pk>/", OwnUpdateView.as_view()),
    *(pattern for pattern in site.urlpatterns if str(pattern.pattern) != "admin/"),
]
