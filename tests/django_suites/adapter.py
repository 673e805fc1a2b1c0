"""The only functions of these suites that depend on the package's internals."""

from django_async_forms import delivery, hooks, recovery, staging
from django_async_forms.detach import Detachment


def send_nothing():
    """Send no message: there is no broker, and the worker's part follows immediately."""
    for module in (delivery, recovery, staging):
        module.send = lambda upload: None


def prepare(model):
    """Hook ``save()`` of a model before these suites wrap it, so that their wrapper runs first."""
    hooks._hook(model)


def hide(wrapper):
    """Do not count the wrapper of these suites as an overridden ``save()``."""
    hooks._wrappers.add(wrapper)


def detach_on_next_save(instance, fields, only_replaces):
    """Let the next ``save()`` of ``instance`` stage the uploads of ``fields``, as a form does."""
    Detachment(instance).wait_for_save(instance, fields, (), only_replaces=only_replaces)
