"""A refusal in WordPress' form: `{"code", "message", "data": {"status": …}}`."""

from __future__ import annotations


class Problem(Exception):
    """What the REST API answers instead of a result."""

    def __init__(self, status: int, code: str, message: str, *, data: object = None) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message
        self.data: object = {"status": status} if data is None else data

    def body(self) -> dict[str, object]:
        """As JSON; also the body of a webhook whose object is gone."""
        return {"code": self.code, "message": self.message, "data": self.data}


def invalid(name: str, sentence: str, detail: str = "rest_invalid_param") -> Problem:
    """400 for one parameter."""
    data = {
        "status": 400,
        "params": {name: sentence},
        "details": {name: {"code": detail, "message": sentence, "data": None}},
    }
    return Problem(400, "rest_invalid_param", f"Invalid parameter(s): {name}", data=data)


def gone(resource: str) -> Problem:
    """404 (400 for a product written to by a batch is made there)."""
    return Problem(404, f"woocommerce_rest_{resource}_invalid_id", "Invalid ID.")
