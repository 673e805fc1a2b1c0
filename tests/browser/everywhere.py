"""The pages that show anything of the package, under the strictest policy that there is."""

import secrets

from django.contrib import admin
from django.forms import inlineformset_factory
from django.shortcuts import get_object_or_404, render
from django.urls import path
from django.views.generic import ListView, TemplateView

from django_async_forms.admin import AsyncImageAdminMixin, UploadAdmin
from django_async_forms.forms import AsyncImageModelForm
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


class PageInline(AsyncImageAdminMixin, admin.TabularInline):
    model = Page
    fields = ["image", "caption"]
    extra = 1
    several_images = True


class AlbumAdmin(AsyncImageAdminMixin, admin.ModelAdmin):
    inlines = [PageInline]


admin_site = admin.AdminSite()
admin_site.register(Photo, site.PhotoAdmin)
admin_site.register(Album, AlbumAdmin)
admin_site.register(Upload, UploadAdmin)


def several(request, pk):
    """Show the pages of an album as a formset that takes several images."""
    formset_class = inlineformset_factory(
        Album, Page, AsyncImageModelForm, fields=["image", "caption"], extra=1, can_order=True
    )
    album = get_object_or_404(Album, pk=pk)
    formset = formset_class(instance=album, form_kwargs={"request": request})
    return render(request, "browser/several.html", {"formset": formset})


OWN = {"model": Measured, "fields": ["title", "image", "cover"], "success_url": "?saved"}

urlpatterns = [
    path("admin/", admin_site.urls),
    path(
        "states/", ListView.as_view(model=Photo, ordering="pk", template_name="browser/states.html")
    ),
    path("files/", ListView.as_view(model=Document, template_name="browser/files.html")),
    # A page with a library, by its address, that swaps the states into this one.
    path("swapped/<path:library>", TemplateView.as_view(template_name="browser/swapped.html")),
    path("several/<int:pk>/", several),
    path("own/", AsyncImageCreateView.as_view(**OWN)),
    path("own/<int:pk>/", AsyncImageUpdateView.as_view(**OWN)),
    *(pattern for pattern in site.urlpatterns if str(pattern.pattern) != "admin/"),
]
