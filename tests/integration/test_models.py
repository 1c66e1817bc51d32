"""Models go into production and leave it, and the history tells which one was
there when, whoever wrote."""

import contextlib
import os
import pathlib
import shutil
import sqlite3
import uuid

import book
import pytest
import serving
from book import FAILED_PRECONDITION, INVALID_ARGUMENT, NOT_FOUND, OK

FIXTURE = pathlib.Path(os.environ.get("TRADEBOOK_FIXTURE", ""))


def register(client, *versions, model_type="lstm"):
    for version in versions:
        client.ok("ModelService.CreateModelDeployment",
                  model_deployment=book.model_deployment(version=version, model_type=model_type))


def promote(client, version):
    return client.ok("ModelService.PromoteModel", version=version)


def get(client, version):
    return client.ok("ModelService.GetModelDeployment", version=version)


def production(client, **fields):
    return [m.version for m in client.ok("AnalyticsService.ListProductionModels", **fields).model_deployments]


def tenures(client, **fields):
    return list(client.ok("ModelService.ListModelHistory", **fields).tenures)


def history(client, **fields):
    """The versions, newest first; those no longer in production with a minus."""
    return [t.version + ("-" if t.HasField("demoted_at") else "") for t in tenures(client, **fields)]


@contextlib.contextmanager
def other_program(file):
    with contextlib.closing(sqlite3.connect(file.path)) as connection, connection:
        yield connection


def test_promote_demotes_the_one_of_the_same_type(client, file):
    register(client, "a", "b")
    register(client, "rl-1", model_type="rl")
    promote(client, "rl-1")
    promote(client, "a")
    assert promote(client, "b") == get(client, "b")
    assert get(client, "b").is_promoted and not get(client, "a").is_promoted and get(client, "a").is_active
    assert production(client) == ["rl-1", "b"]  # as they were deployed
    assert history(client) == ["b", "a-", "rl-1"]
    new, old, _ = tenures(client)
    assert old.demoted_at == new.promoted_at
    assert [old.version, old.model_type, old.HasField("rollback_reason")] == ["a", "lstm", False]


def test_promote_the_promoted_changes_nothing(client, file):
    register(client, "a")
    first = promote(client, "a")
    before = file.rows("tb_model_tenures"), file.rows("model_deployments")
    assert promote(client, "a") == first
    assert (file.rows("tb_model_tenures"), file.rows("model_deployments")) == before


def test_promote_demotes_several_that_another_program_promoted(client, file):
    register(client, "a", "b", "c")
    with other_program(file) as connection:
        connection.execute("UPDATE model_deployments SET is_promoted = 1 WHERE version <> 'c'")
    assert production(client) == ["b", "a"]
    promote(client, "a")
    assert production(client) == ["a"]
    assert history(client) == ["b-", "a"]


def test_promote_a_retired_model_failed_precondition(client, file):
    register(client, "a", "b")
    promote(client, "a")
    assert not client.ok("ModelService.RetireModel", version="b").is_active
    before = file.rows("model_deployments"), file.rows("tb_model_tenures")
    reply = client.reply("ModelService.PromoteModel", version="b")
    assert reply.code == FAILED_PRECONDITION
    assert "'b'" in reply.message and "retired" in reply.message
    assert (file.rows("model_deployments"), file.rows("tb_model_tenures")) == before


def test_roll_back_returns_to_the_one_before(client, file):
    register(client, "a", "b", "c")
    for version in "abc":
        promote(client, version)
    reason = "validation loss diverged\nafter hour 3"
    answer = client.ok("ModelService.RollbackModel", version="c", reason=reason)
    assert answer == get(client, "b") and answer.is_promoted
    gone = get(client, "c")
    assert [gone.is_promoted, gone.is_active, gone.rollback_reason] == [False, False, reason]
    assert history(client) == ["b", "c-", "b-", "a-"]
    assert [t.rollback_reason for t in tenures(client)] == ["", reason, "", ""]
    assert client.ok("ModelService.RollbackModel", version="b", reason="too").version == "a"
    assert production(client) == ["a"]


def test_roll_back_passes_over_retired_and_deleted(client, file):
    register(client, *"abcd")
    for version in "abcd":
        promote(client, version)
    client.ok("ModelService.RetireModel", version="c")
    with other_program(file) as connection:
        connection.execute("DELETE FROM model_deployments WHERE version = 'b'")
    assert client.ok("ModelService.RollbackModel", version="d", reason="x").version == "a"
    # What is deleted stays in the history.
    assert history(client) == ["a", "d-", "c-", "b-", "a-"]


