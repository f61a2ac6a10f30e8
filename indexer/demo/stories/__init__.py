"""The demo's repositories, one module each."""

from __future__ import annotations

from indexer.demo.stories import (
    churn,
    credit_risk,
    demand_forecast,
    document_ocr,
    fraud,
    search_ranking,
    support_assistant,
)
from indexer.demo.story import DemoRepository

REPOSITORIES: tuple[DemoRepository, ...] = (
    churn.REPOSITORY,
    fraud.REPOSITORY,
    demand_forecast.REPOSITORY,
    search_ranking.REPOSITORY,
    document_ocr.REPOSITORY,
    credit_risk.REPOSITORY,
    support_assistant.REPOSITORY,
)
