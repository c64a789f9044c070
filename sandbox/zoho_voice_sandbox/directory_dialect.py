"""Undocumented behaviour of the lists other than call logs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class DirectoryDialect:
    """Choices for users, queues, numbers, contacts and campaigns, and for lists in general.

    Attributes:
        users_from: Number of the first user. Under `one`, `from=0` gives the first one too; under
            `one_only` it is refused.
        users_listed: Whether users who are not active are listed where no `status` is asked for.
        list_max_size: Most rows in a page of any of these lists, None for the maximum that is
            documented for each.
        list_size_over: Whether a larger size is capped or refused.
        list_total: Value of `meta.total` of these lists: as their pages show it, none, or -1.
        id_form: Whether ids are text, or numbers beyond 2^53.
        number_form: Whether numbers are plain, floats in exponent form, or `"--"`.
        empty_form: How rows hold empty text.
        queue_key: The key under which a queue has its id.
        numbers_scope: The scope of the list of numbers.
        number_assignments: Rows of a number, each with its own `numberMapId`.
        campaign_indexes: Index of the first campaign.
        campaign_end: Whether `to_index` itself is included.
        campaign_rows: Campaigns in a page where there is no `to_index`, None for all.
        campaign_users: Rows of a campaign, each with another user.
    """

    users_from: Literal["zero", "one", "one_only"] = "zero"
    users_listed: Literal["all", "active"] = "all"
    list_max_size: int | None = None
    list_size_over: Literal["cap", "refuse"] = "refuse"
    list_total: Literal["documented", "absent", "minus_one"] = "documented"
    id_form: Literal["text", "number"] = "text"
    number_form: Literal["plain", "exponent", "dashes"] = "plain"
    empty_form: Literal["text", "absent", "null"] = "text"
    queue_key: Literal["id", "groupid"] = "id"
    numbers_scope: Literal["ZohoVoice.agents.READ", "ZohoVoice.telephony.READ"] = (
        "ZohoVoice.agents.READ"
    )
    number_assignments: int = 1
    campaign_indexes: Literal["from_zero", "from_one"] = "from_zero"
    campaign_end: Literal["included", "excluded"] = "included"
    campaign_rows: int | None = None
    campaign_users: Literal[1, 2, 3] = 1