def test_roll_back_without_one_before_answers_an_empty_deployment(client):
    register(client, "a", "never-promoted")
    register(client, "rl-1", model_type="rl")
    promote(client, "rl-1")
    promote(client, "a")
    answer = client.ok("ModelService.RollbackModel", version="a", reason="x")
    assert not answer.ListFields()
    assert production(client) == ["rl-1"]


@pytest.mark.parametrize("state", ["registered", "demoted", "retired", "rolled back"])
def test_roll_back_what_is_not_in_production_failed_precondition(client, file, state):
    register(client, "a", "b")
    promote(client, "b")
    if state != "registered":
        promote(client, "a")
        promote(client, "b")
    if state == "retired":
        client.ok("ModelService.RetireModel", version="a")
    if state == "rolled back":
        promote(client, "a")
        client.ok("ModelService.RollbackModel", version="a", reason="first")
    before = file.rows("model_deployments"), file.rows("tb_model_tenures")
    reply = client.reply("ModelService.RollbackModel", version="a", reason="second")
    assert reply.code == FAILED_PRECONDITION
    assert "'a'" in reply.message
    assert (file.rows("model_deployments"), file.rows("tb_model_tenures")) == before


def test_retire_the_one_in_production_failed_precondition(client, file):
    register(client, "a")
    promote(client, "a")
    before = file.rows("model_deployments")
    reply = client.reply("ModelService.RetireModel", version="a")
    assert reply.code == FAILED_PRECONDITION
    assert "in production" in reply.message
    assert file.rows("model_deployments") == before


def test_retire_again_changes_nothing(client, file):
    register(client, "a", "b")
    for version in "ab":
        promote(client, version)
    client.ok("ModelService.RollbackModel", version="b", reason="why")
    before = file.rows("model_deployments"), file.rows("tb_model_tenures")
    assert client.ok("ModelService.RetireModel", version="b").rollback_reason == "why"
    assert (file.rows("model_deployments"), file.rows("tb_model_tenures")) == before


@pytest.mark.parametrize("method, fields", [
    ("PromoteModel", {}), ("RollbackModel", {"reason": "x"}), ("RetireModel", {})])
def test_unknown_version_not_found(client, method, fields):
    reply = client.reply(f"ModelService.{method}", version="nobody", **fields)
    assert reply.code == NOT_FOUND
    assert "nobody" in reply.message


@pytest.mark.parametrize("method, fields, wrong", [
    ("PromoteModel", {}, ["version"]),
    ("PromoteModel", {"version": ""}, ["version"]),
    ("PromoteModel", {"version": "x" * 51}, ["version"]),
    ("PromoteModel", {"version": "a\nb"}, ["version"]),
    ("RollbackModel", {}, ["version", "reason"]),
    ("RollbackModel", {"version": " ", "reason": " \n"}, ["version", "reason"]),
    ("RollbackModel", {"version": "a", "reason": "é" * 1001}, ["reason"]),
    ("RetireModel", {"version": "a\x7f"}, ["version"]),
    ("ListModelHistory",
     {"model_type": "", "at": book.timestamp(1 << 60), "page_size": -1, "page_token": "x"},
     ["model_type", "at", "page_size", "page_token"]),
])
def test_bad_request_reports_every_violation(client, file, method, fields, wrong):
    register(client, "a")
    before = file.counts()
    reply = client.reply(f"ModelService.{method}", **fields)
    assert reply.code == INVALID_ARGUMENT
    assert list(book.violations(reply)) == wrong
    assert file.counts() == before


def test_reason_of_1000_characters_is_kept(client):
    register(client, "a")
    promote(client, "a")
    client.ok("ModelService.RollbackModel", version="a", reason="é" * 1000)
    assert get(client, "a").rollback_reason == "é" * 1000


def test_retry_of_roll_back_has_one_effect(client, file):
    """Run twice it would refuse: the version is no longer in production."""
    register(client, *"abc")
    for version in "abc":
        promote(client, version)
    id = uuid.uuid4().bytes
    message = book.request_of("ModelService.RollbackModel", version="c", reason="x")
    first = client.reply("ModelService.RollbackModel", message, request_id=id)
    assert first.code == OK
    before = file.rows("tb_model_tenures")
    assert client.reply("ModelService.RollbackModel", message, request_id=id) == first
    assert file.rows("tb_model_tenures") == before


def test_retry_of_promote_does_not_undo_a_later_one(client):
    register(client, "a", "b")
    id = uuid.uuid4().bytes
    first = client.ok("ModelService.PromoteModel", version="a", request_id=id)
    promote(client, "b")
    assert client.ok("ModelService.PromoteModel", version="a", request_id=id) == first
    assert production(client) == ["b"]


