"""Connections that go where they are told, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import requests

from tap_zohovoice._compat import override

if TYPE_CHECKING:
    from requests import Response


class ThrottledSession(requests.Session):
    """A session that takes a redirect for an answer.

    Even where redirects are forbidden, the library reads the body of one, however long, and parses
    the address in it, however broken.
    """

    @override
    def get_redirect_target(self, resp: Response) -> None:
        """Find no address to go to.

        Args:
            resp: The answer.
        """
