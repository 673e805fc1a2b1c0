"""Measures how long a form took to be answered, for the page that compares the two ways."""

import time

from django_async_forms.views import AsyncImageViewMixin


def stopwatch(get_response):
    """Remember in the session how many milliseconds the last form of each way took."""

    def middleware(request):
        started = time.perf_counter()
        response = get_response(request)
        took = round((time.perf_counter() - started) * 1000)
        match = request.resolver_match
        view = getattr(match.func, "view_class", None) if match else None
        if view and request.method == "POST" and response.status_code == 302:
            way = "worker" if issubclass(view, AsyncImageViewMixin) else "plain"
            request.session["answered"] = {**request.session.get("answered", {}), way: took}
        return response

    return middleware
