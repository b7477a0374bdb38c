from resources.objects import Body, instance_body, server_body
from whatsapp_operator.resources import parsing, policy
from whatsapp_operator.resources.overrides import ProbeMode, RecoveryMode


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


def test_probe_is_off_until_somebody_wants_it() -> None:
    assert resolved(instance_body(), server_body()).health.probe == policy.ProbePolicy(ProbeMode.DISABLED, 300)


def test_instance_goes_before_its_server_also_within_the_probe() -> None:
    server = server_body(health={"probe": {"mode": "Enabled", "periodSeconds": 60}, "stuckTimeoutSeconds": 45})

    found = resolved(instance_body(health={"probe": {"periodSeconds": 600}}), server).health
    off = resolved(instance_body(health={"probe": {"mode": "Disabled"}}), server).health

    assert found.probe == policy.ProbePolicy(ProbeMode.ENABLED, 600)
    assert off.probe == policy.ProbePolicy(ProbeMode.DISABLED, 60)
    assert found.stuck_timeout_seconds == 45
