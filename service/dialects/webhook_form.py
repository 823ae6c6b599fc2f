"""What the receivers of a dialect's webhooks are sent, in the place of our own events.

The outbox, its retries and the check of addresses are those of our own webhooks.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

from protocol.jobs import Job
from service.dialects.base import Desk
from service.profiles import Part
from service.wiring import Services

Body: TypeAlias = Callable[[Desk, Job], Awaitable[bytes | None]]
"""Of a job that has ended. None for one that the dialect has not made, which our own form is for: everybody may choose
its label for a job of our own API."""


class WebhookForm(Part):
    """Has the bodies made; see `service.webhooks.Form`.

    Args:
        label: `dialect` of the jobs it is for.
    """

    def __init__(self, services: Services, label: str, body: Body) -> None:
        self._desk = Desk(services)
        self._body = body
        services.webhooks.forms[label] = self._form

    async def __aexit__(self, *_: object) -> None:
        """Nothing is open here."""

    async def _form(self, job_id: str, _event: Mapping[str, Any]) -> bytes | None:
        job = await self._desk.services.store.job(job_id, None)
        return None if job is None else await self._body(self._desk, job)


def webhook_form(label: str, body: Body) -> Callable[[Services], Part]:
    """A part of a `Dialect`."""
    return lambda services: WebhookForm(services, label, body)
