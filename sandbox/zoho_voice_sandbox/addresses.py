"""The endpoints of the service, and the scope that each requires."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

if TYPE_CHECKING:
    from collections.abc import Collection

    from zoho_voice_sandbox.dialect import Dialect

ListName: TypeAlias = Literal[
    "users",
    "queues",
    "numbers",
    "contacts",
    "contact_statuses",
    "campaigns",
    "sms_logs",
    "scheduled_sms",
    "status_audit",
]
EndpointName: TypeAlias = Literal["logs", "files", "transcripts"] | ListName

LISTS: tuple[ListName, ...] = get_args(ListName)
TOKEN_PATH = "/oauth/v2/token"  # noqa: S105 - a path
PATHS: dict[str, EndpointName] = {
    "/rest/json/zv/logs": "logs",
    "/rest/json/zv/logs/voicerecording": "files",
    "/rest/json/zv/transcribe": "transcripts",
    "/rest/json/zv/api/users": "users",
    "/rest/json/zv/api/queues": "queues",
    "/rest/json/zv/api/v1/numberslist": "numbers",
    "/rest/json/zv/contacts": "contacts",
    "/rest/json/zv/contacts/contact_status": "contact_statuses",
    "/rest/json/zv/api/powerdialer": "campaigns",
    "/rest/json/v1/sms/logs": "sms_logs",
    "/rest/json/v1/sms/schedule": "scheduled_sms",
    "/rest/json/zv/metrics/statusaudit/list": "status_audit",
}
_CALLS = "ZohoVoice.call.READ"
_SCOPES: dict[EndpointName, str] = {
    "logs": _CALLS,
    "files": _CALLS,
    "transcripts": _CALLS,
    "users": "ZohoVoice.agents.READ",
    "status_audit": "ZohoVoice.agents.READ",
    "queues": "zohovoice.queues.READ",
    "contacts": "zohovoice.contacts.READ",
    "contact_statuses": "zohovoice.contacts.READ",
    "campaigns": "ZohoVoice.powerdialer.READ",
    "sms_logs": "ZohoVoice.sms.READ",
    "scheduled_sms": "ZohoVoice.sms.READ",
}


def scope_of(name: EndpointName, dialect: Dialect) -> str:
    """Return the scope that an endpoint requires."""
    return dialect.numbers_scope if name == "numbers" else _SCOPES[name]


def has_scope(scopes: Collection[str] | None, scope: str) -> bool:
    """Return whether a scope is among some, or implied by them; None stands for every scope.

    The documentation spells scopes in upper and lower case, so case makes no difference.
    """
    if scopes is None:
        return True
    granted = {granted.casefold() for granted in scopes}
    area = scope.casefold().rpartition(".")[0]
    return not granted.isdisjoint({scope.casefold(), f"{area}.all"})
