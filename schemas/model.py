"""The manner of every model that crosses a boundary: frozen, strict about unknown fields, canonical on the wire."""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict

from schemas import canonical


class Model(BaseModel):
    """A value that is checked when it is made and never changes after."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    def fields(self) -> dict[str, Any]:
        """Plain values for canonical JSON; what is None is left out."""
        return self.model_dump(mode="json", exclude_none=True)

    @classmethod
    def read(cls, data: Any) -> Self:
        """Reads plain JSON values. Raises pydantic.ValidationError (a ValueError) naming each field."""
        return cls.model_validate_json(canonical.dumps(data))
