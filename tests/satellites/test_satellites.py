"""All eight together: names as tabled, messages that are whole numbers, events told apart."""

import importlib
import pkgutil
from typing import Any

import msgspec
import pytest

from moonlet import satellites
from moonlet.agents import AgentType
from moonlet.projections import Observed
from moonlet.satellites import SATELLITES, messages
from moonlet.satellites.aegis import AddPosition
from moonlet.satellites.aegis.positions import Position, health
from moonlet.satellites.night.script import AGENTS, seeds

TABLE: dict[str, tuple[str, str, str]] = {
    "sage": (
        "analyze_protocol score_rwa research_market research_regulatory get_compliance_report"
        " get_health protocol_data rwa_data",
        "protocol_analysis rwa_scoring system_status",
        "protocol_analysis_completed rwa_scoring_completed market_research_completed"
        " regulatory_research_completed compliance_assessment_completed"
        " regulatory_change_detected ai_provider_fallback",
    ),
    "forge": (
        "execute_optimized_transaction run_validation_suite batch_transactions backtest_strategy"
        " market_data mempool_tx",
        "status",
        "trading_signal sandwich_detected flashloan_opportunity tx_executed tx_failed",
    ),
    "pulse": (
        "optimize_yield optimize_staking discover_protocols get_health yield_opportunity"
        " staking_position protocol_discovery",
        "yield_optimization staking_optimization system_status",
        "yield_optimization_completed staking_optimization_completed protocol_discovered"
        " rebalance_executed sustainability_alert backtest_completed",
    ),
    "aegis": (
        "add_position update_position remove_position acknowledge_alert execute_liquidation"
        " run_stress_test run_monte_carlo_simulation prices",
        "get_position_health get_alerts",
        "position_added position_updated position_removed risk_alert alert_acknowledged",
    ),
    "echo": (
        "analyze_sentiment analyze_trends analyze_influencer analyze_narrative get_health"
        " sentiment_data social_media_data",
        "sentiment_analysis trend_analysis system_status",
        "sentiment_analysis_completed trend_detected influencer_activity narrative_emergence"
        " viral_content_detected new_project_discovered adoption_signal_detected",
    ),
    "fuel": (
        "allocate_capital optimize_gas batch_transactions rebalance_portfolio harvest_tax_losses"
        " rotate_wallet gas_prices",
        "gas_forecast wallet_health tax_report",
        "capital_deployed gas_price_forecast rebalance_proposed tax_loss_harvested"
        " wash_sale_blocked wallet_anomaly",
    ),
    "bridge": (
        "execute_arbitrage optimize_liquidity rebalance_portfolio record_bridge_incident"
        " update_bridge_security_audit asset_prices",
        "get_arbitrage_opportunities get_bridge_risk_assessments get_portfolio_status"
        " get_critical_bridge_alerts get_executable_opportunities",
        "opportunity_detected opportunity_evaluated execution_completed execution_failed"
        " bridge_incident",
    ),
    "oracle": (
        "validate_oracle_feed validate_rwa_protocol verify_off_chain_data"
        " perform_cross_provider_consensus refresh_data_sources",
        "feed_status rwa_status system_health",
        "oracle_validated rwa_validated off_chain_data_verified ai_consensus_completed"
        " anomaly_detected source_offline threshold_breach",
    ),
}


def pascal(words: str) -> set[str]:
    return {"".join(part.capitalize() for part in name.split("_")) for name in words.split()}


@pytest.mark.parametrize("name", sorted(TABLE))
def test_a_satellite_has_the_commands_queries_and_events_of_its_table(name: str) -> None:
    agent_type: AgentType[Any] = getattr(satellites, name)
    commands, queries, events = map(pascal, TABLE[name])
    agent_type.check()
    assert agent_type.name == name
    assert commands <= set(agent_type.behavior.commands)
    assert queries <= set(agent_type.queries)
    assert events <= set(agent_type.behavior.events)


def test_there_are_eight_and_each_is_offered_by_name() -> None:
    assert [f"{each.name}/main" for each in SATELLITES] == list(AGENTS)
    assert {each.name for each in SATELLITES} == set(TABLE)


def test_no_two_satellites_record_different_events_under_one_name() -> None:
    owner: dict[str, type] = {}
    for agent_type in SATELLITES:
        for name, handler in agent_type.behavior.events.items():
            assert owner.setdefault(name, handler.message.cls) is handler.message.cls, name


def message_classes() -> list[type]:
    """Those of the shared room, and those of each satellite's own."""
    rooms = [f"messages.{module.name}" for module in pkgutil.iter_modules(messages.__path__)]
    rooms += [*(f"{agent_type.name}.messages" for agent_type in SATELLITES), "bridge.venue"]
    found = []
    for room in rooms:
        loaded = importlib.import_module(f"moonlet.satellites.{room}")
        found += [
            value
            for value in vars(loaded).values()
            if isinstance(value, type) and issubclass(value, msgspec.Struct)
            and value.__module__ == loaded.__name__
        ]  # fmt: skip
    return found


def kinds(node: Any) -> set[str]:
    """The names of all types inside a message's; a view's token is the view's business."""
    if isinstance(node, msgspec.inspect.StructType) and node.cls is Observed:
        return {"StructType"}
    found = {type(node).__name__}
    if isinstance(node, msgspec.inspect.Type | msgspec.inspect.Field):
        for name in node.__struct_fields__:
            found |= kinds(getattr(node, name))
    elif isinstance(node, tuple):
        for each in node:
            found |= kinds(each)
    return found


@pytest.mark.parametrize("cls", message_classes(), ids=lambda cls: cls.__name__)
def test_a_message_is_frozen_and_holds_no_float_and_nothing_untyped(cls: type) -> None:
    assert cls.__struct_config__.frozen  # type: ignore[attr-defined]
    assert not kinds(msgspec.inspect.type_info(cls)) & {"FloatType", "AnyType", "DecimalType"}


def test_every_message_class_is_used_by_a_satellite_or_inside_another() -> None:
    handled = {
        handler.message.cls
        for agent_type in SATELLITES
        for table in (
            agent_type.behavior.commands,
            agent_type.behavior.events,
            agent_type.queries,
            agent_type.performs,
        )
        for handler in table.values()
    }
    inside = {
        "Trade",
        "Reading",
        "Deviation",
        "ProviderAnswer",
        "Post",
        "Lot",
        "Posting",
        "Protection",
    }
    assert {cls.__name__ for cls in message_classes() if cls not in handled} == inside


def test_the_night_begins_with_ten_positions_between_1_06_and_1_60() -> None:
    found = [
        health(Position(c.protocol, c.asset, c.collateral, c.debt, c.threshold, 0), c.price)
        for _, c in seeds(1_003_000, 1)
        if isinstance(c, AddPosition) and c.debt
    ]
    assert len(found) == 10
    assert min(found) == 10_600 and max(found) == 16_000