def test_history_tells_who_was_in_production_at_a_moment(client, file):
    register(client, "a", "b")
    register(client, "rl-1", model_type="rl")
    promote(client, "a")
    promote(client, "b")
    promote(client, "rl-1")
    with other_program(file) as connection:
        for version, start, end in [("a", "10:00:00.000", "11:00:00.000"), ("b", "11:00:00.000", None),
                                    ("rl-1", "10:30:00.000", None)]:
            connection.execute("UPDATE tb_model_tenures SET promoted_at = ?, demoted_at = ? WHERE version = ?",
                               (f"2026-01-01 {start}000", end and f"2026-01-01 {end}000", version))
    ten = 1_767_261_600  # 2026-01-01 10:00 UTC
    for at, expected in [((ten - 1, 999_999_999), []), ((ten, 0), ["a-"]), ((ten + 1799, 0), ["a-"]),
                         ((ten + 1800, 0), ["rl-1", "a-"]), ((ten + 3599, 999_999_000), ["rl-1", "a-"]),
                         ((ten + 3600, 0), ["rl-1", "b"])]:
        assert history(client, at=book.timestamp(*at)) == expected, at
    assert history(client, at=book.timestamp(ten + 1800), model_type="lstm") == ["a-"]
    assert history(client, model_type="rl") == ["rl-1"]
    assert history(client, model_type="r") == []


def test_history_comes_in_pages_while_models_are_promoted(client):
    register(client, "a", "b")
    for i in range(7):
        promote(client, "ab"[i % 2])
    expected = tenures(client)
    found, fields = [], {}
    while True:
        page = client.ok("ModelService.ListModelHistory", page_size=3, **fields)
        found += page.tenures
        if not page.next_page_token:
            break
        assert len(page.tenures) == 3
        fields = {"page_token": page.next_page_token}
        promote(client, "b" if production(client) == ["a"] else "a")
    assert [(t.version, t.promoted_at) for t in found] == [(t.version, t.promoted_at) for t in expected]


def test_history_page_token_of_another_question_invalid_argument(client):
    register(client, "a", "b")
    for version in "aba":
        promote(client, version)
    token = client.ok("ModelService.ListModelHistory", page_size=1).next_page_token
    for fields in ({"model_type": "lstm"}, {"at": book.timestamp(0)}):
        reply = client.reply("ModelService.ListModelHistory", page_token=token, **fields)
        assert reply.code == INVALID_ARGUMENT
        assert list(book.violations(reply)) == ["page_token"]


def test_history_follows_another_program(client, file):
    """As SQLAlchemy does: one UPDATE for each row."""
    register(client, "a", "b")
    promote(client, "a")
    with other_program(file) as connection:
        connection.execute("UPDATE model_deployments SET is_promoted = 0 WHERE version = 'a'")
        connection.execute("UPDATE model_deployments SET is_promoted = 1 WHERE version = 'b'")
    assert history(client) == ["b", "a-"]
    with other_program(file) as connection:
        connection.execute("UPDATE model_deployments SET is_promoted = 0, is_active = 0, rollback_reason = 'bad' "
                           "WHERE version = 'b'")
        connection.execute("INSERT INTO model_deployments (version, model_path, model_type, is_promoted) "
                           "VALUES ('c', 'p', 'lstm', 1)")
    assert history(client) == ["c", "b-", "a-"]
    assert tenures(client)[1].rollback_reason == "bad"


@pytest.mark.parametrize("change, expected", [
    ("is_active = 0", ["a-"]), ("version = 'b'", ["b", "a-"]), ("model_type = 'rl'", ["a", "a-"]),
    ("id = 77", ["a", "a-"]), ("model_path = 'q'", ["a"])])
def test_history_follows_each_column_alone(client, file, change, expected):
    register(client, "a")
    promote(client, "a")
    with other_program(file) as connection:
        connection.execute(f"UPDATE model_deployments SET {change}")
    assert history(client) == expected


def test_history_ends_with_a_deployment_that_is_deleted(client, file):
    register(client, "a")
    promote(client, "a")
    with other_program(file) as connection:
        connection.execute("DELETE FROM model_deployments")
    assert history(client) == ["a-"]


def test_history_follows_insert_or_replace(client, file):
    """Which deletes without telling the delete triggers."""
    register(client, "a")
    promote(client, "a")
    id = get(client, "a").id
    replace = ("INSERT OR REPLACE INTO model_deployments (id, version, model_path, model_type, is_promoted) "
               "VALUES (?, ?, 'p', 'lstm', ?)")
    with other_program(file) as connection:
        connection.execute(replace, (id, "a", 1))
    assert history(client) == ["a"]
    with other_program(file) as connection:
        connection.execute(replace, (id, "b", 1))
    assert history(client) == ["b", "a-"]
    with other_program(file) as connection:
        connection.execute(replace, (id + 7, "b", 0))
    assert history(client) == ["b-", "a-"]
    with other_program(file) as connection:
        connection.execute(replace.replace("REPLACE", "IGNORE"), (id + 7, "b", 1))
    assert history(client) == ["b-", "a-"]


