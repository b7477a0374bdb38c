from resources.objects import Body, instance_body, server_body
from whatsapp_operator.resources import parsing, policy
from whatsapp_operator.resources.overrides import RecoveryMode


def resolved(instance: Body, server: Body) -> policy.Policy:
    return policy.resolve(parsing.parse_instance(instance).spec, parsing.parse_server(server).spec)


def test_without_overrides_the_defaults_hold() -> None:
    found = resolved(instance_body(), server_body())

    assert found == policy.Policy()
    assert found.health == policy.HealthPolicy(
        check_period_seconds=10,
        database_period_seconds=30,
        check_timeout_seconds=10,
        stuck_timeout_seconds=30,
        min_healthy_seconds=600,
    )
    assert found.recovery == policy.RecoveryPolicy(
        mode=RecoveryMode.ENABLED, max_attempts=3, retry_delay_seconds=2, step_timeout_seconds=30
    )


def test_server_goes_before_the_defaults() -> None:
    found = resolved(instance_body(), server_body(recovery={"mode": "DryRun"}, health={"stuckTimeoutSeconds": 60}))

    assert found.recovery.mode is RecoveryMode.DRY_RUN
    assert found.health.stuck_timeout_seconds == 60
    assert found.health.check_period_seconds == 10


def test_instance_goes_before_its_server_field_by_field() -> None:
    server = server_body(recovery={"mode": "Disabled", "maxAttempts": 5})

    found = resolved(instance_body(recovery={"maxAttempts": 1}), server)

    assert found.recovery.max_attempts == 1
    assert found.recovery.mode is RecoveryMode.DISABLED


def test_default_written_out_by_an_instance_goes_before_its_server() -> None:
    found = resolved(instance_body(recovery={"mode": "Enabled"}), server_body(recovery={"mode": "Disabled"}))

    assert found.recovery.mode is RecoveryMode.ENABLED


def test_reads_that_serve_all_instances_follow_the_server() -> None:
    spec = parsing.parse_server(server_body(health={"checkPeriodSeconds": 1})).spec

    assert policy.server_health(spec) == policy.HealthPolicy(check_period_seconds=1)
