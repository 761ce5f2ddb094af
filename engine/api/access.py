"""Who may ask: intake takes the write key as Basic user, everything else an operator token as bearer."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBasic, HTTPBasicCredentials, HTTPBearer

from engine.api.problems import ProblemError
from engine.api.services import Services
from engine.governance.keys import verify_operator_token, verify_write_key


class _Basic(HTTPBasic):
    """Takes what is not Base64 for no credentials at all, so that one answer fits all."""

    async def __call__(self, request: Request) -> HTTPBasicCredentials | None:  # type: ignore[override]
        try:
            return await super().__call__(request)
        except HTTPException:
            return None


_basic = _Basic(auto_error=False, description="The write key as user, no password.")
_bearer = HTTPBearer(auto_error=False, description="An operator token.")


def services_of(request: Request) -> Services:
    """The services the application was made with."""
    services: Services = request.app.state.services
    return services


Asked = Annotated[Services, Depends(services_of)]


async def require_write_key(
    services: Asked, given: Annotated[HTTPBasicCredentials | None, Depends(_basic)]
) -> None:
    """Lets senders of events in; 401 otherwise."""

    def is_right(key: str) -> bool:
        with services.store.read() as session:
            return verify_write_key(session, key)

    if given is None or not await services.store.run(is_right, given.username):
        raise ProblemError(
            401,
            "write_key_wanted",
            "send the write key as the user name of HTTP Basic authentication",
            headers={"WWW-Authenticate": 'Basic realm="wayline intake"'},
        )


async def require_operator(
    services: Asked, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> str:
    """Lets operators in and names them; 401 otherwise."""

    def is_right(token: str) -> bool:
        with services.store.read() as session:
            return verify_operator_token(session, token)

    if given is None or not await services.store.run(is_right, given.credentials):
        raise ProblemError(
            401,
            "operator_token_wanted",
            "send an operator token: Authorization: Bearer TOKEN",
            headers={"WWW-Authenticate": 'Bearer realm="wayline"'},
        )
    return "operator"


Operator = Annotated[str, Depends(require_operator)]
