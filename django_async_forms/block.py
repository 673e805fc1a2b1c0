"""A block of code in which each save of an instance leaves its images to a worker."""

from __future__ import annotations

import weakref
from collections.abc import Collection
from contextvars import Token
from functools import cached_property
from typing import Any, Literal

from django.db.models import FileField, ImageField, Model
from django.http import HttpRequest

from . import hooks
from .conf import conf
from .detach import Detachment
from .draft_sender import sender_of
from .fields import file_field, file_fields, unwrapped


class Block:
    """
    A context manager: each save in it leaves its images to a worker.

    The block belongs to the code that enters it: to the thread or asyncio task, and to what that
    code calls, awaits or runs by ``sync_to_async()``. A thread that it starts is outside. So is a
    task that goes on after the block.
    """

    def __init__(
        self,
        *models: type[Model],
        fields: Collection[str] | None = None,
        when: Literal["always", "replacing"] = "always",
        hide_staged: Collection[str] = (),
        request: HttpRequest | None = None,
    ) -> None:
        for name in {*(fields or ()), *hide_staged}:
            if not any(name == field.name for model in models for field in file_fields(model)):
                file_field(models[0], name)  # Raises the error that says which fields there are.
        self._models = models
        self._fields = fields
        self._only_replaces = when == "replacing"
        self._hidden = hide_staged
        self._request = request
        self._is_open = False
        #: By the id of the instance: it may have no hash, and its class may have no weak keys.
        self._taken: dict[int, tuple[weakref.ref[Model], Detachment]] = {}

    @cached_property
    def _sender(self) -> str:
        """
        The key of the person who is shown the pending images, or ``""``.

        Looked up in the thread of the first save: an event loop cannot read a session from the
        database.
        """
        sender = sender_of(self._request) if conf().SHOW_STAGED else None
        return "" if sender is None else sender.key

    def __enter__(self) -> None:
        self._outer = hooks.before_save.get()
        self._token: Token[Any] = hooks.before_save.set(self._before_save)
        self._is_open = True

    def __exit__(self, *error: object) -> None:
        self._is_open = False
        hooks.before_save.reset(self._token)
        for reference, detachment in list(self._taken.values()):
            instance = reference()
            if instance is not None:
                detachment.release(instance)
        self._taken.clear()

    def _before_save(self, instance: Model) -> None:
        if self._is_open and isinstance(instance, self._models):
            self.take(instance)
        elif self._outer is not None:
            self._outer(instance)

    def take(self, instance: Model, cleared: Collection[str] = ()) -> None:
        """
        Let the saves of an instance leave its images to a worker, until the end of the block.

        ``cleared`` names the fields that are about to be emptied. An instance that is taken before
        its images change is saved without a query that looks up the old ones.
        """
        instance = unwrapped(instance)
        key = id(instance)
        earlier = hooks.handler_of(instance)
        # Taken by this block or one around it, or by a worker's attempt: eager tasks run in blocks.
        if earlier is not None and (not isinstance(earlier, Detachment) or earlier.is_in_block):
            return
        detachment = Detachment(instance)
        detachment.is_in_block = True
        detachment.wait_for_save(
            instance,
            [field for field in file_fields(instance) if self._includes(field)],
            cleared,
            only_replaces=self._only_replaces,
            sender=self._sender,
            hidden=self._hidden,
        )
        reference = weakref.ref(instance, lambda _: self._taken.pop(key, None))
        self._taken[key] = reference, detachment

    def _includes(self, field: FileField) -> bool:
        if self._fields is None:
            return isinstance(field, ImageField)
        return field.name in self._fields
