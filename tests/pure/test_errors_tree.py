"""Every error knows its code, status, type and whose fault it is."""

import pytest

from shared import errors
from shared.errors import BudgetExceeded, HiveError, RequestError, Unavailable


def tree(root: type[HiveError]) -> list[type[HiveError]]:
    return [root, *(found for child in root.__subclasses__() for found in tree(child))]


# Other modules add errors of their own; which of them are loaded here depends on the tests before this one.
ALL = [error for error in tree(HiveError) if error.__module__ == errors.__name__]


def test_the_tree_is_the_whole_module() -> None:
    public = {value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, HiveError)}
    assert public <= set(ALL)
    assert len({(error.status, error.code) for error in public}) == len(public)


@pytest.mark.parametrize("error", ALL, ids=lambda error: error.__name__)
def test_whose_fault_it_is_agrees_with_the_status(error: type[HiveError]) -> None:
    callers_fault = issubclass(error, RequestError)
    assert callers_fault == (400 <= error.status < 500 and error.status != 429)  # which waiting mends
    assert error.retryable is not callers_fault
    assert error.code == error.code.lower()
    assert error.type
    assert (error.__doc__ or "").endswith(".")


@pytest.mark.parametrize("error", ALL, ids=lambda error: error.__name__)
def test_an_error_carries_what_the_caller_is_told(error: type[HiveError]) -> None:
    plain = error("it is so")
    assert (str(plain), plain.message, plain.code) == ("it is so", "it is so", error.code)
    assert (plain.param, plain.details, plain.retry_after_s, plain.dispatched) == (None, None, None, False)


def test_one_error_can_have_a_code_of_its_own() -> None:
    special = Unavailable(
        "loading", code="model_loading", param="model", details={"n": 1}, retry_after_s=3, dispatched=True
    )
    assert (special.code, special.param, special.details) == ("model_loading", "model", {"n": 1})
    assert (special.retry_after_s, special.dispatched, Unavailable("x").code) == (3, True, "no_workers")
    assert BudgetExceeded("x").status == 402
