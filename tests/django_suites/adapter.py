"""The functions in which these suites depend on how the package is made inside."""

from django_async_forms import delivery, hooks, recovery, staging
from django_async_forms.detach import Detachment


def send_nothing():
    """Have no message sent: there is no broker, and the worker's part follows at once."""
    for module in (delivery, recovery, staging):
        module.send = lambda upload: None


def prepare(model):
    """Have ``save()`` of a model hooked, before these suites wrap it: theirs is called first."""
    hooks._hook(model)


def hide(wrapper):
    """Have the wrapper of these suites not count as a model's own ``save()``."""
    hooks._wrappers.add(wrapper)


def detach_on_next_save(instance, fields):
    """Have the next ``save()`` of ``instance`` stage the uploads of ``fields``, as a form does."""
    Detachment(instance).wait_for_save(instance, fields, ())
