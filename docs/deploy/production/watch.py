"""What the site tells those who watch it: that it answers, and its uploads, for Prometheus."""

from datetime import timedelta

from django.db.models import Min
from django.http import HttpResponse
from django.utils import timezone

from django_async_forms.models import Upload


def watch(get_response):
    """Answer requests for /health and /metrics, unless they come through the proxy."""
    pages = {"/health": health, "/metrics": metrics}

    def middleware(request):
        page = pages.get(request.path)
        if page and "X-Forwarded-Proto" not in request.headers:
            return HttpResponse(page(), content_type="text/plain; version=0.0.4")
        return get_response(request)

    return middleware


def health():
    # Without a look at the database: to restart the site does not bring that back.
    return "ok\n"


def metrics():
    now = timezone.now()
    pending = Upload.objects.pending()
    oldest = pending.aggregate(oldest=Min("created_at"))["oldest"]
    gauges = {
        "pending": pending.count(),
        "failed": Upload.objects.failed().count(),
        "retried": pending.filter(attempts__gt=1).count(),
        # Recovery looks at each upload at its due_at, and comes by every minute.
        "overdue": pending.filter(due_at__lt=now - timedelta(minutes=3)).count(),
        "oldest_pending_seconds": (now - oldest).total_seconds() if oldest else 0,
    }
    return "".join(
        f"# TYPE async_forms_{name} gauge\nasync_forms_{name} {value}\n"
        for name, value in gauges.items()
    )
