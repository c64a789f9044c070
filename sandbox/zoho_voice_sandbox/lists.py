"""The lists of an account, from one directory, so that they agree with each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoho_voice_sandbox.agent_status import AgentStatus
from zoho_voice_sandbox.campaigns import CAMPAIGNS, build_campaign
from zoho_voice_sandbox.contacts import (
    CONTACT_STATUSES,
    CONTACTS,
    build_contact,
    build_statuses,
)
from zoho_voice_sandbox.directory import people
from zoho_voice_sandbox.numbers import NUMBERS, build_number
from zoho_voice_sandbox.queues import QUEUES, build_queue
from zoho_voice_sandbox.resource import ResourceHandler
from zoho_voice_sandbox.scheduled_sms import SCHEDULED_SMS, build_job, current_jobs
from zoho_voice_sandbox.sms_logs import SMS_LOGS, build_messages, current_messages
from zoho_voice_sandbox.status_audit import StatusAuditHandler
from zoho_voice_sandbox.users import USERS, build_user, current_users

if TYPE_CHECKING:
    from zoho_voice_sandbox.addresses import ListName
    from zoho_voice_sandbox.clock import Clock
    from zoho_voice_sandbox.directory import Directory
    from zoho_voice_sandbox.endpoint import Handler
    from zoho_voice_sandbox.history import History


class Lists:
    """The lists of an account.

    Attributes:
        rows: The rows of each list, which may be changed.
        statuses: The changes of status of the agents.
        handlers: Responds to requests for each list.
    """

    def __init__(self, directory: Directory, history: History | None, clock: Clock) -> None:
        """Create the lists.

        Args:
            directory: How many rows they have.
            history: The days with messages and changes of status, None for an account that is
                created now.
            clock: Source of time.
        """
        self._clock = clock
        self._created_ms = self._now_ms()
        self._people = people(directory.users)
        self.statuses = AgentStatus(history, self._created_ms)
        resources: dict[ListName, ResourceHandler] = {
            **self._build_directory(directory),
            **self._build_messages(directory, history),
        }
        self.rows = {name: resource.rows for name, resource in resources.items()}
        audit = StatusAuditHandler(self.statuses, self._people, self._now_ms)
        self.handlers: dict[ListName, Handler] = {
            **{name: resource.handle for name, resource in resources.items()},
            "status_audit": audit.handle,
        }

    def _now_ms(self) -> int:
        return int(self._clock.now() * 1000)

    def _build_directory(self, directory: Directory) -> dict[ListName, ResourceHandler]:
        users = self._people
        return {
            "users": ResourceHandler(
                USERS,
                (build_user(user, self._created_ms) for user in users),
                lambda rows: current_users(rows, self.statuses, self._now_ms()),
            ),
            "queues": ResourceHandler(QUEUES, map(build_queue, range(directory.queues))),
            "numbers": ResourceHandler(
                NUMBERS, (build_number(place, users) for place in range(directory.numbers))
            ),
            "contacts": ResourceHandler(
                CONTACTS, (build_contact(place, users) for place in range(directory.contacts))
            ),
            "contact_statuses": ResourceHandler(CONTACT_STATUSES, build_statuses()),
            "campaigns": ResourceHandler(
                CAMPAIGNS, (build_campaign(place, users) for place in range(directory.campaigns))
            ),
        }

    def _build_messages(
        self, directory: Directory, history: History | None
    ) -> dict[ListName, ResourceHandler]:
        created_ms, users = self._created_ms, self._people
        messages = build_messages(directory.messages, history, created_ms, users) if history else ()
        return {
            "sms_logs": ResourceHandler(
                SMS_LOGS, messages, lambda rows: current_messages(rows, self._now_ms())
            ),
            "scheduled_sms": ResourceHandler(
                SCHEDULED_SMS,
                (build_job(place, created_ms, users) for place in range(directory.scheduled)),
                lambda rows: current_jobs(rows, self._now_ms()),
            ),
        }