def test_history_of_adopted_models_starts_when_they_were_deployed(tmp_path):
    db = tmp_path / "adopted.db"
    with serving.Server(db):
        pass
    with contextlib.closing(sqlite3.connect(db)) as connection, connection:
        for (name,) in connection.execute(
                "SELECT name FROM sqlite_schema WHERE name LIKE 'tb\\_%' ESCAPE '\\' AND type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        for (name,) in connection.execute(
                "SELECT name FROM sqlite_schema WHERE name LIKE 'tb\\_%' ESCAPE '\\' AND type = 'table'").fetchall():
            connection.execute(f"DROP TABLE {name}")
        for version, at, promoted in [("new", "2026-02-01 00:00:00.123456", 1), ("old", "2026-01-01 00:00:00.000000", 1),
                                      ("out", "2026-01-15 00:00:00.000000", 0)]:
            connection.execute("INSERT INTO model_deployments (version, model_path, model_type, deployed_at, is_promoted) "
                               "VALUES (?, 'p', 'lstm', ?, ?)", (version, at, promoted))
    with serving.Server(db) as server, book.Client(server.address) as client:
        assert history(client) == ["new", "old"]
        assert tenures(client)[0].promoted_at == get(client, "new").deployed_at


def test_history_catches_up_with_what_happened_without_triggers(tmp_path):
    db = tmp_path / "book.db"
    with serving.Server(db) as server:
        with book.Client(server.address) as client:
            register(client, "a", "b")
            promote(client, "a")
        server.stop()
        with contextlib.closing(sqlite3.connect(db)) as connection, connection:
            connection.execute("DROP TRIGGER tb_model_deployments_update")
            connection.execute("UPDATE model_deployments SET is_promoted = (version = 'b')")
        server.restart()
        with book.Client(server.address) as client:
            assert history(client) == ["b", "a-"]
            new, old = tenures(client)
            assert new.promoted_at == old.demoted_at
        server.stop()
        server.restart()
        with book.Client(server.address) as client:
            assert tenures(client) == [new, old]


def test_production_models_newest_first_in_pages(client, file):
    for i in range(5):
        at = book.timestamp(1_700_000_000 + i % 3)
        client.ok("ModelService.CreateModelDeployment",
                  model_deployment=book.model_deployment(version=f"v{i}", model_type=f"it's {i}", deployed_at=at))
        promote(client, f"v{i}")
    with other_program(file) as connection:
        connection.execute("UPDATE model_deployments SET is_active = 0 WHERE version = 'v4'")
    expected = ["v2", "v1", "v3", "v0"]
    assert production(client) == expected
    first = client.ok("AnalyticsService.ListProductionModels", page_size=3)
    rest = client.ok("AnalyticsService.ListProductionModels", page_size=3, page_token=first.next_page_token)
    assert [m.version for m in [*first.model_deployments, *rest.model_deployments]] == expected
    assert not rest.next_page_token
    assert production(client, model_type="it's 3") == ["v3"]
    assert production(client, model_type="' OR 1=1 --") == []


def test_production_models_bad_request_reports_every_violation(client):
    reply = client.reply("AnalyticsService.ListProductionModels", model_type=" ", page_size=-1, page_token="x")
    assert reply.code == INVALID_ARGUMENT
    assert list(book.violations(reply)) == ["model_type", "page_size", "page_token"]


@pytest.mark.skipif(not FIXTURE.is_file(), reason="the users' database is not there")
def test_production_models_of_the_users_equal_their_sql(tmp_path):
    db = tmp_path / "users.db"
    shutil.copy(FIXTURE, db)
    with serving.Server(db) as server, book.Client(server.address) as client:
        found = client.ok("AnalyticsService.ListProductionModels").model_deployments
        rows = book.File(db).query("SELECT id, version, model_path, metrics_json FROM model_deployments "
                                   "WHERE is_promoted = 1 AND is_active = 1 ORDER BY deployed_at DESC")
        assert len(rows) == 3
        assert [(m.id, m.version, m.model_path, m.metrics_json) for m in found] == rows
        # Each is in production since it was deployed, as far as is known.
        assert [(t.version, t.promoted_at) for t in tenures(client)] == [(m.version, m.deployed_at) for m in found]
