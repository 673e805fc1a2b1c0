"""Answers those who watch the site: whether it runs, whether images are saved, and its metrics."""

from django.http import HttpResponse

from django_async_forms.health import health, ready
from django_async_forms.prometheus import metrics


def alive(request):
    # Without a look at the database: to restart the site does not bring that back.
    return HttpResponse("ok\n", content_type="text/plain")


PAGES = {"/alive": alive, "/ready": ready, "/health": health, "/metrics": metrics}


def watch(get_response):
    """Answer requests for these pages, unless they come through the proxy."""

    def middleware(request):
        page = PAGES.get(request.path)
        if page and "X-Forwarded-Proto" not in request.headers:
            return page(request)
        return get_response(request)

    return middleware
