"""What the oldest supported Python lacks."""

import sys

if sys.version_info >= (3, 12):
    from typing import override
else:
    from typing_extensions import override  # a dependency of the SDK there

__all__ = ["override"]
